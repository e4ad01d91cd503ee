#include "tests/interleaving/world.h"

#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "tests/interleaving/locations.h"

// The memory model, by the usual small programs.

namespace annulus::interleaving {
namespace {

constexpr size_t kX = 0;  // Synchronizing fields.
constexpr size_t kY = 1;
constexpr size_t kData = 0;

class WorldTest : public ::testing::Test {
 protected:
  static Locations Describe() {
    Locations locations;
    locations.AddSync(0, 2, "x");
    locations.AddSync(2, 2, "y");
    locations.AddData(8, 8, "data");
    return locations;
  }

  const Locations locations_ = Describe();
  World world_{locations_, true};
};

TEST_F(WorldTest, StoreBufferingLetsBothSidesReadTheOldValue) {
  ASSERT_TRUE(world_.Store(kDriver, kX, 1, true));
  ASSERT_TRUE(world_.Store(kDevice, kY, 1, true));
  EXPECT_EQ(world_.Readable(kDriver, kY), 2u);
  EXPECT_EQ(world_.Readable(kDevice, kX), 2u);
  EXPECT_EQ(world_.Load(kDriver, kY, 0, true), 0u);
  EXPECT_EQ(world_.Load(kDevice, kX, 0, true), 0u);
}

TEST_F(WorldTest, BehindTwoFencesOneSideSeesTheOthersStore) {
  ASSERT_TRUE(world_.Store(kDriver, kX, 1, false));
  ASSERT_TRUE(world_.Store(kDevice, kY, 1, false));
  world_.Fence(kDriver);
  world_.Fence(kDevice);
  EXPECT_EQ(world_.Readable(kDriver, kY), 2u);
  EXPECT_EQ(world_.Readable(kDevice, kX), 1u);
  EXPECT_EQ(world_.Load(kDevice, kX, 0, false), 1u);
}

TEST_F(WorldTest, OneFenceAloneIsNotEnough) {
  ASSERT_TRUE(world_.Store(kDriver, kX, 1, false));
  world_.Fence(kDriver);
  EXPECT_EQ(world_.Readable(kDevice, kX), 2u);
}

TEST_F(WorldTest, AcquireOfAReleaseOrdersData) {
  ASSERT_TRUE(world_.StoreData(kDriver, kData, 7));
  ASSERT_TRUE(world_.Store(kDriver, kX, 1, true));
  EXPECT_EQ(world_.LoadData(kDevice, kData), std::nullopt);
  world_.Load(kDevice, kX, 1, true);
  EXPECT_EQ(world_.LoadData(kDevice, kData), 7u);
}

TEST_F(WorldTest, WithoutReleaseOrAcquireDataIsNotOrdered) {
  ASSERT_TRUE(world_.StoreData(kDriver, kData, 7));
  ASSERT_TRUE(world_.Store(kDriver, kX, 1, false));
  ASSERT_TRUE(world_.Store(kDriver, kY, 1, true));
  world_.Load(kDevice, kX, 1, true);
  world_.Load(kDevice, kY, 1, false);
  EXPECT_EQ(world_.LoadData(kDevice, kData), std::nullopt);
  world_.Fence(kDevice);  // Makes an acquire of the loads before.
  EXPECT_EQ(world_.LoadData(kDevice, kData), 7u);
}

TEST_F(WorldTest, ALoadOfDataIsOrderedBeforeTheOthersStore) {
  ASSERT_EQ(world_.LoadData(kDevice, kData), 0u);
  EXPECT_FALSE(world_.StoreData(kDriver, kData, 7));
  ASSERT_TRUE(world_.Store(kDevice, kX, 1, true));
  world_.Load(kDriver, kX, 1, true);
  EXPECT_TRUE(world_.StoreData(kDriver, kData, 7));
}

TEST_F(WorldTest, ASideNeverGoesBackToAnOlderValue) {
  ASSERT_TRUE(world_.Store(kDriver, kX, 1, false));
  ASSERT_TRUE(world_.Store(kDriver, kX, 2, false));
  EXPECT_EQ(world_.Load(kDevice, kX, 1, false), 1u);
  EXPECT_EQ(world_.Readable(kDevice, kX), 2u);
  EXPECT_EQ(world_.Load(kDevice, kX, 0, false), 1u);
}

TEST_F(WorldTest, BothSidesStoringUnawareOfEachOtherIsRefused) {
  ASSERT_TRUE(world_.Store(kDriver, kX, 1, false));
  EXPECT_FALSE(world_.Store(kDevice, kX, 2, false));
}

TEST_F(WorldTest, ANotificationTellsWhatWentBefore) {
  ASSERT_TRUE(world_.StoreData(kDriver, kData, 7));
  world_.NotifyOther(kDriver);
  world_.TakeNotification(kDevice);
  EXPECT_FALSE(world_.thread(kDevice).notified);
  EXPECT_EQ(world_.LoadData(kDevice, kData), 7u);
}

// An exchange that happened before leaves nothing behind; and what is left
// survives being stored.
TEST_F(WorldTest, WhatCannotMatterIsForgotten) {
  std::string before;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(world_.StoreData(kDriver, kData, 5));
    ASSERT_TRUE(world_.Store(kDriver, kX, 1, true));
    world_.Fence(kDriver);
    world_.Load(kDevice, kX, world_.Readable(kDevice, kX) - 1, true);
    ASSERT_EQ(world_.LoadData(kDevice, kData), 5u);
    world_.NotifyOther(kDevice);
    world_.TakeNotification(kDriver);
    world_.Normalize();
    if (i > 0) {
      EXPECT_EQ(world_.Encode(), before);
    }
    before = world_.Encode();
  }
  World copy(locations_, true);
  copy.Decode(before);
  EXPECT_EQ(copy.Encode(), before);
}

}  // namespace
}  // namespace annulus::interleaving
