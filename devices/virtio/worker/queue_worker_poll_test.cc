#include <poll.h>
#include <sched.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "devices/virtio/worker/queue_worker.h"
#include "devices/virtio/worker/queue_worker_fixture.h"
#include "devices/virtio/worker/worker_policy.h"
#include "gtest/gtest.h"

// QueueWorker by the three ways of WorkerPolicy, and where its thread runs.

namespace annulus::virtio {
namespace {

TEST_F(QueueWorkerTest, PollingFindsBuffersWithoutNotification) {
  Side side(memory_);
  ReturningHandler handler;
  const auto worker = Make(handler, {.poll = Poll::kAlways});
  worker->Start(side.Resources());
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(side.driver.Chain().Writable(8).Offer().has_value());
    WaitFor(side.interrupt.event);  // Nobody signalled the notification.
    // Nor is anybody ever asked to: it is left on from the first Drain() on.
    ASSERT_FALSE(side.driver.NeedsNotification());
    ASSERT_TRUE(side.driver.GetUsed().has_value());
    ASSERT_FALSE(side.driver.EnableCallbacks());
  }
  worker->Stop();  // And the poll ends at once.
  EXPECT_EQ(worker->sleeps(), 0u);
}

TEST_F(QueueWorkerTest, PollingWorkerCanBeStoppedAndStartedAgain) {
  ReturningHandler handler;
  const auto worker = Make(handler, {.poll = Poll::kAlways});
  for (int i = 0; i < 20; ++i) {
    Side side(memory_, {.packed = i % 2 == 0});
    worker->Start(side.Resources());
    for (int j = 0; j < 5; ++j) side.RoundTrip();
    worker->Stop();
    const int drains = handler.drains;
    ASSERT_TRUE(side.driver.Chain().Writable(8).Offer().has_value());
    ASSERT_EQ(handler.drains, drains);
  }
  EXPECT_EQ(worker->sleeps(), 0u);
}

// Only Wake() could give it something to do.
TEST_F(QueueWorkerTest, PollingWorkerSleepsIfThereIsNothingToLookFor) {
  Side side(memory_);
  WaitingHandler handler;
  handler.wait.buffers = false;
  const auto worker = Make(handler, {.poll = Poll::kAlways});
  worker->Start(side.Resources());
  WaitFor(handler.drained);
  while (worker->sleeps() == 0) {
  }
  worker->Wake();
  WaitFor(handler.drained);
  worker->Stop();
}

// A descriptor is looked at by the handler itself: no poll(2), no sleep.
TEST_F(QueueWorkerTest, PollingWorkerServesADescriptorWithoutSleep) {
  Side side(memory_);
  WaitingHandler handler;
  handler.wait.buffers = false;
  handler.wait.fds[0] = {handler.doorbell.fd(), POLLIN, 0};
  const auto worker = Make(handler, {.poll = Poll::kAlways});
  worker->Start(side.Resources());
  for (int i = 1; i <= 16; ++i) {
    handler.doorbell.Signal();
    while (handler.rings < i) WaitFor(handler.drained);
  }
  worker->Stop();
  EXPECT_EQ(worker->sleeps(), 0u);
}

TEST_F(QueueWorkerTest, WorkerThatNeverPollsIsNotifiedOfEachBuffer) {
  Side side(memory_);
  ReturningHandler handler;
  const auto worker =
      Make(handler, {.poll = Poll::kNever, .poll_duration = absl::Hours(1)});
  worker->Start(side.Resources());
  for (int i = 0; i < 100; ++i) {
    while (worker->sleeps() <= static_cast<uint64_t>(i)) {
    }
    side.RoundTrip();
  }
  worker->Stop();
  EXPECT_EQ(worker->notifications(), 100u);
}

// Whether it polls or sleeps, no buffer is overlooked.
TEST_F(QueueWorkerTest, AdaptiveWorkerServesEachBufferAtAnyPace) {
  Side side(memory_, {.packed = true});
  ReturningHandler handler;
  const auto worker = Make(handler, {.poll = Poll::kAdaptive,
                                     .poll_duration = absl::Microseconds(50)});
  worker->Start(side.Resources());
  for (int i = 0; i < 2000; ++i) {
    const uint64_t sleeps = worker->sleeps();
    side.RoundTrip();
    // Now and then the next one comes when it sleeps.
    while (i % 16 == 0 && worker->sleeps() == sleeps) {
    }
  }
  worker->Stop();
  EXPECT_GE(worker->sleeps(), 2000u / 16);
  EXPECT_LE(worker->notifications(), 2000u);
}

// With an hour to look, it never sleeps again once the window is open.
TEST_F(QueueWorkerTest, AdaptiveWorkerEndsItsPollWhenItIsStopped) {
  Side side(memory_);
  ReturningHandler handler;
  const auto worker =
      Make(handler, {.poll = Poll::kAdaptive, .poll_duration = absl::Hours(1)});
  worker->Start(side.Resources());
  for (int i = 0; i < 100; ++i) side.RoundTrip();
  worker->Stop();
}

TEST_F(QueueWorkerTest, WorkerRunsOnTheCpuOfItsQueue) {
  cpu_set_t allowed;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  }
  for (size_t index = 0; index < 2 * cpus.size(); ++index) {
    Side side(memory_);
    ReturningHandler handler;
    const auto worker =
        QueueWorker::Create({.name = "dev0/q0",
                             .policy = {.poll = Poll::kAlways, .cpus = cpus},
                             .index = index},
                            handler, log_)
            .value();
    worker->Start(side.Resources());
    side.RoundTrip();
    worker->Stop();
    EXPECT_EQ(CPU_COUNT(&handler.affinity), 1);
    EXPECT_TRUE(CPU_ISSET(cpus[index % cpus.size()], &handler.affinity));
  }
}

TEST_F(QueueWorkerTest, CpuThatTheHostDoesNotHaveIsAnError) {
  ReturningHandler handler;
  const auto worker = QueueWorker::Create(
      {.name = "dev0/q1", .policy = {.cpus = {0, 1023}}, .index = 1}, handler,
      log_);
  EXPECT_EQ(worker.status(),
            absl::InvalidArgumentError(
                "worker of dev0/q1: the host has no CPU 1023, or this process "
                "may not use it"));
}

}  // namespace
}  // namespace annulus::virtio
