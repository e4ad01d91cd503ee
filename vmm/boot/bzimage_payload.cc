#include "vmm/boot/bzimage_payload.h"

#include <lz4.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "memory/little_endian.h"
#include "vmm/boot/layout.h"
#include "vmm/boot/wire_bytes.h"

namespace annulus::boot {
namespace {

// LZ4's "Legacy frame": a magic number, then blocks that each begin with their
// size. The kernel's build appends the unpacked size.
constexpr uint32_t kLegacyMagic = 0x184c2102;
constexpr uint64_t kMaxUnpackedBlock = 8 << 20;
constexpr uint64_t kMaxPackedBlock = LZ4_COMPRESSBOUND(kMaxUnpackedBlock);
constexpr uint64_t kWordSize = 4;

// Unpacks the blocks in [begin, end) of the file, which must fill `out`.
// `scratch` has room for any one of them.
absl::Status UnpackBlocks(const ImageFile& file, uint64_t begin, uint64_t end,
                          absl::Span<uint8_t> out,
                          absl::Span<uint8_t> scratch) {
  while (begin < end) {
    if (end - begin < kWordSize) {
      return file.Invalid("LZ4 payload ends within a block's size");
    }
    ANNULUS_ASSIGN_OR_RETURN(const uint32_t size,
                             ReadWire<memory::Le32>(file, begin));
    begin += kWordSize;
    if (size > end - begin || size > scratch.size()) {
      return file.Invalid(
          absl::StrFormat("LZ4 payload has a block of %u bytes, with %u left",
                          size, end - begin));
    }
    const absl::Span<uint8_t> packed = scratch.first(size);
    ANNULUS_RETURN_IF_ERROR(file.ReadAt(begin, packed));
    begin += size;
    const size_t room = std::min<size_t>(out.size(), kMaxUnpackedBlock);
    const int got =
        LZ4_decompress_safe(reinterpret_cast<const char*>(packed.data()),
                            reinterpret_cast<char*>(out.data()),
                            static_cast<int>(size), static_cast<int>(room));
    if (got < 0) return file.Invalid("LZ4 payload is corrupt");
    out.remove_prefix(static_cast<size_t>(got));
  }
  if (!out.empty()) {
    return file.Invalid(absl::StrFormat(
        "LZ4 payload unpacks to %u bytes less than it says", out.size()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UnpackedKernel> UnpackBzImagePayload(const ImageFile& file,
                                                    const BzImage& image,
                                                    uint64_t max_size) {
  const uint64_t offset = image.header.payload_offset;
  const uint64_t length = image.header.payload_length;
  if (length == 0) {
    return absl::UnimplementedError("kernel: bzImage names no payload");
  }
  if (length < 2 * kWordSize ||
      !RangeFits<uint64_t>(offset, length, image.code_size)) {
    return file.Invalid(absl::StrFormat(
        "bzImage payload of %u bytes at %#x is not inside of it", length,
        offset));
  }
  const uint64_t begin = image.code_offset + offset;
  const uint64_t end = begin + length - kWordSize;
  ANNULUS_ASSIGN_OR_RETURN(const uint32_t magic,
                           ReadWire<memory::Le32>(file, begin));
  if (magic != kLegacyMagic) {
    return absl::UnimplementedError("kernel: payload is not LZ4");
  }
  ANNULUS_ASSIGN_OR_RETURN(const uint32_t size,
                           ReadWire<memory::Le32>(file, end));
  if (size == 0 || size > max_size) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%s: unpacks to %u bytes, not to 1 to %u", file.name(),
                        size, max_size));
  }
  // Both in one mapping, as a heap would keep what is freed: the pages of the
  // scratch behind the kernel go with it.
  const uint64_t scratch_size = std::min(length, kMaxPackedBlock);
  const uint64_t storage_size = size + scratch_size + kPageSize - 1;
  ANNULUS_ASSIGN_OR_RETURN(
      memory::GuestRam storage,
      memory::GuestRam::Create({.size = storage_size - storage_size % kPageSize,
                                .name = "annulus-kernel"}));
  uint8_t* const bytes = storage.Regions().front().host;
  ANNULUS_RETURN_IF_ERROR(
      UnpackBlocks(file, begin + kWordSize, end, absl::MakeSpan(bytes, size),
                   absl::MakeSpan(bytes + size, scratch_size)));
  return UnpackedKernel{.storage = std::move(storage),
                        .content = absl::MakeConstSpan(bytes, size)};
}

}  // namespace annulus::boot
