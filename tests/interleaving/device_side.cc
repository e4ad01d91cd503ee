#include "tests/interleaving/device_side.h"

#include <atomic>

#include "tests/interleaving/buffers.h"

namespace annulus::interleaving {

using Mistake = Mutation::Kind;

DeviceSide::DeviceSide(const Scenario& scenario, Recorder& recorder,
                       const virtio::Virtqueue& queue)
    : scenario_(scenario), recorder_(recorder), state_{.queue = queue} {
  recorder_.RememberIn(&state_.written);
}

absl::Span<uint8_t> DeviceSide::State() {
  return absl::MakeSpan(reinterpret_cast<uint8_t*>(&state_), sizeof(state_));
}

void DeviceSide::Step() {
  switch (state_.next) {
    case Next::kDisable:
      recorder_.Enter(Call::kDisableNotifications);
      state_.queue.DisableNotifications();
      recorder_.Leave();
      state_.next = Next::kDrain;
      break;
    case Next::kDrain:
      state_.more = (scenario_.device_takes ? DrainBatch() : Drain()) ? 1 : 0;
      state_.next = Next::kPublish;
      break;
    case Next::kPublish:
      Publish();
      state_.next = state_.more != 0         ? Next::kDrain
                    : scenario_.device_polls ? Next::kPoll
                                             : Next::kEnable;
      state_.more = 0;
      break;
    case Next::kPoll:
      recorder_.Enter(Call::kHasAvailable);
      state_.next = state_.queue.HasAvailable() ? Next::kDrain : Next::kEnable;
      recorder_.Leave();
      break;
    case Next::kEnable:
      state_.next = Enable() ? Next::kDisable : Next::kSleep;
      break;
    case Next::kSleep:
      recorder_.Wait(0, false);
      state_.next = Next::kDisable;
      break;
  }
}

// Takes all chains, or as many as it likes; true if there may be more.
bool DeviceSide::Drain() {
  chains_.clear();
  for (uint32_t i = 0; i < scenario_.size; ++i) {
    chains_.emplace_back(scenario_.size);
  }
  size_t count = 0;
  bool more = false;
  while (!more && count < chains_.size() && Pop(chains_[count])) {
    CheckChain(chains_[count], (state_.tag + count) % Tags(scenario_.size));
    ++count;
    more = count == chains_.size() ||
           (scenario_.device_stops && recorder_.Choose(2) == 1);
  }
  const bool reverse =
      scenario_.device_reorders && count > 1 && recorder_.Choose(2) == 1;
  for (size_t i = 0; i < count; ++i) {
    const size_t which = reverse ? count - 1 - i : i;
    Push(chains_[which],
         static_cast<uint32_t>(state_.tag + which) % Tags(scenario_.size));
  }
  state_.tag = static_cast<uint32_t>(state_.tag + count) % Tags(scenario_.size);
  return more;
}

// The same by Take().
bool DeviceSide::DrainBatch() {
  batch_.emplace(scenario_.size, scenario_.size);
  recorder_.Enter(Call::kPop);
  const uint32_t count = state_.queue.Take(*batch_);
  recorder_.Leave();
  if (!state_.queue.ok()) recorder_.Fail("the queue reports a violation");
  for (virtio::DescriptorChain& chain : batch_->chains()) {
    CheckChain(chain, state_.tag);
    Push(chain, state_.tag);
    state_.tag = (state_.tag + 1) % Tags(scenario_.size);
  }
  return count != 0;
}

bool DeviceSide::Pop(virtio::DescriptorChain& chain) {
  recorder_.Enter(Call::kPop);
  const bool popped = state_.queue.Pop(chain);
  recorder_.Leave();
  if (!state_.queue.ok()) {
    recorder_.Fail("the queue reports a violation");
  }
  return popped;
}

void DeviceSide::CheckChain(const virtio::DescriptorChain& chain,
                            uint32_t tag) {
  const Shape shape = scenario_.shape;
  if (chain.readable().size() != (HasReadable(shape, tag) ? 1 : 0) ||
      chain.writable().size() != (HasWritable(shape, tag) ? 1 : 0)) {
    recorder_.Fail("a chain has other elements than the driver's");
  }
  for (const virtio::ChainElement& element : chain.readable()) {
    if (element.span.size() != ElementBytes(tag)) {
      recorder_.Fail("a chain is not the next one of the driver");
    }
    if (element.span.Load<uint64_t>(0, std::memory_order_relaxed) !=
        ReadableWord(tag)) {
      recorder_.Fail("a chain has wrong contents");
    }
  }
  for (const virtio::ChainElement& element : chain.writable()) {
    if (element.span.size() != ElementBytes(tag)) {
      recorder_.Fail("a chain is not the next one of the driver");
    }
  }
}

void DeviceSide::Push(virtio::DescriptorChain& chain, uint32_t tag) {
  for (const virtio::ChainElement& element : chain.writable()) {
    element.span.Store<uint64_t>(0, WritableWord(tag),
                                 std::memory_order_relaxed);
  }
  recorder_.Enter(Call::kPush);
  state_.queue.Push(chain, WrittenBytes(scenario_.shape, tag));
  recorder_.Leave();
}

void DeviceSide::Publish() {
  recorder_.Enter(Call::kPublish);
  const bool needed = state_.queue.Publish();
  recorder_.Leave();
  if (needed &&
      !recorder_.mutation().Is(Mistake::kNoNotification, Call::kPublish)) {
    recorder_.Notify();
  }
}

bool DeviceSide::Enable() {
  recorder_.Enter(Call::kEnableNotifications);
  const bool more = state_.queue.EnableNotifications();
  recorder_.Leave();
  return more && !recorder_.mutation().Is(Mistake::kNoRecheck,
                                          Call::kEnableNotifications);
}

}  // namespace annulus::interleaving
