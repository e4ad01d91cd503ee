#ifndef TESTS_BENCH_RING_LOOPS_H_
#define TESTS_BENCH_RING_LOOPS_H_

#include <x86intrin.h>

#include <cstdint>

#include "base/check.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "tests/bench/notification_line.h"

namespace annulus::bench {

// How a sleeping driver asks to be woken.
enum class Callbacks {
  kNext,   // At the next used buffer: flags, or the event index if negotiated.
  kEvery,  // Packed, with the event index negotiated: plain ENABLE even so.
  kDelayed,  // Once most buffers in flight are used.
};

struct LoopOptions {
  uint64_t buffers = 10'000'000;
  uint32_t batch = 16;   // At most so many buffers per step of either side.
  bool sleep = false;    // With notifications; else both sides poll.
  bool writable = true;  // What the device may do with a buffer.
  uint32_t pauses = 4;   // Between two looks of one that polls.
  Callbacks callbacks = Callbacks::kNext;
  uint64_t base = 0;  // Guest-physical, of kBuffers buffers.
};

inline constexpr uint32_t kBufferBytes = 64;
inline constexpr uint32_t kBuffers = 1024;  // A power of 2.
inline constexpr uint32_t kWrittenBytes = 16;

// Looks again only after a while: each look takes the cache line away from the
// side that is about to write to it.
inline void PausePolling(const LoopOptions& options) {
  for (uint32_t i = 0; i < options.pauses; ++i) _mm_pause();
}

// One step of a driver: offers up to a batch of buffers, and takes back up to a
// batch of used ones. `kick` is called if the device wants to know.
struct DriverProgress {
  uint64_t started = 0;
  uint64_t completed = 0;
};
template <typename Driver, typename Kick>
[[gnu::noinline]] bool DriverStep(Driver& driver, const LoopOptions& options,
                                  DriverProgress& progress, Kick kick) {
  uint32_t added = 0;
  while (added < options.batch && progress.started < options.buffers) {
    const virtio::DriverElement element = {
        .addr = options.base + progress.started % kBuffers * kBufferBytes,
        .len = kBufferBytes};
    const uint16_t id = options.writable
                            ? driver.AddBatched(nullptr, 0, &element, 1)
                            : driver.AddBatched(&element, 1, nullptr, 0);
    if (id == virtio::kNoDriverBuffer) break;
    ++added;
    ++progress.started;
  }
  if (added != 0) {
    driver.Expose();
    if (options.sleep && driver.NeedsNotification()) kick();
  }
  uint16_t id;
  uint32_t len;
  uint32_t taken = 0;
  while (taken < options.batch && driver.GetUsed(&id, &len)) ++taken;
  progress.completed += taken;
  return added + taken != 0;
}

// One step of a device: takes up to a batch of chains, completes them, and
// publishes once. How many; `call` is called if the driver wants to know.
// `batch` is what the queue's Take() fills, or one chain that is used again and
// again.
template <typename Queue, typename Batch, typename Call>
[[gnu::noinline]] uint32_t DeviceStep(Queue& queue, Batch& batch,
                                      const LoopOptions& options, Call call) {
  const uint32_t written = options.writable ? kWrittenBytes : 0;
  uint32_t taken = 0;
  if constexpr (requires { queue.Take(batch); }) {
    taken = queue.Take(batch);
    for (auto& chain : batch.chains()) {
      queue.Push(chain, written);
    }
  } else {
    while (taken < options.batch && queue.Pop(batch)) {
      queue.Push(batch, written);
      ++taken;
    }
  }
  if (taken == 0) return 0;
  if (!options.sleep) {
    queue.Expose();
  } else if (queue.Publish()) {
    call();
  }
  return taken;
}

// Asks for a notification as the options have it; false: sleep.
template <typename Driver>
bool EnableCallbacks(Driver& driver, Callbacks callbacks) {
  if constexpr (requires { driver.EnableEveryCallback(); }) {
    if (callbacks == Callbacks::kEvery) return driver.EnableEveryCallback();
  }
  if constexpr (requires { driver.EnableCallbacksDelayed(); }) {
    if (callbacks == Callbacks::kDelayed) {
      return driver.EnableCallbacksDelayed();
    }
  }
  return driver.EnableCallbacks();
}

// The driver's thread, until all buffers went around.
template <typename Driver>
void DriverLoop(Driver& driver, const LoopOptions& options,
                NotificationLine& kick, NotificationLine& call) {
  DriverProgress progress;
  driver.DisableCallbacks();
  while (true) {
    const bool moved =
        DriverStep(driver, options, progress, [&] { kick.Signal(); });
    if (progress.completed == options.buffers) return;
    if (moved) continue;
    ANNULUS_CHECK(!driver.broken());
    if (options.sleep) {
      if (!EnableCallbacks(driver, options.callbacks)) call.Wait();
      driver.DisableCallbacks();
    } else {
      while (!driver.HasUsed()) PausePolling(options);
    }
  }
}

// The device's thread, likewise.
template <typename Queue, typename Batch>
void DeviceLoop(Queue& queue, Batch& batch, const LoopOptions& options,
                NotificationLine& kick, NotificationLine& call) {
  uint64_t completed = 0;
  queue.DisableNotifications();
  while (true) {
    const uint32_t taken =
        DeviceStep(queue, batch, options, [&] { call.Signal(); });
    completed += taken;
    if (completed == options.buffers) return;
    if (taken != 0) continue;
    ANNULUS_CHECK(queue.ok());
    if (options.sleep) {
      if (!queue.EnableNotifications()) kick.Wait();
      queue.DisableNotifications();
    } else {
      while (!queue.HasAvailable()) PausePolling(options);
    }
  }
}

}  // namespace annulus::bench

#endif  // TESTS_BENCH_RING_LOOPS_H_
