#include "vmm/boot/bzimage_loader.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "vmm/boot/layout.h"
#include "vmm/boot/wire_bytes.h"

namespace annulus::boot {
namespace {

using memory::GuestAddress;

constexpr uint64_t kSectorSize = 512;
// setup_sects of 0 means this, for kernels of the last century.
constexpr uint64_t kDefaultSetupSects = 4;
// The 64-bit entry point, boot.rst "64-bit Boot Protocol".
constexpr uint64_t kEntryOffset = 0x200;
constexpr uint64_t kJumpTargetBase = 0x202;
constexpr uint64_t kInitSizeEnd = 0x264;

// Checks what kind of kernel it is, before any other field is believed.
absl::Status CheckProtocol(const ImageFile& file, const SetupHeader& header) {
  if (header.boot_flag != kBootFlag) {
    return file.Invalid(absl::StrFormat("bzImage boot flag is %#x, not %#x",
                                        uint16_t{header.boot_flag}, kBootFlag));
  }
  if (header.version < kProtocol212) {
    return file.Invalid(
        absl::StrFormat("bzImage boot protocol %u.%02u is older than 2.12",
                        header.version >> 8, header.version & 0xff));
  }
  if ((header.loadflags & kLoadedHigh) == 0) {
    return file.Invalid("a zImage, which loads below 1 MiB, not a bzImage");
  }
  if ((header.xloadflags & kXlfKernel64) == 0) {
    return file.Invalid("bzImage has no 64-bit entry point");
  }
  const uint64_t end = kJumpTargetBase + (header.jump >> 8);
  if (end < kInitSizeEnd) {
    return file.Invalid(absl::StrFormat(
        "bzImage setup header ends at %#x, before init_size", end));
  }
  return absl::OkStatus();
}

absl::StatusOr<AddressRange> RangeOf(const ImageFile& file,
                                     const SetupHeader& header,
                                     uint64_t code_size) {
  const uint64_t preferred = header.pref_address;
  const uint64_t alignment =
      header.relocatable_kernel != 0 ? uint32_t{header.kernel_alignment} : 1;
  if (!std::has_single_bit(alignment)) {
    return file.Invalid(absl::StrFormat(
        "bzImage kernel_alignment %#x is not a power of two", alignment));
  }
  const std::optional<uint64_t> start = CheckedAlignUp(preferred, alignment);
  const uint64_t size = std::max<uint64_t>(header.init_size, code_size);
  if (!start.has_value() || *start < kHighRamStart.value() ||
      !RangeFits(*start, size, kKernelAddressEnd)) {
    return file.Invalid(absl::StrFormat(
        "bzImage of %u bytes (init_size) at %#x (pref_address) does not lie "
        "between 1 MiB and 4 GiB",
        size, preferred));
  }
  return AddressRange{GuestAddress(*start), size};
}

}  // namespace

bool IsBzImage(absl::Span<const uint8_t> start) {
  constexpr uint64_t kMagicOffset =
      offsetof(BootParams, hdr) + offsetof(SetupHeader, header);
  static_assert(kMagicOffset + sizeof(uint32_t) == kBzImageMagicEnd);
  return start.size() >= kBzImageMagicEnd &&
         FromBytes<Le32>(start.subspan(kMagicOffset)) == kHeaderMagic;
}

absl::StatusOr<BzImage> ReadBzImage(const ImageFile& file) {
  BzImage image;
  ANNULUS_ASSIGN_OR_RETURN(image.header,
                           ReadWire<SetupHeader>(file, kSetupHeaderOffset));
  SetupHeader& header = image.header;
  // The magic was there when the file's kind was determined.
  if (header.header != kHeaderMagic) {
    return file.Invalid("bzImage changed while it was read");
  }
  ANNULUS_RETURN_IF_ERROR(CheckProtocol(file, header));
  const uint64_t setup_sects =
      header.setup_sects != 0 ? header.setup_sects : kDefaultSetupSects;
  image.code_offset = (setup_sects + 1) * kSectorSize;  // And the boot sector.
  image.code_size = uint64_t{header.syssize} * 16;
  if (image.code_size <= kEntryOffset) {
    return file.Invalid(absl::StrFormat(
        "bzImage of %u bytes (syssize) ends before its 64-bit entry point",
        image.code_size));
  }
  // What is behind it, a signature for example, is not the kernel's.
  if (!RangeFits(image.code_offset, image.code_size, file.size())) {
    return file.Invalid(absl::StrFormat(
        "bzImage is truncated: %u bytes at %#x of a file of %u bytes",
        image.code_size, image.code_offset, file.size()));
  }
  ANNULUS_ASSIGN_OR_RETURN(image.range, RangeOf(file, header, image.code_size));
  // Behind the header's own end other things than fields may lie.
  const uint64_t end = kJumpTargetBase + (header.jump >> 8);
  auto bytes = ToBytes(header);
  for (uint64_t i = end - kSetupHeaderOffset; i < bytes.size(); ++i) {
    bytes[i] = 0;
  }
  header = FromBytes<SetupHeader>(bytes);
  return image;
}

absl::StatusOr<KernelImage> LoadBzImage(const ImageFile& file,
                                        const BzImage& image,
                                        const memory::GuestMemory& memory) {
  if (!memory.Map(image.range.start, image.range.size).has_value()) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "%s: bzImage needs %u bytes of RAM at %#x to unpack itself, up to "
        "%u MiB",
        file.name(), image.range.size, image.range.start.value(),
        (image.range.end() + 0xfffff) >> 20));
  }
  ANNULUS_RETURN_IF_ERROR(file.ReadIntoGuest(image.code_offset, image.code_size,
                                             memory, image.range.start));
  KernelImage kernel;
  kernel.protocol = BootProtocol::kLinux64;
  kernel.entry = GuestAddress(image.range.start.value() + kEntryOffset);
  kernel.range = image.range;
  kernel.command_line_size = image.header.cmdline_size;
  kernel.initrd_address_max = image.header.initrd_addr_max;
  kernel.setup_header = image.header;
  return kernel;
}

}  // namespace annulus::boot
