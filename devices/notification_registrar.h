#ifndef DEVICES_NOTIFICATION_REGISTRAR_H_
#define DEVICES_NOTIFICATION_REGISTRAR_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "memory/guest_address.h"

namespace annulus {

// A guest store that shall signal an eventfd without an exit to the VMM.
struct NotificationAddress {
  memory::GuestAddress address;
  uint32_t width = 0;            // Bytes of the store: 2, 4, 8; 0 means any.
  std::optional<uint64_t> data;  // Only stores of this value; else all.
};

// Binds available buffer notifications to eventfds. Under KVM an ioeventfd.
// Where a store is not bound it reaches BusDevice::Write() instead, which
// signals the same eventfd: slower, never wrong.
//
// Threads: thread-safe; called on a vCPU thread when the guest places a BAR.
class NotificationRegistrar {
 public:
  virtual ~NotificationRegistrar() = default;

  // `event_fd` is borrowed until the matching Unbind().
  virtual absl::Status Bind(const NotificationAddress& address,
                            int event_fd) = 0;
  virtual void Unbind(const NotificationAddress& address, int event_fd) = 0;
};

}  // namespace annulus

#endif  // DEVICES_NOTIFICATION_REGISTRAR_H_
