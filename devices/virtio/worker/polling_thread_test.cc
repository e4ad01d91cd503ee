#include "devices/virtio/worker/polling_thread.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using Found = PollingThread::Found;

std::unique_ptr<PollingThread> Make() {
  return PollingThread::Create("dev0/cpu0", std::nullopt).value();
}

class CountingMember final : public PollingThread::Member {
 public:
  explicit CountingMember(Found found) : found(found) {}

  void Enter() override { ++entered; }
  Found Look() override {
    EXPECT_GT(entered, left) << "no member looks";
    ++looks;
    return found;
  }
  void Leave() override { ++left; }

  void AwaitLooks(int more) const {
    for (const int until = looks + more; looks < until;) {
      std::this_thread::yield();
    }
  }

  std::atomic<Found> found;
  std::atomic<int> looks{0};
  std::atomic<int> entered{0};
  std::atomic<int> left{0};
};

// What each of them found makes no difference for the others.
TEST(PollingThreadTest, MembersLookInTurn) {
  struct Record {
    std::atomic<bool> on{false};
    std::atomic<bool> full{false};
    std::vector<int> turns;  // The thread's while on, and not full.
  };
  class Recorder final : public PollingThread::Member {
   public:
    Recorder(Record& record, int number, Found found)
        : record_(record), number_(number), found_(found) {}
    void Enter() override {}
    Found Look() override {
      if (record_.on && !record_.full) {
        record_.turns.push_back(number_);
        record_.full = record_.turns.size() == 3000;
      }
      return found_;
    }
    void Leave() override {}

   private:
    Record& record_;
    const int number_;
    const Found found_;
  };
  Record record;
  std::array<Recorder, 3> members = {Recorder(record, 0, Found::kNothing),
                                     Recorder(record, 1, Found::kWork),
                                     Recorder(record, 2, Found::kRest)};
  const auto thread = Make();
  for (Recorder& member : members) thread->Add(member);
  record.on = true;
  while (!record.full) {
    std::this_thread::yield();
  }
  EXPECT_EQ(thread->sleeps(), 0u);
  for (Recorder& member : members) thread->Remove(member);
  for (size_t i = 1; i < record.turns.size(); ++i) {
    ASSERT_EQ(record.turns[i], (record.turns[i - 1] + 1) % 3) << i;
  }
}

TEST(PollingThreadTest, MemberIsLeftAloneFromRemoveOn) {
  CountingMember stays(Found::kWork);
  CountingMember goes(Found::kNothing);
  const auto thread = Make();
  thread->Add(stays);
  for (int i = 1; i <= 200; ++i) {
    thread->Add(goes);
    EXPECT_EQ(goes.entered, i);
    if (i % 2 == 0) goes.AwaitLooks(3);
    thread->Remove(goes);
    EXPECT_EQ(goes.left, i);
    const int looks = goes.looks;
    stays.AwaitLooks(3);
    EXPECT_EQ(goes.looks, looks);
    thread->Remove(goes);  // A second time, which is a no-op.
    EXPECT_EQ(goes.left, i);
  }
  thread->Remove(stays);
}

TEST(PollingThreadTest, MemberThatIsOverIsNotAskedAgain) {
  CountingMember stays(Found::kNothing);
  CountingMember over(Found::kOver);
  const auto thread = Make();
  thread->Add(stays);
  for (int i = 1; i <= 200; ++i) {
    thread->Add(over);
    if (i % 2 == 0) stays.AwaitLooks(2);
    thread->Remove(over);  // Whatever comes first.
    EXPECT_EQ(over.left, i);
    EXPECT_LE(over.looks, i);
  }
  stays.AwaitLooks(2);
  thread->Remove(stays);
}

TEST(PollingThreadTest, SleepsIfAllRestUntilItIsWoken) {
  CountingMember first(Found::kRest);
  CountingMember second(Found::kNothing);
  const auto thread = Make();
  thread->Add(first);
  thread->Add(second);
  second.AwaitLooks(10);
  second.found = Found::kRest;
  for (int i = 0; i < 100; ++i) {
    for (const uint64_t sleeps = thread->sleeps();
         thread->sleeps() == sleeps;) {
      thread->Wake();  // Or it may sleep already.
    }
    const int looks = first.looks;
    thread->Wake();
    while (first.looks == looks) {
      std::this_thread::yield();
    }
  }
  thread->Remove(second);
  thread->Remove(first);
}

// A change that got lost would let this hang.
TEST(PollingThreadTest, ManyComeAndGoAtOnce) {
  const auto thread = Make();
  std::array<std::unique_ptr<CountingMember>, 4> members;
  for (size_t i = 0; i < members.size(); ++i) {
    members[i] =
        std::make_unique<CountingMember>(i == 0       ? Found::kOver
                                         : i % 2 == 0 ? Found::kRest
                                                      : Found::kNothing);
  }
  std::vector<std::thread> threads;
  for (const auto& member : members) {
    threads.emplace_back([&thread, &member] {
      for (int i = 1; i <= 500; ++i) {
        thread->Add(*member);
        thread->Remove(*member);
        EXPECT_EQ(member->entered, i);
        EXPECT_EQ(member->left, i);
      }
    });
  }
  for (std::thread& each : threads) each.join();
}

TEST(PollingThreadTest, CpuThatTheHostDoesNotHaveIsAnError) {
  EXPECT_EQ(PollingThread::Create("dev0/cpu1023", 1023).status().message(),
            "worker of dev0/cpu1023: the host has no CPU 1023, or this process "
            "may not use it");
}

}  // namespace
}  // namespace annulus::virtio
