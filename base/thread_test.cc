#include "base/thread.h"

#include <pthread.h>
#include <signal.h>

#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(ThreadTest, RunsItsBodyUnderItsNameWithAllButFaultsBlocked) {
  std::string name;
  bool blocked = false;
  Thread::Start("a name that is far too long",
                [&] {
                  sigset_t mask;
                  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
                  blocked = sigismember(&mask, SIGTERM) == 1 &&
                            sigismember(&mask, SIGSEGV) == 0;
                  char buffer[16] = {};
                  pthread_getname_np(pthread_self(), buffer, sizeof(buffer));
                  name = buffer;
                })
      .value()
      .Join();
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
