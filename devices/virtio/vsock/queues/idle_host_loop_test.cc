#include "devices/virtio/vsock/queues/idle_host_loop.h"

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/event_fd.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/vsock/connection/muxer.h"
#include "devices/virtio/vsock/queues/turn.h"
#include "devices/virtio/worker/queue_handler.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// Counts how often it was polled, and by how many at once.
class PolledMuxer final : public Muxer {
 public:
  void Start(const FeatureSet&) override {}
  void Reset() override {}
  void ResetTransport(uint64_t) override {}
  void PacketFromGuest(const PacketHeader&, const PacketPayload&) override {}
  void Refuse(const PacketHeader&, VsockReset) override {}
  int fd() const override { return event.fd(); }
  int64_t deadline_ns() const override { return deadline; }
  void PollHost(int64_t) override {
    if (inside.exchange(true)) ++collisions;
    (void)event.Drain();
    ++polls;
    inside = false;
  }
  Delivered Deliver(PacketSink&) override { return Delivered::kAll; }
  uint32_t connections() const override { return 0; }

  void AwaitPolls(int count) const {
    while (polls < count) {
    }
  }

  EventFd event = EventFd::Create().value();
  std::atomic<int64_t> deadline{QueueWait::kForever};
  std::atomic<int> polls{0};
  std::atomic<int> collisions{0};
  std::atomic<bool> inside{false};
};

class IdleHostLoopTest : public testing::Test {
 protected:
  PolledMuxer muxer_;
  Turn turn_;
  std::unique_ptr<IdleHostLoop> loop_ =
      IdleHostLoop::Create("test/host", muxer_, turn_).value();
};

TEST_F(IdleHostLoopTest, RunsWhenThereIsSomethingToDo) {
  for (int i = 0; i < 10; ++i) {
    const int polls = muxer_.polls;
    muxer_.event.Signal();
    muxer_.AwaitPolls(polls + 1);
  }
}

TEST_F(IdleHostLoopTest, RunsWhenATimerEnds) {
  muxer_.AwaitPolls(1);
  muxer_.deadline = MonotonicNanoseconds() + 1'000'000;
  loop_->Wake();
  muxer_.AwaitPolls(4);
  muxer_.deadline = QueueWait::kForever;
}

// "Hand over, never share": what the rx worker does with it in its turns is
// never done at the same time here.
TEST_F(IdleHostLoopTest, PausedItIsTheCallersAlone) {
  for (int round = 0; round < 200; ++round) {
    muxer_.event.Signal();
    loop_->Pause();
    int polls;
    {
      const Turn::Work turn(turn_);
      polls = muxer_.polls;
    }
    for (int i = 0; i < 20; ++i) {
      muxer_.event.Signal();
      const Turn::Work turn(turn_);
      muxer_.PollHost(0);
    }
    EXPECT_EQ(muxer_.polls, polls + 20);
    loop_->Resume();
  }
  EXPECT_EQ(muxer_.collisions, 0);
}

// A deadline from before the pause is not what it sleeps until.
TEST_F(IdleHostLoopTest, ResumedItLooksAtTheTimersAnew) {
  muxer_.AwaitPolls(1);
  loop_->Pause();
  muxer_.deadline = MonotonicNanoseconds();
  const int polls = muxer_.polls;
  loop_->Resume();
  muxer_.AwaitPolls(polls + 1);
  muxer_.deadline = QueueWait::kForever;
}

TEST_F(IdleHostLoopTest, EndsWhilePaused) {
  loop_->Pause();
  loop_.reset();
}

}  // namespace
}  // namespace annulus::virtio
