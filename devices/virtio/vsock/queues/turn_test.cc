#include "devices/virtio/vsock/queues/turn.h"

#include <atomic>
#include <cstdint>

#include "absl/status/statusor.h"
#include "base/thread.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// A worker without a pause between its turns lets the other one in.
TEST(TurnTest, InterruptionIsNotStarved) {
  Turn turn;
  std::atomic<bool> stop{false};
  int64_t work = 0;  // Not atomic: the turn guards it, as the next.
  int64_t worked = 0;
  absl::StatusOr<Thread> worker = Thread::Start("test/worker", [&] {
    while (!stop) {
      const Turn::Work in(turn);
      ++work;
      ++worked;
    }
  });
  ASSERT_TRUE(worker.ok());
  for (int i = 0; i < 1000; ++i) {
    const Turn::Interruption in(turn);
    ++work;
  }
  stop = true;
  worker->Join();
  EXPECT_EQ(work, worked + 1000);
}

}  // namespace
}  // namespace annulus::virtio
