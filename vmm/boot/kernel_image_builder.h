#ifndef VMM_BOOT_KERNEL_IMAGE_BUILDER_H_
#define VMM_BOOT_KERNEL_IMAGE_BUILDER_H_

#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "vmm/boot/linux_boot_params.h"

// Kernel files of a few hundred bytes, right in all that a loader looks at. A
// test for a wrong one takes a right one and patches the field that it is
// about.

namespace annulus::boot {

using Bytes = std::vector<uint8_t>;

// An ELF64 executable for x86-64.
class ElfBuilder {
 public:
  explicit ElfBuilder(uint64_t entry) : entry_(entry) {}

  // PT_LOAD; `memory_size` of 0 means content.size().
  ElfBuilder& Segment(uint64_t address, Bytes content,
                      uint64_t memory_size = 0);
  // PT_NOTE.
  ElfBuilder& Notes(Bytes content, uint64_t alignment = 4);
  Bytes Build() const;

  // Where program header `index` is in the file, segments and notes in the
  // order in which they were added.
  static uint64_t ProgramHeaderAt(size_t index);

 private:
  struct Part {
    uint32_t type;
    uint64_t address;
    Bytes content;
    uint64_t memory_size;
    uint64_t alignment;
  };

  uint64_t entry_;
  std::vector<Part> parts_;
};

// One ELF note, padded to 4 bytes. `name` counts its terminating zero.
Bytes ElfNote(absl::Span<const char> name, uint32_t type, Bytes content);
// XEN_ELFNOTE_PHYS32_ENTRY in `size` bytes.
Bytes PvhNote(uint64_t entry, size_t size = 8);

// A setup header as Debian's kernels have it, for a small kernel: 4 sectors of
// setup, preferred at 2 MiB, relocatable, `init_size` 64 KiB.
SetupHeader DebianLikeSetupHeader();

// `header` within its sectors, then `code`; syssize is set to the size of it.
Bytes BuildBzImage(SetupHeader header, Bytes code);

// Where BuildLz4BzImage() puts the payload in the code: behind the 64-bit
// entry.
inline constexpr uint32_t kBzImagePayloadOffset = 0x280;

// A bzImage whose payload is an LZ4 legacy frame of these blocks, as literals.
Bytes BuildLz4BzImage(SetupHeader header, const std::vector<Bytes>& blocks);

// Recognizable content.
Bytes Pattern(size_t size, uint8_t first = 1);

template <typename T>
void Patch(Bytes& file, uint64_t offset, T value) {
  std::memcpy(&file.at(offset + sizeof(T) - 1) - (sizeof(T) - 1), &value,
              sizeof(T));
}

// A memfd with this content: a regular file to those who read it.
UniqueFd FileOf(absl::Span<const uint8_t> content);

}  // namespace annulus::boot

#endif  // VMM_BOOT_KERNEL_IMAGE_BUILDER_H_
