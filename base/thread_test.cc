#include "base/thread.h"

#include <pthread.h>
#include <signal.h>

#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(ThreadTest, RunsItsBodyUnderItsNameWithEverySignalBlocked) {
  std::string name;
  bool blocked = false;
  {
    Thread thread = Thread::Start("a name that is far too long", [&] {
                      sigset_t mask;
                      pthread_sigmask(SIG_SETMASK, nullptr, &mask);
                      blocked = sigismember(&mask, SIGTERM) == 1;
                    }).value();
    char buffer[16] = {};
    pthread_getname_np(thread.handle(), buffer, sizeof(buffer));
    name = buffer;
  }
  EXPECT_TRUE(blocked);
  EXPECT_EQ(name, "a name that is ");
}

TEST(ThreadTest, StarterKeepsItsSignalMask) {
  Thread::Start("t", [] {}).value().Join();
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(sigismember(&mask, SIGTERM), 0);
}

TEST(ThreadTest, MovedFromThreadIsNotJoinedTwice) {
  int runs = 0;
  Thread first = Thread::Start("t", [&] { ++runs; }).value();
  Thread second = std::move(first);
  second.Join();
  second.Join();
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace annulus
