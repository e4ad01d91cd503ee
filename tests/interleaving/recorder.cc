#include "tests/interleaving/recorder.h"

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "devices/virtio/spec/packed_ring.h"
#include "memory/shared_access.h"

namespace annulus::memory {

// Outside of a run (a ring's construction) the memory is plain memory.

unsigned long long HookedLoad(const void* at, unsigned bytes, int order) {
  if (interleaving::Recorder* recorder = interleaving::Recorder::active()) {
    return recorder->Load(at, static_cast<uint8_t>(bytes), order);
  }
  uint64_t value = 0;
  std::memcpy(&value, at, bytes);
  return value;
}

void HookedStore(void* at, unsigned long long value, unsigned bytes,
                 int order) {
  if (interleaving::Recorder* recorder = interleaving::Recorder::active()) {
    recorder->Store(at, value, static_cast<uint8_t>(bytes), order);
  } else {
    std::memcpy(at, &value, bytes);
  }
}

void HookedFence() {
  if (interleaving::Recorder* recorder = interleaving::Recorder::active()) {
    recorder->Fence();
  }
}

}  // namespace annulus::memory

namespace annulus::interleaving {

using Kind = Action::Kind;
using Mistake = Mutation::Kind;

std::optional<Action> Recorder::Run(Program& program,
                                    absl::Span<const uint64_t> results) {
  program_ = &program;
  results_ = results;
  position_ = 0;
  call_ = Call::kNone;
  after_fence_ = false;
  held_.clear();
  active_ = this;
  if (setjmp(escape_) != 0) {
    active_ = nullptr;
    return next_;
  }
  program_->Step();
  active_ = nullptr;
  ANNULUS_CHECK(position_ == results_.size());
  return std::nullopt;
}

uint64_t Recorder::Do(Action action) {
  if (action.kind == Kind::kLoad && !after_fence_ &&
      locations_.Fields(action.offset, action.bytes)[0].fenced) {
    saw_unfenced_load_ = true;
  }
  after_fence_ = action.kind == Kind::kFence;
  if (position_ < results_.size()) return results_[position_++];
  action.call = call_;
  next_ = action;
  std::longjmp(escape_, 1);
}

uint64_t Recorder::Choose(uint64_t options) {
  if (options < 2) return 0;
  return Do({.kind = Kind::kChoose, .value = options});
}

void Recorder::Notify() { Do({.kind = Kind::kNotify}); }

Wakeup Recorder::Wait(uint64_t in_flight, bool may_add) {
  return static_cast<Wakeup>(
      Do({.kind = Kind::kWait, .value = in_flight, .may_add = may_add}));
}

void Recorder::Fail(const char* text) {
  Do({.kind = Kind::kFail, .text = text});
  ANNULUS_CHECK(false);  // Nothing is run beyond a failure.
  __builtin_unreachable();
}

uint64_t Recorder::Load(const void* at, uint8_t bytes, int order) {
  if (mutation_.Is(Mistake::kRelaxedLoad, call_)) order = __ATOMIC_RELAXED;
  const uint32_t offset = locations_.OffsetOf(at);
  const uint64_t value = Do(
      {.kind = Kind::kLoad, .bytes = bytes, .order = order, .offset = offset});
  if (!mutation_.Is(Mistake::kEqualityTest, call_)) return value;
  return MutateEvent(value, bytes);
}

void Recorder::Store(void* at, uint64_t value, uint8_t bytes, int order) {
  const bool release = order == __ATOMIC_RELEASE;
  if (mutation_.Is(Mistake::kRelaxedStore, call_)) order = __ATOMIC_RELAXED;
  if (mutation_.Is(Mistake::kWrongEvent, call_)) {
    value = bytes == 4 ? value ^ virtio::kPackedEventWrap
                       : static_cast<uint16_t>(value + 1);
  }
  const uint32_t offset = locations_.OffsetOf(at);
  const Action action{.kind = Kind::kStore,
                      .bytes = bytes,
                      .order = order,
                      .offset = offset,
                      .value = value};
  if (mutation_.Is(Mistake::kFirstTooEarly, call_) && !release) {
    held_.push_back(action);
    return;
  }
  Remember(offset, value, bytes);
  Do(action);
  for (const Action& held : held_) Do(held);
  held_.clear();
}

void Recorder::Fence() {
  if (!mutation_.Is(Mistake::kNoFence, call_)) Do({.kind = Kind::kFence});
}

// Keeps track of the last entry that a side made visible, for kEqualityTest.
void Recorder::Remember(uint32_t offset, uint64_t value, uint8_t bytes) {
  if (mutation_.kind != Mistake::kEqualityTest || written_ == nullptr) return;
  const Location& last = locations_.Fields(offset, bytes).back();
  const absl::string_view name = last.name;
  value >>= 8 * (last.offset - offset);
  if (absl::EndsWith(name, ".idx")) {
    written_->last = static_cast<uint16_t>(value - 1);
  } else if (absl::StartsWith(name, "ring[") &&
             absl::EndsWith(name, ".flags")) {
    // The first flags of the device's batch come last, in Publish().
    if (call_ == Call::kPublish && written_->staged != 0) {
      written_->staged = 0;
      return;
    }
    // The driver's AVAIL bit and the device's USED bit are the wrap counter.
    const bool wrap =
        (value & (call_ == Call::kAdd ? virtio::kPackedDescAvail
                                      : virtio::kPackedDescUsed)) != 0;
    written_->last =
        static_cast<uint16_t>(offset / sizeof(virtio::PackedDescriptor) |
                              (wrap ? virtio::kPackedEventWrap : 0));
    written_->staged = call_ == Call::kPush ? 1 : 0;
  }
}

// What the side's range test must see in order to answer as a test for equality
// would.
uint64_t Recorder::MutateEvent(uint64_t value, uint8_t bytes) const {
  ANNULUS_CHECK(written_ != nullptr);
  if (static_cast<uint16_t>(value) == written_->last) return value;
  if (bytes == 2) return static_cast<uint16_t>(written_->last + 1);
  if ((value >> 16) != virtio::kRingEventFlagsDesc) return value;
  return uint64_t{virtio::kRingEventFlagsDisable} << 16;
}

}  // namespace annulus::interleaving
