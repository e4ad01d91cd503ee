#include "vmm/boot/kernel_loader.h"

#include <cstdint>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "vmm/boot/boot_state.h"
#include "vmm/boot/image_file.h"
#include "vmm/boot/kernel_image_builder.h"
#include "vmm/boot/small_guest.h"

namespace annulus::boot {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class KernelLoaderTest : public testing::Test {
 protected:
  absl::StatusOr<KernelImage> Load(const Bytes& content) {
    const UniqueFd fd = FileOf(content);
    return LoadKernel(ImageFile::Open(fd.get(), "kernel").value(),
                      guest_.memory(), /*randomize=*/true);
  }

  std::string Refusal(const Bytes& content) {
    const absl::Status status = Load(content).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  }

  SmallGuest guest_{16};
};

TEST_F(KernelLoaderTest, KindIsToldByContent) {
  const auto pvh = Load(
      ElfBuilder(kMiB).Segment(kMiB, Pattern(64)).Notes(PvhNote(kMiB)).Build());
  ASSERT_TRUE(pvh.ok());
  EXPECT_EQ(pvh->protocol, BootProtocol::kPvh32);
  const auto elf = Load(ElfBuilder(kMiB).Segment(kMiB, Pattern(64)).Build());
  ASSERT_TRUE(elf.ok());
  EXPECT_EQ(elf->protocol, BootProtocol::kLinux64);
  EXPECT_FALSE(elf->setup_header.has_value());
  const auto bzimage =
      Load(BuildBzImage(DebianLikeSetupHeader(), Pattern(1024)));
  ASSERT_TRUE(bzimage.ok());
  EXPECT_EQ(bzimage->protocol, BootProtocol::kLinux64);
  EXPECT_TRUE(bzimage->setup_header.has_value());
}

TEST_F(KernelLoaderTest, GarbageIsRefused) {
  for (const size_t size : {1, 4, 63, 0x205, 0x206, 5000}) {
    EXPECT_EQ(Refusal(Pattern(size)),
              "kernel: is neither an ELF file nor a bzImage");
    EXPECT_EQ(Refusal(Bytes(size)),
              "kernel: is neither an ELF file nor a bzImage");
  }
}

// As Debian's kernel does in 64 MiB: it ends below, but unpacks itself beyond.
TEST_F(KernelLoaderTest, BzImageInLz4IsUnpackedHere) {
  SetupHeader header = DebianLikeSetupHeader();
  header.init_size = 15 * kMiB;
  const Bytes vmlinux = ElfBuilder(2 * kMiB)
                            .Segment(2 * kMiB, Pattern(64), 14 * kMiB)
                            .Notes(PvhNote(2 * kMiB + 4))
                            .Build();
  const auto image = Load(BuildLz4BzImage(header, {vmlinux}));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->protocol, BootProtocol::kLinux64);
  EXPECT_EQ(image->entry.value(), 2 * kMiB);
  EXPECT_EQ(image->range.end(), 16 * kMiB);
  ASSERT_TRUE(image->setup_header.has_value());
  EXPECT_EQ(image->setup_header->loadflags & kKaslr, 0);  // Cannot be moved.
  EXPECT_EQ(guest_.Read(2 * kMiB, 64), Pattern(64));
}

TEST_F(KernelLoaderTest, UnpackedBzImageIsMovedByWholePages) {
  Bytes content(16);
  Patch<uint64_t>(content, 8, 0xffffffff80200000);
  Bytes vmlinux = ElfBuilder(2 * kMiB).Segment(2 * kMiB, content).Build();
  // Behind the section headers, of which there are none: one 64-bit place.
  Patch<uint64_t>(vmlinux, 0x28, vmlinux.size());  // e_shoff
  for (const uint32_t word : {0u, 0x80200008u, 0u}) {
    vmlinux.resize(vmlinux.size() + 4);
    Patch<uint32_t>(vmlinux, vmlinux.size() - 4, word);
  }
  const auto image = Load(BuildLz4BzImage(DebianLikeSetupHeader(), {vmlinux}));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->setup_header->loadflags & kKaslr, kKaslr);
  uint64_t moved;
  const Bytes after = guest_.Read(2 * kMiB + 8, 8);
  std::memcpy(&moved, after.data(), sizeof(moved));
  EXPECT_EQ(moved % (2 * kMiB), 0u);
  EXPECT_GE(moved, 0xffffffff80200000);
  EXPECT_LT(moved, 0xffffffffc0000000);
}

TEST_F(KernelLoaderTest, BzImageWhosePayloadIsNotUnderstoodUnpacksItself) {
  Bytes file = BuildLz4BzImage(DebianLikeSetupHeader(), {Pattern(200)});
  file[5 * 512 + kBzImagePayloadOffset + 8] = 0x00;  // No valid LZ4.
  const auto corrupt = Load(file);
  ASSERT_TRUE(corrupt.ok()) << corrupt.status();
  EXPECT_EQ(corrupt->entry.value(), 2 * kMiB + 0x200);
}

TEST_F(KernelLoaderTest, BzImageWithUnknownRelocationsUnpacksItself) {
  Bytes vmlinux = ElfBuilder(2 * kMiB).Segment(2 * kMiB, Pattern(16)).Build();
  Patch<uint64_t>(vmlinux, 0x28, vmlinux.size());  // e_shoff
  vmlinux.insert(vmlinux.end(), 8, 0xab);
  const auto image = Load(BuildLz4BzImage(DebianLikeSetupHeader(), {vmlinux}));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->entry.value(), 2 * kMiB + 0x200);
}

TEST_F(KernelLoaderTest, BzImageThatDoesNotFitIsRefused) {
  SetupHeader header = DebianLikeSetupHeader();
  header.init_size = 15 * kMiB;
  const Bytes vmlinux = ElfBuilder(2 * kMiB)
                            .Segment(2 * kMiB, Pattern(64), 14 * kMiB + 1)
                            .Build();
  EXPECT_EQ(Load(BuildLz4BzImage(header, {vmlinux})).status().message(),
            "kernel: ELF segment 0 at 0x200000 of 14680065 bytes does not fit "
            "in guest RAM");
}

TEST_F(KernelLoaderTest, BzImageOfOtherCompressionSaysWhatRamItNeeds) {
  SetupHeader header = DebianLikeSetupHeader();
  header.init_size = 15 * kMiB;
  header.payload_offset = 0x280;
  header.payload_length = 100;
  EXPECT_EQ(Load(BuildBzImage(header, Pattern(4096))).status().message(),
            "kernel: bzImage needs 15728640 bytes of RAM at 0x200000 to unpack "
            "itself, up to 17 MiB");
}

TEST_F(KernelLoaderTest, TruncatedMagicIsNoBzImage) {
  Bytes file = BuildBzImage(DebianLikeSetupHeader(), Pattern(1024));
  file.resize(0x205);
  EXPECT_EQ(Refusal(file), "kernel: is neither an ELF file nor a bzImage");
}

TEST_F(KernelLoaderTest, CompressedVmlinuxIsRefusedByItsFormat) {
  const struct {
    const char* name;
    Bytes magic;
  } cases[] = {
      {"gzip", {0x1f, 0x8b, 8}},         {"xz", {0xfd, '7', 'z', 'X', 'Z', 0}},
      {"bzip2", {'B', 'Z', 'h', '9'}},   {"zstd", {0x28, 0xb5, 0x2f, 0xfd}},
      {"lz4", {0x02, 0x21, 0x4c, 0x18}}, {"lz4", {0x04, 0x22, 0x4d, 0x18}},
      {"lzop", {0x89, 'L', 'Z', 'O', 0}}};
  for (const auto& [name, magic] : cases) {
    Bytes file = magic;
    file.resize(2000, 0xaa);
    EXPECT_EQ(Refusal(file), absl::StrCat("kernel: is compressed with ", name,
                                          "; decompress it first"));
  }
}

}  // namespace
}  // namespace annulus::boot
