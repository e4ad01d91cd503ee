#include "devices/platform/debug_exit.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace annulus::platform {

void DebugExit::Read(uint64_t /*offset*/, absl::Span<uint8_t> data) {
  std::fill(data.begin(), data.end(), uint8_t{0});
}

void DebugExit::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  if (offset != 0) return;
  uint32_t value = 0;
  for (size_t i = 0; i < std::min(data.size(), sizeof(value)); ++i) {
    value |= uint32_t{data[i]} << (8 * i);
  }
  control_.DebugExit(value);
}

}  // namespace annulus::platform
