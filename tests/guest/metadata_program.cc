#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/status.h"
#include "tests/guest/boot_info.h"
#include "tests/guest/console.h"
#include "tests/guest/interrupts.h"
#include "tests/guest/machine.h"
#include "tests/guest/programs.h"
#include "tests/guest/virtio_device.h"
#include "tests/guest/virtio_transport.h"
#include "tests/guest/virtqueue.h"

namespace guest {

namespace virtio = annulus::virtio;

namespace {

constexpr uint32_t kDeviceId = 63;  // Of examples/custom_device.cc.
constexpr uint64_t kRounds = 20;    // More than the ring has descriptors.
constexpr uint8_t kVector = 0x50;
constexpr uint32_t kRoom = 64;

char g_key[kRoom];
char g_value[kRoom + 1];

uint32_t Length(const char* text) {
  uint32_t length = 0;
  while (text[length] != 0 && length < kRoom) ++length;
  return length;
}

// How many bytes of g_value the device wrote.
uint32_t Ask(VirtioTransport& transport, Virtqueue& queue, const char* key,
             uint64_t number) {
  const uint32_t length = Length(key);
  for (uint32_t i = 0; i < length; ++i) g_key[i] = key[i];
  for (char& c : g_value) c = 0;
  const virtio::DriverElement readable = {
      .addr = reinterpret_cast<uint64_t>(g_key), .len = length};
  const virtio::DriverElement writable = {
      .addr = reinterpret_cast<uint64_t>(g_value), .len = kRoom};
  GUEST_CHECK(!queue.EnableCallbacks());
  const uint16_t id = queue.Add(&readable, 1, &writable, 1);
  GUEST_CHECK(id != virtio::kNoDriverBuffer);
  if (queue.NeedsNotification()) transport.Notify(0);
  AwaitInterrupts(kVector, number);
  uint16_t used_id;
  uint32_t written;
  GUEST_CHECK(queue.GetUsed(&used_id, &written));
  GUEST_CHECK(used_id == id && written <= kRoom);
  return written;
}

}  // namespace

void Metadata() {
  VirtioTransport& transport = FindVirtioTransport();
  GUEST_CHECK(transport.DeviceId() == kDeviceId);
  uint64_t wanted = FeatureBit(virtio::kFeatureVersion1) |
                    FeatureBit(virtio::kFeatureEventIdx) |
                    FeatureBit(virtio::kFeatureIndirectDesc);
  if (Equal(Option("ring"), "packed")) {
    wanted |= FeatureBit(virtio::kFeatureRingPacked);
  }
  Virtqueue queue(NegotiateFeatures(transport, wanted));
  transport.RouteInterrupts(kVector);
  transport.SelectQueue(0);
  transport.WriteQueueSize(Virtqueue::kSize);
  transport.WriteQueueAddresses(queue.descriptors(), queue.driver_area(),
                                queue.device_area());
  transport.EnableQueue();
  transport.WriteStatus(transport.Status() | virtio::kStatusDriverOk);
  for (uint64_t number = 1; number < kRounds; ++number) {
    GUEST_CHECK(Ask(transport, queue, Option("key"), number) != 0);
  }
  Print("metadata ", Option("key"), " is ", static_cast<const char*>(g_value));
  GUEST_CHECK(Ask(transport, queue, "nothing", kRounds) == 0);
  ResetVirtioDevice(transport);
}

}  // namespace guest
