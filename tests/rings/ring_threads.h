#ifndef TESTS_RINGS_RING_THREADS_H_
#define TESTS_RINGS_RING_THREADS_H_

#include <poll.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/event_fd.h"
#include "base/sanitizer.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/virtqueue.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

// The two threads of threads_test, and what they and its watchdog share.

namespace annulus::virtio::threads {

struct Case {
  bool packed = false;
  bool event_idx = false;
  bool indirect = false;
  bool in_order = false;
  uint16_t size = 0;
};

inline std::string Name(const Case& c) {
  return absl::StrCat(
      c.packed ? "Packed" : "Split", c.event_idx ? "EventIdx" : "",
      c.indirect ? "Indirect" : "", c.in_order ? "InOrder" : "", c.size);
}

inline uint64_t Buffers(const Case& c) {
  if (const char* steps = std::getenv("ANNULUS_RINGS_STEPS")) {
    return std::strtoull(steps, nullptr, 10);
  }
  const uint64_t buffers = c.size <= 8 ? 3000 : 15000;
  return kSanitizer ? buffers / 3 : buffers;
}

// What buffer `number` asks, in pieces, and what the answer to it is; both
// sides work it out by themselves.
struct Contents {
  explicit Contents(uint64_t number)
      : random(number * 0x9e3779b97f4a7c15u + 1),
        request(absl::StrCat("request ", number, " ",
                             std::string(random() % 40, 'q'))),
        room(static_cast<uint32_t>(random() % 60)),
        answer(static_cast<size_t>(random() % (room + 1)),
               static_cast<char>('a' + number % 26)) {}

  std::minstd_rand random;
  std::string request;
  uint32_t room;       // Writable bytes.
  std::string answer;  // At most `room` bytes.
};

// What the watchdog knows of one side.
struct Progress {
  std::atomic<uint64_t> done{0};  // Buffers added, or popped.
  std::atomic<uint64_t> back{0};  // Buffers got back, or pushed.
  std::atomic<uint64_t> notified{0};
  std::atomic<bool> asleep{false};
  std::atomic<bool> finished{false};

  std::string ToString() const {
    return absl::StrCat(done.load(), " taken, ", back.load(), " given back, ",
                        notified.load(), " notifications sent, ",
                        finished.load() ? "finished"
                        : asleep.load() ? "asleep"
                                        : "awake");
  }
};

class RingThreadsTest : public testing::TestWithParam<Case> {
 protected:
  // One side's wait for the other one's notification. False: the watchdog has
  // had enough.
  bool Sleep(const EventFd& doorbell, Progress& progress) {
    progress.asleep.store(true);
    pollfd fds[] = {{.fd = doorbell.fd(), .events = POLLIN, .revents = 0},
                    {.fd = stop_.fd(), .events = POLLIN, .revents = 0}};
    while (poll(fds, 2, -1) < 0) {
    }
    progress.asleep.store(false);
    (void)doorbell.Drain();
    return fds[1].revents == 0;
  }

  void DriverThread();
  void DeviceThread();
  // These end a thread early where something is wrong.
  bool OfferSome(std::mt19937& random, uint64_t& next);
  bool TakeUsed();
  bool AskForCallback(std::mt19937& random);

  // Anything wrong is said once, by the first who sees it, and ends the test.
  void Fail(const std::string& what) {
    ADD_FAILURE() << what << "\n" << State();
    stop_.Signal();
  }
  std::string State() const {
    return absl::StrCat("driver: ", driver_progress_.ToString(),
                        "\ndevice: ", device_progress_.ToString());
  }

  const Case case_ = GetParam();
  const uint64_t buffers_ = Buffers(case_);
  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 4 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  EventFd to_device_ = EventFd::Create().value();
  EventFd to_driver_ = EventFd::Create().value();
  EventFd stop_ = EventFd::Create().value();

  // The driver thread's.
  FakeDriver driver_{memory_,
                     {.packed = case_.packed,
                      .event_idx = case_.event_idx,
                      .indirect = case_.indirect,
                      .in_order = case_.in_order,
                      .size = case_.size,
                      .bytes = 3 << 20}};
  std::map<uint16_t, uint64_t> in_flight_;  // Number of the buffer, by id.
  Progress driver_progress_;

  // The device thread's.
  Virtqueue queue_ = Virtqueue::Create(memory_, driver_.config()).value();
  Progress device_progress_;
};

}  // namespace annulus::virtio::threads

#endif  // TESTS_RINGS_RING_THREADS_H_
