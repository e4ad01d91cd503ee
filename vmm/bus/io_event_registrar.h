#ifndef VMM_BUS_IO_EVENT_REGISTRAR_H_
#define VMM_BUS_IO_EVENT_REGISTRAR_H_

#include "absl/status/status.h"
#include "devices/notification_registrar.h"
#include "vmm/kvm/kvm_vm.h"

namespace annulus {

// Available buffer notifications as ioeventfds of KVM.
//
// Threads: thread-safe: KVM serializes.
class IoEventRegistrar final : public NotificationRegistrar {
 public:
  // `vm` outlives the registrar.
  explicit IoEventRegistrar(const kvm::KvmVm& vm) : vm_(vm) {}

  absl::Status Bind(const NotificationAddress& address, int event_fd) override {
    return vm_.AttachIoEventFd(event_fd, ToIoEvent(address));
  }

  void Unbind(const NotificationAddress& address, int event_fd) override {
    // What was never bound is as good as unbound.
    vm_.DetachIoEventFd(event_fd, ToIoEvent(address)).IgnoreError();
  }

 private:
  static kvm::IoEvent ToIoEvent(const NotificationAddress& address) {
    return {.address = address.address,
            .width = address.width,
            .data = address.data};
  }

  const kvm::KvmVm& vm_;
};

}  // namespace annulus

#endif  // VMM_BUS_IO_EVENT_REGISTRAR_H_
