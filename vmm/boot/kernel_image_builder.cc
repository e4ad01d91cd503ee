#include "vmm/boot/kernel_image_builder.h"

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/check.h"
#include "vmm/boot/wire_bytes.h"

namespace annulus::boot {
namespace {

template <typename T>
void Append(Bytes& to, const T& wire) {
  const auto bytes = ToBytes(wire);
  to.insert(to.end(), bytes.begin(), bytes.end());
}

}  // namespace

ElfBuilder& ElfBuilder::Segment(uint64_t address, Bytes content,
                                uint64_t memory_size) {
  if (memory_size == 0) memory_size = content.size();
  parts_.push_back({PT_LOAD, address, std::move(content), memory_size, 4096});
  return *this;
}

ElfBuilder& ElfBuilder::Notes(Bytes content, uint64_t alignment) {
  const uint64_t size = content.size();
  parts_.push_back({PT_NOTE, 0, std::move(content), size, alignment});
  return *this;
}

uint64_t ElfBuilder::ProgramHeaderAt(size_t index) {
  return sizeof(Elf64_Ehdr) + index * sizeof(Elf64_Phdr);
}

Bytes ElfBuilder::Build() const {
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_entry = entry_;
  header.e_phoff = sizeof(header);
  header.e_ehsize = sizeof(header);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<uint16_t>(parts_.size());
  Bytes file;
  Append(file, header);
  uint64_t offset = ProgramHeaderAt(parts_.size());
  for (const Part& part : parts_) {
    Elf64_Phdr program_header = {};
    program_header.p_type = part.type;
    program_header.p_offset = offset;
    program_header.p_paddr = part.address;
    // Kernels run elsewhere; a loader that takes this address is wrong.
    program_header.p_vaddr = part.address + 0xffffffff80000000;
    program_header.p_filesz = part.content.size();
    program_header.p_memsz = part.memory_size;
    program_header.p_align = part.alignment;
    Append(file, program_header);
    offset += part.content.size();
  }
  for (const Part& part : parts_) {
    file.insert(file.end(), part.content.begin(), part.content.end());
  }
  return file;
}

Bytes ElfNote(absl::Span<const char> name, uint32_t type, Bytes content) {
  Bytes note;
  Append(note, Elf64_Nhdr{.n_namesz = static_cast<uint32_t>(name.size()),
                          .n_descsz = static_cast<uint32_t>(content.size()),
                          .n_type = type});
  note.insert(note.end(), name.begin(), name.end());
  note.resize((note.size() + 3) & ~size_t{3});
  note.insert(note.end(), content.begin(), content.end());
  note.resize((note.size() + 3) & ~size_t{3});
  return note;
}

Bytes PvhNote(uint64_t entry, size_t size) {
  Bytes content;
  Append(content, Le64(entry));
  content.resize(size);
  return ElfNote({"Xen", 4}, 18, std::move(content));
}

SetupHeader DebianLikeSetupHeader() {
  SetupHeader header = {};
  header.setup_sects = 4;
  header.boot_flag = kBootFlag;
  header.jump = 0x6aeb;  // A short jump to 0x26c, the end of the header.
  header.header = kHeaderMagic;
  header.version = 0x020f;
  header.loadflags = kLoadedHigh;
  header.code32_start = 0x100000;
  header.initrd_addr_max = 0x7fffffff;
  header.kernel_alignment = 0x200000;
  header.relocatable_kernel = 1;
  header.min_alignment = 0x15;
  header.xloadflags = 0x7f;
  header.cmdline_size = 2047;
  header.pref_address = 0x200000;
  header.init_size = 0x10000;
  return header;
}

Bytes BuildBzImage(SetupHeader header, Bytes code) {
  code.resize((code.size() + 15) & ~size_t{15});
  header.syssize = static_cast<uint32_t>(code.size() / 16);
  const size_t setup_sects = header.setup_sects == 0 ? 4 : header.setup_sects;
  Bytes file((setup_sects + 1) * 512);
  const auto bytes = ToBytes(header);
  std::copy(bytes.begin(), bytes.end(), file.begin() + kSetupHeaderOffset);
  file.insert(file.end(), code.begin(), code.end());
  return file;
}

Bytes BuildLz4BzImage(SetupHeader header, const std::vector<Bytes>& blocks) {
  Bytes payload;
  Append(payload, Le32(0x184c2102));
  uint32_t unpacked_size = 0;
  for (const Bytes& block : blocks) {
    // A token for literals alone, their length, and they.
    Bytes packed = {0xf0};
    ANNULUS_CHECK(block.size() >= 15);
    size_t length = block.size() - 15;
    for (; length >= 255; length -= 255) packed.push_back(255);
    packed.push_back(static_cast<uint8_t>(length));
    packed.insert(packed.end(), block.begin(), block.end());
    Append(payload, Le32(static_cast<uint32_t>(packed.size())));
    payload.insert(payload.end(), packed.begin(), packed.end());
    unpacked_size += static_cast<uint32_t>(block.size());
  }
  Append(payload, Le32(unpacked_size));
  header.payload_offset = kBzImagePayloadOffset;
  header.payload_length = static_cast<uint32_t>(payload.size());
  Bytes code = Pattern(kBzImagePayloadOffset);
  code.insert(code.end(), payload.begin(), payload.end());
  return BuildBzImage(header, std::move(code));
}

Bytes Pattern(size_t size, uint8_t first) {
  Bytes bytes(size);
  uint8_t next = first;
  for (uint8_t& byte : bytes) byte = next++;
  return bytes;
}

UniqueFd FileOf(absl::Span<const uint8_t> content) {
  UniqueFd fd(::memfd_create("image", MFD_CLOEXEC));
  ANNULUS_CHECK(fd.valid());
  const ssize_t written = ::write(fd.get(), content.data(), content.size());
  ANNULUS_CHECK(written == static_cast<ssize_t>(content.size()));
  return fd;
}

}  // namespace annulus::boot
