#include "vmm/boot/elf_loader.h"

#include <elf.h>

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

class ElfLoaderTest : public testing::Test {
 protected:
  absl::StatusOr<KernelImage> Load(const Bytes& content) {
    const UniqueFd fd = FileOf(content);
    return LoadElf(ImageFile::Open(fd.get(), "kernel").value(), guest_.memory(),
                   ElfEntry::kPvhIfNoted);
  }

  // The message, after a check that nothing of the file is in RAM.
  std::string Refusal(
      const Bytes& content,
      absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
    const absl::Status status = Load(content).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_EQ(guest_.Read(kMiB, kMiB), Bytes(kMiB));
    return std::string(status.message());
  }

  // One segment at 1 MiB, program header 0.
  static Bytes Valid() {
    return ElfBuilder(kMiB).Segment(kMiB, Pattern(100)).Build();
  }
  static uint64_t Field(size_t offset) {
    return ElfBuilder::ProgramHeaderAt(0) + offset;
  }

  SmallGuest guest_{16};
};

TEST_F(ElfLoaderTest, SegmentsGoToTheirPhysicalAddresses) {
  const auto image = Load(ElfBuilder(kMiB + 5)
                              .Segment(3 * kMiB, Pattern(10, 7), 4096)
                              .Segment(kMiB, Pattern(100))
                              .Build());
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->protocol, BootProtocol::kLinux64);
  EXPECT_EQ(image->entry.value(), kMiB + 5);
  EXPECT_EQ(image->range.start.value(), kMiB);
  EXPECT_EQ(image->range.end(), 3 * kMiB + 4096);  // With bss.
  EXPECT_FALSE(image->setup_header.has_value());
  EXPECT_EQ(guest_.Read(kMiB, 100), Pattern(100));
  EXPECT_EQ(guest_.Read(3 * kMiB, 10), Pattern(10, 7));
  EXPECT_EQ(guest_.Read(3 * kMiB + 10, 4086), Bytes(4086));
}

TEST_F(ElfLoaderTest, PvhNoteDecidesProtocolAndEntry) {
  const auto image = Load(ElfBuilder(kMiB)
                              .Segment(kMiB, Pattern(100))
                              .Notes(ElfNote({"GNU", 4}, 3, Pattern(20)))
                              .Notes(PvhNote(kMiB + 0x50))
                              .Build());
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->protocol, BootProtocol::kPvh32);
  EXPECT_EQ(image->entry.value(), kMiB + 0x50);
}

TEST_F(ElfLoaderTest, EmptyAndOtherSegmentsAreIgnored) {
  Bytes file = ElfBuilder(kMiB)
                   .Segment(kMiB, Pattern(100))
                   .Segment(0, {})
                   .Segment(0, Pattern(10))
                   .Build();
  Patch<uint32_t>(file, ElfBuilder::ProgramHeaderAt(2), PT_TLS);
  EXPECT_TRUE(Load(file).ok());
}

TEST_F(ElfLoaderTest, TruncationAtAnyByteIsRefused) {
  const Bytes whole =
      ElfBuilder(kMiB).Notes(PvhNote(kMiB)).Segment(kMiB, Pattern(100)).Build();
  ASSERT_TRUE(Load(whole).ok());
  SmallGuest fresh(16);
  for (size_t size = 1; size < whole.size(); ++size) {
    const UniqueFd fd = FileOf(absl::MakeSpan(whole).first(size));
    const auto image = LoadElf(ImageFile::Open(fd.get(), "kernel").value(),
                               fresh.memory(), ElfEntry::kPvhIfNoted);
    EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StrContains(image.status().message(), "truncated"))
        << size << ": " << image.status();
  }
}

TEST_F(ElfLoaderTest, OverlappingSegmentsAreRefused) {
  EXPECT_EQ(Refusal(ElfBuilder(kMiB)
                        .Segment(kMiB, Pattern(100), 5000)
                        .Segment(kMiB + 4096, Pattern(8))
                        .Build()),
            "kernel: ELF segment 1 at 0x101000 of 8 bytes overlaps segment 0 "
            "at 0x100000");
  EXPECT_TRUE(Load(ElfBuilder(kMiB)
                       .Segment(kMiB, Pattern(100), 4096)
                       .Segment(kMiB + 4096, Pattern(8))
                       .Build())
                  .ok());
}

TEST_F(ElfLoaderTest, SegmentOverTheBootStructuresIsRefused) {
  EXPECT_EQ(Refusal(ElfBuilder(0x7000).Segment(0x7000, Pattern(100)).Build()),
            "kernel: ELF segment 0 at 0x7000 of 100 bytes lies below 1 MiB, "
            "where the boot structures are");
  Refusal(ElfBuilder(0xfffff).Segment(0xfffff, Pattern(100)).Build());
}

TEST_F(ElfLoaderTest, SegmentLargerThanRamIsRefused) {
  EXPECT_EQ(
      Refusal(
          ElfBuilder(kMiB).Segment(kMiB, Pattern(100), 15 * kMiB + 1).Build(),
          absl::StatusCode::kResourceExhausted),
      "kernel: ELF segment 0 at 0x100000 of 15728641 bytes does not fit "
      "in guest RAM");
  EXPECT_TRUE(
      Load(ElfBuilder(kMiB).Segment(kMiB, Pattern(9), 15 * kMiB).Build()).ok());
}

TEST_F(ElfLoaderTest, SegmentThatWrapsIsRefused) {
  Bytes file = Valid();
  Patch<uint64_t>(file, Field(offsetof(Elf64_Phdr, p_memsz)), UINT64_MAX);
  EXPECT_TRUE(absl::StrContains(Refusal(file), "reaches beyond 4 GiB"));
  file = Valid();
  Patch<uint64_t>(file, Field(offsetof(Elf64_Phdr, p_paddr)), UINT64_MAX - 10);
  EXPECT_TRUE(absl::StrContains(Refusal(file), "reaches beyond 4 GiB"));
}

TEST_F(ElfLoaderTest, SegmentOutsideOfTheFileIsRefused) {
  Bytes file = Valid();
  Patch<uint64_t>(file, Field(offsetof(Elf64_Phdr, p_offset)), UINT64_MAX - 5);
  EXPECT_TRUE(absl::StrContains(Refusal(file), "is truncated"));
  file = Valid();
  Patch<uint64_t>(file, Field(offsetof(Elf64_Phdr, p_offset)), file.size());
  EXPECT_TRUE(absl::StrContains(Refusal(file), "is truncated"));
}

TEST_F(ElfLoaderTest, MoreBytesInTheFileThanInMemoryIsRefused) {
  Bytes file = Valid();
  Patch<uint64_t>(file, Field(offsetof(Elf64_Phdr, p_memsz)), 99);
  EXPECT_EQ(Refusal(file),
            "kernel: ELF segment 0 at 0x100000 of 99 bytes has more bytes in "
            "the file, 100");
}

TEST_F(ElfLoaderTest, NothingToLoadIsRefused) {
  EXPECT_EQ(Refusal(ElfBuilder(kMiB).Notes(PvhNote(kMiB)).Build()),
            "kernel: ELF file has nothing to load");
}

TEST_F(ElfLoaderTest, EntryOutsideOfTheFilesBytesIsRefused) {
  EXPECT_EQ(
      Refusal(ElfBuilder(kMiB + 100).Segment(kMiB, Pattern(100), 500).Build()),
      "kernel: ELF entry 0x100064 lies outside of the loaded segments");
  EXPECT_EQ(Refusal(ElfBuilder(kMiB)
                        .Segment(kMiB, Pattern(100))
                        .Notes(PvhNote(0x7000))
                        .Build()),
            "kernel: PVH entry 0x7000 lies outside of the loaded segments");
  // Not to be mistaken for its lower half.
  Refusal(ElfBuilder(0x100000000 + kMiB).Segment(kMiB, Pattern(100)).Build());
}

TEST_F(ElfLoaderTest, ProgramHeaderCountThatLiesIsRefused) {
  Bytes file = Valid();
  const size_t field = offsetof(Elf64_Ehdr, e_phnum);
  Patch<uint16_t>(file, field, 0);
  EXPECT_EQ(Refusal(file),
            "kernel: ELF file has 0 program headers, not 1 to 64");
  Patch<uint16_t>(file, field, 0xffff);
  EXPECT_EQ(Refusal(file),
            "kernel: ELF file has 65535 program headers, not 1 to 64");
  Patch<uint16_t>(file, field, 60);
  EXPECT_TRUE(absl::StrContains(Refusal(file), "truncated"));
  // Two: what is behind the first is segment content, an unknown type.
  Patch<uint16_t>(file, field, 2);
  EXPECT_TRUE(Load(file).ok());
}

TEST_F(ElfLoaderTest, ProgramHeaderTableOutsideOfTheFileIsRefused) {
  Bytes file = Valid();
  Patch<uint64_t>(file, offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 3);
  EXPECT_TRUE(absl::StrContains(Refusal(file), "truncated"));
  Patch<uint16_t>(file, offsetof(Elf64_Ehdr, e_phentsize), 32);
  EXPECT_EQ(Refusal(file),
            "kernel: ELF program headers are 32 bytes each, not 56");
}

TEST_F(ElfLoaderTest, NoteOutsideOfTheFileIsRefused) {
  Bytes file =
      ElfBuilder(kMiB).Notes(PvhNote(kMiB)).Segment(kMiB, Pattern(100)).Build();
  Patch<uint64_t>(file, Field(offsetof(Elf64_Phdr, p_offset)), 1 << 30);
  EXPECT_TRUE(absl::StrContains(Refusal(file), "truncated"));
}

TEST_F(ElfLoaderTest, HugeNoteSegmentIsRefusedBeforeItIsRead) {
  Bytes file =
      ElfBuilder(kMiB).Notes(PvhNote(kMiB)).Segment(kMiB, Pattern(100)).Build();
  Patch<uint64_t>(file, Field(offsetof(Elf64_Phdr, p_filesz)),
                  uint64_t{1} << 60);
  EXPECT_EQ(Refusal(file),
            "kernel: ELF note segment 0 of 1152921504606846976 bytes is larger "
            "than 65536");
}

TEST_F(ElfLoaderTest, BrokenNoteNamesTheKernel) {
  EXPECT_EQ(Refusal(ElfBuilder(kMiB)
                        .Notes(PvhNote(kMiB, 6))
                        .Segment(kMiB, Pattern(100))
                        .Build()),
            "kernel: PVH note of 6 bytes, not 4 or 8");
}

TEST_F(ElfLoaderTest, OtherKindsOfElfFilesAreRefused) {
  Bytes file = Valid();
  file[EI_CLASS] = ELFCLASS32;
  EXPECT_EQ(Refusal(file), "kernel: ELF file is not 64-bit");
  file = Valid();
  file[EI_DATA] = ELFDATA2MSB;
  EXPECT_TRUE(absl::StrContains(Refusal(file), "not x86-64"));
  file = Valid();
  Patch<uint16_t>(file, offsetof(Elf64_Ehdr, e_machine), EM_AARCH64);
  EXPECT_EQ(Refusal(file), "kernel: ELF file is for machine 183, not x86-64");
  file = Valid();
  Patch<uint16_t>(file, offsetof(Elf64_Ehdr, e_type), ET_DYN);
  EXPECT_EQ(Refusal(file),
            "kernel: ELF file is of type 3, not an executable at a fixed "
            "address");
}

}  // namespace
}  // namespace annulus::boot
