#ifndef TESTS_RINGS_RINGS_H_
#define TESTS_RINGS_RINGS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/virtqueue.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "memory/guest_span.h"
#include "tests/rings/ring_case.h"
#include "tests/rings/ring_model.h"

namespace annulus::virtio::differential {

using model::Buffer;
using model::Element;
using model::Notification;
using model::RingModel;
using model::Verdict;

// What is the same for both formats: the steps. Each answers with the rule that
// was broken, or nothing.
class Rings {
 public:
  Rings(const Case& c, uint64_t seed)
      : case_(c),
        layout_(c.size),
        random_(seed),
        ram_(memory::GuestRam::Create({.size = layout_.end}).value()),
        memory_(memory::GuestMemory::Create(ram_.Regions()).value()),
        queue_(Virtqueue::Create(memory_, ConfigOf(c)).value()) {}
  virtual ~Rings() = default;
  Rings(const Rings&) = delete;
  Rings& operator=(const Rings&) = delete;

  Verdict Step(uint64_t number);

 protected:
  bool real_driver() const { return case_.pair != Pair::kRealDevice; }
  bool real_device() const { return case_.pair != Pair::kRealDriver; }
  uint32_t size() const { return case_.size; }
  const model::Features& features() const { return case_.features; }
  const Layout& layout() const { return layout_; }

  uint8_t* Host(uint64_t addr) const {
    return static_cast<uint8_t*>(
        memory_.Map(memory::GuestAddress(addr), 1)->AsIovec().iov_base);
  }
  template <typename T>
  T* HostAs(uint64_t addr) const {
    return static_cast<T*>(static_cast<void*>(Host(addr)));
  }

  // Uniform in [0, bound).
  uint32_t Random(uint64_t bound) {
    return static_cast<uint32_t>(random_() % bound);
  }
  // As the real driver is configured.
  bool UsesTable(const Buffer& buffer) const {
    return features().indirect && buffer.size() > 1 &&
           buffer.size() <= kEntries;
  }
  bool OneIn(uint32_t n) { return Random(n) == 0; }
  uint16_t Garbage() { return static_cast<uint16_t>(random_()); }

  virtual RingModel& ring() = 0;
  virtual const RingModel& ring() const = 0;

  // The steps that differ between formats and between real and model sides.
  virtual Verdict AddByRealDriver(const Buffer& buffer, bool batched) = 0;
  virtual void DriverExposes() = 0;
  virtual Verdict AddByModelDriver(const Buffer& buffer, bool indirect) = 0;
  virtual bool DriverNeedsNotification() = 0;
  virtual bool DriverHasUsed() const = 0;
  virtual bool DriverGetsUsed(uint16_t* id, uint32_t* len) = 0;
  virtual bool DriverEnables() = 0;
  virtual bool DriverEnablesDelayed() = 0;
  virtual uint32_t DriverNotificationData(uint16_t queue) const = 0;
  virtual void DriverDisables() = 0;
  virtual uint32_t DriverFree() const = 0;
  virtual bool DriverBroken() const = 0;

  // Takes over from memory what the real side has written there, if it may
  // write that and it means what was asked for.
  virtual Verdict AdoptDriverEvent(bool enabled) = 0;
  // The same for EnableCallbacksDelayed(): at some time it notifies.
  virtual Verdict AdoptDelayedDriverEvent(bool already) = 0;
  virtual Verdict AdoptDeviceEvent(bool enabled) = 0;
  virtual void ModelDriverEvent() = 0;
  virtual void ModelDeviceEvent() = 0;

  // Which of the completed buffers the real device gave a used element.
  virtual std::vector<bool> OwnUsedElements() const = 0;
  // Has the model expose these and writes what is new to memory.
  virtual Verdict ExposeByModelDevice(const std::vector<bool>& own) = 0;

  virtual uint16_t ExpectedNotificationData() const = 0;
  virtual Verdict CompareState(const QueueState& state) const = 0;
  virtual Verdict Compare(bool everything) const = 0;

 private:
  // A popped chain and what owns it.
  struct Held {
    std::shared_ptr<ChainBatch> batch = nullptr;
    std::shared_ptr<DescriptorChain> alone = nullptr;
    DescriptorChain* chain = nullptr;
  };

  Verdict OneStep();
  // Mostly a few, at times as many as there can be.
  uint32_t HowMany();
  Buffer NewBuffer();
  static Verdict CheckNotification(Notification owed, bool sent);
  // Once everything that memory holds is known to be right.
  Verdict CompareViews() const;

  // The steps of the driver: rings_driver.cc.
  Verdict Add();
  Verdict Refused(const Buffer& buffer);
  Verdict AskDriver();
  Verdict TakeUsed();
  Verdict DriverEvent();

  // The steps of the device: rings_device.cc.
  Verdict Pop();
  // A batch of random size, the chains of which lie in memory together.
  Verdict Take();
  Verdict Popped(Held held);
  static Verdict CompareChain(const DescriptorChain& chain,
                              const Buffer& buffer);
  Verdict Push();
  Verdict Publish();
  Verdict DeviceEvent();
  // Saved and taken up again, as by another process. Who does that starts with
  // a notification.
  Verdict SaveAndRestore();

  const Case case_;
  const Layout layout_;
  std::mt19937_64 random_;
  memory::GuestRam ram_;
  memory::GuestMemory memory_;
  Virtqueue queue_;
  std::deque<Held> held_;  // Parallel to ring().taken().
  uint32_t added_ = 0;     // Since the driver asked whether to notify.
  size_t undecided_ = 0;   // Exposed since the device did.
};

}  // namespace annulus::virtio::differential

#endif  // TESTS_RINGS_RINGS_H_
