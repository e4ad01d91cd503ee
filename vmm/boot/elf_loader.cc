#include "vmm/boot/elf_loader.h"

#include <elf.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "vmm/boot/layout.h"
#include "vmm/boot/pvh_note.h"
#include "vmm/boot/wire_bytes.h"

namespace annulus::boot {
namespace {

using memory::GuestAddress;

// <elf.h> declares host order.
static_assert(std::endian::native == std::endian::little);

// vmlinux has 5.
constexpr size_t kMaxProgramHeaders = 64;

// One PT_LOAD segment that passed all checks.
struct Segment {
  size_t index = 0;  // In the program header table, for messages.
  uint64_t file_offset = 0;
  uint64_t file_size = 0;
  AddressRange range;
};

absl::Status CheckHeader(const ImageFile& file, const Elf64_Ehdr& header) {
  if (header.e_ident[EI_CLASS] != ELFCLASS64) {
    return file.Invalid("ELF file is not 64-bit");
  }
  if (header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64) {
    return file.Invalid(absl::StrFormat(
        "ELF file is for machine %u, not x86-64", header.e_machine));
  }
  if (header.e_type != ET_EXEC) {
    return file.Invalid(absl::StrFormat(
        "ELF file is of type %u, not an executable at a fixed address",
        header.e_type));
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr)) {
    return file.Invalid(
        absl::StrFormat("ELF program headers are %u bytes each, not %u",
                        header.e_phentsize, sizeof(Elf64_Phdr)));
  }
  if (header.e_phnum == 0 || header.e_phnum > kMaxProgramHeaders) {
    return file.Invalid(
        absl::StrFormat("ELF file has %u program headers, not 1 to %u",
                        header.e_phnum, kMaxProgramHeaders));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Elf64_Phdr>> ReadProgramHeaders(
    const ImageFile& file, const Elf64_Ehdr& header) {
  std::vector<uint8_t> table(header.e_phnum * sizeof(Elf64_Phdr));
  ANNULUS_RETURN_IF_ERROR(file.ReadAt(header.e_phoff, absl::MakeSpan(table)));
  std::vector<Elf64_Phdr> headers;
  for (absl::Span<const uint8_t> rest = table; !rest.empty();
       rest.remove_prefix(sizeof(Elf64_Phdr))) {
    headers.push_back(FromBytes<Elf64_Phdr>(rest));
  }
  return headers;
}

absl::StatusOr<Segment> CheckSegment(const ImageFile& file,
                                     const memory::GuestMemory& memory,
                                     const Elf64_Phdr& header, size_t index) {
  const auto invalid = [&](absl::string_view reason) {
    return file.Invalid(absl::StrFormat("ELF segment %u at %#x of %u bytes %s",
                                        index, header.p_paddr, header.p_memsz,
                                        reason));
  };
  if (header.p_filesz > header.p_memsz) {
    return invalid(
        absl::StrFormat("has more bytes in the file, %u", header.p_filesz));
  }
  if (!RangeFits<uint64_t>(header.p_offset, header.p_filesz, file.size())) {
    return invalid(
        absl::StrFormat("is truncated: %u bytes at %#x of a file of %u bytes",
                        header.p_filesz, header.p_offset, file.size()));
  }
  if (header.p_paddr < kHighRamStart.value()) {
    return invalid("lies below 1 MiB, where the boot structures are");
  }
  if (!RangeFits<uint64_t>(header.p_paddr, header.p_memsz, kKernelAddressEnd)) {
    return invalid("reaches beyond 4 GiB");
  }
  if (!memory.Map(GuestAddress(header.p_paddr), header.p_memsz).has_value()) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%s: ELF segment %u at %#x of %u bytes does not fit in "
                        "guest RAM",
                        file.name(), index, header.p_paddr, header.p_memsz));
  }
  return Segment{.index = index,
                 .file_offset = header.p_offset,
                 .file_size = header.p_filesz,
                 .range = {GuestAddress(header.p_paddr), header.p_memsz}};
}

// Ascending by address.
absl::StatusOr<std::vector<Segment>> CheckSegments(
    const ImageFile& file, const memory::GuestMemory& memory,
    absl::Span<const Elf64_Phdr> headers) {
  std::vector<Segment> segments;
  for (size_t i = 0; i < headers.size(); ++i) {
    if (headers[i].p_type != PT_LOAD || headers[i].p_memsz == 0) continue;
    ANNULUS_ASSIGN_OR_RETURN(const Segment segment,
                             CheckSegment(file, memory, headers[i], i));
    segments.push_back(segment);
  }
  if (segments.empty()) return file.Invalid("ELF file has nothing to load");
  std::sort(segments.begin(), segments.end(),
            [](const Segment& a, const Segment& b) {
              return a.range.start < b.range.start;
            });
  for (size_t i = 1; i < segments.size(); ++i) {
    const Segment& below = segments[i - 1];
    const Segment& above = segments[i];
    if (!below.range.Overlaps(above.range)) continue;
    return file.Invalid(absl::StrFormat(
        "ELF segment %u at %#x of %u bytes overlaps segment %u at %#x",
        above.index, above.range.start.value(), above.range.size, below.index,
        below.range.start.value()));
  }
  return segments;
}

absl::StatusOr<std::optional<uint32_t>> ReadPvhEntry(
    const ImageFile& file, absl::Span<const Elf64_Phdr> headers) {
  for (size_t i = 0; i < headers.size(); ++i) {
    const Elf64_Phdr& header = headers[i];
    if (header.p_type != PT_NOTE) continue;
    if (header.p_filesz > kMaxNoteSegmentSize) {
      return file.Invalid(
          absl::StrFormat("ELF note segment %u of %u bytes is larger than %u",
                          i, header.p_filesz, kMaxNoteSegmentSize));
    }
    std::vector<uint8_t> notes(header.p_filesz);
    ANNULUS_RETURN_IF_ERROR(
        file.ReadAt(header.p_offset, absl::MakeSpan(notes)));
    const auto entry = FindPvhEntry(notes, header.p_align);
    if (!entry.ok()) return file.Invalid(entry.status().message());
    if (entry->has_value()) return *entry;
  }
  return std::nullopt;
}

bool IsLoadedAt(absl::Span<const Segment> segments, uint64_t address) {
  return std::any_of(
      segments.begin(), segments.end(), [address](const Segment& segment) {
        return address >= segment.range.start.value() &&
               address - segment.range.start.value() < segment.file_size;
      });
}

}  // namespace

bool IsElf(absl::Span<const uint8_t> start) {
  return start.size() >= SELFMAG &&
         std::memcmp(start.data(), ELFMAG, SELFMAG) == 0;
}

absl::StatusOr<KernelImage> LoadElf(const ImageFile& file,
                                    const memory::GuestMemory& memory,
                                    ElfEntry entry) {
  ANNULUS_ASSIGN_OR_RETURN(const Elf64_Ehdr header,
                           ReadWire<Elf64_Ehdr>(file, 0));
  ANNULUS_RETURN_IF_ERROR(CheckHeader(file, header));
  ANNULUS_ASSIGN_OR_RETURN(const std::vector<Elf64_Phdr> headers,
                           ReadProgramHeaders(file, header));
  ANNULUS_ASSIGN_OR_RETURN(const std::vector<Segment> segments,
                           CheckSegments(file, memory, headers));
  std::optional<uint32_t> pvh_entry;
  if (entry == ElfEntry::kPvhIfNoted) {
    ANNULUS_ASSIGN_OR_RETURN(pvh_entry, ReadPvhEntry(file, headers));
  }
  KernelImage image;
  image.protocol =
      pvh_entry.has_value() ? BootProtocol::kPvh32 : BootProtocol::kLinux64;
  image.entry = GuestAddress(pvh_entry.has_value() ? uint64_t{*pvh_entry}
                                                   : header.e_entry);
  if (!IsLoadedAt(segments, image.entry.value())) {
    return file.Invalid(absl::StrFormat(
        "%s entry %#x lies outside of the loaded segments",
        pvh_entry.has_value() ? "PVH" : "ELF", image.entry.value()));
  }
  image.range.start = segments.front().range.start;
  image.range.size = segments.back().range.end() - image.range.start.value();
  for (const Segment& segment : segments) {
    ANNULUS_RETURN_IF_ERROR(file.ReadIntoGuest(
        segment.file_offset, segment.file_size, memory, segment.range.start));
  }
  return image;
}

absl::StatusOr<uint64_t> ElfFileEnd(const ImageFile& file) {
  ANNULUS_ASSIGN_OR_RETURN(const Elf64_Ehdr header,
                           ReadWire<Elf64_Ehdr>(file, 0));
  const std::optional<uint64_t> end = CheckedAdd<uint64_t>(
      header.e_shoff, uint64_t{header.e_shnum} * header.e_shentsize);
  if (!end.has_value() || *end > file.size()) {
    return file.Invalid("ELF section headers are not inside of the file");
  }
  return *end;
}

}  // namespace annulus::boot
