#ifndef TESTS_INTERLEAVING_DRIVER_SIDE_H_
#define TESTS_INTERLEAVING_DRIVER_SIDE_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

#include "absl/types/span.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "memory/shared_access.h"
#include "tests/interleaving/action.h"
#include "tests/interleaving/buffers.h"
#include "tests/interleaving/layout.h"
#include "tests/interleaving/recorder.h"
#include "tests/interleaving/scenario.h"

namespace annulus::interleaving {

// A guest's driver around SplitDriver or PackedDriver: woken by a used buffer
// notification it disables callbacks, takes all used buffers, adds new ones,
// notifies, enables callbacks, looks again, sleeps, as Linux does with NAPI. At
// any time while asleep it may be asked to add buffers; callbacks then stay as
// they are.
//
// It checks that each buffer comes back once, with the length and the contents
// that the device gave it.
template <typename Ring>
class DriverSide : public Program {
 public:
  template <typename Config>
  DriverSide(const Scenario& scenario, Locations& locations, Recorder& recorder,
             Config config)
      : scenario_(scenario),
        locations_(locations),
        recorder_(recorder),
        state_(config, scenario.buffers) {
    recorder_.RememberIn(&state_.written);
  }

  absl::Span<uint8_t> State() override {
    return absl::MakeSpan(reinterpret_cast<uint8_t*>(&state_), sizeof(state_));
  }

  void Step() override {
    switch (state_.next) {
      case Next::kDisable:
        if (!scenario_.driver_stays_enabled || recorder_.Choose(2) == 0) {
          recorder_.Enter(Call::kDisableCallbacks);
          state_.ring.DisableCallbacks();
          recorder_.Leave();
        }
        state_.next = Next::kTake;
        break;
      case Next::kTake:
        if (!Take()) state_.next = Next::kAdd;
        break;
      case Next::kAdd:
        for (uint64_t n = ChooseHowMany(); n > 0; --n) Add();
        state_.next = Next::kNotify;
        break;
      case Next::kNotify:
        Notify();
        state_.next = state_.asked ? Next::kSleep : Next::kEnable;
        break;
      case Next::kEnable:
        state_.next = Enable() ? Next::kDisable : Next::kSleep;
        break;
      case Next::kSleep:
        state_.asked = recorder_.Wait(state_.in_flight, MayBeAsked()) == kAsked;
        state_.next = state_.asked ? Next::kAdd : Next::kDisable;
        break;
    }
  }

 private:
  enum class Next : uint32_t {
    kDisable,
    kTake,
    kAdd,
    kNotify,
    kEnable,
    kSleep
  };

  struct Buffer {
    uint16_t in_flight = 0;
    uint16_t id = 0;
    uint32_t tag = 0;
  };

  struct Data {
    template <typename Config>
    Data(Config config, uint32_t buffers)
        : ring((config.slots = slots, config)), left(buffers) {}

    virtio::DriverSlot slots[kMaxSize] = {};
    Ring ring;
    std::array<Buffer, kMaxSize> buffers = {};
    Next next = Next::kSleep;
    uint32_t tag = 0;        // Of the next buffer.
    uint32_t left;           // How many may be added, if there is a limit.
    uint32_t in_flight = 0;  // Buffers.
    uint32_t asked = 0;      // Whether to add at least one.
    WrittenEntry written = {};
  };
  static_assert(std::is_trivially_copyable_v<Data>);

  template <typename T>
  T* At(uint32_t offset) {
    return static_cast<T*>(static_cast<void*>(locations_.ram() + offset));
  }

  // How many buffers there is room for.
  uint64_t CanAdd() const {
    uint32_t room = state_.ring.free_descriptors();
    uint32_t count = 0;
    const uint32_t limit = scenario_.buffers != 0 ? state_.left : kMaxSize;
    while (count < limit) {
      const uint32_t tag = (state_.tag + count) % Tags(scenario_.size);
      const uint32_t needed = scenario_.shape != Shape::kIndirect &&
                                      HasTwoElements(scenario_.shape, tag)
                                  ? 2
                                  : 1;
      if (needed > room) break;
      room -= needed;
      ++count;
    }
    return count;
  }

  bool MayBeAsked() const {
    return CanAdd() != 0 && (scenario_.batch == 0 || state_.in_flight == 0);
  }

  uint64_t ChooseHowMany() {
    const uint64_t most = CanAdd();
    if (scenario_.batch != 0) return std::min<uint64_t>(scenario_.batch, most);
    if (state_.asked) return 1 + recorder_.Choose(most);
    return recorder_.Choose(most + 1);
  }

  void Add() {
    const uint32_t tag = state_.tag;
    uint32_t index = tag % scenario_.size;
    while (state_.buffers[index].in_flight != 0) {
      index = (index + 1) % scenario_.size;
    }
    const virtio::DriverElement readable = {
        .addr = kRamStart + kReadableWords + 8 * index,
        .len = ElementBytes(tag)};
    const virtio::DriverElement writable = {
        .addr = kRamStart + kWritableWords + 8 * index,
        .len = ElementBytes(tag)};
    if (HasReadable(scenario_.shape, tag)) {
      memory::SharedStore(At<uint64_t>(kReadableWords + 8 * index),
                          ReadableWord(tag), __ATOMIC_RELAXED);
    }
    recorder_.Enter(Call::kAdd);
    const uint16_t id =
        state_.ring.Add(&readable, HasReadable(scenario_.shape, tag) ? 1 : 0,
                        &writable, HasWritable(scenario_.shape, tag) ? 1 : 0);
    recorder_.Leave();
    if (id == virtio::kNoDriverBuffer) recorder_.Fail("Add() found no room");
    state_.buffers[index] = {.in_flight = 1, .id = id, .tag = tag};
    state_.tag = (tag + 1) % Tags(scenario_.size);
    if (scenario_.buffers != 0) --state_.left;
    ++state_.in_flight;
  }

  void Notify() {
    recorder_.Enter(Call::kNeedsNotification);
    const bool needed = state_.ring.NeedsNotification();
    recorder_.Leave();
    if (needed && !recorder_.mutation().Is(Mutation::Kind::kNoNotification,
                                           Call::kNeedsNotification)) {
      recorder_.Notify();
    }
  }

  bool Enable() {
    recorder_.Enter(Call::kEnableCallbacks);
    const bool more = scenario_.driver_delays && recorder_.Choose(2) == 1
                          ? state_.ring.EnableCallbacksDelayed()
                          : state_.ring.EnableCallbacks();
    recorder_.Leave();
    return more && !recorder_.mutation().Is(Mutation::Kind::kNoRecheck,
                                            Call::kEnableCallbacks);
  }

  // Takes one used buffer and looks at it.
  bool Take() {
    uint16_t id = 0;
    uint32_t len = 0;
    recorder_.Enter(Call::kGetUsed);
    const bool taken = state_.ring.GetUsed(&id, &len);
    recorder_.Leave();
    if (state_.ring.broken()) recorder_.Fail("the driver's ring is broken");
    if (!taken) return false;
    for (uint32_t i = 0; i < scenario_.size; ++i) {
      Buffer& buffer = state_.buffers[i];
      if (buffer.in_flight == 0 || buffer.id != id) continue;
      if (len != WrittenBytes(scenario_.shape, buffer.tag)) {
        recorder_.Fail("a used buffer has a wrong length");
      }
      if (HasWritable(scenario_.shape, buffer.tag) &&
          memory::SharedLoad(At<uint64_t>(kWritableWords + 8 * i),
                             __ATOMIC_RELAXED) != WritableWord(buffer.tag)) {
        recorder_.Fail("a used buffer has wrong contents");
      }
      buffer = {};
      --state_.in_flight;
      return true;
    }
    recorder_.Fail("a buffer was used that is not in flight");
  }

  const Scenario scenario_;
  Locations& locations_;
  Recorder& recorder_;
  Data state_;
};

}  // namespace annulus::interleaving

#endif  // TESTS_INTERLEAVING_DRIVER_SIDE_H_
