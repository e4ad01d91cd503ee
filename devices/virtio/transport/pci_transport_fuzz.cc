// A guest that does anything to a virtio-pci function: its configuration space
// through ECAM and ports, and its BAR wherever that is.
//
// Input: 1 byte, whose lowest bit chooses the device: 0 a fake one, which
// checks what the transport asks of it, 1 the entropy device with its worker.
// Then a list of operations, each
//   op      1 byte; the low nibble: 0 and 1 read and write ECAM at the
//           function, 2 and 3 anywhere in the window, 4 and 5 the ports, 6 and
//           7 the BAR, 8 the (fake) device acts, 9 the guest writes to its
//           RAM; bits 4 and 5: log2 of the width
//   offset  2 bytes (3 for ops 2 and 3): of the access, cut to the window; the
//           act; the place
//   data    `width` bytes for writes, 16 for 9

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "devices/bus_device.h"
#include "devices/pci/fake_machine.h"
#include "devices/pci/host_bridge.h"
#include "devices/virtio/device.h"
#include "devices/virtio/transport/fake_device.h"
#include "devices/virtio/transport/fake_host.h"
#include "devices/virtio/transport/fuzz_device.h"
#include "devices/virtio/transport/fuzz_input.h"
#include "devices/virtio/transport/pci_transport.h"
#include "devices/virtio/transport/test_memory.h"

namespace annulus::virtio {
namespace {

void Access(BusDevice& bus, uint64_t start, uint64_t size, uint32_t offset,
            bool write, size_t width, FuzzInput& input) {
  const uint64_t at = start + offset % (size - width + 1);
  if (write) {
    bus.Write(at, input.Bytes(width));
  } else {
    std::vector<uint8_t> data(width, 0x5a);
    bus.Read(at, absl::MakeSpan(data));
  }
}

void Run(FuzzInput input) {
  const TestMemory memory;
  FakeDevice fake;
  const bool real = (input.Byte() & 1) != 0;
  VirtioDevice& device = real ? RealDevice() : fake;
  FakeRegistrar registrar;
  pci::FakeMsiVectorFactory vectors;
  pci::FakeBarMapper mapper;
  pci::HostBridge bridge;
  {
    absl::StatusOr<std::unique_ptr<PciTransport>> created =
        PciTransport::Create(device, {.memory = *memory,
                                      .vectors = vectors,
                                      .bars = mapper,
                                      .notifications = registrar});
    ANNULUS_CHECK(created.ok());
    ANNULUS_CHECK(bridge.AddFunction(1, **created).ok());
    while (!input.empty()) {
      const uint8_t op = input.Byte();
      const uint32_t offset =
          input.Number((op & 0xe) == 2 ? size_t{3} : size_t{2});
      const size_t width = size_t{1} << (op >> 4 & 3);
      const bool write = (op & 1) != 0;
      switch (op >> 1 & 7) {
        case 0:
          Access(bridge.ecam(), 1 << 15, 4096, offset, write, width, input);
          break;
        case 1:
          Access(bridge.ecam(), 0, pci::HostBridge::kEcamSize, offset, write,
                 width, input);
          break;
        case 2:
          Access(bridge.ports(), 0, pci::HostBridge::kPortCount, offset, write,
                 width, input);
          break;
        case 3:
          // As on the bus: an unmapped BAR gets no access.
          if (BusDevice* bar = mapper.device(); bar != nullptr) {
            Access(*bar, 0, PciTransport::kBarSize, offset, write, width,
                   input);
          }
          break;
        default:
          if (write) {
            WriteGuestRam(*memory, offset, input);
          } else {
            ActAsDevice(fake, static_cast<uint8_t>(offset));
          }
      }
      if (!real) CheckInvariants(fake, (*created)->state());
      ANNULUS_CHECK(registrar.size() ==
                    (mapper.device() == nullptr
                         ? 0u
                         : size_t{(*created)->state().queue_count()}));
      ANNULUS_CHECK(registrar.bad_unbinds() == 0);
    }
    // No interrupt ever went to a vector without a message.
    for (size_t i = 0; i < vectors.size(); ++i) {
      ANNULUS_CHECK(vectors.vector(i).lost() == 0);
    }
  }
  ANNULUS_CHECK(registrar.size() == 0 && mapper.device() == nullptr);
  ANNULUS_CHECK(mapper.bad_unmaps() == 0);
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  annulus::virtio::Run(annulus::virtio::FuzzInput({data, size}));
  return 0;
}
