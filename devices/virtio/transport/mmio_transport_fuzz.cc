// A guest that does anything to the registers of virtio-mmio.
//
// Input: 1 byte, whose lowest bit chooses the device: 0 a fake one, which
// checks what the transport asks of it, 1 the entropy device with its worker.
// Then a list of operations, each
//   op      1 byte; bits 0 and 1: 0 read, 1 write, 2 the (fake) device acts,
//           3 the guest writes to its RAM; bits 4 and 5: log2 of the width
//   offset  2 bytes: of the access, cut to the window; the act; the place
//   data    `width` bytes for 1, 16 for 3

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/device.h"
#include "devices/virtio/spec/mmio_registers.h"
#include "devices/virtio/transport/fake_device.h"
#include "devices/virtio/transport/fake_host.h"
#include "devices/virtio/transport/fuzz_device.h"
#include "devices/virtio/transport/fuzz_input.h"
#include "devices/virtio/transport/mmio_transport.h"
#include "devices/virtio/transport/test_memory.h"
#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

void Run(FuzzInput input) {
  const TestMemory memory;
  FakeDevice fake;
  const bool real = (input.Byte() & 1) != 0;
  VirtioDevice& device = real ? RealDevice() : fake;
  FakeInterrupt line;
  FakeRegistrar registrar;
  {
    absl::StatusOr<std::unique_ptr<MmioTransport>> created =
        MmioTransport::Create(device, *memory, line, registrar,
                              memory::GuestAddress(0xd0000000));
    ANNULUS_CHECK(created.ok());
    MmioTransport& transport = **created;
    while (!input.empty()) {
      const uint8_t op = input.Byte();
      const uint32_t raw = input.Number(2);
      const size_t width = size_t{1} << (op >> 4 & 3);
      const uint64_t offset = raw % (MmioTransport::kWindowSize - width + 1);
      switch (op & 3) {
        case 0: {
          std::vector<uint8_t> data(width, 0x5a);
          transport.Read(offset, absl::MakeSpan(data));
          // A reset of a queue is over when the write of it is.
          if (offset == kMmioQueueReset) {
            ANNULUS_CHECK(std::count(data.begin(), data.end(), 0) ==
                          static_cast<ptrdiff_t>(width));
          }
          break;
        }
        case 1:
          transport.Write(offset, input.Bytes(width));
          break;
        case 2:
          ActAsDevice(fake, static_cast<uint8_t>(raw));
          break;
        default:
          WriteGuestRam(*memory, raw, input);
      }
      if (!real) CheckInvariants(fake, transport.state());
    }
  }
  ANNULUS_CHECK(registrar.size() == 0 && registrar.bad_unbinds() == 0);
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  annulus::virtio::Run(annulus::virtio::FuzzInput({data, size}));
  return 0;
}
