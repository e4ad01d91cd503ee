#include "vmm/bus/address_bus.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_format.h"
#include "base/checked_math.h"

namespace annulus {

absl::Status AddressBus::Add(uint64_t start, uint64_t size, BusDevice& device) {
  if (size == 0 || !CheckedAdd(start, size - 1).has_value()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "bus range at %#x of %u bytes is empty or wraps", start, size));
  }
  MutexLock lock(mu_);
  const auto next = ranges_.lower_bound(start);
  const bool hits_next = next != ranges_.end() && next->first - start < size;
  const bool hits_previous =
      next != ranges_.begin() &&
      start - std::prev(next)->first < std::prev(next)->second.size;
  if (hits_next || hits_previous) {
    return absl::AlreadyExistsError(absl::StrFormat(
        "bus range at %#x of %u bytes overlaps another", start, size));
  }
  ranges_.emplace(start, Range{size, &device});
  return absl::OkStatus();
}

void AddressBus::Remove(uint64_t start) {
  MutexLock lock(mu_);
  ranges_.erase(start);
}

AddressBus::Target AddressBus::Find(uint64_t address, uint64_t length) {
  MutexLock lock(mu_);
  const auto after = ranges_.upper_bound(address);
  if (after == ranges_.begin()) return {nullptr, 0};
  const auto& [start, range] = *std::prev(after);
  if (!RangeFits(address - start, length, range.size)) return {nullptr, 0};
  return {range.device, address - start};
}

void AddressBus::Read(uint64_t address, absl::Span<uint8_t> data) {
  const Target target = Find(address, data.size());
  if (target.device == nullptr) {
    std::fill(data.begin(), data.end(), uint8_t{0xff});
    return;
  }
  target.device->Read(target.offset, data);
}

void AddressBus::Write(uint64_t address, absl::Span<const uint8_t> data) {
  const Target target = Find(address, data.size());
  if (target.device != nullptr) target.device->Write(target.offset, data);
}

}  // namespace annulus
