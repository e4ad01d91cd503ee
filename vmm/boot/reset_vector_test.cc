#include "vmm/boot/reset_vector.h"

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::boot {
namespace {

TEST(ResetVectorTest, CodeWritesTheValueToThePort) {
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = 1 << 20}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  ASSERT_TRUE(WriteResetVector(memory, 0x602, 7).ok());
  std::vector<uint8_t> code(6);
  ASSERT_TRUE(memory.Read(kResetVector, absl::MakeSpan(code)));
  EXPECT_EQ(code, (std::vector<uint8_t>{0xba, 0x02, 0x06, 0xb0, 0x07, 0xee}));
}

TEST(ResetVectorTest, RamThatEndsBelowItIsRefused) {
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = 0x80000}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  EXPECT_FALSE(WriteResetVector(memory, 0x602, 1).ok());
}

}  // namespace
}  // namespace annulus::boot
