// A network card of two queue pairs behind virtio-mmio, with its workers, and a
// guest that does anything to its registers, its configuration space and its
// rings.
//
// Input: a list of operations, each
//   op      1 byte; bits 0 and 1: 0 read, 1 write, 2 initialize the device,
//           3 write to guest RAM; bits 4 and 5: log2 of the width; bit 6: of
//           the configuration space
//   0, 1    2 bytes of offset, cut to the window; `width` bytes for 1
//   2       8 bytes: which of the offered features to acknowledge
//   3       2 bytes of place in units of 16; 16 bytes
//
// Queue n is initialized with 16 descriptors at n * 0x1000, the driver area at
// 0x400 behind, and the device area at 0x800.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/log_sink.h"
#include "devices/virtio/net/backend/loopback_backend.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/mmio_registers.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/transport/fake_host.h"
#include "devices/virtio/transport/fuzz_input.h"
#include "devices/virtio/transport/mmio_transport.h"
#include "devices/virtio/transport/test_memory.h"
#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kPairs = 2;

// One for all inputs, each of which resets it at its end: nine threads are not
// made anew a thousand times a second.
NetDevice& Card() {
  static NetDevice& card = []() -> NetDevice& {
    NetOptions options;
    options.features = AllNetFeatures();
    options.mac = {2, 0, 0, 0, 0, 1};
    options.mtu = 1500;
    options.queue_pairs = kPairs;
    options.header_split.offered = true;
    return *NetDevice::Create(options, LoopbackBackend::Create(kPairs).value(),
                              NullLogSink())
                .value()
                .release();
  }();
  return card;
}

class Guest {
 public:
  explicit Guest(MmioTransport& transport) : transport_(transport) {}

  // As a driver would, whatever came before.
  void Initialize(FuzzInput& input) {
    Put(kMmioStatus, 0);
    Put(kMmioStatus, kStatusAcknowledge);
    Put(kMmioStatus, kStatusAcknowledge | kStatusDriver);
    for (uint32_t half = 0; half < 2; ++half) {
      Put(kMmioDeviceFeaturesSel, half);
      Put(kMmioDriverFeaturesSel, half);
      // VERSION_1, without which all would end here.
      Put(kMmioDriverFeatures,
          Get(kMmioDeviceFeatures) & (input.Number(4) | half));
    }
    const uint8_t status =
        kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk;
    Put(kMmioStatus, status);
    if ((Get(kMmioStatus) & kStatusFeaturesOk) == 0) return;
    for (uint32_t queue = 0; queue <= 2 * kPairs; ++queue) {
      Put(kMmioQueueSel, queue);
      Put(kMmioQueueSize, 16);
      Put(kMmioQueueDescLow, queue * 0x1000);
      Put(kMmioQueueDriverLow, queue * 0x1000 + 0x400);
      Put(kMmioQueueDeviceLow, queue * 0x1000 + 0x800);
      Put(kMmioQueueReady, 1);
    }
    Put(kMmioStatus, status | kStatusDriverOk);
  }

 private:
  void Put(uint64_t offset, uint32_t value) {
    std::vector<uint8_t> bytes;
    for (int i = 0; i < 4; ++i) {
      bytes.push_back(static_cast<uint8_t>(value >> 8 * i));
    }
    transport_.Write(offset, bytes);
  }
  uint32_t Get(uint64_t offset) {
    std::vector<uint8_t> bytes(4);
    transport_.Read(offset, absl::MakeSpan(bytes));
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value |= uint32_t{bytes[i]} << 8 * i;
    return value;
  }

  MmioTransport& transport_;
};

// What never changes is there whatever the guest does.
void CheckConfig(const NetDevice& card) {
  std::vector<uint8_t> config(card.config_size());
  card.ReadConfig(0, absl::MakeSpan(config));
  ANNULUS_CHECK(config[kNetConfigMaxPairs] == kPairs);
  ANNULUS_CHECK(config[kNetConfigMtu] + 256 * config[kNetConfigMtu + 1] ==
                1500);
  ANNULUS_CHECK((config[kNetConfigStatus] & kNetStatusLinkUp) != 0);
}

void Run(FuzzInput input) {
  const TestMemory memory;
  FakeInterrupt line;
  FakeRegistrar registrar;
  {
    absl::StatusOr<std::unique_ptr<MmioTransport>> created =
        MmioTransport::Create(Card(), *memory, line, registrar,
                              memory::GuestAddress(0xd0000000));
    ANNULUS_CHECK(created.ok());
    MmioTransport& transport = **created;
    while (!input.empty()) {
      const uint8_t op = input.Byte();
      const size_t width = size_t{1} << (op >> 4 & 3);
      const uint64_t start = (op & 0x40) != 0 ? uint64_t{kMmioConfig} : 0;
      switch (op & 3) {
        case 0: {
          std::vector<uint8_t> data(width, 0x5a);
          transport.Read(start + input.Number(2) % (MmioTransport::kWindowSize -
                                                    start - width + 1),
                         absl::MakeSpan(data));
          break;
        }
        case 1: {
          const uint64_t offset =
              start + input.Number(2) %
                          (MmioTransport::kWindowSize - start - width + 1);
          transport.Write(offset, input.Bytes(width));
          break;
        }
        case 2:
          Guest(transport).Initialize(input);
          break;
        default: {
          const uint64_t place = uint64_t{input.Number(2)} * 16;
          ANNULUS_CHECK((*memory).Write(memory::GuestAddress(place & 0xfffff),
                                        input.Bytes(16)));
        }
      }
      const uint8_t driver = transport.state().status() & 0xf;
      ANNULUS_CHECK(driver == 0 || driver == 1 || driver == 3 || driver == 11 ||
                    driver == 15);
      CheckConfig(Card());
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
