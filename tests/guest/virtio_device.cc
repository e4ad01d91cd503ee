#include "tests/guest/virtio_device.h"

#include <cstdint>

#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/status.h"
#include "tests/guest/boot_info.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/virtio_mmio.h"
#include "tests/guest/virtio_pci.h"

namespace guest {

namespace virtio = annulus::virtio;

namespace {

// In the window below 4 GiB, one place for each slot.
constexpr uint64_t kBars = 0xc8000000;
constexpr uint64_t kBarStride = 0x100000;

}  // namespace

VirtioTransport& FindVirtioTransport(const char* slot_option) {
  static constinit VirtioMmio mmio(0, 0);
  static constinit VirtioPci pci(0);
  if (const uint64_t slot = NumberOption(slot_option, 0); slot != 0) {
    pci = VirtioPci(static_cast<uint32_t>(slot));
    pci.Probe(NumberOption("bar", kBars + slot * kBarStride));
    return pci;
  }
  mmio = VirtioMmio(NumberOption("mmio", 0),
                    static_cast<uint32_t>(NumberOption("irq", 0)));
  mmio.Probe();
  return mmio;
}

void ResetVirtioDevice(VirtioTransport& transport) {
  transport.WriteStatus(0);
  while (transport.Status() != 0) Pause();
}

uint64_t NegotiateFeatures(VirtioTransport& transport, uint64_t wanted) {
  ResetVirtioDevice(transport);
  uint8_t status = virtio::kStatusAcknowledge;
  transport.WriteStatus(status);
  status |= virtio::kStatusDriver;
  transport.WriteStatus(status);

  const uint64_t offered =
      uint64_t{transport.DeviceFeatures(1)} << 32 | transport.DeviceFeatures(0);
  GUEST_CHECK((offered & FeatureBit(virtio::kFeatureVersion1)) != 0);
  // No bit is defined that far up.
  GUEST_CHECK(transport.DeviceFeatures(2) == 0);
  GUEST_CHECK(transport.DeviceFeatures(3) == 0);
  GUEST_CHECK(transport.DeviceFeatures(4) == 0);
  const uint64_t features = offered & wanted;
  transport.WriteDriverFeatures(0, static_cast<uint32_t>(features));
  transport.WriteDriverFeatures(1, static_cast<uint32_t>(features >> 32));

  status |= virtio::kStatusFeaturesOk;
  transport.WriteStatus(status);
  GUEST_CHECK(transport.Status() == status);
  return features;
}

}  // namespace guest
