#ifndef DEVICES_PCI_MSI_VECTOR_H_
#define DEVICES_PCI_MSI_VECTOR_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "devices/interrupt.h"

namespace annulus::pci {

// One message-signalled interrupt whose message the guest writes. Under KVM an
// irqfd and its entry in the routing table.
//
// Threads: Trigger() from any thread, at any time. SetMessage() and
//   ClearMessage() are serialized by the caller, concurrently with Trigger().
// Trust: address and data are guest-controlled; any value is legal. A message
//   that the host refuses is as one that leads nowhere: no interrupt.
class MsiVector : public Interrupt {
 public:
  // Trigger() sends this message from now on. A trigger that comes during the
  // change may send the old or the new one, but is not lost.
  virtual void SetMessage(uint64_t address, uint32_t data) = 0;

  // Trigger() does nothing from now on; the state after creation.
  virtual void ClearMessage() = 0;
};

// Makes vectors while the machine is built, so that nothing is allocated when
// the guest flips bits.
class MsiVectorFactory {
 public:
  virtual ~MsiVectorFactory() = default;

  // ResourceExhausted where the host has no more of them.
  virtual absl::StatusOr<std::unique_ptr<MsiVector>> CreateVector() = 0;
};

}  // namespace annulus::pci

#endif  // DEVICES_PCI_MSI_VECTOR_H_
