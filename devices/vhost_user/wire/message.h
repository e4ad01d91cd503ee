#ifndef DEVICES_VHOST_USER_WIRE_MESSAGE_H_
#define DEVICES_VHOST_USER_WIRE_MESSAGE_H_

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <type_traits>
#include <vector>

#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/protocol.h"

namespace annulus::vhost_user {

// One message of either direction, as it was read from a socket: its numbers
// are in bounds, its content is whatever the other side sent.
//
// Threads: a value.
// Trust: untrusted. Payload() hands a copy out, and only of the right size.
struct Message {
  uint32_t request = 0;
  uint32_t flags = kVersion;
  uint32_t size = 0;  // Of the payload, at most kMaxPayloadBytes.
  std::array<uint8_t, kMaxPayloadBytes> payload = {};
  std::vector<UniqueFd> fds;  // At most kMaxFds.

  bool need_reply() const { return (flags & kFlagNeedReply) != 0; }
  absl::Span<const uint8_t> bytes() const {
    return absl::MakeConstSpan(payload).first(size);
  }

  // The payload, if it consists of exactly one T.
  template <typename T>
  std::optional<T> Payload() const {
    static_assert(std::is_trivially_copyable_v<T>);
    if (size != sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, payload.data(), sizeof(T));
    return value;
  }
};

// A message with `value` as its payload.
template <typename T>
Message MakeMessage(uint32_t request, uint32_t flags, const T& value) {
  static_assert(std::is_trivially_copyable_v<T> &&
                sizeof(T) <= kMaxPayloadBytes);
  Message message;
  message.request = request;
  message.flags = flags | kVersion;
  message.size = sizeof(T);
  std::memcpy(message.payload.data(), &value, sizeof(T));
  return message;
}

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_WIRE_MESSAGE_H_
