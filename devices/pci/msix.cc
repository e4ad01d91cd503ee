#include "devices/pci/msix.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "devices/pci/config_registers.h"

namespace annulus::pci {
namespace {

// Words of a table entry.
constexpr size_t kAddressLow = 0;
constexpr size_t kAddressHigh = 1;
constexpr size_t kData = 2;
constexpr size_t kVectorControl = 3;

// §6.8.2: "software must use properly aligned dword or qword transactions".
bool IsProper(uint64_t offset, size_t width) {
  return (width == 4 || width == 8) && offset % width == 0;
}

void StoreWord(uint32_t word, uint8_t* data) {
  for (int i = 0; i < 4; ++i) data[i] = static_cast<uint8_t>(word >> (8 * i));
}

uint32_t LoadWord(const uint8_t* data) {
  uint32_t word = 0;
  for (int i = 0; i < 4; ++i) word |= uint32_t{data[i]} << (8 * i);
  return word;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Msix>> Msix::Create(uint32_t vector_count,
                                                   MsiVectorFactory& factory) {
  if (vector_count == 0 || vector_count > kMsixMaxVectors) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "MSI-X table of %d vectors, not 1 to 2048", vector_count));
  }
  std::unique_ptr<Msix> msix(new Msix(vector_count));
  for (Entry& entry : msix->entries_) {
    ANNULUS_ASSIGN_OR_RETURN(entry.message, factory.CreateVector());
  }
  return msix;
}

std::array<uint8_t, Msix::kCapabilitySize> Msix::Capability(
    uint32_t bar, uint32_t table_offset, uint32_t pba_offset) const {
  std::array<uint8_t, kCapabilitySize> capability = {kCapabilityMsix};
  const uint32_t last = vector_count() - 1;  // Table Size is N - 1.
  capability[kMsixMessageControl] = static_cast<uint8_t>(last);
  capability[kMsixMessageControl + 1] = static_cast<uint8_t>(last >> 8);
  StoreWord(table_offset | bar, &capability[4]);
  StoreWord(pba_offset | bar, &capability[8]);
  return capability;
}

void Msix::SetControl(uint16_t message_control) {
  MutexLock lock(mu_);
  const bool enable = (message_control & kMsixEnable) != 0;
  const bool mask = (message_control & kMsixFunctionMask) != 0;
  if (enable == enabled() && mask == function_mask_) return;
  enabled_.store(enable, std::memory_order_release);
  function_mask_ = mask;
  for (Entry& entry : entries_) Update(entry);
}

void Msix::ReadTable(uint64_t offset, absl::Span<uint8_t> data) const {
  std::fill(data.begin(), data.end(), uint8_t{0});
  if (!IsProper(offset, data.size())) return;
  MutexLock lock(mu_);
  for (size_t i = 0; i < data.size(); i += 4) {
    const uint64_t vector = (offset + i) / kMsixEntrySize;
    if (vector >= entries_.size()) return;
    StoreWord(entries_[vector].words[(offset + i) % kMsixEntrySize / 4],
              &data[i]);
  }
}

void Msix::WriteTable(uint64_t offset, absl::Span<const uint8_t> data) {
  if (!IsProper(offset, data.size())) return;
  // An aligned access of at most 8 bytes stays inside one entry.
  const uint64_t vector = offset / kMsixEntrySize;
  if (vector >= entries_.size()) return;
  MutexLock lock(mu_);
  Entry& entry = entries_[vector];
  for (size_t i = 0; i < data.size(); i += 4) {
    const size_t word = (offset + i) % kMsixEntrySize / 4;
    entry.words[word] = LoadWord(&data[i]);
  }
  // The other bits of Vector Control are reserved: hardwired to 0.
  entry.words[kVectorControl] &= kMsixVectorControlMask;
  entry.words[kAddressLow] &= ~uint32_t{3};  // Likewise.
  Update(entry);
}

void Msix::ReadPending(uint64_t offset, absl::Span<uint8_t> data) const {
  std::fill(data.begin(), data.end(), uint8_t{0});
  // A Trigger() that met the disabling may leave a bit behind. It costs the
  // guest one interrupt too many once MSI-X is enabled; none is ever lost.
  if (!IsProper(offset, data.size()) || !enabled()) return;
  for (size_t i = 0; i < data.size() * 8; ++i) {
    const uint64_t vector = offset * 8 + i;
    if (vector >= entries_.size()) return;
    if (entries_[vector].pending.load(std::memory_order_acquire)) {
      data[i / 8] |= static_cast<uint8_t>(1u << (i % 8));
    }
  }
}

void Msix::Update(Entry& entry) {
  if (!enabled()) {
    entry.gate.store(Gate::kDisabled);
    entry.pending.store(false);
    if (std::exchange(entry.installed, false)) entry.message->ClearMessage();
    return;
  }
  if (function_mask_ ||
      (entry.words[kVectorControl] & kMsixVectorControlMask) != 0) {
    // The message stays installed: a Trigger() that is past the gate already
    // shall not be lost.
    entry.gate.store(Gate::kMasked);
    return;
  }
  const uint64_t address =
      uint64_t{entry.words[kAddressHigh]} << 32 | entry.words[kAddressLow];
  const uint32_t data = entry.words[kData];
  // Linux masks and unmasks around each change; most of them change nothing.
  if (!entry.installed || entry.installed_address != address ||
      entry.installed_data != data) {
    entry.message->SetMessage(address, data);
    entry.installed = true;
    entry.installed_address = address;
    entry.installed_data = data;
  }
  // Sequentially consistent, here and in Trigger(): either this sees the
  // pending bit, or Trigger() sees the gate open.
  entry.gate.store(Gate::kOpen);
  if (entry.pending.exchange(false)) entry.message->Trigger();
}

void Msix::Trigger(uint32_t vector) {
  if (vector >= entries_.size()) return;
  Entry& entry = entries_[vector];
  switch (entry.gate.load()) {
    case Gate::kOpen:
      entry.message->Trigger();
      return;
    case Gate::kDisabled:
      return;
    case Gate::kMasked:
      entry.pending.store(true);
      if (entry.gate.load() == Gate::kOpen && entry.pending.exchange(false)) {
        entry.message->Trigger();
      }
      return;
  }
}

}  // namespace annulus::pci
