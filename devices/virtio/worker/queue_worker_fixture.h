#ifndef DEVICES_VIRTIO_WORKER_QUEUE_WORKER_FIXTURE_H_
#define DEVICES_VIRTIO_WORKER_QUEUE_WORKER_FIXTURE_H_

#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "devices/interrupt.h"
#include "devices/virtio/device.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/worker/queue_handler.h"
#include "devices/virtio/worker/queue_worker.h"
#include "devices/virtio/worker/worker_policy.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

// What the tests of QueueWorker share: handlers, and all that is around a
// queue.

namespace annulus::virtio {

using Poll = WorkerPolicy::Poll;

inline void WaitFor(const EventFd& event) {
  pollfd fd = {.fd = event.fd(), .events = POLLIN, .revents = 0};
  ::poll(&fd, 1, -1);
  event.Drain();
}

class TestInterrupt final : public Interrupt {
 public:
  void Trigger() override {
    ++count;
    event.Signal();
  }
  std::atomic<int> count{0};
  EventFd event = EventFd::Create().value();
};

class TestHost final : public DeviceHost {
 public:
  void ConfigChanged() override {}
  void NeedsReset() override {
    ++resets;
    event.Signal();
  }
  std::atomic<int> resets{0};
  EventFd event = EventFd::Create().value();
};

class CountingLog final : public LogSink {
 public:
  void Log(LogSeverity, absl::string_view line) override {
    ++lines;
    MutexLock lock(mu_);
    last_ = std::string(line);
  }
  std::string last() {
    MutexLock lock(mu_);
    return last_;
  }
  std::atomic<int> lines{0};

 private:
  Mutex mu_;
  std::string last_ ABSL_GUARDED_BY(mu_);
};

// Gives every buffer back at once.
class ReturningHandler : public QueueHandler {
 public:
  bool Drain(Virtqueue& queue) override {
    ++drains;
    if (drains == 1) {
      char name[16] = {};
      pthread_getname_np(pthread_self(), name, sizeof(name));
      thread_name = name;
      ::sched_getaffinity(0, sizeof(affinity), &affinity);
    }
    for (int i = 0; i < 4; ++i) {
      if (!queue.Pop(chain_)) return false;
      queue.Push(chain_, 0);
    }
    return true;
  }
  std::atomic<int> drains{0};
  std::string thread_name;  // Read after a Stop(), as the next.
  cpu_set_t affinity = {};

 private:
  DescriptorChain chain_{256};
};

// One queue with all that is around it.
struct Side {
  explicit Side(const memory::GuestMemory& memory,
                FakeDriverOptions options = {})
      : memory(memory), driver(memory, options) {}

  QueueResources Resources() {
    return {.config = driver.config(),
            .memory = &memory,
            .notification = &notification,
            .interrupt = &interrupt,
            .host = &host};
  }

  // Sends one buffer and waits until it is back.
  void RoundTrip() {
    ASSERT_TRUE(driver.Chain().Writable(8).Offer().has_value());
    if (driver.NeedsNotification()) notification.Signal();
    while (!driver.GetUsed().has_value()) {
      if (!driver.EnableCallbacks()) WaitFor(interrupt.event);
      driver.DisableCallbacks();
    }
  }

  const memory::GuestMemory& memory;
  FakeDriver driver;
  EventFd notification = EventFd::Create().value();
  TestInterrupt interrupt;
  TestHost host;
};

// Waits for what it was told to, and says when it was asked to work.
class WaitingHandler final : public QueueHandler {
 public:
  void QueueStarted(Virtqueue&) override { ++started; }
  bool Drain(Virtqueue&) override {
    if (doorbell.Drain() != 0) ++rings;
    drained.Signal();
    return false;
  }
  QueueWait Wait() override { return wait; }
  void QueueStopped() override { ++stopped; }

  EventFd doorbell = EventFd::Create().value();
  EventFd drained = EventFd::Create().value();
  QueueWait wait;  // Constant while a queue runs.
  std::atomic<int> rings{0};
  std::atomic<int> started{0};
  std::atomic<int> stopped{0};
};

class QueueWorkerTest : public testing::Test {
 protected:
  std::unique_ptr<QueueWorker> Make(QueueHandler& handler,
                                    const WorkerPolicy& policy = {
                                        .poll = Poll::kNever}) {
    return QueueWorker::Create({.name = "dev0/q0", .policy = policy}, handler,
                               log_)
        .value();
  }

  // A queue whose driver made an impossible number of buffers available.
  void Break(Side& side) {
    const uint8_t idx[] = {0xff, 0x7f};
    ASSERT_FALSE(side.driver.config().features.Has(kFeatureRingPacked));
    ASSERT_TRUE(memory_.Write(*side.driver.config().driver.CheckedAdd(2), idx));
    side.notification.Signal();
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 1 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  CountingLog log_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_WORKER_QUEUE_WORKER_FIXTURE_H_
