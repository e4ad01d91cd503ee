#ifndef TESTS_RINGS_RING_MODEL_H_
#define TESTS_RINGS_RING_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

// A virtqueue as the specification describes it, both sides of it at once: slow
// and obvious, to be held against the text, and sharing nothing with
// devices/virtio/queue and devices/virtio/driver. Real rings are compared with
// it, step by step, by differential_test.cc.
//
// What is common to both formats is here: the life of buffers. PackedModel and
// SplitModel add what lies in memory. Where the specification leaves a choice
// (which free descriptor, which buffer id, in which order to use buffers), the
// model takes the choice as an argument and says whether it was a legal one.
//
// Citations are of virtio 1.4.

namespace annulus::virtio::model {

// Those that change what the rings look like (§6 "Reserved Feature Bits").
struct Features {
  bool event_idx = false;
  bool indirect = false;
  bool in_order = false;
};

// Of one buffer: physically contiguous, and read or written by the device, not
// both (§2.7.5, §2.8).
struct Element {
  uint64_t addr = 0;
  uint32_t len = 0;
  bool writable = false;
};

// Readable elements, then writable ones, together at least one (§2.7.13.1,
// §2.8).
using Buffer = std::vector<Element>;

uint32_t WritableBytes(const Buffer& buffer);

// Whether one side owes the other one a notification.
enum class Notification {
  kRequired,    // "MUST send"
  kSuppressed,  // "SHOULD NOT send"
  kOptional,    // The other side asked for nothing that has a meaning.
};

// Empty, or which rule was broken.
using Verdict = std::string;

class RingModel {
 public:
  // One that the driver made available and has not got back.
  struct InFlight {
    uint16_t id = 0;  // Buffer id; in a split ring the head of its chain.
    Buffer buffer;
    std::vector<uint16_t> descriptors;  // Of the ring itself that it takes.
    uint32_t written = 0;               // Bytes; known once it is complete.
  };
  struct Used {
    uint16_t id = 0;
    uint32_t len = 0;
  };

  RingModel(uint32_t size, Features features)
      : size_(size), features_(features), free_descriptors_(size) {}
  virtual ~RingModel() = default;
  RingModel(const RingModel&) = delete;
  RingModel& operator=(const RingModel&) = delete;

  uint32_t size() const { return size_; }
  const Features& features() const { return features_; }

  // The device takes buffers in the order in which they were made available
  // (§2.7.6, §2.8.12); empty: there is none to take.
  const std::deque<InFlight>& available() const { return available_; }
  void TakeAvailable();
  // Taken and not complete.
  const std::deque<InFlight>& taken() const { return taken_; }

  // The device is done with the `index`-th of taken(). "If VIRTIO_F_IN_ORDER
  // has been negotiated, a device MUST use buffers in the same order in which
  // they have been available." (§6.2) Nothing is in memory yet.
  Verdict Complete(size_t index, uint32_t written);
  // Complete and not yet exposed.
  const std::vector<InFlight>& completed() const { return completed_; }

  // The completed ones become the driver's. `own` says of each whether it has a
  // used element of its own: without VIRTIO_F_IN_ORDER all have; with it one
  // element, that of the last buffer, may stand for a batch (§2.7.9, §2.8.8).
  Verdict ExposeUsed(const std::vector<bool>& own);

  // What the driver finds next; nullopt: nothing.
  std::optional<Used> NextUsed() const;
  void TakeUsed();

  uint32_t free_descriptors() const { return free_descriptors_; }
  // Made available, and not back at the driver.
  size_t buffers_in_flight() const { return ids_.size(); }

  // After the driver has made buffers available and after the device has
  // exposed used ones: what it owes for all since the last call. Both look at
  // what the other side has in memory at that time.
  virtual Notification AvailableNotification() = 0;
  virtual Notification UsedNotification() = 0;

 protected:
  // Whether the driver may use this id now, and has the room (§2.8.17: "A
  // driver MUST make sure there's enough space in the ring for the whole
  // list").
  Verdict CheckBuffer(const Buffer& buffer, uint16_t id,
                      size_t descriptors) const;
  void AddAvailable(InFlight in_flight);

  // Writes the used element that stands for a batch: that of `last`, at the
  // place of the first; then goes on behind the batch.
  virtual void WriteUsed(const InFlight& last, size_t buffers,
                         size_t descriptors) = 0;
  // Called when the driver has taken a buffer back.
  virtual void Freed(const InFlight& /*in_flight*/) {}

 private:
  const uint32_t size_;
  const Features features_;
  uint32_t free_descriptors_;
  std::deque<InFlight> available_;
  std::deque<InFlight> taken_;
  std::vector<InFlight> completed_;
  std::deque<InFlight> used_;  // Exposed, and not seen by the driver.
  std::set<uint16_t> ids_;     // Of all of these.
};

}  // namespace annulus::virtio::model

#endif  // TESTS_RINGS_RING_MODEL_H_
