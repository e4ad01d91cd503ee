#include "tests/interleaving/mutation.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ostream>
#include <string>

#include "gtest/gtest.h"
#include "tests/interleaving/scenario.h"

// The checker has to find each of these mistakes, or what it says of the code
// without them is worth nothing.

namespace annulus::interleaving {
namespace {

constexpr size_t kMaxStates = 2'000'000;

using Mistake = Mutation::Kind;

struct Case {
  const char* name;
  Mutation mutation;
  bool event_idx;
  uint16_t size;
  Shape shape = Shape::kSingle;
  bool packed_only = false;
  bool weak_only = false;  // x86 orders it anyway.
};

void PrintTo(const Case& c, std::ostream* os) { *os << c.name; }

class MutationTest : public ::testing::TestWithParam<Case> {
 protected:
  static Scenario ScenarioOf(bool packed, Model model) {
    const Case& c = GetParam();
    return {.packed = packed,
            .size = c.size,
            .driver_event_idx = c.event_idx,
            .device_event_idx = c.event_idx,
            .shape = c.shape,
            .buffers = 2u * c.size + 1,
            .model = model,
            .mutation = c.mutation};
  }

  static void ExpectFound(const Scenario& scenario) {
    const Exploration found = Check(scenario, kMaxStates);
    std::printf("%s: %s\n%s\n", scenario.Name().c_str(),
                found.Summary().c_str(), found.failure.c_str());
    for (const std::string& line : found.trace) {
      std::printf("%s\n", line.c_str());
    }
    EXPECT_NE(found.failure, "") << "not found: " << found.Summary();
    EXPECT_FALSE(found.trace.empty());
  }

  static void ExpectNotFound(const Scenario& scenario) {
    const Exploration found = Check(scenario, kMaxStates);
    EXPECT_EQ(found.failure, "");
    EXPECT_TRUE(found.complete);
  }
};

TEST_P(MutationTest, IsFoundInThePackedRing) {
  ExpectFound(ScenarioOf(true, Model::kWeak));
}

TEST_P(MutationTest, IsFoundInTheSplitRing) {
  if (GetParam().packed_only) GTEST_SKIP() << "of the packed ring alone";
  ExpectFound(ScenarioOf(false, Model::kWeak));
}

// The fences are needed on x86 too; releases and acquires come for free there.
TEST_P(MutationTest, IsFoundOnX86WhereItMatters) {
  const Scenario scenario = ScenarioOf(true, Model::kX86);
  if (GetParam().weak_only) {
    ExpectNotFound(scenario);
  } else {
    ExpectFound(scenario);
  }
}

constexpr Case kCases[] = {
    {"DeviceFenceMissingInPublish",
     {Mistake::kNoFence, Call::kPublish},
     true,
     1},
    {"DeviceFenceMissingInEnableNotifications",
     {Mistake::kNoFence, Call::kEnableNotifications},
     true,
     1},
    {"DriverFenceMissingInNeedsNotification",
     {Mistake::kNoFence, Call::kNeedsNotification},
     true,
     1},
    {"DriverFenceMissingInEnableCallbacks",
     {Mistake::kNoFence, Call::kEnableCallbacks},
     true,
     1},
    {"DeviceFenceMissingInPublishFlags",
     {Mistake::kNoFence, Call::kPublish},
     false,
     1},
    {"DeviceFenceMissingInEnableNotificationsFlags",
     {Mistake::kNoFence, Call::kEnableNotifications},
     false,
     1},
    {"DriverFenceMissingInNeedsNotificationFlags",
     {Mistake::kNoFence, Call::kNeedsNotification},
     false,
     1},
    {"DriverFenceMissingInEnableCallbacksFlags",
     {Mistake::kNoFence, Call::kEnableCallbacks},
     false,
     1},
    {"DeviceTestsForEquality",
     {Mistake::kEqualityTest, Call::kPublish},
     true,
     2},
    {"DriverTestsForEquality",
     {Mistake::kEqualityTest, Call::kNeedsNotification},
     true,
     2},
    {"DeviceDoesNotLookAgain",
     {Mistake::kNoRecheck, Call::kEnableNotifications},
     true,
     1},
    {"DriverDoesNotLookAgain",
     {Mistake::kNoRecheck, Call::kEnableCallbacks},
     true,
     1},
    {"DeviceDoesNotNotify",
     {Mistake::kNoNotification, Call::kPublish},
     true,
     1},
    {"DriverDoesNotNotify",
     {Mistake::kNoNotification, Call::kNeedsNotification},
     true,
     1},
    {"DeviceEventIsWrong",
     {Mistake::kWrongEvent, Call::kEnableNotifications},
     true,
     2},
    {"DriverEventIsWrong",
     {Mistake::kWrongEvent, Call::kEnableCallbacks},
     true,
     2},
    {"FirstOfAChainIsPublishedFirst",
     {Mistake::kFirstTooEarly, Call::kAdd},
     true,
     2,
     Shape::kPair},
    {"DriverReleaseMissing",
     {Mistake::kRelaxedStore, Call::kAdd},
     true,
     1,
     Shape::kSingle,
     false,
     true},
    {"DeviceReleaseMissing",
     {Mistake::kRelaxedStore, Call::kPublish},
     true,
     1,
     Shape::kSingle,
     false,
     true},
    {"DeviceAcquireMissing",
     {Mistake::kRelaxedLoad, Call::kPop},
     true,
     1,
     Shape::kSingle,
     false,
     true},
    {"DriverAcquireMissing",
     {Mistake::kRelaxedLoad, Call::kGetUsed},
     true,
     1,
     Shape::kSingle,
     false,
     true},
};

INSTANTIATE_TEST_SUITE_P(All, MutationTest, ::testing::ValuesIn(kCases),
                         [](const auto& info) {
                           return std::string(info.param.name);
                         });

}  // namespace
}  // namespace annulus::interleaving
