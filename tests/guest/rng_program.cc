#include <cstdint>

#include "tests/guest/boot_info.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/programs.h"
#include "tests/guest/rng.h"
#include "tests/guest/virtio_device.h"
#include "tests/guest/virtio_pci.h"
#include "tests/guest/virtio_transport.h"

namespace guest {

void Rng() { UseRng(FindVirtioTransport(), NumberOption("rounds", 10)); }

void MoveBar() {
  VirtioPci device(static_cast<uint32_t>(NumberOption("pci", 1)));
  const uint64_t places[] = {0xc1000000, NumberOption("high", 0x1000000000),
                             0xc2000000, 0xc1000000};
  uint64_t left = 0;
  for (uint64_t place : places) {
    device.Probe(place);
    UseRng(device, 3);
    // Where the BAR was, nothing answers any more.
    if (left != 0) GUEST_CHECK(MmioRead<uint32_t>(left) == 0xffffffff);
    left = place;
  }
}

}  // namespace guest
