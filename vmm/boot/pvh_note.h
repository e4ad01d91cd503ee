#ifndef VMM_BOOT_PVH_NOTE_H_
#define VMM_BOOT_PVH_NOTE_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace annulus::boot {

// More than any kernel has; it bounds what is read for an untrusted size.
inline constexpr uint64_t kMaxNoteSegmentSize = 64 << 10;

// Looks through the content of one PT_NOTE segment for
// XEN_ELFNOTE_PHYS32_ENTRY, the entry point of the PVH boot protocol; nullopt
// if it is not there. `alignment` is the segment's p_align.
//
// Trust: the notes are untrusted. InvalidArgument, without a prefix, where a
//   note reaches beyond the segment or an entry is not a 32-bit address.
absl::StatusOr<std::optional<uint32_t>> FindPvhEntry(
    absl::Span<const uint8_t> notes, uint64_t alignment);

}  // namespace annulus::boot

#endif  // VMM_BOOT_PVH_NOTE_H_
