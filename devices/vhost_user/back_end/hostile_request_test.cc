// What a front-end can do wrong: requests that do not exist, were not
// negotiated or are out of order; and what happens to all that are refused.

#include <cstdint>
#include <optional>
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
    REFUSED("NoSuchRequest", return MessageOf(static_cast<R>(99), 8);),
        REFUSED("RequestZero", return MessageOf(static_cast<R>(0), 0);),
        REFUSED("FeaturesTruncated", return MessageOf(R::kSetFeatures, 7);),
        REFUSED("FeaturesNotOffered",
                return MessageWith(R::kSetFeatures, ~uint64_t{0});),
        REFUSED("ProtocolFeaturesTruncated",
                return MessageOf(R::kSetProtocolFeatures, 4);),
        REFUSED("ProtocolFeaturesNotOffered",
                return MessageWith(R::kSetProtocolFeatures, ~uint64_t{0});),
        REFUSED(
            "ConfigWritten",
            struct {
              ConfigDescription d;
              uint32_t v;
            } write = {{0, 4, 0}, 1};
            return MessageWith(R::kSetConfig, write);),
        REFUSED("ConfigTruncated", return MessageOf(R::kSetConfig, 11);),
        REFUSED("ConfigWithoutItsBytes",
                return MessageWith(R::kSetConfig, ConfigDescription{0, 8, 1});),
        REFUSED(
            "ConfigThatWraps",
            return MessageWith(R::kSetConfig,
                               ConfigDescription{UINT32_MAX, UINT32_MAX, 1});),
        REFUSED("ChannelMissing", return MessageOf(R::kSetBackendReqFd, 0);),
        REFUSED("StatusTruncated", return MessageOf(R::kSetStatus, 1);),
        REFUSED("MtuOfAnotherType",
                return MessageWith(R::kNetSetMtu, uint64_t{1500});),
        REFUSED("RarpOfAnotherType",
                return MessageWith(R::kSendRarp, uint64_t{0});),
  };
}

INSTANTIATE_TEST_SUITE_P(Requests, HostileFrontEndTest,
                         ::testing::ValuesIn(Cases()), NameOfRefused);

}  // namespace

TEST_P(HostileFrontEndTest, IsRefusedAndChangesNothing) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(true));
  front_end.ShareMemory();
  TestQueue queue(front_end, 0, {});
  queue.SetUp();
  ExpectServed(queue);
  ASSERT_TRUE(front_end.Send(GetParam().message(front_end, queue)));
  const std::optional<Message> reply = front_end.Receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->Payload<uint64_t>(), 1u);
  ExpectServed(queue);
}

TEST_P(HostileFrontEndTest, EndsTheSessionWhereNobodyListensToARefusal) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(true));
  front_end.ShareMemory();
  TestQueue queue(front_end, 0, {});
  queue.SetUp();
  Message message = GetParam().message(front_end, queue);
  message.flags = kVersion;
  ASSERT_TRUE(front_end.Send(message));
  EXPECT_TRUE(front_end.AwaitHangUp());
}

namespace {

// The requests that have a reply of their own end the session at once.
TEST(HostileRequestTest, RequestsThatAnswerHaveNothingElseToSay) {
  const std::vector<Message (*)()> messages = {
      [] { return MessageOf(R::kGetVringBase, 7); },
      [] {
        return MessageWith(R::kGetVringBase, VringState{1, 0});
      },
      [] { return MessageOf(R::kGetInflightFd, 0); },
      [] {
        return MessageWith(R::kGetInflightFd,
                           InflightDescription{0, 0, 65535, 65535});
      },
      [] { return MessageWith(R::kGetInflightFd, InflightDescription{}); },
      [] { return MessageOf(R::kSetLogBase, 16); },
      [] { return MessageOf(R::kSetLogBase, 8); },
  };
  for (const auto& make : messages) {
    ServedFrontEnd served;
    served.front_end->Negotiate(FeaturesOf(true));
    ASSERT_TRUE(served.front_end->Send(make()));
    EXPECT_TRUE(served.front_end->AwaitHangUp());
  }
}

TEST(HostileRequestTest, ConfigErrorsHaveNoPayload) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  front_end.Negotiate(FeaturesOf(true));
  for (const ConfigDescription wanted :
       {ConfigDescription{0, 8, 0}, ConfigDescription{UINT32_MAX, 1, 0},
        ConfigDescription{256, 0, 1}, ConfigDescription{1, 256, 0}}) {
    ASSERT_TRUE(front_end.Send(MessageWith(R::kGetConfig, wanted)));
    const std::optional<Message> reply = front_end.Receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->size, wanted.offset == 256 ? sizeof(wanted) : 0u);
  }
}

TEST(HostileRequestTest, NothingIsServedThatWasNotNegotiated) {
  for (const R request : {R::kGetQueueNum, R::kGetConfig, R::kGetStatus,
                          R::kGetMaxMemSlots, R::kGetInflightFd}) {
    ServedFrontEnd served;
    ASSERT_TRUE(served.front_end->Send(request));
    EXPECT_TRUE(served.front_end->AwaitHangUp());
  }
}

TEST(HostileRequestTest, OrderDoesNoHarm) {
  ServedFrontEnd served;
  TestFrontEnd& front_end = *served.front_end;
  TestQueue queue(front_end, 0, {});
  ASSERT_TRUE(front_end.Send(R::kSetVringEnable, VringState{0, 1}));
  EXPECT_EQ(front_end.StopVring(0), 0u);  // Never started.
  EXPECT_EQ(front_end.StopVring(0), 0u);
  ASSERT_TRUE(front_end.Send(R::kResetOwner));
  front_end.Negotiate(FeaturesOf(true));
  front_end.Negotiate(FeaturesOf(false));
  front_end.Negotiate(FeaturesOf(true));
  front_end.ShareMemory();
  front_end.ShareMemory();
  queue.SetUp();
  ExpectServed(queue);
  // Another format under traffic: the queue breaks, and no more than that.
  front_end.Negotiate(FeaturesOf(false));
  EXPECT_TRUE(front_end.StopVring(0).has_value());
  EXPECT_TRUE(front_end.Get(R::kGetStatus).has_value());
}

}  // namespace
}  // namespace annulus::vhost_user
