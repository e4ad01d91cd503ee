#include "tests/rings/ring_threads.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/chain_bytes.h"
#include "devices/virtio/queue/descriptor_chain.h"

namespace annulus::virtio::threads {

bool RingThreadsTest::OfferSome(std::mt19937& random, uint64_t& next) {
  const uint64_t before = next;
  const bool batched = random() % 2 == 0;
  for (uint64_t i = 1 + random() % case_.size; i > 0 && next < buffers_; --i) {
    const Contents contents(next);
    FakeDriver::ChainBuilder chain = driver_.Chain();
    // As many pieces as the ring can have, and no more.
    const size_t pieces = case_.size < 4 ? 1 : 1 + random() % 2;
    if (case_.size == 1) {
      // Nothing but the request fits, in a table neither.
      chain.Readable(contents.request);
    } else {
      const size_t half =
          pieces == 1 ? contents.request.size() : contents.request.size() / 2;
      chain.Readable(contents.request.substr(0, half));
      if (pieces > 1) chain.Readable(contents.request.substr(half));
      const uint32_t first = pieces == 1 ? contents.room : contents.room / 3;
      chain.Writable(first);
      if (pieces > 1) chain.Writable(contents.room - first);
    }
    const std::optional<uint16_t> id =
        batched ? chain.OfferBatched() : chain.Offer();
    if (!id.has_value()) break;
    if (!in_flight_.emplace(*id, next).second) {
      Fail(absl::StrCat("id ", *id, " was given out twice"));
      return false;
    }
    ++next;
    driver_progress_.done.store(next);
  }
  if (batched) driver_.Expose();
  if (next != before && driver_.NeedsNotification()) {
    to_device_.Signal();
    driver_progress_.notified.fetch_add(1);
  }
  return true;
}

bool RingThreadsTest::TakeUsed() {
  while (const std::optional<FakeDriver::Used> used = driver_.GetUsed()) {
    const auto it = in_flight_.find(used->id);
    if (it == in_flight_.end()) {
      Fail(absl::StrCat("id ", used->id, " was used twice"));
      return false;
    }
    const std::string& answer = Contents(it->second).answer;
    const std::string expected = answer.substr(0, used->writable_bytes);
    if (used->len != expected.size() || used->data != expected) {
      Fail(absl::StrCat("buffer ", it->second, " came back with ", used->len,
                        " bytes: ", used->data));
      return false;
    }
    in_flight_.erase(it);
    driver_progress_.back.fetch_add(1);
  }
  if (driver_.broken()) {
    Fail("the driver takes the device for broken");
    return false;
  }
  return true;
}

// In one of all ways that there are.
bool RingThreadsTest::AskForCallback(std::mt19937& random) {
  switch (random() % 3) {
    case 0:
      return driver_.EnableCallbacksDelayed();
    case 1:
      if (case_.packed) return driver_.EnableEveryCallback();
      [[fallthrough]];
    default:
      return driver_.EnableCallbacks();
  }
}

void RingThreadsTest::DriverThread() {
  std::mt19937 random(1);
  uint64_t next = 0;
  while (next < buffers_ || !in_flight_.empty()) {
    if (random() % 2 == 0) driver_.DisableCallbacks();
    if (!OfferSome(random, next) || !TakeUsed()) return;
    // Waits at times although there was room for more.
    const bool full = next == buffers_ || driver_.free_descriptors() < 4;
    if (in_flight_.empty() || (!full && random() % 4 != 0)) continue;
    if (!AskForCallback(random) && !Sleep(to_driver_, driver_progress_)) {
      return;
    }
  }
  driver_progress_.finished.store(true);
}

void RingThreadsTest::DeviceThread() {
  std::mt19937 random(2);
  std::deque<std::unique_ptr<DescriptorChain>> held;
  std::vector<std::unique_ptr<DescriptorChain>> spare;
  while (device_progress_.back.load() < buffers_) {
    if (random() % 2 == 0) queue_.DisableNotifications();
    for (uint32_t i = 1 + random() % 16; i > 0; --i) {
      if (spare.empty()) {
        spare.push_back(std::make_unique<DescriptorChain>(uint16_t{256}));
      }
      if (!queue_.Pop(*spare.back())) break;
      device_progress_.done.fetch_add(1);
      held.push_back(std::move(spare.back()));
      spare.pop_back();
    }
    if (!queue_.ok()) return Fail(queue_.status().ToString());
    const bool empty = !queue_.HasAvailable();
    // Before it sleeps it gives back everything, in any order.
    for (size_t n = empty ? held.size() : random() % (held.size() + 1); n > 0;
         --n) {
      const size_t index = case_.in_order ? 0 : random() % held.size();
      std::swap(held[index], held.front());
      DescriptorChain& chain = *held.front();
      const std::string request = ReadAll(chain);
      const uint64_t number =
          request.size() < 9 ? 0 : std::strtoull(&request[8], nullptr, 10);
      const Contents contents(number);
      if (request != contents.request) {
        return Fail(absl::StrCat("the device got: ", request));
      }
      const uint32_t written = WriteAll(chain, contents.answer);
      queue_.Push(chain, written);
      device_progress_.back.fetch_add(1);
      spare.push_back(std::move(held.front()));
      held.pop_front();
    }
    if (random() % 4 == 0) queue_.Expose();
    if (queue_.Publish()) {
      to_driver_.Signal();
      device_progress_.notified.fetch_add(1);
    }
    if (!empty || !held.empty()) continue;
    if (device_progress_.back.load() == buffers_) break;
    if (!queue_.EnableNotifications() && !Sleep(to_device_, device_progress_)) {
      return;
    }
  }
  device_progress_.finished.store(true);
}

}  // namespace annulus::virtio::threads
