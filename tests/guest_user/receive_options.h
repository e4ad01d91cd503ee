#ifndef TESTS_GUEST_USER_RECEIVE_OPTIONS_H_
#define TESTS_GUEST_USER_RECEIVE_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "cli/flag_set.h"
#include "devices/virtio/driver/header_split_receiver.h"
#include "tests/guest_user/stream.h"

namespace annulus::guest_user {

// What hs_receive is told.
struct ReceiveOptions {
  std::string pci;  // Empty: the only network card there is.
  virtio::ReceiveMethod method = virtio::ReceiveMethod::kNone;
  bool packed = true;
  bool in_order = false;
  bool indirect = false;
  bool mergeable = true;  // Of methods "none" and Q; A has it not, B and C do.
  uint16_t queue_size = 256;
  // Frames that must come split; nullopt: all that can be.
  std::optional<uint64_t> min_split;
  StreamSpec stream;

  bool uses_mergeable() const;
  bool splits() const { return method != virtio::ReceiveMethod::kNone; }
  // Of each receive buffer: as many that the largest frame fits where one
  // buffer has to do.
  uint16_t pages_per_buffer() const;
  // Frames that may be under way. Each finds buffers enough, and there is room
  // for some that nobody asked for.
  uint32_t window() const;
  // Feature bits to negotiate, as a set.
  uint64_t features() const;
};

// "A", as on the command line.
const char* NameOf(virtio::ReceiveMethod method);

// `options` outlive `flags`.
void AddReceiveFlags(cli::FlagSet& flags, ReceiveOptions& options);

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_RECEIVE_OPTIONS_H_
