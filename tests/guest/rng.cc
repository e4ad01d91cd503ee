#include "tests/guest/rng.h"

#include <cstdint>
#include <cstring>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/spec/device_id.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/notification_data.h"
#include "devices/virtio/spec/status.h"
#include "tests/guest/boot_info.h"
#include "tests/guest/console.h"
#include "tests/guest/interrupts.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/virtio_device.h"
#include "tests/guest/virtqueue.h"

namespace guest {

namespace virtio = annulus::virtio;

namespace {

constexpr uint8_t kVector = 0x50;
constexpr uint32_t kElements = 3;
constexpr uint32_t kElementSize = 8;
constexpr uint32_t kBytes = kElements * kElementSize;

uint64_t g_bytes[kBytes / 8];
bool g_poll = false;
bool g_data = false;

uint64_t WantedFeatures() {
  uint64_t wanted = FeatureBit(virtio::kFeatureVersion1);
  if (Equal(Option("ring"), "packed")) {
    wanted |= FeatureBit(virtio::kFeatureRingPacked);
  }
  if (NumberOption("event_idx", 1) != 0) {
    wanted |= FeatureBit(virtio::kFeatureEventIdx);
  }
  if (NumberOption("indirect", 1) != 0) {
    wanted |= FeatureBit(virtio::kFeatureIndirectDesc);
  }
  if (NumberOption("in_order", 0) != 0) {
    wanted |= FeatureBit(virtio::kFeatureInOrder);
  }
  if (NumberOption("data", 0) != 0) {
    wanted |= FeatureBit(virtio::kFeatureNotificationData);
  }
  if (NumberOption("reset", 0) != 0) {
    wanted |= FeatureBit(virtio::kFeatureRingReset);
  }
  return wanted;
}

void StartQueue(VirtioTransport& transport, const Virtqueue& queue) {
  transport.SelectQueue(0);
  GUEST_CHECK(!transport.QueueEnabled());
  GUEST_CHECK(transport.QueueSize() >= Virtqueue::kSize);
  transport.WriteQueueSize(Virtqueue::kSize);
  transport.WriteQueueAddresses(queue.descriptors(), queue.driver_area(),
                                queue.device_area());
  transport.EnableQueue();
  GUEST_CHECK(transport.QueueEnabled());
  transport.WriteStatus(transport.Status() | virtio::kStatusDriverOk);
}

// virtio 1.4 §2.6.1.1 "Virtqueue Reset".
void ResetQueue(VirtioTransport& transport) {
  transport.SelectQueue(0);
  transport.ResetQueue();
  while (transport.QueueResetOngoing()) Pause();
  GUEST_CHECK(!transport.QueueEnabled());
}

// Waits for the next used buffer and returns how much was written. `number`
// counts the buffers from 1: each has an interrupt of its own.
uint32_t AwaitUsed(Virtqueue& queue, uint16_t expected_id, uint64_t number) {
  if (g_poll) {
    while (!queue.HasUsed()) Pause();
  } else {
    AwaitInterrupts(kVector, number);
    // A hostile driver may find an interrupt of its past here.
    while (!queue.HasUsed()) Pause();
  }
  uint16_t id;
  uint32_t length;
  GUEST_CHECK(queue.GetUsed(&id, &length));
  GUEST_CHECK(id == expected_id);
  return length;
}

void TakeOneBuffer(VirtioTransport& transport, Virtqueue& queue,
                   uint64_t number) {
  for (uint64_t& word : g_bytes) word = 0;
  virtio::DriverElement elements[kElements];
  for (uint32_t i = 0; i < kElements; ++i) {
    elements[i] = {.addr = reinterpret_cast<uint64_t>(&g_bytes[i]),
                   .len = kElementSize};
  }
  if (!g_poll) GUEST_CHECK(!queue.EnableCallbacks());
  const uint16_t id = queue.Add(elements, kElements);
  GUEST_CHECK(id != virtio::kNoDriverBuffer);
  if (queue.NeedsNotification()) {
    if (g_data) {
      transport.NotifyWithData(
          virtio::DecodeNotificationData(queue.NotificationData()));
    } else {
      transport.Notify(0);
    }
  }
  const uint32_t length = AwaitUsed(queue, id, number);
  // "The device MUST place one or more random bytes into the buffer, but it MAY
  // use less than the entire buffer length." (§5.4.6.2)
  GUEST_CHECK(length >= 1 && length <= kBytes);
  // 64 random bits are not 0.
  if (length >= kElementSize) GUEST_CHECK(g_bytes[0] != 0);
  if (length == kBytes) GUEST_CHECK(g_bytes[kElements - 1] != 0);
}

}  // namespace

void UseRng(VirtioTransport& transport, uint64_t rounds) {
  GUEST_CHECK(transport.DeviceId() == virtio::kDeviceIdEntropy);
  g_poll = Equal(Option("wait"), "poll");
  const uint64_t features = NegotiateFeatures(transport, WantedFeatures());
  g_data = (features & FeatureBit(virtio::kFeatureNotificationData)) != 0;
  const uint64_t buffers_per_reset =
      (features & FeatureBit(virtio::kFeatureRingReset)) == 0
          ? 0
          : NumberOption("reset", 0);
  Virtqueue queue(features);
  transport.RouteInterrupts(kVector);
  if (g_poll) queue.DisableCallbacks();
  StartQueue(transport, queue);
  for (uint64_t number = 1; number <= rounds; ++number) {
    TakeOneBuffer(transport, queue, number);
    if (buffers_per_reset != 0 && number % buffers_per_reset == 0) {
      ResetQueue(transport);
      queue = Virtqueue(features);
      transport.RouteQueueInterrupt();
      if (g_poll) queue.DisableCallbacks();
      StartQueue(transport, queue);
    }
  }
  GUEST_CHECK(!queue.broken());
  GUEST_CHECK((transport.Status() & virtio::kStatusDeviceNeedsReset) == 0);
  Print("random ", Hex{g_bytes[0]}, ", features ", Hex{features},
        ", interrupts ", InterruptCount(kVector));
  ResetVirtioDevice(transport);
}

}  // namespace guest
