#include "tests/guest/boot_info.h"

#include <cstddef>
#include <cstdint>

#include "tests/guest/machine.h"

namespace guest {
namespace {

// struct hvm_start_info of PVH.
constexpr uint32_t kPvhMagic = 0x336ec578;
constexpr uint64_t kPvhCommandLine = 24;
constexpr uint64_t kPvhMemoryMap = 40;
constexpr uint64_t kPvhMemoryMapEntries = 48;
// struct hvm_memmap_table_entry.
constexpr uint64_t kMemoryMapEntrySize = 24;
constexpr uint32_t kMemoryMapRam = 1;

// struct boot_params of Linux, "zero page".
constexpr uint64_t kZeroPageHeaderMagic = 0x202;
constexpr uint32_t kHeaderMagic = 0x53726448;  // "HdrS"
constexpr uint64_t kZeroPageExtCommandLine = 0x0c8;
constexpr uint64_t kZeroPageCommandLine = 0x228;

char g_command_line[4096];
RamMap g_ram;

template <typename T>
T Load(uint64_t address) {
  return *reinterpret_cast<const volatile T*>(address);
}

uint64_t CommandLineAddress(BootProtocol protocol, uint64_t structure) {
  if (protocol == BootProtocol::kPvh) {
    GUEST_CHECK(Load<uint32_t>(structure) == kPvhMagic);
    return Load<uint64_t>(structure + kPvhCommandLine);
  }
  GUEST_CHECK(Load<uint32_t>(structure + kZeroPageHeaderMagic) == kHeaderMagic);
  return uint64_t{Load<uint32_t>(structure + kZeroPageExtCommandLine)} << 32 |
         Load<uint32_t>(structure + kZeroPageCommandLine);
}

void ReadRamMap(uint64_t start_info) {
  const uint64_t map = Load<uint64_t>(start_info + kPvhMemoryMap);
  const uint32_t entries = Load<uint32_t>(start_info + kPvhMemoryMapEntries);
  for (uint32_t i = 0; i < entries; ++i) {
    const uint64_t entry = map + i * kMemoryMapEntrySize;
    if (Load<uint32_t>(entry + 16) != kMemoryMapRam) continue;
    GUEST_CHECK(g_ram.count < kMaxRamRanges);
    g_ram.ranges[g_ram.count++] = {.start = Load<uint64_t>(entry),
                                   .size = Load<uint64_t>(entry + 8)};
  }
}

// Where VALUE of NAME=VALUE begins.
const char* FindOption(const char* name) {
  for (const char* word = g_command_line; *word != 0;) {
    const char* w = word;
    const char* n = name;
    while (*n != 0 && *w == *n) ++w, ++n;
    if (*n == 0 && *w == '=') return w + 1;
    while (*word != 0 && *word != ' ') ++word;
    while (*word == ' ') ++word;
  }
  return nullptr;
}

}  // namespace

void ReadBootInfo(BootProtocol protocol, uint64_t structure) {
  const uint64_t address = CommandLineAddress(protocol, structure);
  if (protocol == BootProtocol::kPvh) ReadRamMap(structure);
  if (address == 0) return;
  for (size_t i = 0; i < sizeof(g_command_line) - 1; ++i) {
    g_command_line[i] = Load<char>(address + i);
    if (g_command_line[i] == 0) break;
  }
}

const RamMap& Ram() { return g_ram; }

const char* CommandLine() { return g_command_line; }

const char* Option(const char* name) {
  static char values[4][64];
  static size_t next = 0;
  char* const value = values[next++ % 4];
  size_t length = 0;
  if (const char* found = FindOption(name)) {
    while (found[length] != 0 && found[length] != ' ' &&
           length < sizeof(values[0]) - 1) {
      value[length] = found[length];
      ++length;
    }
  }
  value[length] = 0;
  return value;
}

uint64_t NumberOption(const char* name, uint64_t otherwise) {
  const char* text = Option(name);
  if (*text == 0) return otherwise;
  uint64_t base = 10;
  if (text[0] == '0' && text[1] == 'x') {
    base = 16;
    text += 2;
  }
  uint64_t number = 0;
  for (; *text != 0; ++text) {
    const char c = *text;
    const uint64_t digit = c <= '9' ? c - '0' : c - 'a' + 10;
    GUEST_CHECK(digit < base);
    number = number * base + digit;
  }
  return number;
}

bool Equal(const char* a, const char* b) {
  while (*a != 0 && *a == *b) ++a, ++b;
  return *a == *b;
}

}  // namespace guest
