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
  std::string name = "annulus-ram";  // Seen in /proc/PID/maps.
};

// The guest's RAM: one memfd, mapped once, that the guest sees as one region
// below the hole and, when it is larger than that, one from 4 GiB up.
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
  int fd() const { return fd_.get(); }

 private:
  GuestRam(UniqueFd fd, uint8_t* host, uint64_t size);
  void Unmap();

  UniqueFd fd_;
  uint8_t* host_;  // Owned mapping of size_ bytes; null after a move.
  uint64_t size_;
};

}  // namespace annulus::memory

#endif  // MEMORY_GUEST_RAM_H_
