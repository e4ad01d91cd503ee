// A driver that breaks the rules of bad_inputs, part A, and after each breach
// resets the device and uses it as it should be used: then it has to work.

#include <cstdint>

#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/status.h"
#include "tests/guest/boot_info.h"
#include "tests/guest/console.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/programs.h"
#include "tests/guest/rng.h"
#include "tests/guest/virtio_device.h"
#include "tests/guest/virtio_transport.h"
#include "tests/guest/virtqueue.h"

namespace guest {

namespace virtio = annulus::virtio;

namespace {

constexpr uint64_t kPackedFeatures = FeatureBit(virtio::kFeatureVersion1) |
                                     FeatureBit(virtio::kFeatureRingPacked);
constexpr uint64_t kSplitFeatures = FeatureBit(virtio::kFeatureVersion1);
constexpr uint64_t kHole = 0xd0000000;
constexpr uint64_t kTop = 0xfffffffffffffff0;

void SetDriverOk(VirtioTransport& transport) {
  transport.WriteStatus(transport.Status() | virtio::kStatusDriverOk);
}

// "DEVICE_NEEDS_RESET ... the device has experienced an error from which it
// can't recover." (virtio 1.4 §2.1)
void AwaitNeedsReset(VirtioTransport& transport) {
  while ((transport.Status() & virtio::kStatusDeviceNeedsReset) == 0) Pause();
}

void DriverOkWithoutFeaturesOk(VirtioTransport& transport) {
  ResetVirtioDevice(transport);
  transport.WriteStatus(virtio::kStatusAcknowledge | virtio::kStatusDriver |
                        virtio::kStatusDriverOk);
  transport.Notify(0);
}

void StatusBackwards(VirtioTransport& transport) {
  NegotiateFeatures(transport, kPackedFeatures);
  for (int status = 0xff; status > 0; --status) {
    transport.WriteStatus(static_cast<uint8_t>(status));
  }
}

void FeaturesThatWereNotOffered(VirtioTransport& transport) {
  ResetVirtioDevice(transport);
  transport.WriteStatus(virtio::kStatusAcknowledge | virtio::kStatusDriver);
  for (uint32_t page = 0; page < 8; ++page) {
    transport.WriteDriverFeatures(page, 0xffffffff);
  }
  transport.WriteStatus(virtio::kStatusAcknowledge | virtio::kStatusDriver |
                        virtio::kStatusFeaturesOk);
  GUEST_CHECK((transport.Status() & virtio::kStatusFeaturesOk) == 0);
}

void QueuesThatDoNotExist(VirtioTransport& transport) {
  NegotiateFeatures(transport, kPackedFeatures);
  for (uint32_t queue : {1u, 2u, 0x7fffu, 0xffffu}) {
    transport.SelectQueue(queue);
    GUEST_CHECK(transport.QueueSize() == 0);
    GUEST_CHECK(!transport.QueueEnabled());
    transport.WriteQueueSize(8);
    transport.WriteQueueAddresses(kTop, kTop, kTop);
    transport.EnableQueue();
    GUEST_CHECK(!transport.QueueEnabled());
    transport.Notify(queue);
  }
  SetDriverOk(transport);
  transport.Notify(0xffff);
}

void NotifyBeforeTheQueueIsReady(VirtioTransport& transport) {
  NegotiateFeatures(transport, kPackedFeatures);
  transport.Notify(0);
  SetDriverOk(transport);
  transport.Notify(0);
}

void RingsWhereNoMemoryIs(VirtioTransport& transport) {
  // In a hole, at the end of the address space, not aligned.
  for (uint64_t address : {kHole, kTop, uint64_t{0x100001}}) {
    for (uint64_t features : {kPackedFeatures, kSplitFeatures}) {
      NegotiateFeatures(transport, features);
      transport.SelectQueue(0);
      transport.WriteQueueSize(8);
      transport.WriteQueueAddresses(address, address, address);
      transport.EnableQueue();
      SetDriverOk(transport);
      transport.Notify(0);
      AwaitNeedsReset(transport);
    }
  }
}

void QueueSizesThatAreNone(VirtioTransport& transport) {
  for (uint32_t size : {0u, 3u, 0x8001u, 0xffffu}) {
    const Virtqueue queue(NegotiateFeatures(transport, kSplitFeatures));
    transport.SelectQueue(0);
    transport.WriteQueueSize(size);
    transport.WriteQueueAddresses(queue.descriptors(), queue.driver_area(),
                                  queue.device_area());
    transport.EnableQueue();
    SetDriverOk(transport);
    transport.Notify(0);
  }
}

// Starts the queue properly, for descriptors that are not.
void StartQueue(VirtioTransport& transport, const Virtqueue& queue) {
  transport.SelectQueue(0);
  transport.WriteQueueSize(Virtqueue::kSize);
  transport.WriteQueueAddresses(queue.descriptors(), queue.driver_area(),
                                queue.device_area());
  transport.EnableQueue();
  SetDriverOk(transport);
}

void BufferWhereNoMemoryIs(VirtioTransport& transport) {
  for (uint64_t features : {kPackedFeatures, kSplitFeatures}) {
    for (uint64_t address : {kHole, kTop}) {
      Virtqueue queue(NegotiateFeatures(transport, features));
      StartQueue(transport, queue);
      const virtio::DriverElement element = {.addr = address,
                                             .len = 0xffffffff};
      queue.Add(&element, 1);
      transport.Notify(0);
      AwaitNeedsReset(transport);
    }
  }
}

void RingThatIsOneEndlessChain(VirtioTransport& transport) {
  const Virtqueue queue(NegotiateFeatures(transport, kPackedFeatures));
  StartQueue(transport, queue);
  auto* const ring =
      reinterpret_cast<volatile virtio::PackedDescriptor*>(queue.descriptors());
  for (uint16_t i = 0; i < Virtqueue::kSize; ++i) {
    ring[i].addr = queue.descriptors();
    ring[i].len = 1;
    ring[i].flags = virtio::kPackedDescNext | virtio::kPackedDescWrite |
                    virtio::kPackedDescAvail;
  }
  transport.Notify(0);
  AwaitNeedsReset(transport);
}

void QueueThatChangesWhileItRuns(VirtioTransport& transport) {
  Virtqueue queue(NegotiateFeatures(transport, kPackedFeatures));
  StartQueue(transport, queue);
  transport.WriteQueueSize(0x8000);
  transport.WriteQueueAddresses(kTop, kTop, kTop);
  transport.WriteDriverFeatures(1, 0);
  // It goes on with what it was started with.
  static uint64_t random;
  const virtio::DriverElement element = {
      .addr = reinterpret_cast<uint64_t>(&random), .len = sizeof(random)};
  GUEST_CHECK(queue.Add(&element, 1) != virtio::kNoDriverBuffer);
  transport.Notify(0);
  while (!queue.HasUsed()) Pause();
}

void ResetWhileBuffersAreInFlight(VirtioTransport& transport) {
  static uint64_t random[Virtqueue::kSize];
  for (int round = 0; round < 8; ++round) {
    Virtqueue queue(NegotiateFeatures(transport, kPackedFeatures));
    StartQueue(transport, queue);
    for (uint64_t& word : random) {
      const virtio::DriverElement element = {
          .addr = reinterpret_cast<uint64_t>(&word), .len = sizeof(word)};
      queue.Add(&element, 1);
    }
    transport.Notify(0);
    ResetVirtioDevice(transport);
    // The device has forgotten the buffers: they are the driver's again.
    for (uint64_t& word : random) word = 0;
    for (const volatile uint64_t& word : random) GUEST_CHECK(word == 0);
  }
}

constexpr uint64_t kResetFeatures =
    kPackedFeatures | FeatureBit(virtio::kFeatureRingReset) |
    FeatureBit(virtio::kFeatureNotificationData);

void QueueResetsOutOfPlace(VirtioTransport& transport) {
  // Not agreed on.
  {
    const Virtqueue queue(NegotiateFeatures(transport, kPackedFeatures));
    StartQueue(transport, queue);
    transport.ResetQueue();
    GUEST_CHECK(transport.QueueEnabled());
  }
  // Before FEATURES_OK, before DRIVER_OK, of queues that do not exist.
  ResetVirtioDevice(transport);
  transport.SelectQueue(0);
  transport.ResetQueue();
  NegotiateFeatures(transport, kResetFeatures);
  transport.ResetQueue();
  SetDriverOk(transport);
  for (uint32_t queue : {0u, 1u, 2u, 0x7fffu, 0xffffu}) {
    transport.SelectQueue(queue);
    transport.ResetQueue();
    GUEST_CHECK(!transport.QueueResetOngoing());
    GUEST_CHECK(!transport.QueueEnabled());
  }
}

void QueueResetsWhileBuffersAreInFlight(VirtioTransport& transport) {
  static uint64_t random[Virtqueue::kSize];
  const uint64_t features = NegotiateFeatures(transport, kResetFeatures);
  for (int round = 0; round < 32; ++round) {
    Virtqueue queue(features);
    StartQueue(transport, queue);
    for (uint64_t& word : random) {
      const virtio::DriverElement element = {
          .addr = reinterpret_cast<uint64_t>(&word), .len = sizeof(word)};
      queue.Add(&element, 1);
    }
    // A lie: the ring has no such place.
    transport.NotifyWithData({.next_off = 0x7fff, .next_wrap = true});
    transport.ResetQueue();
    transport.ResetQueue();
    GUEST_CHECK(!transport.QueueResetOngoing());
    GUEST_CHECK(!transport.QueueEnabled());
    for (uint64_t& word : random) word = 0;
    for (const volatile uint64_t& word : random) GUEST_CHECK(word == 0);
  }
}

void QueueResetOfADeviceThatNeedsReset(VirtioTransport& transport) {
  Virtqueue queue(NegotiateFeatures(transport, kResetFeatures));
  StartQueue(transport, queue);
  const virtio::DriverElement element = {.addr = kTop, .len = 1};
  queue.Add(&element, 1);
  transport.Notify(0);
  AwaitNeedsReset(transport);
  transport.ResetQueue();
  GUEST_CHECK(!transport.QueueEnabled());
  transport.EnableQueue();
  GUEST_CHECK(!transport.QueueEnabled());
  AwaitNeedsReset(transport);
}

void NotificationDataOfNoQueue(VirtioTransport& transport) {
  const Virtqueue queue(NegotiateFeatures(transport, kResetFeatures));
  StartQueue(transport, queue);
  for (uint16_t index : {1, 2, 0x3ff, 0x7fff, 0xffff}) {
    transport.NotifyWithData({.vq_index = index, .next_wrap = true});
  }
}

void EveryRegisterAtEveryWidth(VirtioTransport& transport) {
  transport.Scramble();
  transport.Unscramble();
}

constexpr struct {
  const char* name;
  void (*commit)(VirtioTransport&);
} kBreaches[] = {
    {"DRIVER_OK without FEATURES_OK", DriverOkWithoutFeaturesOk},
    {"status backwards", StatusBackwards},
    {"features that were not offered", FeaturesThatWereNotOffered},
    {"queues that do not exist", QueuesThatDoNotExist},
    {"notification before the queue is ready", NotifyBeforeTheQueueIsReady},
    {"rings where no memory is", RingsWhereNoMemoryIs},
    {"queue sizes that are none", QueueSizesThatAreNone},
    {"buffer where no memory is", BufferWhereNoMemoryIs},
    {"ring that is one endless chain", RingThatIsOneEndlessChain},
    {"queue that changes while it runs", QueueThatChangesWhileItRuns},
    {"reset while buffers are in flight", ResetWhileBuffersAreInFlight},
    {"queue resets out of place", QueueResetsOutOfPlace},
    {"queue resets while buffers are in flight",
     QueueResetsWhileBuffersAreInFlight},
    {"queue reset of a device that needs reset",
     QueueResetOfADeviceThatNeedsReset},
    {"notification data of no queue", NotificationDataOfNoQueue},
    {"every register at every width", EveryRegisterAtEveryWidth},
};

}  // namespace

void Hostile() {
  VirtioTransport& transport = FindVirtioTransport();
  const char* only = Option("breach");
  uint64_t number = 0;
  for (const auto& breach : kBreaches) {
    if (*only != 0 && NumberOption("breach", 0) != number++) continue;
    Print("breach: ", breach.name);
    breach.commit(transport);
    UseRng(transport, 2);
  }
}

}  // namespace guest
