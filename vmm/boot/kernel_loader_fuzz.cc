// Feeds arbitrary bytes to the loader as a kernel file and as an initrd. The
// claim: it returns, reads and writes nothing outside of a 16 MiB guest, and
// what it accepts is entered inside of the RAM that the kernel was loaded to.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/unique_fd.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "vmm/boot/load_guest.h"

namespace {

using annulus::UniqueFd;
using annulus::memory::GuestAddress;
using annulus::memory::GuestMemory;
using annulus::memory::GuestRam;

constexpr uint64_t kRamSize = 16 << 20;

// One guest for all inputs: mapping 16 MiB for each would be most of the time.
// It is not fresh, as LoadGuest() wants it, which only a kernel would notice.
const GuestMemory& Memory() {
  static const GuestRam* const ram =
      new GuestRam(GuestRam::Create({.size = kRamSize}).value());
  static const GuestMemory* const memory =
      new GuestMemory(GuestMemory::Create(ram->Regions()).value());
  return *memory;
}

UniqueFd FileOf(const uint8_t* data, size_t size) {
  UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  if (!fd.valid() ||
      ::write(fd.get(), data, size) != static_cast<ssize_t>(size)) {
    std::abort();
  }
  return fd;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const UniqueFd file = FileOf(data, size);
  const auto state =
      annulus::boot::LoadGuest(Memory(), {.kernel_fd = file.get(),
                                          .initrd_fd = file.get(),
                                          .cmdline = "console=ttyS0",
                                          .rsdp = GuestAddress(0xe0000)});
  if (state.ok() && !Memory().Map(GuestAddress(state->rip), 1).has_value()) {
    std::abort();
  }
  if (!state.ok() && state.status().message().empty()) std::abort();
  return 0;
}
