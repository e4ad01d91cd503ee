#include "tests/guest/paging.h"

#include <cstddef>
#include <cstdint>

#include "tests/guest/machine.h"

namespace guest {
namespace {

constexpr size_t kEntries = 512;
constexpr uint64_t kPresentWritable = 0x3;
constexpr uint64_t kPage2MiB = 0x83;

alignas(4096) uint64_t g_directories[4][kEntries];
size_t g_used = 0;

}  // namespace

// From boot.S: what the 512 GiB that the only top-level entry covers are.
extern "C" uint64_t page_directory_pointers[];

void MapGigabyte(uint64_t address) {
  const uint64_t gigabyte = address >> 30;
  GUEST_CHECK(gigabyte < kEntries);
  if (page_directory_pointers[gigabyte] != 0) return;
  GUEST_CHECK(g_used < sizeof(g_directories) / sizeof(g_directories[0]));
  uint64_t* const directory = g_directories[g_used++];
  for (uint64_t i = 0; i < kEntries; ++i) {
    directory[i] = gigabyte << 30 | i << 21 | kPage2MiB;
  }
  // What was not present is in no translation cache: nothing to invalidate.
  page_directory_pointers[gigabyte] =
      reinterpret_cast<uint64_t>(directory) | kPresentWritable;
}

}  // namespace guest
