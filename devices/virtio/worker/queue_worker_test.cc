#include "devices/virtio/worker/queue_worker.h"

#include <poll.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue/inflight/inflight_region.h"
#include "devices/virtio/queue/inflight/recover_queue.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/worker/queue_handler.h"
#include "devices/virtio/worker/queue_worker_fixture.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

TEST_F(QueueWorkerTest, BuffersComeBackWithAnInterrupt) {
  Side side(memory_);
  ReturningHandler handler;
  const auto worker = Make(handler);
  worker->Start(side.Resources());
  for (int i = 0; i < 100; ++i) side.RoundTrip();
  worker->Stop();
  EXPECT_EQ(handler.thread_name, "dev0/q0");
  EXPECT_EQ(worker->violations(), 0u);
}

TEST_F(QueueWorkerTest, BuffersMadeAvailableBeforeTheStartAreServed) {
  Side side(memory_);
  ASSERT_TRUE(side.driver.Chain().Writable(8).Offer().has_value());
  ReturningHandler handler;
  const auto worker = Make(handler);
  worker->Start(side.Resources());
  WaitFor(side.interrupt.event);
  EXPECT_TRUE(side.driver.GetUsed().has_value());
}

TEST_F(QueueWorkerTest, StoppedQueueIsNotTouched) {
  Side side(memory_);
  ReturningHandler handler;
  const auto worker = Make(handler);
  worker->Start(side.Resources());
  side.RoundTrip();
  worker->Stop();
  const int drains = handler.drains;
  const int interrupts = side.interrupt.count;
  side.notification.Signal();
  ASSERT_TRUE(side.driver.Chain().Writable(8).Offer().has_value());
  worker->Stop();  // A second time, which is a no-op.
  EXPECT_EQ(handler.drains, drains);
  EXPECT_EQ(side.interrupt.count, interrupts);
  EXPECT_TRUE(side.notification.Drain()) << "the worker left it alone";
  EXPECT_FALSE(side.driver.HasUsed());
}

// bad_inputs 9, 37.
TEST_F(QueueWorkerTest, QueueRunsAgainAfterEachOfManyResets) {
  ReturningHandler handler;
  const auto worker = Make(handler);
  for (int i = 0; i < 50; ++i) {
    Side side(memory_, {.packed = i % 2 == 0, .size = 8});
    worker->Start(side.Resources());
    for (int j = 0; j < 20; ++j) side.RoundTrip();
    worker->Stop();
  }
}

TEST_F(QueueWorkerTest, StopRightAfterStartReturns) {
  Side side(memory_);
  ReturningHandler handler;
  const auto worker = Make(handler);
  for (int i = 0; i < 200; ++i) {
    worker->Start(side.Resources());
    worker->Stop();
  }
}

TEST_F(QueueWorkerTest, DestructorStopsARunningQueue) {
  Side side(memory_);
  ReturningHandler handler;
  auto worker = Make(handler);
  worker->Start(side.Resources());
  worker.reset();
  EXPECT_FALSE(side.driver.HasUsed());
}

// Never lets the worker come to rest by itself.
class BusyHandler final : public QueueHandler {
 public:
  bool Drain(Virtqueue&) override {
    if (drains++ == 0) started.Signal();
    return true;
  }
  std::atomic<int> drains{0};
  EventFd started = EventFd::Create().value();
};

TEST_F(QueueWorkerTest, StopEndsAQueueThatAlwaysHasMore) {
  Side side(memory_);
  BusyHandler handler;
  const auto worker = Make(handler);
  worker->Start(side.Resources());
  WaitFor(handler.started);
  worker->Stop();
  EXPECT_GT(handler.drains, 0);
}

TEST_F(QueueWorkerTest, ViolationStopsTheQueueAndSaysSoOnce) {
  Side side(memory_, {.packed = false});
  ReturningHandler handler;
  const auto worker = Make(handler);
  worker->Start(side.Resources());
  side.RoundTrip();
  Break(side);
  WaitFor(side.host.event);
  worker->Stop();
  EXPECT_EQ(side.host.resets, 1);
  EXPECT_EQ(worker->violations(), 1u);
  EXPECT_EQ(log_.lines, 1);
  EXPECT_EQ(log_.last().find("dev0/q0: queue stopped: the available index"), 0u)
      << log_.last();
}

TEST_F(QueueWorkerTest,
       UnusableConfigurationNeedsResetAndLeavesTheQueueStopped) {
  Side side(memory_);
  ReturningHandler handler;
  const auto worker = Make(handler);
  QueueResources resources = side.Resources();
  resources.config.descriptor = memory::GuestAddress(0xd0000000);
  worker->Start(resources);
  EXPECT_EQ(side.host.resets, 1);
  EXPECT_EQ(worker->violations(), 1u);
  worker->Stop();
  EXPECT_EQ(handler.drains, 0);
  worker->Start(side.Resources());
  side.RoundTrip();
}

TEST_F(QueueWorkerTest, QueueRecoversFromAViolation) {
  ReturningHandler handler;
  const auto worker = Make(handler);
  for (int i = 0; i < 5; ++i) {
    Side side(memory_, {.packed = false});
    worker->Start(side.Resources());
    side.RoundTrip();
    Break(side);
    WaitFor(side.host.event);
    worker->Stop();
  }
  EXPECT_EQ(worker->violations(), 5u);
}

TEST_F(QueueWorkerTest, DescriptorThatTheHandlerNamesWakesIt) {
  for (const Poll poll : {Poll::kNever, Poll::kAdaptive, Poll::kAlways}) {
    Side side(memory_);
    WaitingHandler handler;
    handler.wait.fds[1] = {handler.doorbell.fd(), POLLIN, 0};
    const auto worker =
        Make(handler, {.poll = poll, .poll_duration = absl::Hours(1)});
    worker->Start(side.Resources());
    for (int i = 1; i <= 20; ++i) {
      handler.doorbell.Signal();
      while (handler.rings < i) WaitFor(handler.drained);
    }
    worker->Stop();
    EXPECT_EQ(handler.started, 1);
    EXPECT_EQ(handler.stopped, 1);
  }
}

TEST_F(QueueWorkerTest, DeadlineThatTheHandlerNamesWakesIt) {
  Side side(memory_);
  WaitingHandler handler;
  handler.wait.buffers = false;
  handler.wait.deadline_ns = MonotonicNanoseconds() + 5'000'000;
  const auto worker = Make(handler);
  worker->Start(side.Resources());
  while (MonotonicNanoseconds() < handler.wait.deadline_ns) {
    WaitFor(handler.drained);
  }
}

class DelayingHandler final : public ReturningHandler {
 public:
  explicit DelayingHandler(absl::Duration delay)
      : delay_ns_(absl::ToInt64Nanoseconds(delay)) {}
  int64_t NotificationDelay() const override { return delay_ns_; }

 private:
  const int64_t delay_ns_;
};

TEST_F(QueueWorkerTest, DelayedNotificationComesWithTheLastBufferThatMayWait) {
  Side side(memory_, {.size = 64});
  DelayingHandler handler(absl::Hours(1));
  const auto worker = Make(handler);
  worker->Start(side.Resources());
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(side.interrupt.count, 0);
    ASSERT_TRUE(side.driver.Chain().Writable(8).Offer().has_value());
    if (side.driver.NeedsNotification()) side.notification.Signal();
    // The buffer itself is back at once.
    while (!side.driver.HasUsed()) {
    }
    if (i < 31) {
      ASSERT_TRUE(side.driver.GetUsed().has_value());
      // As a driver that wants to know of the next.
      (void)side.driver.EnableCallbacks();
    }
  }
  WaitFor(side.interrupt.event);
  EXPECT_EQ(side.interrupt.count, 1);
}

TEST_F(QueueWorkerTest, DelayedNotificationComesWhenTheDelayIsOver) {
  Side side(memory_);
  DelayingHandler handler(absl::Milliseconds(1));
  const auto worker = Make(handler);
  worker->Start(side.Resources());
  for (int i = 0; i < 20; ++i) side.RoundTrip();
}

// A driver that found its buffers by itself is not told of them.
TEST_F(QueueWorkerTest, DelayedNotificationIsLeftOutIfItIsNotWantedByThen) {
  Side side(memory_, {.packed = true});
  DelayingHandler handler(absl::Hours(1));
  const auto worker = Make(handler);
  worker->Start(side.Resources());
  ASSERT_TRUE(side.driver.Chain().Writable(8).Offer().has_value());
  if (side.driver.NeedsNotification()) side.notification.Signal();
  while (!side.driver.HasUsed()) {
  }
  side.driver.DisableCallbacks();
  worker->Stop();  // The last moment to decide.
  EXPECT_EQ(side.interrupt.count, 0);
}

// Nobody is left waiting for a queue that is stopped.
TEST_F(QueueWorkerTest, DelayedNotificationComesBeforeTheQueueStops) {
  Side side(memory_, {.packed = true});
  DelayingHandler handler(absl::Hours(1));
  const auto worker = Make(handler);
  worker->Start(side.Resources());
  ASSERT_TRUE(side.driver.Chain().Writable(8).Offer().has_value());
  if (side.driver.NeedsNotification()) side.notification.Signal();
  while (!side.driver.HasUsed()) {
  }
  worker->Stop();
  EXPECT_EQ(side.interrupt.count, 1);
}

TEST_F(QueueWorkerTest, WakeEndsAnyWait) {
  Side side(memory_);
  WaitingHandler handler;
  handler.wait.buffers = false;
  const auto worker = Make(handler);
  worker->Start(side.Resources());
  WaitFor(handler.drained);
  for (int i = 0; i < 20; ++i) {
    worker->Wake();
    WaitFor(handler.drained);
  }
  worker->Wake();
  worker->Stop();  // Whatever it was woken for.
}

// Not even while it sleeps: what it waits for is something else.
TEST_F(QueueWorkerTest, HandlerThatDoesNotWaitForBuffersIsNotNotified) {
  Side side(memory_);
  WaitingHandler handler;
  handler.wait.buffers = false;
  handler.wait.fds[0] = {handler.doorbell.fd(), POLLIN, 0};
  const auto worker = Make(handler);
  worker->Start(side.Resources());
  for (int i = 1; i <= 16; ++i) {
    handler.doorbell.Signal();
    while (handler.rings < i) WaitFor(handler.drained);
    ASSERT_TRUE(side.driver.Chain().Writable(8).Offer().has_value());
    ASSERT_FALSE(side.driver.NeedsNotification());
  }
  worker->Stop();
  EXPECT_EQ(worker->notifications(), 0u);
}

TEST_F(QueueWorkerTest, WhatIsInFlightIsNotedWhereTheResourcesSay) {
  for (const bool packed : {false, true}) {
    Side side(memory_, {.packed = packed, .size = 16});
    std::vector<uint64_t> words(InflightRegionBytes(packed, 16) /
                                sizeof(uint64_t));
    QueueResources resources = side.Resources();
    resources.inflight = memory::GuestSpan(
        static_cast<uint8_t*>(static_cast<void*>(words.data())),
        words.size() * sizeof(uint64_t));
    ReturningHandler handler;
    const auto worker = Make(handler);
    for (uint16_t life = 1; life <= 3; ++life) {
      worker->Start(resources);
      for (int i = 0; i < 5; ++i) side.RoundTrip();
      resources.resume = worker->Stop();
      ASSERT_TRUE(resources.resume.has_value());
      EXPECT_EQ(resources.resume->next_used, 5 * life);
      EXPECT_EQ(
          RecoverQueue(memory_, resources.config, resources.inflight).value(),
          resources.resume);
    }
    resources.inflight = resources.inflight.Subspan(0, 64);
    worker->Start(resources);
    EXPECT_EQ(side.host.resets, 1) << "a region that is too small";
    EXPECT_FALSE(worker->Stop().has_value());
  }
}

// bad_inputs 40.
TEST_F(QueueWorkerTest, GuestThatBreaksTheQueueForeverDoesNotFloodTheLog) {
  ReturningHandler handler;
  const auto worker = Make(handler);
  Side side(memory_);
  QueueResources resources = side.Resources();
  resources.config.size = 0;
  for (int i = 0; i < 1000; ++i) worker->Start(resources);
  EXPECT_EQ(worker->violations(), 1000u);
  EXPECT_GT(log_.lines, 0);
  EXPECT_LE(log_.lines, 500);  // 10 at most, if this takes under 5 s.
}

TEST_F(QueueWorkerTest, OtherQueuesAreUnaffectedByAViolation) {
  Side broken(memory_, {.packed = false});
  Side good(memory_, {.base = memory::GuestAddress(0xa0000), .bytes = 0x40000});
  ReturningHandler broken_handler;
  ReturningHandler good_handler;
  const auto broken_worker = Make(broken_handler);
  const auto good_worker = Make(good_handler);
  broken_worker->Start(broken.Resources());
  good_worker->Start(good.Resources());
  good.RoundTrip();
  Break(broken);
  WaitFor(broken.host.event);
  for (int i = 0; i < 100; ++i) good.RoundTrip();
  EXPECT_EQ(good.host.resets, 0);
}

// A notification descriptor that is none must not make the worker spin; Stop()
// still works.
TEST_F(QueueWorkerTest, BrokenNotificationDescriptorIsLeftAlone) {
  Side side(memory_);
  ReturningHandler handler;
  const auto worker = Make(handler);
  const EventFd closed{UniqueFd(1 << 30)};
  QueueResources resources = side.Resources();
  resources.notification = &closed;
  ASSERT_TRUE(side.driver.Chain().Writable(8).Offer().has_value());
  worker->Start(resources);
  WaitFor(side.interrupt.event);
  worker->Stop();
  EXPECT_LE(handler.drains, 3);
}

}  // namespace
}  // namespace annulus::virtio
