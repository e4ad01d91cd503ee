#include "vmm/boot/page_tables.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/little_endian.h"
#include "vmm/boot/kernel_image.h"
#include "vmm/boot/layout.h"
#include "vmm/boot/wire_bytes.h"

namespace annulus::boot {
namespace {

// Intel SDM volume 3 §4.5 "4-Level Paging and 5-Level Paging".
constexpr uint64_t kPresent = 1 << 0;
constexpr uint64_t kWritable = 1 << 1;
constexpr uint64_t kPageSizeBit = 1 << 7;
constexpr uint64_t kLargePage = 2 << 20;
constexpr size_t kEntries = 512;
constexpr size_t kDirectories = kKernelAddressEnd / (kEntries * kLargePage);

// Pages: the PML4, the PDPT, then the page directories.
constexpr size_t kPages = 2 + kDirectories;
static_assert(kPageTables.value() + kPages * kPageSize <= kCommandLine.value());

constexpr uint64_t PageAt(size_t index) {
  return kPageTables.value() + index * kPageSize;
}

}  // namespace

absl::Status WriteIdentityPageTables(const memory::GuestMemory& memory) {
  std::vector<uint64_t> entries(kPages * kEntries);
  entries[0] = PageAt(1) | kPresent | kWritable;
  for (size_t i = 0; i < kDirectories; ++i) {
    entries[kEntries + i] = PageAt(2 + i) | kPresent | kWritable;
  }
  for (size_t i = 0; i < kDirectories * kEntries; ++i) {
    entries[2 * kEntries + i] =
        i * kLargePage | kPageSizeBit | kPresent | kWritable;
  }
  std::vector<uint8_t> bytes;
  bytes.reserve(entries.size() * sizeof(uint64_t));
  for (const uint64_t entry : entries) {
    const auto wire = ToBytes(memory::Le64(entry));
    bytes.insert(bytes.end(), wire.begin(), wire.end());
  }
  if (!memory.Write(kPageTables, bytes)) {
    return absl::ResourceExhaustedError(
        "kernel: guest RAM below 1 MiB is missing");
  }
  return absl::OkStatus();
}

}  // namespace annulus::boot
