#ifndef VMM_KVM_KVM_VM_H_
#define VMM_KVM_KVM_VM_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "memory/guest_address.h"
#include "memory/guest_region.h"

namespace annulus::kvm {

// Where one global system interrupt (GSI) leads.
struct GsiRoute {
  enum class Kind : uint8_t {
    kIoapic,  // Pin 0..23.
    kMsi,     // A message to the local APICs.
  };
  uint32_t gsi = 0;
  Kind kind = Kind::kIoapic;
  uint32_t pin = 0;          // Only for kIoapic.
  uint64_t msi_address = 0;  // Only for kMsi.
  uint32_t msi_data = 0;     // Only for kMsi.
};

// A guest store to MMIO that KVM turns into a signal on an eventfd.
struct IoEvent {
  memory::GuestAddress address;
  uint32_t width = 0;            // Bytes; 0: any.
  std::optional<uint64_t> data;  // Only stores of this value; else all.
};

// One VM of KVM: memory slots, interrupt controllers, eventfds, vCPUs.
//
// Threads: every method is one or a few ioctls, which KVM serializes; the
//   routing table and the memory slots have one caller at a time by contract.
// Errors: the ioctl's errno with what was tried.
class KvmVm {
 public:
  explicit KvmVm(UniqueFd fd) : fd_(std::move(fd)) {}

  // The parts of the platform that KVM implements: two 8259s, the IOAPIC, a
  // local APIC per vCPU, and the 8254 timer with its speaker port. To be
  // called once, before the first vCPU. `tss` is three pages that the guest
  // does not use as RAM (Intel hosts need them), `identity_map` one.
  absl::Status CreatePlatform(memory::GuestAddress tss,
                              memory::GuestAddress identity_map) const;

  // Maps `region` as memory slot `slot`. The mapping outlives the VM.
  absl::Status SetMemory(uint32_t slot,
                         const memory::GuestRegion& region) const;

  // Replaces the whole routing table.
  absl::Status SetGsiRouting(absl::Span<const GsiRoute> routes) const;

  // Lets `event_fd` raise `gsi` (one edge a signal), or no longer.
  absl::Status AttachIrqFd(int event_fd, uint32_t gsi) const;
  absl::Status DetachIrqFd(int event_fd, uint32_t gsi) const;

  absl::Status AttachIoEventFd(int event_fd, const IoEvent& event) const;
  absl::Status DetachIoEventFd(int event_fd, const IoEvent& event) const;

  // `id` is also the initial APIC id. The first one made is the boot CPU.
  absl::StatusOr<UniqueFd> CreateVcpu(uint32_t id) const;

 private:
  UniqueFd fd_;
};

}  // namespace annulus::kvm

#endif  // VMM_KVM_KVM_VM_H_
