#include "vmm/boot/pvh_note.h"

#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "vmm/boot/kernel_image_builder.h"

namespace annulus::boot {
namespace {

Bytes Concatenated(const std::vector<Bytes>& parts) {
  Bytes all;
  for (const Bytes& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

std::string Refusal(const Bytes& notes) {
  const auto entry = FindPvhEntry(notes, 4);
  EXPECT_FALSE(entry.ok());
  return std::string(entry.status().message());
}

TEST(PvhNoteTest, EntryIsFoundInFourAndInEightBytes) {
  EXPECT_EQ(*FindPvhEntry(PvhNote(0x1000850, 4), 4), 0x1000850u);
  EXPECT_EQ(*FindPvhEntry(PvhNote(0x1000850, 8), 4), 0x1000850u);
}

TEST(PvhNoteTest, NotesOfOtherOwnersAndTypesAreSkipped) {
  const Bytes notes =
      Concatenated({ElfNote({"Linux", 6}, 18, Pattern(5)),
                    ElfNote({"Xen", 4}, 17, Pattern(41)),
                    ElfNote({"Xen", 3}, 18, Pattern(4)), PvhNote(0x100000)});
  EXPECT_EQ(*FindPvhEntry(notes, 4), 0x100000u);
  EXPECT_EQ(*FindPvhEntry(ElfNote({"GNU", 4}, 3, Pattern(20)), 4),
            std::nullopt);
  EXPECT_EQ(*FindPvhEntry({}, 4), std::nullopt);
}

TEST(PvhNoteTest, SegmentAlignedToEightHasItsNotesPaddedToEight) {
  Bytes other = ElfNote({"GNU", 4}, 5, Pattern(4));  // 12 + 4 + 4 bytes.
  other.resize(24);
  EXPECT_EQ(*FindPvhEntry(Concatenated({other, PvhNote(0x100000)}), 8),
            0x100000u);
  // Read with the other alignment, it makes no sense.
  EXPECT_FALSE(FindPvhEntry(Concatenated({other, PvhNote(0x100000)}), 4).ok());
}

TEST(PvhNoteTest, PaddingAtTheEndMayBeMissingOrTooLong) {
  Bytes notes = ElfNote({"GNU", 4}, 3, Pattern(4));
  notes.resize(notes.size() + 7);
  EXPECT_EQ(*FindPvhEntry(notes, 4), std::nullopt);
  notes = ElfNote({"Xen", 4}, 17, Pattern(3));
  notes.pop_back();
  EXPECT_EQ(*FindPvhEntry(notes, 4), std::nullopt);
}

TEST(PvhNoteTest, NameBeyondTheSegmentIsRefused) {
  Bytes notes = PvhNote(0x100000);
  Patch<uint32_t>(notes, 0, 0xffffffff);
  EXPECT_EQ(Refusal(notes),
            "ELF note's name of 4294967295 bytes is larger than its segment");
}

TEST(PvhNoteTest, ContentBeyondTheSegmentIsRefused) {
  Bytes notes = PvhNote(0x100000);
  Patch<uint32_t>(notes, 4, 9);
  EXPECT_EQ(Refusal(notes),
            "ELF note's content of 9 bytes is larger than its segment");
}

TEST(PvhNoteTest, EntryOfAnotherSizeIsRefused) {
  EXPECT_EQ(Refusal(PvhNote(0x100000, 5)), "PVH note of 5 bytes, not 4 or 8");
  EXPECT_EQ(Refusal(PvhNote(0x100000, 0)), "PVH note of 0 bytes, not 4 or 8");
}

TEST(PvhNoteTest, EntryBeyond32BitsIsRefused) {
  EXPECT_EQ(Refusal(PvhNote(0x100000000)),
            "PVH entry 0x100000000 is not a 32-bit address");
}

}  // namespace
}  // namespace annulus::boot
