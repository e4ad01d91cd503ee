// What a front-end can say wrong of vrings.

#include <cstdint>
#include <vector>

#include "devices/vhost_user/back_end/front_end_testing.h"
#include "devices/vhost_user/back_end/hostile_front_end_fixture.h"
#include "devices/vhost_user/back_end/rng_server_testing.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"

namespace annulus::vhost_user {
namespace {

std::vector<RefusedRequest> Cases() {
  return {
    REFUSED("NumTruncated", return MessageOf(R::kSetVringNum, 7);),
        REFUSED("NumTooLong", return MessageOf(R::kSetVringNum, 9);),
        REFUSED("NumOfNoVring",
                return MessageWith(R::kSetVringNum, VringState{1, 16});),
        REFUSED("NumOfVring255",
                return MessageWith(R::kSetVringNum, VringState{255, 16});),
        REFUSED(
            "NumOfVringMax",
            return MessageWith(R::kSetVringNum, VringState{UINT32_MAX, 16});),
        REFUSED("NumZero",
                return MessageWith(R::kSetVringNum, VringState{0, 0});),
        REFUSED("NumTooGreat",
                return MessageWith(R::kSetVringNum, VringState{0, 65535});),
        REFUSED("NumThatWraps", return MessageWith(R::kSetVringNum,
                                                   VringState{0, 65536 + 16});),
        REFUSED("NumOfRunningVring",
                return MessageWith(R::kSetVringNum, VringState{0, 8});),
        REFUSED("BaseOfRunningVring",
                return MessageWith(R::kSetVringBase, VringState{0, 3});),
        REFUSED("BaseTruncated", return MessageOf(R::kSetVringBase, 4);),
        REFUSED("BaseOfNoVring",
                return MessageWith(R::kSetVringBase, VringState{1, 0});),
        REFUSED("AddrTruncated", return MessageOf(R::kSetVringAddr, 39);),
        REFUSED("AddrOfNoVring", return MessageWith(R::kSetVringAddr,
                                                    VringAddress{.index = 1});),
        REFUSED("EnableTruncated", return MessageOf(R::kSetVringEnable, 0);),
        REFUSED("EnableOfNoVring",
                return MessageWith(R::kSetVringEnable, VringState{1, 1});),
        REFUSED("EnableTwo",
                return MessageWith(R::kSetVringEnable, VringState{0, 2});),
        REFUSED("EnableWithDescriptor",
                return MessageWith(R::kSetVringEnable, VringState{0, 1},
                                   {queue.kick().fd()});),
        REFUSED("KickTruncated",
                return MessageOf(R::kSetVringKick, 4, {queue.kick().fd()});),
        REFUSED("KickWithoutDescriptor",
                return MessageWith(R::kSetVringKick, uint64_t{0});),
        REFUSED("KickWithDeniedDescriptor",
                return MessageWith(R::kSetVringKick, kVringNoFd,
                                   {queue.kick().fd()});),
        REFUSED("KickOfVring255",
                return MessageWith(R::kSetVringKick, uint64_t{255},
                                   {queue.kick().fd()});),
  };
}

INSTANTIATE_TEST_SUITE_P(Vrings, HostileFrontEndTest,
                         ::testing::ValuesIn(Cases()), NameOfRefused);

// bad_inputs.md A8: "Ring addresses anywhere".
TEST(HostileVringTest, RingAddressesAnywhereBreakTheirQueueAlone) {
  for (const uint64_t at :
       {uint64_t{0}, TestFrontEnd::kUserStart - 1, TestFrontEnd::kUserStart + 1,
        TestFrontEnd::kUserStart + TestFrontEnd::kRamBytes - 16,
        TestFrontEnd::kUserStart + TestFrontEnd::kRamBytes, UINT64_MAX - 15}) {
    for (const bool packed : {true, false}) {
      ServedFrontEnd served;
      TestFrontEnd& front_end = *served.front_end;
      front_end.Negotiate(FeaturesOf(packed));
      front_end.ShareMemory();
      TestQueue queue(front_end, 0, {.packed = packed});
      queue.SetUp();
      VringAddress address = queue.Addresses();
      address.descriptor = at;
      ASSERT_EQ(front_end.Ask(R::kSetVringAddr, address), 0u);
      address = queue.Addresses();
      address.used = address.available = at;
      ASSERT_EQ(front_end.Ask(R::kSetVringAddr, address), 0u);
      EXPECT_TRUE(front_end.Get(R::kGetStatus).has_value());
      EXPECT_TRUE(front_end.StopVring(0).has_value());
    }
  }
}

TEST(HostileVringTest, SizesThatTheFormatDoesNotKnowBreakTheQueue) {
  for (const uint32_t size : {3u, 1u, 255u}) {
    ServedFrontEnd served;
    TestFrontEnd& front_end = *served.front_end;
    front_end.Negotiate(FeaturesOf(false));
    front_end.ShareMemory();
    TestQueue queue(front_end, 0, {.packed = false});
    ASSERT_EQ(front_end.Ask(R::kSetVringNum, VringState{0, size}), 0u);
    ASSERT_EQ(front_end.Ask(R::kSetVringAddr, queue.Addresses()), 0u);
    ASSERT_EQ(front_end.Ask(R::kSetVringErr, uint64_t{0}, {queue.error().fd()}),
              0u);
    ASSERT_EQ(front_end.Ask(R::kSetVringEnable, VringState{0, 1}), 0u);
    ASSERT_EQ(front_end.Ask(R::kSetVringKick, uint64_t{0}, {queue.kick().fd()}),
              0u);
    if (size != 1) queue.AwaitError();
    EXPECT_TRUE(front_end.StopVring(0).has_value());
  }
}

}  // namespace
}  // namespace annulus::vhost_user
