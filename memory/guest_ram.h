#ifndef MEMORY_GUEST_RAM_H_
#define MEMORY_GUEST_RAM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "memory/guest_address.h"
#include "memory/guest_region.h"

namespace annulus::memory {

struct GuestRamOptions {
  uint64_t size = 0;       // Bytes; a multiple of 4 KiB, 2 MiB with hugepages.
  bool hugepages = false;  // 2 MiB pages from the host's pool.
  bool prefault = false;   // Take all memory from the host at once.
  bool shared = false;     // A memfd; else private anonymous memory.
  std::string name = "annulus-ram";  // Seen in /proc/PID/smaps.
};

// The guest's RAM: one mapping, that the guest sees as one region below the
// hole and, when it is larger than that, one from 4 GiB up.
//
// Private memory is the default because of transparent huge pages: hosts give
// them to it, and mostly not to a memfd. Without them each page that the guest
// touches first is a fault of 4 KiB, and the walk of its nested page tables is
// one level longer: Debian's kernel took twice the time to /init in the lab.
// What private memory cannot do is to be given to another process.
//
// Threads: immutable after Create().
class GuestRam {
 public:
  // [kHoleStart, kHoleEnd) is left to devices: PCI windows, ECAM, virtio-mmio,
  // APICs. As Cloud Hypervisor and Firecracker lay it out.
  static constexpr GuestAddress kHoleStart{0xc0000000};
  static constexpr GuestAddress kHoleEnd{0x100000000};

  // Fails with InvalidArgument on a size of 0 or not a multiple of the page,
  // ResourceExhausted where the host has not that much memory or hugepages.
  static absl::StatusOr<GuestRam> Create(const GuestRamOptions& options);

  GuestRam(GuestRam&& other) noexcept;
  GuestRam& operator=(GuestRam&& other) noexcept;
  ~GuestRam();

  // Regions for GuestMemory::Create(); valid as long as this object.
  std::vector<GuestRegion> Regions() const;

  uint64_t size() const { return size_; }
  int fd() const { return fd_.get(); }  // -1 for private memory.

 private:
  GuestRam(UniqueFd fd, uint8_t* host, uint64_t size);
  void Unmap();

  UniqueFd fd_;
  uint8_t* host_;  // Owned mapping of size_ bytes; null after a move.
  uint64_t size_;
};

}  // namespace annulus::memory

#endif  // MEMORY_GUEST_RAM_H_
