#include "vmm/boot/kernel_loader.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "memory/little_endian.h"
#include "vmm/boot/bzimage_loader.h"
#include "vmm/boot/bzimage_payload.h"
#include "vmm/boot/elf_loader.h"
#include "vmm/boot/kernel_relocation.h"
#include "vmm/boot/linux_boot_params.h"
#include "vmm/boot/wire_bytes.h"

namespace annulus::boot {
namespace {

struct CompressedFormat {
  absl::string_view name;
  absl::string_view magic;
};

// What people compress a vmlinux with.
constexpr CompressedFormat kCompressedFormats[] = {
    {"gzip", "\x1f\x8b"},
    {"xz",
     "\xfd"
     "7zXZ"},
    {"bzip2", "BZh"},
    {"zstd", "\x28\xb5\x2f\xfd"},
    {"lz4", "\x02\x21\x4c\x18"},
    {"lz4", "\x04\x22\x4d\x18"},
    {"lzop", "\x89LZO"},
};

bool StartsWith(absl::Span<const uint8_t> bytes, absl::string_view magic) {
  return bytes.size() >= magic.size() &&
         std::equal(
             magic.begin(), magic.end(), bytes.begin(),
             [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

// More than any kernel, and a bound for what an untrusted one makes us
// allocate.
constexpr uint64_t kMaxUnpackedKernel = 256 << 20;

// Kernels map themselves in pages of this size.
constexpr uint64_t kLargePageSize = 2 << 20;

// What stands behind the ELF file in an unpacked kernel; nothing, where the
// kernel was built to run at one address only.
absl::StatusOr<std::vector<memory::Le32>> ReadRelocations(
    const ImageFile& file) {
  ANNULUS_ASSIGN_OR_RETURN(const uint64_t elf_end, ElfFileEnd(file));
  const uint64_t size = file.size() - elf_end;
  if (size % sizeof(memory::Le32) != 0) {
    return file.Invalid("relocations are truncated");
  }
  std::vector<memory::Le32> table(size / sizeof(memory::Le32));
  ANNULUS_RETURN_IF_ERROR(file.ReadAt(elf_end, WritableBytes(table)));
  if (!table.empty()) {
    ANNULUS_RETURN_IF_ERROR(ReadRelocationLists(table).status());
  }
  return table;
}

// Moves the kernel by a random distance, and tells it so.
void Randomize(absl::Span<const memory::Le32> relocations,
               const memory::GuestMemory& memory, KernelImage& kernel) {
  const auto lists = ReadRelocationLists(relocations);
  uint64_t random = 0;
  if (!lists.ok() ||
      ::getrandom(&random, sizeof(random), 0) != sizeof(random)) {
    return;
  }
  SetupHeader& header = *kernel.setup_header;
  const uint64_t alignment =
      std::max<uint64_t>(header.kernel_alignment, kLargePageSize);
  const uint64_t offset = ChooseVirtualOffset(kernel.range, alignment, random);
  if (RelocateKernel(*lists, kernel.range, offset, memory)) {
    header.loadflags |= kKaslr;
  }
}

absl::StatusOr<KernelImage> LoadUnpacked(
    const ImageFile& vmlinux, const BzImage& image,
    absl::Span<const memory::Le32> relocations,
    const memory::GuestMemory& memory) {
  ANNULUS_ASSIGN_OR_RETURN(KernelImage kernel,
                           LoadElf(vmlinux, memory, ElfEntry::kLinux64));
  kernel.command_line_size = image.header.cmdline_size;
  kernel.initrd_address_max = image.header.initrd_addr_max;
  kernel.setup_header = image.header;
  if (!relocations.empty()) Randomize(relocations, memory, kernel);
  return kernel;
}

// What cannot be unpacked here, or not be moved although it could move itself,
// unpacks itself in the guest. Guest RAM is untouched until that is known.
absl::StatusOr<KernelImage> LoadPackedOrUnpacked(
    const ImageFile& file, const memory::GuestMemory& memory, bool randomize) {
  ANNULUS_ASSIGN_OR_RETURN(const BzImage image, ReadBzImage(file));
  const absl::StatusOr<UnpackedKernel> unpacked =
      UnpackBzImagePayload(file, image, kMaxUnpackedKernel);
  if (!unpacked.ok()) {
    absl::StatusOr<KernelImage> kernel = LoadBzImage(file, image, memory);
    if (kernel.ok() || absl::IsUnimplemented(unpacked.status())) return kernel;
    return unpacked.status();
  }
  ANNULUS_ASSIGN_OR_RETURN(const ImageFile vmlinux,
                           ImageFile::OfMemory(unpacked->content, file.name()));
  std::vector<memory::Le32> relocations;
  if (randomize) {
    absl::StatusOr<std::vector<memory::Le32>> table = ReadRelocations(vmlinux);
    if (table.ok()) {
      relocations = *std::move(table);
    } else if (memory.Map(image.range.start, image.range.size).has_value()) {
      return LoadBzImage(file, image, memory);
    }
  }
  return LoadUnpacked(vmlinux, image, relocations, memory);
}

}  // namespace

absl::StatusOr<KernelImage> LoadKernel(const ImageFile& file,
                                       const memory::GuestMemory& memory,
                                       bool randomize) {
  std::vector<uint8_t> start(std::min(file.size(), kBzImageMagicEnd));
  ANNULUS_RETURN_IF_ERROR(file.ReadAt(0, absl::MakeSpan(start)));
  if (IsElf(start)) return LoadElf(file, memory, ElfEntry::kPvhIfNoted);
  if (IsBzImage(start)) return LoadPackedOrUnpacked(file, memory, randomize);
  for (const CompressedFormat& format : kCompressedFormats) {
    if (!StartsWith(start, format.magic)) continue;
    return file.Invalid(absl::StrFormat(
        "is compressed with %s; decompress it first", format.name));
  }
  return file.Invalid("is neither an ELF file nor a bzImage");
}

}  // namespace annulus::boot
