#include "vmm/boot/pvh_note.h"

#include <elf.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "memory/little_endian.h"
#include "vmm/boot/wire_bytes.h"

namespace annulus::boot {
namespace {

constexpr uint32_t kXenElfnotePhys32Entry = 18;  // XEN_ELFNOTE_PHYS32_ENTRY
constexpr uint8_t kXen[] = {'X', 'e', 'n', 0};

// Linux writes 8 bytes, the ABI's text speaks of 4.
absl::StatusOr<std::optional<uint32_t>> EntryOf(
    absl::Span<const uint8_t> descriptor) {
  uint64_t entry;
  if (descriptor.size() == 4) {
    entry = FromBytes<memory::Le32>(descriptor);
  } else if (descriptor.size() == 8) {
    entry = FromBytes<memory::Le64>(descriptor);
  } else {
    return absl::InvalidArgumentError(
        absl::StrFormat("PVH note of %u bytes, not 4 or 8", descriptor.size()));
  }
  if (entry > UINT32_MAX) {
    return absl::InvalidArgumentError(
        absl::StrFormat("PVH entry %#x is not a 32-bit address", entry));
  }
  return std::optional<uint32_t>(static_cast<uint32_t>(entry));
}

// Goes through the fields of a segment. Padding aligns the place in the
// segment, not the size of a field.
class NoteReader {
 public:
  NoteReader(absl::Span<const uint8_t> notes, uint64_t alignment)
      : notes_(notes), alignment_(alignment) {}

  // nullopt where there are not that many bytes.
  std::optional<absl::Span<const uint8_t>> Take(uint64_t size) {
    if (size > notes_.size() - position_) return std::nullopt;
    const absl::Span<const uint8_t> taken = notes_.subspan(position_, size);
    position_ += size;
    return taken;
  }

  // The last padding may be missing.
  void SkipPadding() {
    // No overflow: a segment has at most kMaxNoteSegmentSize bytes.
    const uint64_t aligned = (position_ + alignment_ - 1) & ~(alignment_ - 1);
    position_ = std::min<uint64_t>(aligned, notes_.size());
  }

 private:
  const absl::Span<const uint8_t> notes_;
  const uint64_t alignment_;
  uint64_t position_ = 0;  // At most notes_.size().
};

}  // namespace

absl::StatusOr<std::optional<uint32_t>> FindPvhEntry(
    absl::Span<const uint8_t> notes, uint64_t alignment) {
  // The ELF specification wants 8 in 64-bit files, but everybody writes 4,
  // whatever p_align says, except for notes of segments aligned to 8.
  if (alignment != 8) alignment = 4;
  NoteReader reader(notes, alignment);
  while (const auto start = reader.Take(sizeof(Elf64_Nhdr))) {
    const auto header = FromBytes<Elf64_Nhdr>(*start);
    const auto name = reader.Take(header.n_namesz);
    if (!name.has_value()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "ELF note's name of %u bytes is larger than its segment",
          header.n_namesz));
    }
    reader.SkipPadding();
    const auto descriptor = reader.Take(header.n_descsz);
    if (!descriptor.has_value()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "ELF note's content of %u bytes is larger than its segment",
          header.n_descsz));
    }
    reader.SkipPadding();
    if (header.n_type == kXenElfnotePhys32Entry && *name == kXen) {
      return EntryOf(*descriptor);
    }
  }
  return std::nullopt;
}

}  // namespace annulus::boot
