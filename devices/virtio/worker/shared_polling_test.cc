#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/worker/polling_threads.h"
#include "devices/virtio/worker/queue_handler.h"
#include "devices/virtio/worker/queue_worker.h"
#include "devices/virtio/worker/queue_worker_fixture.h"
#include "devices/virtio/worker/worker_policy.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

// Workers of several queues that share one polling thread.

namespace annulus::virtio {
namespace {

int AnyCpu() {
  cpu_set_t allowed;
  EXPECT_EQ(::sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &allowed)) ++cpu;
  return cpu;
}

// Each queue has memory of its own: fake drivers allocate from the beginning.
struct OwnMemory {
  memory::GuestRam ram = memory::GuestRam::Create({.size = 1 << 20}).value();
  memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
};

class SharedPollingTest : public QueueWorkerTest {
 protected:
  std::unique_ptr<QueueWorker> MakeShared(size_t index, QueueHandler& handler) {
    return QueueWorker::Create({.name = "dev0/q" + std::to_string(index),
                                .policy = policy_,
                                .index = index,
                                .polling = threads_.Of(policy_, index).value()},
                               handler, log_)
        .value();
  }

  const WorkerPolicy policy_ = {.poll = Poll::kAlways, .cpus = {AnyCpu()}};
  PollingThreads threads_{"dev0"};
  OwnMemory other_;
};

TEST_F(SharedPollingTest, QueuesOfOneCpuAreServedByOneThread) {
  Side a(memory_);
  Side b(other_.memory, {.packed = true});
  ReturningHandler handler_a;
  ReturningHandler handler_b;
  const auto worker_a = MakeShared(0, handler_a);
  const auto worker_b = MakeShared(1, handler_b);
  worker_a->Start(a.Resources());
  worker_b->Start(b.Resources());
  for (int i = 0; i < 200; ++i) {
    a.RoundTrip();
    b.RoundTrip();
  }
  worker_a->Stop();
  worker_b->Stop();
  EXPECT_EQ(handler_a.thread_name, "dev0/cpu" + std::to_string(AnyCpu()));
  EXPECT_EQ(handler_b.thread_name, handler_a.thread_name);
  EXPECT_EQ(CPU_COUNT(&handler_a.affinity), 1);
  EXPECT_EQ(worker_a->sleeps(), 0u);
}

TEST_F(SharedPollingTest, OnlyThosePollersShareThatHaveTheSameCpu) {
  const std::shared_ptr<PollingThread> first = threads_.Of(policy_, 0).value();
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(threads_.Of(policy_, 1).value(), first);
  EXPECT_EQ(threads_.Of({.poll = Poll::kAlways}, 0).value(), nullptr);
  EXPECT_EQ(
      threads_.Of({.poll = Poll::kAdaptive, .cpus = {AnyCpu()}}, 0).value(),
      nullptr);
  // Another device's.
  const WorkerPolicy two = {.poll = Poll::kAlways, .cpus = {1023, AnyCpu()}};
  EXPECT_EQ(threads_.Of(two, 0).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(threads_.Of(two, 1).value(), first);
  EXPECT_EQ(threads_.Of(two, 3).value(), first);
}

TEST_F(SharedPollingTest, ThreadEndsWithItsLastWorker) {
  const std::weak_ptr<PollingThread> first = threads_.Of(policy_, 0).value();
  EXPECT_TRUE(first.expired());
  EXPECT_NE(threads_.Of(policy_, 0).value(), nullptr);
}

// One always has more, one waits for a descriptor, one for a time that is far
// away, one for nothing.
TEST_F(SharedPollingTest, QueueThatWaitsOrHasAlwaysMoreKeepsNobodyWaiting) {
  class BusyHandler final : public QueueHandler {
   public:
    bool Drain(Virtqueue&) override { return true; }
  };
  Side side(memory_);
  OwnMemory memory[4];
  Side sides[] = {Side(memory[0].memory), Side(memory[1].memory),
                  Side(memory[2].memory), Side(memory[3].memory)};
  ReturningHandler handler;
  BusyHandler busy;
  WaitingHandler waiting[3];
  for (WaitingHandler& each : waiting) each.wait.buffers = false;
  waiting[0].wait.fds[0] = {waiting[0].doorbell.fd(), POLLIN, 0};
  waiting[1].wait.deadline_ns = QueueWait::kForever - 1;
  QueueHandler* const others[] = {&busy, &waiting[0], &waiting[1], &waiting[2]};
  std::vector<std::unique_ptr<QueueWorker>> workers;
  for (size_t i = 0; i < 4; ++i) {
    workers.push_back(MakeShared(i, *others[i]));
    workers[i]->Start(sides[i].Resources());
  }
  const auto worker = MakeShared(4, handler);
  worker->Start(side.Resources());
  for (int i = 1; i <= 50; ++i) {
    side.RoundTrip();
    waiting[0].doorbell.Signal();
    while (waiting[0].rings < i) {
      std::this_thread::yield();
    }
  }
  // The last one is not even asked again, until it is woken.
  workers[0]->Stop();
  waiting[2].doorbell.Signal();
  for (int i = 0; i < 50; ++i) side.RoundTrip();
  EXPECT_EQ(waiting[2].rings, 0);
  workers[3]->Wake();
  while (waiting[2].rings == 0) {
    std::this_thread::yield();
  }
  EXPECT_EQ(worker->sleeps(), 0u);
}

TEST_F(SharedPollingTest, SleepsIfNoQueueLooksForAnything) {
  Side a(memory_);
  Side b(other_.memory);
  WaitingHandler handlers[2];
  for (WaitingHandler& each : handlers) each.wait.buffers = false;
  const auto worker_a = MakeShared(0, handlers[0]);
  const auto worker_b = MakeShared(1, handlers[1]);
  worker_a->Start(a.Resources());
  worker_b->Start(b.Resources());
  for (int i = 1; i <= 100; ++i) {
    while (worker_a->sleeps() < static_cast<uint64_t>(i)) {
      std::this_thread::yield();
    }
    handlers[i % 2].doorbell.Signal();
    (i % 2 == 0 ? worker_a : worker_b)->Wake();
    while (handlers[i % 2].rings < (i + 1) / 2)
      WaitFor(handlers[i % 2].drained);
  }
}

TEST_F(SharedPollingTest, StoppedQueueIsNotTouchedWhileTheOtherOneRuns) {
  Side a(memory_);
  ReturningHandler handler_a;
  ReturningHandler handler_b;
  const auto worker_a = MakeShared(0, handler_a);
  const auto worker_b = MakeShared(1, handler_b);
  worker_a->Start(a.Resources());
  std::atomic<bool> end{false};
  std::thread load([&] {
    while (!end) a.RoundTrip();
  });
  for (int i = 0; i < 100; ++i) {
    // Freed at once: whoever touches it then is found by sanitizers.
    const auto memory = std::make_unique<OwnMemory>();
    Side b(memory->memory, {.packed = i % 2 == 0, .size = 8});
    worker_b->Start(b.Resources());
    for (int j = 0; j < i % 4; ++j) b.RoundTrip();
    EXPECT_TRUE(worker_b->Stop().has_value());
    const int drains = handler_b.drains;
    const int interrupts = b.interrupt.count;
    ASSERT_TRUE(b.driver.Chain().Writable(8).Offer().has_value());
    for (int until = handler_a.drains + 3; handler_a.drains < until;) {
      std::this_thread::yield();
    }
    EXPECT_EQ(handler_b.drains, drains);
    EXPECT_EQ(b.interrupt.count, interrupts);
    EXPECT_FALSE(b.driver.HasUsed());
    EXPECT_FALSE(worker_b->Stop().has_value());
  }
  end = true;
  load.join();
}

TEST_F(SharedPollingTest, ViolationOfOneQueueLeavesTheOtherAlone) {
  Side good(other_.memory, {.packed = true});
  ReturningHandler handler_good;
  ReturningHandler handler_bad;
  const auto worker_good = MakeShared(0, handler_good);
  const auto worker_bad = MakeShared(1, handler_bad);
  worker_good->Start(good.Resources());
  std::atomic<bool> end{false};
  std::thread load([&] {
    while (!end) good.RoundTrip();
  });
  for (uint64_t i = 1; i <= 20; ++i) {
    Side bad(memory_, {.packed = false});
    worker_bad->Start(bad.Resources());
    bad.RoundTrip();
    Break(bad);
    WaitFor(bad.host.event);
    EXPECT_EQ(worker_bad->violations(), i);
    EXPECT_TRUE(worker_bad->Stop().has_value());
  }
  end = true;
  load.join();
  worker_good->Stop();
  EXPECT_EQ(worker_good->violations(), 0u);
  EXPECT_EQ(good.host.resets, 0);
}

TEST_F(SharedPollingTest, WorkersEndInAnyOrderWithRunningQueues) {
  std::array<size_t, 3> order = {0, 1, 2};
  do {
    OwnMemory memory[3];
    Side sides[] = {Side(memory[0].memory), Side(memory[1].memory),
                    Side(memory[2].memory)};
    ReturningHandler handlers[3];
    std::array<std::unique_ptr<QueueWorker>, 3> workers;
    {
      PollingThreads threads("dev0");
      for (size_t i = 0; i < 3; ++i) {
        workers[i] =
            QueueWorker::Create({.name = "dev0/q" + std::to_string(i),
                                 .policy = policy_,
                                 .index = i,
                                 .polling = threads.Of(policy_, i).value()},
                                handlers[i], log_)
                .value();
        workers[i]->Start(sides[i].Resources());
      }
    }
    for (size_t ended = 0; ended < 3; ++ended) {
      for (size_t i = ended; i < 3; ++i) sides[order[i]].RoundTrip();
      workers[order[ended]].reset();
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

}  // namespace
}  // namespace annulus::virtio
