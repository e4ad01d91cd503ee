#ifndef DEVICES_VIRTIO_DEVICE_H_
#define DEVICES_VIRTIO_DEVICE_H_

#include <cstdint>
#include <optional>

#include "absl/base/attributes.h"
#include "absl/types/span.h"
#include "base/event_fd.h"
#include "devices/interrupt.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/spec/features.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::virtio {

// What a device asks of whatever carries it: a transport, or vhost-user.
//
// Threads: thread-safe and lock-free; called from queue workers.
class DeviceHost {
 public:
  virtual ~DeviceHost() = default;

  // The device's configuration space changed: the generation was raised before
  // the call, the driver is told (virtio 1.4 §2.5 "Device Configuration
  // Space").
  virtual void ConfigChanged() = 0;

  // A queue is broken: sets DEVICE_NEEDS_RESET and tells the driver
  // (virtio 1.4 §2.1 "Device Status Field"). Idempotent until reset.
  virtual void NeedsReset() = 0;
};

// Everything that one queue needs to run, handed over at DRIVER_OK or when the
// driver enables the queue later.
struct QueueResources {
  QueueConfig config;
  const memory::GuestMemory* memory;  // Outlives the queue's running.
  const EventFd* notification;        // Available buffer notifications.
  Interrupt* interrupt;               // Used buffer notifications.
  DeviceHost* host;
  // Where it ran before, to go on from there; untrusted. Else from the
  // beginning of its rings.
  std::optional<QueueState> resume = {};
  // Where it is to note what it has in flight, in memory that outlives this
  // process; empty: nowhere.
  memory::GuestSpan inflight = {};
};

// One virtio device, the same under MMIO, PCI, vhost-user and a unit test. It
// never sees its transport; a transport never sees what kind of device it
// carries. They meet here only (virtio 1.4 §2 "Basic Facilities").
//
// Threads: the constant getters from any thread. The configuration space from
//   any vCPU thread, concurrently. Start(), StartQueue(), StopQueue() and
//   Reset() are serialized by the caller.
// Life: Start() -> StartQueue(i) for each enabled queue -> ... -> Reset().
class VirtioDevice {
 public:
  virtual ~VirtioDevice() = default;

  // "Device Types", virtio 1.4 §5.
  virtual uint32_t device_id() const = 0;

  // Offered bits. Never one whose behaviour is not implemented.
  virtual FeatureSet offered_features() const = 0;

  // The greatest size of each queue; as many queues as elements.
  virtual absl::Span<const uint16_t> max_queue_sizes() const
      ABSL_ATTRIBUTE_LIFETIME_BOUND = 0;

  // False where the negotiated bits lack a dependency among themselves
  // ("Feature bit requirements" of each device type): FEATURES_OK stays clear.
  // `features` is a subset of the offered ones and has VERSION_1.
  virtual bool AcceptFeatures(const FeatureSet& features) const = 0;

  // Bytes of device-specific configuration; 0 where there is none.
  virtual uint32_t config_size() const = 0;
  // `offset` and the data's length are inside config_size().
  virtual void ReadConfig(uint32_t offset, absl::Span<uint8_t> data) const = 0;
  virtual void WriteConfig(uint32_t offset, absl::Span<const uint8_t> data) = 0;
  // Changes whenever two reads of the configuration might not fit together.
  virtual uint32_t config_generation() const = 0;

  // DRIVER_OK with these negotiated features.
  virtual void Start(const FeatureSet& features) = 0;

  // Queue `index` begins to run: ownership goes to its worker. An invalid
  // configuration calls host->NeedsReset() and leaves the queue stopped; other
  // queues are not affected. Everything in `resources` outlives StopQueue().
  virtual void StartQueue(uint16_t index, const QueueResources& resources) = 0;

  // Returns when the worker no longer touches the queue, guest memory or the
  // interrupt. Bounded: a worker gives up after at most one batch. What it
  // returns is where to go on: buffers that were taken and not used are
  // available again. Nothing, if the queue was not started since it was stopped
  // last, or had an invalid configuration.
  virtual std::optional<QueueState> StopQueue(uint16_t index) = 0;

  // Device reset (virtio 1.4 §2.1): stops every queue, forgets the driver.
  virtual void Reset() = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DEVICE_H_
