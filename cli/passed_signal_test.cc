#include "cli/passed_signal.h"

#include <signal.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

class SignalsOnceTest : public testing::Test {
 protected:
  void SetUp() override {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &set, nullptr), 0);
    signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    ASSERT_TRUE(signals_.valid());
  }

  // As the kernel shows it.
  signalfd_siginfo Own(int signal) {
    EXPECT_EQ(::kill(::getpid(), signal), 0);
    return Next();
  }
  signalfd_siginfo Passed(int signal) {
    PassSignal(::getpid(), signal);
    return Next();
  }

  SignalsOnce once_;

 private:
  signalfd_siginfo Next() {
    signalfd_siginfo info = {};
    EXPECT_EQ(::read(signals_.get(), &info, sizeof(info)),
              static_cast<ssize_t>(sizeof(info)));
    return info;
  }

  UniqueFd signals_;
};

TEST_F(SignalsOnceTest, WhatAlsoWasPassedOnIsOne) {
  EXPECT_TRUE(once_.Counts(Own(SIGTERM), 1));
  EXPECT_FALSE(once_.Counts(Passed(SIGTERM), 2));
  // In any order.
  EXPECT_TRUE(once_.Counts(Passed(SIGTERM), 3));
  EXPECT_FALSE(once_.Counts(Own(SIGTERM), 4));
}

TEST_F(SignalsOnceTest, WhatWasSentTwiceIsTwo) {
  EXPECT_TRUE(once_.Counts(Own(SIGTERM), 1));
  EXPECT_TRUE(once_.Counts(Own(SIGTERM), 2));
  EXPECT_TRUE(once_.Counts(Passed(SIGHUP), 3));
  EXPECT_TRUE(once_.Counts(Passed(SIGHUP), 4));
  EXPECT_TRUE(once_.Counts(Passed(SIGTERM), 5));
  EXPECT_FALSE(once_.Counts(Own(SIGTERM), 6));
  EXPECT_TRUE(once_.Counts(Own(SIGTERM), 7));
}

TEST_F(SignalsOnceTest, WhatComesLaterIsAnother) {
  EXPECT_TRUE(once_.Counts(Own(SIGTERM), 1));
  EXPECT_TRUE(once_.Counts(Passed(SIGTERM), 1 + kSecond));
}

}  // namespace
}  // namespace annulus::cli
