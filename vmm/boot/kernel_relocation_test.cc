#include "vmm/boot/kernel_relocation.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/little_endian.h"
#include "vmm/boot/kernel_image_builder.h"
#include "vmm/boot/small_guest.h"

namespace annulus::boot {
namespace {

constexpr uint64_t kMiB = 1 << 20;

using Words = std::vector<memory::Le32>;

std::vector<uint32_t> Values(RelocationLists::Places places) {
  return std::vector<uint32_t>(places.begin(), places.end());
}

TEST(KernelRelocationTest, ThreeListsAreTakenApart) {
  const Words table = {0, 1, 2, 0, 3, 0, 4};
  const auto lists = ReadRelocationLists(table);
  ASSERT_TRUE(lists.ok());
  EXPECT_EQ(Values(lists->add_64), (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(Values(lists->subtract_32), (std::vector<uint32_t>{3}));
  EXPECT_EQ(Values(lists->add_32), (std::vector<uint32_t>{4}));
}

TEST(KernelRelocationTest, TwoListsHaveNoPlacesThatRunAgainstTheMove) {
  const Words table = {0, 1, 0, 4};
  const auto lists = ReadRelocationLists(table);
  ASSERT_TRUE(lists.ok());
  EXPECT_EQ(Values(lists->add_64), (std::vector<uint32_t>{1}));
  EXPECT_TRUE(lists->subtract_32.empty());
  EXPECT_EQ(Values(lists->add_32), (std::vector<uint32_t>{4}));
}

TEST(KernelRelocationTest, ListsMayBeEmpty) {
  const Words table = {0, 0, 0};
  const auto lists = ReadRelocationLists(table);
  ASSERT_TRUE(lists.ok());
  EXPECT_TRUE(lists->add_64.empty());
  EXPECT_TRUE(lists->add_32.empty());
}

TEST(KernelRelocationTest, OtherTablesAreRefused) {
  EXPECT_FALSE(ReadRelocationLists(Words{}).ok());
  EXPECT_FALSE(ReadRelocationLists(Words{0, 1}).ok());
  EXPECT_FALSE(ReadRelocationLists(Words{1, 0, 0, 2}).ok());
  EXPECT_FALSE(ReadRelocationLists(Words{0, 1, 0, 2, 0, 3, 0, 4}).ok());
}

TEST(KernelRelocationTest, EveryOffsetKeepsTheKernelInItsGibibyte) {
  const AddressRange range = {memory::GuestAddress(16 * kMiB), 46 * kMiB};
  uint64_t largest = 0;
  for (uint64_t random = 0; random < 1000; ++random) {
    const uint64_t offset = ChooseVirtualOffset(range, 2 * kMiB, random);
    EXPECT_EQ(offset % (2 * kMiB), 0u);
    EXPECT_LE(range.end() + offset, 1024 * kMiB);
    largest = offset > largest ? offset : largest;
  }
  EXPECT_EQ(largest, 962 * kMiB);
}

TEST(KernelRelocationTest, KernelWithoutRoomToMoveStaysWhereItIs) {
  const memory::GuestAddress start(16 * kMiB);
  EXPECT_EQ(ChooseVirtualOffset({start, 1007 * kMiB}, 2 * kMiB, 77), 0u);
  EXPECT_EQ(ChooseVirtualOffset({start, 3000 * kMiB}, 2 * kMiB, 77), 0u);
}

class RelocateKernelTest : public testing::Test {
 protected:
  // The kernel's virtual addresses are its physical ones in the kernel's map.
  static uint32_t Place(uint64_t offset) {
    return static_cast<uint32_t>(0x80000000 + kMiB + offset);
  }

  SmallGuest guest_{2};
  const AddressRange range_{memory::GuestAddress(kMiB), 64};
};

TEST_F(RelocateKernelTest, EachKindOfPlaceMovesItsOwnWay) {
  Bytes kernel(64);
  Patch<uint64_t>(kernel, 3, 0xffffffff81000001);  // Unaligned, as they are.
  Patch<uint32_t>(kernel, 20, 0x81000002);
  Patch<uint32_t>(kernel, 60, 0x100);
  ASSERT_TRUE(guest_.memory().Write(range_.start, kernel));
  const Words add_64 = {Place(3)};
  const Words subtract_32 = {Place(60)};
  const Words add_32 = {Place(20)};
  ASSERT_TRUE(RelocateKernel(
      {.add_64 = add_64, .subtract_32 = subtract_32, .add_32 = add_32}, range_,
      0x200000, guest_.memory()));
  Bytes expected(64);
  Patch<uint64_t>(expected, 3, 0xffffffff81200001);
  Patch<uint32_t>(expected, 20, 0x81200002);
  Patch<uint32_t>(expected, 60, 0xffe00100);
  EXPECT_EQ(guest_.Read(kMiB, 64), expected);
}

TEST_F(RelocateKernelTest, PlaceOutsideOfTheKernelIsRefusedBeforeAnyChange) {
  for (const uint32_t bad : {Place(61), Place(64), Place(0) - 1, uint32_t{1},
                             uint32_t{0x7fffffff}, uint32_t{0xffffffff}}) {
    const Words places = {Place(0), bad};
    EXPECT_FALSE(
        RelocateKernel({.add_64 = {}, .subtract_32 = {}, .add_32 = places},
                       range_, 0x200000, guest_.memory()))
        << bad;
  }
  const Words too_wide = {Place(57)};
  const Words good = {Place(0)};
  EXPECT_FALSE(
      RelocateKernel({.add_64 = too_wide, .subtract_32 = {}, .add_32 = good},
                     range_, 0x200000, guest_.memory()));
  EXPECT_EQ(guest_.Read(kMiB, 64), Bytes(64));
}

}  // namespace
}  // namespace annulus::boot
