// What a front-end can do with descriptors: bring too many or others than
// eventfds, and play with eventfds that it shares.

#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_server.h"
#include "devices/vhost_user/back_end/front_end_testing.h"
#include "devices/vhost_user/back_end/hostile_front_end_fixture.h"
#include "devices/vhost_user/back_end/listener_testing.h"
#include "devices/vhost_user/back_end/rng_server_testing.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"

namespace annulus::vhost_user {
namespace {

std::vector<RefusedRequest> Cases() {
  return {
    REFUSED("KickWithTwoDescriptors",
            return MessageWith(R::kSetVringKick, uint64_t{0},
                               {queue.kick().fd(), queue.call().fd()});),
        REFUSED("KickWithEightDescriptors",
                return MessageWith(R::kSetVringKick, uint64_t{0},
                                   std::vector<int>(8, queue.kick().fd()));),
        REFUSED("KickIsMemory",
                return MessageWith(R::kSetVringKick, uint64_t{0},
                                   {front_end.ram_fd()});),
        REFUSED("KickIsTheSocket",
                return MessageWith(R::kSetVringKick, uint64_t{0},
                                   {front_end.socket()});),
        REFUSED(
            "KickIsADevice",
            const UniqueFd zero(::open("/dev/zero", O_RDWR | O_CLOEXEC));
            return MessageWith(R::kSetVringKick, uint64_t{0}, {zero.get()});),
        REFUSED(
            "CallIsAPipe", std::array<int, 2> fds = {};
            EXPECT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
            const UniqueFd in(fds[0]); const UniqueFd out(fds[1]);
            return MessageWith(R::kSetVringCall, uint64_t{0}, {out.get()});),
        REFUSED("CallIsTheSocket",
                return MessageWith(R::kSetVringCall, uint64_t{0},
                                   {front_end.socket()});),
        REFUSED(
            "KickIsATimer", const UniqueFd timer(
                                ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
            return MessageWith(R::kSetVringKick, uint64_t{0}, {timer.get()});),
        REFUSED(
            "KickIsAnEpollInstance",
            const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
            return MessageWith(R::kSetVringKick, uint64_t{0}, {epoll.get()});),
        REFUSED("CallOfNoVring",
                return MessageWith(R::kSetVringCall, uint64_t{1},
                                   {queue.call().fd()});),
        REFUSED("ErrIsMemory", return MessageWith(R::kSetVringErr, uint64_t{0},
                                                  {front_end.ram_fd()});),
        REFUSED("ErrTruncated", return MessageOf(R::kSetVringErr, 0);),
  };
}

INSTANTIATE_TEST_SUITE_P(Descriptors, HostileFrontEndTest,
                         ::testing::ValuesIn(Cases()), NameOfRefused);

TEST(HostileDescriptorTest, KickThatIsMadeBlockingDoesNotHoldTheQueueUp) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(true));
  front_end.ShareMemory();
  TestQueue queue(front_end, 0, {});
  queue.SetUp();
  ASSERT_EQ(::fcntl(queue.kick().fd(), F_SETFL, 0), 0);
  for (int i = 0; i < 1000; ++i) {
    queue.Kick();
    (void)queue.kick().Drain();  // Sometimes before the worker does.
  }
  ExpectServed(queue);
  EXPECT_TRUE(front_end.StopVring(0).has_value());
}

// To write to the eventfd would wait until somebody reads it, which nobody
// will; the worker has a reason to signal it.
void FillCallUp(TestFrontEnd& front_end, TestQueue& queue) {
  front_end.Negotiate(FeaturesOf(true));
  front_end.ShareMemory();
  queue.SetUp();
  ExpectServed(queue);
  queue.driver().EnableCallbacks();
  (void)queue.call().Drain();
  const uint64_t full = UINT64_MAX - 1;
  ASSERT_EQ(::write(queue.call().fd(), &full, sizeof(full)),
            ssize_t{sizeof(full)});
  ASSERT_EQ(::fcntl(queue.call().fd(), F_SETFL, 0), 0);
  ASSERT_TRUE(queue.driver().Chain().Writable(16).Offer().has_value());
  queue.Kick();
  while (!queue.driver().HasUsed()) ::sched_yield();
}

TEST(HostileDescriptorTest, CallThatIsFullAndBlockingDoesNotHoldStopUp) {
  ServedFrontEnd served;
  TestQueue queue(*served.front_end, 0, {});
  ASSERT_NO_FATAL_FAILURE(FillCallUp(*served.front_end, queue));
  served.server->Stop();
}

// Though the front-end neither goes nor gives up.
TEST(HostileDescriptorTest, CallThatIsFullHoldsNoRequestUpForGood) {
  TestListener listener;
  const auto server =
      BackEndServer::Create({}, {.listener = DuplicateFd(listener.fd.get())},
                            MakeRng(), NullLogSink())
          .value();
  TestFrontEnd front_end(listener.Connect());
  TestQueue queue(front_end, 0, {});
  ASSERT_NO_FATAL_FAILURE(FillCallUp(front_end, queue));
  EXPECT_TRUE(front_end.StopVring(0).has_value());
  // Nor by the eventfd that it brings.
  const uint64_t full = UINT64_MAX - 1;
  ASSERT_EQ(::fcntl(queue.call().fd(), F_SETFL, O_NONBLOCK), 0);
  (void)queue.call().Drain();
  ASSERT_EQ(::write(queue.call().fd(), &full, sizeof(full)),
            ssize_t{sizeof(full)});
  std::atomic<bool> stop{false};
  std::thread keeps_it_blocking([&] {
    while (!stop) (void)::fcntl(queue.call().fd(), F_SETFL, 0);
  });
  EXPECT_EQ(front_end.Ask(R::kSetVringCall, uint64_t{0}, {queue.call().fd()}),
            0u);
  stop = true;
  keeps_it_blocking.join();
}

TEST(HostileDescriptorTest, CallThatIsFullDoesNotHoldTheNextFrontEndUp) {
  TestListener listener;
  const auto server =
      BackEndServer::Create({}, {.listener = DuplicateFd(listener.fd.get())},
                            MakeRng(), NullLogSink())
          .value();
  TestFrontEnd front_end(listener.Connect());
  TestQueue queue(front_end, 0, {});
  ASSERT_NO_FATAL_FAILURE(FillCallUp(front_end, queue));
  front_end.HangUp();
  TestFrontEnd next(listener.Connect());
  EXPECT_TRUE(next.Get(R::kGetFeatures).has_value());
  // It is told of what was used all the same.
  EXPECT_NE(queue.call().Drain(), 0u);
}

}  // namespace
}  // namespace annulus::vhost_user
