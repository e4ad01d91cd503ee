#include "cli/tiny_guest.h"

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace annulus::cli {
namespace {

constexpr uint32_t kLoadAddress = 0x100000;

// 32-bit code, as PVH enters it.
constexpr uint8_t kCode[] = {
    0x66, 0xba, 0xf8, 0x03,  // 00     mov dx, 0x3f8
    0xb0, 'R',               // 04     mov al, 'R'
    0xee,                    // 06     out dx, al
    0x66, 0xba, 0xfd, 0x03,  // 07 next: mov dx, 0x3fd
    0xec,                    // 0b     in al, dx
    0xa8, 0x01,              // 0c     test al, 1
    0x74, 0xf7,              // 0e     jz next
    0x66, 0xba, 0xf8, 0x03,  // 10     mov dx, 0x3f8
    0xec,                    // 14     in al, dx
    0xee,                    // 15     out dx, al
    0x3c, 't',               // 16     cmp al, 't'
    0x74, 0x09,              // 18     je fault
    0x3c, 'q',               // 1a     cmp al, 'q'
    0x75, 0xe9,              // 1c     jne next
    0xe6, 0xf4,              // 1e     out 0xf4, al
    0xf4,                    // 20 end: hlt
    0xeb, 0xfd,              // 21     jmp end
    0x0f, 0x01, 0x1d,        // 23 fault: lidt [empty]
    0x2c, 0x00, 0x10, 0x00,  //
    0x0f, 0x0b,              // 2a     ud2
    0x00, 0x00, 0x00, 0x00,  // 2c empty: no limit, no base
    0x00, 0x00,
};

struct Note {
  Elf64_Nhdr header = {.n_namesz = 4, .n_descsz = 4, .n_type = 18};
  char name[4] = {'X', 'e', 'n', 0};
  uint32_t entry = kLoadAddress;  // XEN_ELFNOTE_PHYS32_ENTRY
};

struct File {
  Elf64_Ehdr header = {};
  Elf64_Phdr segments[2] = {};
  Note note;
  uint8_t code[sizeof(kCode)];
};

}  // namespace

std::string TinyGuest() {
  File file;
  std::memcpy(file.code, kCode, sizeof(kCode));
  std::memcpy(file.header.e_ident, ELFMAG, SELFMAG);
  file.header.e_ident[EI_CLASS] = ELFCLASS64;
  file.header.e_ident[EI_DATA] = ELFDATA2LSB;
  file.header.e_ident[EI_VERSION] = EV_CURRENT;
  file.header.e_type = ET_EXEC;
  file.header.e_machine = EM_X86_64;
  file.header.e_version = EV_CURRENT;
  file.header.e_entry = kLoadAddress;
  file.header.e_phoff = offsetof(File, segments);
  file.header.e_ehsize = sizeof(Elf64_Ehdr);
  file.header.e_phentsize = sizeof(Elf64_Phdr);
  file.header.e_phnum = 2;
  file.segments[0].p_type = PT_LOAD;
  file.segments[0].p_flags = PF_R | PF_X;
  file.segments[0].p_offset = offsetof(File, code);
  file.segments[0].p_vaddr = file.segments[0].p_paddr = kLoadAddress;
  file.segments[0].p_filesz = file.segments[0].p_memsz = sizeof(kCode);
  file.segments[1].p_type = PT_NOTE;
  file.segments[1].p_offset = offsetof(File, note);
  file.segments[1].p_filesz = file.segments[1].p_memsz = sizeof(Note);
  return std::string(reinterpret_cast<const char*>(&file), sizeof(file));
}

}  // namespace annulus::cli
