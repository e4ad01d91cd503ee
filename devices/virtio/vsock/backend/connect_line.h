#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_CONNECT_LINE_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_CONNECT_LINE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace annulus::virtio {

// What a caller says first, "CONNECT <port>\n", as Firecracker has it: in upper
// or lower case, white space before, between and behind the two words, the port
// in decimal. Unlike there, a third word is an error.
//
// Threads: a value.
// Trust: the bytes are any.
// Allocation: none.
class ConnectLine {
 public:
  static constexpr size_t kMaxBytes = 32;  // With its line feed.

  enum class State : uint8_t { kIncomplete, kComplete, kWrong };

  // Takes bytes up to and with the line feed, or those that a line can have;
  // what follows is data, and not to be taken. Returns how many it took.
  // REQUIRES: it is incomplete.
  size_t Take(absl::string_view bytes);

  State state() const { return state_; }
  uint32_t port() const { return port_; }  // REQUIRES: it is complete.
  // How many more bytes it can have, at least 1 while it is incomplete.
  size_t room() const { return kMaxBytes - size_; }

 private:
  std::array<char, kMaxBytes> bytes_;
  size_t size_ = 0;
  State state_ = State::kIncomplete;
  uint32_t port_ = 0;
};

// The port that a line names, given without its line feed. Nothing: it is
// wrong.
std::optional<uint32_t> ParseConnectLine(absl::string_view line);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_CONNECT_LINE_H_
