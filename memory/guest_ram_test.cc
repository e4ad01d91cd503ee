#include "memory/guest_ram.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"

namespace annulus::memory {
namespace {

TEST(GuestRamTest, RamAboveTheHoleContinuesAtFourGib) {
  const GuestRam ram =
      GuestRam::Create({.size = GuestRam::kHoleStart.value() + (1 << 20)})
          .value();
  const GuestMemory memory = GuestMemory::Create(ram.Regions()).value();
  EXPECT_TRUE(memory.Map(GuestAddress(0xbffff000), 4096).has_value());
  EXPECT_FALSE(memory.Map(GuestRam::kHoleStart, 1).has_value());
  EXPECT_FALSE(memory.Map(GuestAddress(0xffffffff), 1).has_value());
  EXPECT_TRUE(memory.Map(GuestRam::kHoleEnd, 1 << 20).has_value());
  EXPECT_FALSE(memory.Map(GuestRam::kHoleEnd, (1 << 20) + 1).has_value());
}

TEST(GuestRamTest, RegionsNameTheirPlaceInTheFile) {
  const GuestRam ram =
      GuestRam::Create(
          {.size = GuestRam::kHoleStart.value() + 4096, .shared = true})
          .value();
  const GuestMemory memory = GuestMemory::Create(ram.Regions()).value();
  const std::vector<uint8_t> in = {1, 2, 3};
  ASSERT_TRUE(memory.Write(GuestRam::kHoleEnd, in));
  std::vector<uint8_t> out(3);
  const GuestRegion& high = memory.regions()[1];
  ASSERT_EQ(::pread(high.fd, out.data(), out.size(),
                    static_cast<off_t>(high.file_offset)),
            3);
  EXPECT_EQ(out, in);
}

TEST(GuestRamTest, ReceiverOfTheDescriptorCannotShrinkIt) {
  const GuestRam ram = GuestRam::Create({.size = 8192, .shared = true}).value();
  EXPECT_NE(::ftruncate(ram.fd(), 4096), 0);
}

TEST(GuestRamTest, PrivateRamHasNoDescriptor) {
  const GuestRam ram = GuestRam::Create({.size = 8192}).value();
  EXPECT_EQ(ram.fd(), -1);
  EXPECT_EQ(ram.Regions()[0].fd, -1);
}

TEST(GuestRamTest, HostAddressIsAlignedForLargePages) {
  for (const bool shared : {false, true}) {
    const GuestRam ram =
        GuestRam::Create({.size = (5 << 20) + 4096, .shared = shared}).value();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(ram.Regions()[0].host) % (2 << 20),
              0u);
  }
}

TEST(GuestRamTest, ImpossibleSizesAreRefused) {
  EXPECT_EQ(GuestRam::Create({.size = 0}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(GuestRam::Create({.size = 4097}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(GuestRam::Create({.size = uint64_t{1} << 52}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(GuestRamTest, PrefaultMakesThePagesResident) {
  const GuestRam ram =
      GuestRam::Create({.size = 1 << 20, .prefault = true}).value();
  std::vector<unsigned char> resident((1 << 20) / 4096);
  ASSERT_EQ(::mincore(ram.Regions()[0].host, 1 << 20, resident.data()), 0);
  for (const unsigned char page : resident) EXPECT_EQ(page & 1, 1);
}

}  // namespace
}  // namespace annulus::memory
