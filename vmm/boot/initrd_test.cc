#include "vmm/boot/initrd.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "vmm/boot/image_file.h"
#include "vmm/boot/kernel_image_builder.h"
#include "vmm/boot/small_guest.h"

namespace annulus::boot {
namespace {

constexpr uint64_t kMiB = 1 << 20;

KernelImage KernelAt(uint64_t start, uint64_t size) {
  KernelImage kernel;
  kernel.range = {memory::GuestAddress(start), size};
  return kernel;
}

absl::StatusOr<AddressRange> Load(const SmallGuest& guest, size_t size,
                                  const KernelImage& kernel) {
  const UniqueFd fd = FileOf(Pattern(size));
  return LoadInitrd(ImageFile::Open(fd.get(), "initrd").value(), kernel,
                    guest.memory());
}

TEST(InitrdTest, GoesToTheTopOfRam) {
  SmallGuest guest(8);
  const auto range = Load(guest, 5000, KernelAt(kMiB, kMiB));
  ASSERT_TRUE(range.ok()) << range.status();
  EXPECT_EQ(range->start.value(), 8 * kMiB - 8192);
  EXPECT_EQ(range->size, 5000u);
  EXPECT_EQ(guest.Read(range->start.value(), 5000), Pattern(5000));
}

TEST(InitrdTest, LastByteIsAtTheKernelsLimit) {
  SmallGuest guest(8);
  KernelImage kernel = KernelAt(kMiB, kMiB);
  kernel.initrd_address_max = 5 * kMiB - 1;
  EXPECT_EQ(Load(guest, 4096, kernel)->start.value(), 5 * kMiB - 4096);
  kernel.initrd_address_max = UINT64_MAX;
  EXPECT_EQ(Load(guest, 4096, kernel)->start.value(), 8 * kMiB - 4096);
}

TEST(InitrdTest, GoesBelowAKernelThatFillsTheRest) {
  SmallGuest guest(8);
  const auto range = Load(guest, 2 * kMiB, KernelAt(4 * kMiB, 3 * kMiB));
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(range->start.value(), 2 * kMiB);
}

TEST(InitrdTest, LargerThanRamIsRefused) {
  SmallGuest guest(8);
  const absl::Status status =
      Load(guest, 9 * kMiB, KernelAt(kMiB, kMiB)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            "initrd: 9437184 bytes do not fit in guest RAM below 0x80000000 "
            "beside the kernel, which needs 0x100000 to 0x200000");
}

TEST(InitrdTest, OneThatFitsInRamButNotBesideTheKernelIsRefused) {
  SmallGuest guest(8);
  EXPECT_EQ(Load(guest, 4 * kMiB, KernelAt(3 * kMiB, 2 * kMiB)).status().code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace annulus::boot
