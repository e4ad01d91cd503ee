#include "base/thread.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "base/thread_entries.h"
#include "base/thread_setup.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

// Lets vCPUs in, and nobody else.
class VcpusOnly : public ThreadSetup {
 public:
  absl::Status EnterThread(ThreadKind kind, absl::string_view name) override {
    if (kind == ThreadKind::kVcpu) return absl::OkStatus();
    return absl::PermissionDeniedError(name);
  }
};

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

TEST(ThreadTest, SetupOfTheStarterIsThatOfAllThatDescendFromIt) {
  VcpusOnly setup;
  const ScopedThreadSetup scope(&setup);
  bool ran = false;
  absl::Status inner;
  Thread::Start(
      "v",
      [&] {
        ran = true;
        inner = Thread::Start(
                    "q", [] {}, ThreadKind::kQueue)
                    .status();
      },
      ThreadKind::kVcpu)
      .value()
      .Join();
  EXPECT_TRUE(ran);
  EXPECT_EQ(inner, absl::PermissionDeniedError("q"));
}

TEST(ThreadTest, ThreadThatItsSetupRefusesDoesNotRun) {
  VcpusOnly setup;
  bool ran = false;
  {
    const ScopedThreadSetup scope(&setup);
    EXPECT_EQ(Thread::Start("c", [&] { ran = true; }).status(),
              absl::PermissionDeniedError("c"));
  }
  EXPECT_FALSE(ran);
  EXPECT_EQ(ScopedThreadSetup::Current(), nullptr);
  Thread::Start("c", [&] { ran = true; }).value().Join();
  EXPECT_TRUE(ran);
}

// Lets two threads in when both are there.
class PairsOnly : public ThreadSetup {
 public:
  absl::Status EnterThread(ThreadKind, absl::string_view) override {
    MutexLock lock(mu_);
    ++here_;
    changed_.NotifyAll();
    while (here_ % 2 != 0) changed_.Wait(mu_);
    return absl::OkStatus();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  int here_ ABSL_GUARDED_BY(mu_) = 0;
};

TEST(ThreadEntriesTest, ThreadsEnterSideBySide) {
  PairsOnly setup;
  const ScopedThreadSetup scope(&setup);
  std::atomic<int> runs = 0;
  ThreadEntries entries;
  Thread one = Thread::Start("one", [&] { ++runs; }).value();
  Thread two = Thread::Start("two", [&] { ++runs; }).value();
  EXPECT_EQ(entries.Await(), absl::OkStatus());
  one.Join();
  two.Join();
  EXPECT_EQ(runs, 2);
}

TEST(ThreadEntriesTest, RefusalIsToldToWhoAwaitsAndNotToTheStarter) {
  VcpusOnly setup;
  const ScopedThreadSetup scope(&setup);
  std::atomic<int> runs = 0;
  {
    ThreadEntries entries;
    Thread in = Thread::Start(
                    "v", [&] { ++runs; }, ThreadKind::kVcpu)
                    .value();
    EXPECT_EQ(entries.Await(), absl::OkStatus());
    Thread out = Thread::Start("q", [&] { runs += 10; }).value();
    EXPECT_EQ(entries.Await(), absl::PermissionDeniedError("q"));
    in.Join();
    out.Join();
  }
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(ThreadEntries::Current(), nullptr);
  // Again one by one.
  EXPECT_EQ(Thread::Start("r", [] {}).status(),
            absl::PermissionDeniedError("r"));
}

}  // namespace
}  // namespace annulus
