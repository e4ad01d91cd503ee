#ifndef DEVICES_PCI_MSIX_H_
#define DEVICES_PCI_MSIX_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "devices/pci/msi_vector.h"

namespace annulus::pci {

// The vectors of one function's MSI-X capability: their table, their pending
// bits and the masks (PCI Local Bus 3.0 §6.8.2 "MSI-X Capability and Table
// Structure").
//
// Threads: thread-safe. Trigger() is lock-free; the registers are serialized by
//   a mutex, being cold.
// Trust: offsets, widths and data are guest-controlled. Beyond the table, and
//   for any but aligned accesses of 4 and 8 bytes, reads give 0 and writes are
//   ignored.
// Allocation: none after Create().
class Msix {
 public:
  // All vectors are masked, MSI-X is disabled. InvalidArgument unless
  // 0 < vector_count <= 2048; also fails where the factory does.
  static absl::StatusOr<std::unique_ptr<Msix>> Create(
      uint32_t vector_count, MsiVectorFactory& factory);

  uint32_t vector_count() const {
    return static_cast<uint32_t>(entries_.size());
  }

  // The capability, of which the guest may change the bits in
  // kCapabilityWritable. `bar` holds both structures at these offsets, which
  // are multiples of 8.
  static constexpr size_t kCapabilitySize = 12;
  std::array<uint8_t, kCapabilitySize> Capability(uint32_t bar,
                                                  uint32_t table_offset,
                                                  uint32_t pba_offset) const;
  static constexpr std::array<uint8_t, kCapabilitySize> kCapabilityWritable = {
      0, 0, 0, 0xc0};

  // The guest wrote Message Control.
  void SetControl(uint16_t message_control);
  bool enabled() const { return enabled_.load(std::memory_order_acquire); }

  void ReadTable(uint64_t offset, absl::Span<uint8_t> data) const;
  void WriteTable(uint64_t offset, absl::Span<const uint8_t> data);
  // The pending bit array; it cannot be written.
  void ReadPending(uint64_t offset, absl::Span<uint8_t> data) const;

  // Hot. Sends the message of `vector`, or remembers to once it is unmasked.
  // Nothing happens while MSI-X is disabled, or where no such vector exists.
  void Trigger(uint32_t vector);

 private:
  enum class Gate : uint8_t { kDisabled, kMasked, kOpen };

  struct Entry {
    std::unique_ptr<MsiVector> message;  // Constant.
    std::atomic<Gate> gate{Gate::kDisabled};
    std::atomic<bool> pending{false};
    // Guarded by mu_: as the guest sees it, and what `message` was last told.
    std::array<uint32_t, 4> words = {0, 0, 0, 1};
    bool installed = false;
    uint64_t installed_address = 0;
    uint32_t installed_data = 0;
  };

  explicit Msix(uint32_t vector_count) : entries_(vector_count) {}

  void Update(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  std::atomic<bool> enabled_{false};  // Written under mu_.
  bool function_mask_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Entry> entries_;  // Of constant size.
};

}  // namespace annulus::pci

#endif  // DEVICES_PCI_MSIX_H_
