#include "vmm/boot/bzimage_loader.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "vmm/boot/boot_state.h"
#include "vmm/boot/image_file.h"
#include "vmm/boot/kernel_image_builder.h"
#include "vmm/boot/small_guest.h"

namespace annulus::boot {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class BzImageLoaderTest : public testing::Test {
 protected:
  absl::StatusOr<KernelImage> Load(const Bytes& content) {
    const UniqueFd fd = FileOf(content);
    const ImageFile file = ImageFile::Open(fd.get(), "kernel").value();
    const absl::StatusOr<BzImage> image = ReadBzImage(file);
    if (!image.ok()) return image.status();
    return LoadBzImage(file, *image, guest_.memory());
  }

  absl::StatusOr<KernelImage> Load(const SetupHeader& header) {
    return Load(BuildBzImage(header, Pattern(4096)));
  }

  std::string Refusal(
      const SetupHeader& header,
      absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
    const absl::Status status = Load(header).status();
    EXPECT_EQ(status.code(), code) << status;
    return std::string(status.message());
  }

  SmallGuest guest_{16};
  SetupHeader header_ = DebianLikeSetupHeader();
};

TEST_F(BzImageLoaderTest, CodeGoesToThePreferredAddress) {
  const auto image = Load(header_);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->protocol, BootProtocol::kLinux64);
  EXPECT_EQ(image->entry.value(), 2 * kMiB + 0x200);
  EXPECT_EQ(image->range.start.value(), 2 * kMiB);
  EXPECT_EQ(image->range.size, 0x10000u);  // init_size
  EXPECT_EQ(image->command_line_size, 2047u);
  EXPECT_EQ(image->initrd_address_max, 0x7fffffffu);
  ASSERT_TRUE(image->setup_header.has_value());
  EXPECT_EQ(uint32_t{image->setup_header->header}, kHeaderMagic);
  EXPECT_EQ(guest_.Read(2 * kMiB, 4096), Pattern(4096));
}

TEST_F(BzImageLoaderTest, ZeroSetupSectorsMeansFour) {
  header_.setup_sects = 0;
  ASSERT_TRUE(Load(header_).ok());
  EXPECT_EQ(guest_.Read(2 * kMiB, 4096), Pattern(4096));
}

TEST_F(BzImageLoaderTest, CodeLargerThanInitSizeCountsInFull) {
  header_.init_size = 16;
  const auto image = Load(header_);
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(image->range.size, 4096u);
}

TEST_F(BzImageLoaderTest, AddressIsAlignedUpOnlyIfRelocatable) {
  header_.pref_address = 3 * kMiB;
  EXPECT_EQ(Load(header_)->range.start.value(), 4 * kMiB);
  header_.relocatable_kernel = 0;
  EXPECT_EQ(Load(header_)->range.start.value(), 3 * kMiB);
}

TEST_F(BzImageLoaderTest, WhatFollowsTheCodeIsNotLoaded) {
  Bytes file = BuildBzImage(header_, Pattern(4096));
  file.insert(file.end(), 1000, 0xee);  // A signature.
  ASSERT_TRUE(Load(file).ok());
  EXPECT_EQ(guest_.Read(2 * kMiB + 4096, 1000), Bytes(1000));
}

TEST_F(BzImageLoaderTest, BytesBehindTheHeadersEndAreNotTakenForFields) {
  header_.jump = 0x64eb;  // Ends at 0x266.
  header_.handover_offset = 0xdddddddd;
  header_.later_fields[5] = 0xdd;
  const auto image = Load(header_);
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(uint32_t{image->setup_header->handover_offset}, 0xddddu);
  EXPECT_EQ(image->setup_header->later_fields[5], 0);
  EXPECT_EQ(uint32_t{image->setup_header->init_size}, 0x10000u);
}

TEST_F(BzImageLoaderTest, HeaderThatEndsBeforeInitSizeIsRefused) {
  header_.jump = 0x61eb;
  EXPECT_EQ(Refusal(header_),
            "kernel: bzImage setup header ends at 0x263, before init_size");
}

TEST_F(BzImageLoaderTest, TruncationAtAnyByteIsRefused) {
  const Bytes whole = BuildBzImage(header_, Pattern(2048));
  ASSERT_TRUE(Load(whole).ok());
  for (size_t size = 1; size < whole.size(); ++size) {
    const Bytes part(whole.begin(), whole.begin() + size);
    const absl::Status status = Load(part).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StrContains(status.message(), "truncated"))
        << size << ": " << status;
  }
}

TEST_F(BzImageLoaderTest, SizeThatLiesIsRefused) {
  Bytes file = BuildBzImage(header_, Pattern(4096));
  constexpr size_t kSyssize =
      kSetupHeaderOffset + offsetof(SetupHeader, syssize);
  Patch<uint32_t>(file, kSyssize, 0xffffffff);
  EXPECT_EQ(Load(file).status().message(),
            "kernel: bzImage is truncated: 68719476720 bytes at 0xa00 of a "
            "file of 6656 bytes");
  Patch<uint32_t>(file, kSyssize, 0x20);
  EXPECT_EQ(Load(file).status().message(),
            "kernel: bzImage of 512 bytes (syssize) ends before its 64-bit "
            "entry point");
  Patch<uint32_t>(file, kSyssize, 0);
  EXPECT_FALSE(Load(file).ok());
}

TEST_F(BzImageLoaderTest, OldProtocolIsRefused) {
  header_.version = 0x020b;
  EXPECT_EQ(Refusal(header_),
            "kernel: bzImage boot protocol 2.11 is older than 2.12");
  header_.version = 0;
  Refusal(header_);
}

TEST_F(BzImageLoaderTest, KernelWithout64BitEntryIsRefused) {
  header_.xloadflags = 0x7e;
  EXPECT_EQ(Refusal(header_), "kernel: bzImage has no 64-bit entry point");
}

TEST_F(BzImageLoaderTest, ZImageIsRefused) {
  header_.loadflags = 0;
  EXPECT_EQ(Refusal(header_),
            "kernel: a zImage, which loads below 1 MiB, not a bzImage");
}

TEST_F(BzImageLoaderTest, WrongBootFlagIsRefused) {
  header_.boot_flag = 0x1234;
  EXPECT_EQ(Refusal(header_),
            "kernel: bzImage boot flag is 0x1234, not 0xaa55");
}

TEST_F(BzImageLoaderTest, AddressOverTheBootStructuresOrBeyond4GiBIsRefused) {
  header_.kernel_alignment = 1;
  for (const uint64_t address :
       {uint64_t{0}, uint64_t{0x7000}, uint64_t{0xfffff}, uint64_t{0xffffffff},
        uint64_t{1} << 32, UINT64_MAX}) {
    header_.pref_address = address;
    EXPECT_TRUE(absl::StrContains(Refusal(header_),
                                  "does not lie between 1 MiB and 4 GiB"));
  }
  header_.kernel_alignment = 0x200000;
  header_.pref_address = UINT64_MAX - 5;
  Refusal(header_);
}

TEST_F(BzImageLoaderTest, AlignmentThatIsNoPowerOfTwoIsRefused) {
  header_.kernel_alignment = 0;
  EXPECT_EQ(Refusal(header_),
            "kernel: bzImage kernel_alignment 0 is not a power of two");
  header_.kernel_alignment = 0x300000;
  Refusal(header_);
}

TEST_F(BzImageLoaderTest, RoomToUnpackThatRamDoesNotHaveIsRefused) {
  header_.init_size = 14 * kMiB;
  EXPECT_TRUE(Load(header_).ok());
  header_.init_size = 14 * kMiB + 1;
  EXPECT_EQ(Refusal(header_, absl::StatusCode::kResourceExhausted),
            "kernel: bzImage needs 14680065 bytes of RAM at 0x200000 to unpack "
            "itself, up to 17 MiB");
}

}  // namespace
}  // namespace annulus::boot
