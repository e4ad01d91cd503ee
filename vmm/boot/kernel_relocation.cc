#include "vmm/boot/kernel_relocation.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "base/checked_math.h"
#include "memory/guest_span.h"
#include "memory/little_endian.h"
#include "vmm/boot/wire_bytes.h"

namespace annulus::boot {
namespace {

using memory::GuestSpan;
using memory::Le32;
using memory::Le64;

// Linux/x86-64's virtual memory layout: physical address 0 of the kernel's own
// map, and that map's size when it is randomized (KERNEL_IMAGE_SIZE).
constexpr uint64_t kStartKernelMap = 0xffffffff80000000;
constexpr uint64_t kKernelImageSize = uint64_t{1} << 30;

// Where in the loaded kernel the place is that a word names.
std::optional<uint64_t> PlaceInRange(uint32_t word, uint64_t width,
                                     const AddressRange& range) {
  const uint64_t address = uint64_t{word} | 0xffffffff00000000;
  if (address < kStartKernelMap) return std::nullopt;
  const uint64_t physical = address - kStartKernelMap;
  if (physical < range.start.value() ||
      !RangeFits(physical - range.start.value(), width, range.size)) {
    return std::nullopt;
  }
  return physical - range.start.value();
}

bool AllInRange(RelocationLists::Places places, uint64_t width,
                const AddressRange& range) {
  return std::all_of(places.begin(), places.end(), [&](uint32_t word) {
    return PlaceInRange(word, width, range).has_value();
  });
}

template <typename Wire, typename Value>
void AddAt(RelocationLists::Places places, Value addend,
           const AddressRange& range, const GuestSpan& kernel) {
  std::array<uint8_t, sizeof(Wire)> bytes;
  for (const Le32& word : places) {
    const uint64_t place = *PlaceInRange(word, sizeof(Wire), range);
    kernel.CopyOut(place, absl::MakeSpan(bytes));
    const Value value = FromBytes<Wire>(bytes);
    kernel.CopyIn(place, ToBytes(Wire(static_cast<Value>(value + addend))));
  }
}

}  // namespace

absl::StatusOr<RelocationLists> ReadRelocationLists(
    absl::Span<const Le32> table) {
  if (table.empty() || table.front() != 0) {
    return absl::InvalidArgumentError("relocations begin without a zero");
  }
  absl::InlinedVector<RelocationLists::Places, 3> lists;
  while (!table.empty() && lists.size() <= 3) {
    table.remove_prefix(1);  // The zero.
    const auto end = std::find(table.begin(), table.end(), 0);
    lists.push_back(table.first(static_cast<size_t>(end - table.begin())));
    table.remove_prefix(lists.back().size());
  }
  switch (lists.size()) {
    case 2:
      return RelocationLists{
          .add_64 = lists[0], .subtract_32 = {}, .add_32 = lists[1]};
    case 3:
      return RelocationLists{
          .add_64 = lists[0], .subtract_32 = lists[1], .add_32 = lists[2]};
    default:
      return absl::InvalidArgumentError(
          "relocations are not two or three lists");
  }
}

uint64_t ChooseVirtualOffset(const AddressRange& range, uint64_t alignment,
                             uint64_t random) {
  if (range.end() > kKernelImageSize) return 0;
  return random % ((kKernelImageSize - range.end()) / alignment + 1) *
         alignment;
}

bool RelocateKernel(const RelocationLists& lists, const AddressRange& range,
                    uint64_t offset, const memory::GuestMemory& memory) {
  const std::optional<GuestSpan> kernel = memory.Map(range.start, range.size);
  if (!kernel.has_value() || !AllInRange(lists.add_64, 8, range) ||
      !AllInRange(lists.subtract_32, 4, range) ||
      !AllInRange(lists.add_32, 4, range)) {
    return false;
  }
  const uint32_t offset_32 = static_cast<uint32_t>(offset);
  AddAt<Le32>(lists.add_32, offset_32, range, *kernel);
  AddAt<Le32>(lists.subtract_32, uint32_t{0} - offset_32, range, *kernel);
  AddAt<Le64>(lists.add_64, offset, range, *kernel);
  return true;
}

}  // namespace annulus::boot
