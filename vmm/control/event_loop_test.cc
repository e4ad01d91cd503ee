#include "vmm/control/event_loop.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "base/event_fd.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(EventLoopTest, CallsBackForEachReadyDescriptorUntilStopped) {
  const std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
  const EventFd first = EventFd::Create().value();
  const EventFd second = EventFd::Create().value();
  int calls = 0;
  ASSERT_TRUE(loop->Watch(first.fd(), EPOLLIN,
                          [&](uint32_t) {
                            first.Drain();
                            ++calls;
                            second.Signal();
                          })
                  .ok());
  ASSERT_TRUE(loop->Watch(second.fd(), EPOLLIN,
                          [&](uint32_t) {
                            second.Drain();
                            ++calls;
                            loop->Stop();
                          })
                  .ok());
  first.Signal();
  loop->Run();
  EXPECT_EQ(calls, 2);
}

TEST(EventLoopTest, CallbackMayUnwatchItsOwnDescriptor) {
  const std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
  const EventFd once = EventFd::Create().value();
  const EventFd last = EventFd::Create().value();
  int calls = 0;
  ASSERT_TRUE(loop->Watch(once.fd(), EPOLLIN,
                          [&](uint32_t) {
                            loop->Unwatch(once.fd());  // It stays readable.
                            ++calls;
                            last.Signal();
                          })
                  .ok());
  ASSERT_TRUE(
      loop->Watch(last.fd(), EPOLLIN, [&](uint32_t) { loop->Stop(); }).ok());
  once.Signal();
  loop->Run();
  EXPECT_EQ(calls, 1);
}

TEST(EventLoopTest, StopFromAnotherThreadWakesASleepingLoop) {
  const std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
  Thread thread = Thread::Start("loop", [&] { loop->Run(); }).value();
  loop->Stop();
  thread.Join();
}

TEST(EventLoopTest, StopBeforeRunIsNotLost) {
  const std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
  loop->Stop();
  loop->Run();
}

TEST(EventLoopTest, RegularFilesAreRefused) {
  const std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
  const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(loop->Watch(file.get(), EPOLLIN, [](uint32_t) {}).code(),
            absl::StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace annulus
