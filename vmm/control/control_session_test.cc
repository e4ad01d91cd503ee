#include "vmm/control/control_session.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "vmm/control/fake_control_target.h"

namespace annulus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class FakeTimer final : public StopTimer {
 public:
  void StopAfter(absl::Duration delay) override { delays.push_back(delay); }
  std::vector<absl::Duration> delays;
};

class ControlSessionTest : public testing::Test {
 protected:
  void Send(const proto::ControlRequest& request) {
    std::string bytes;
    AppendDelimited(request, bytes);
    session_.Receive(bytes);
  }

  std::vector<proto::ControlReply> TakeReplies() {
    DelimitedReader reader(kMaxControlReply);
    reader.Append(session_.output());
    session_.Sent(session_.output().size());
    std::vector<proto::ControlReply> replies;
    while (const auto message = reader.Next()) {
      EXPECT_TRUE(
          replies.emplace_back().ParseFromString(std::string(*message)));
    }
    EXPECT_EQ(reader.pending(), 0u);
    return replies;
  }
  proto::ControlReply Ask(const proto::ControlRequest& request) {
    Send(request);
    const std::vector<proto::ControlReply> replies = TakeReplies();
    EXPECT_THAT(replies, SizeIs(1));
    return replies.empty() ? proto::ControlReply() : replies[0];
  }
  void Subscribe() {
    proto::ControlRequest request;
    request.set_id(9);
    request.mutable_events();
    EXPECT_EQ(Ask(request).code(), proto::OK);
  }

  FakeControlTarget target_;
  FakeTimer timer_;
  ControlSession session_{target_, timer_};
};

TEST_F(ControlSessionTest, StatusTellsWhatThereIs) {
  proto::ControlRequest request;
  request.set_id(0x123456789abcdef0);
  request.mutable_status();
  const proto::ControlReply reply = Ask(request);
  EXPECT_EQ(reply.id(), 0x123456789abcdef0u);
  EXPECT_EQ(reply.code(), proto::OK);
  EXPECT_EQ(reply.status().name(), "fake");
  EXPECT_EQ(reply.status().state(), proto::ControlStatus::RUNNING);
  EXPECT_EQ(reply.status().uptime_ms(), 1500u);
  EXPECT_EQ(reply.status().cpus(), 2u);
}

TEST_F(ControlSessionTest, RequestsReachTheVmInTheirOrder) {
  proto::ControlRequest request;
  request.mutable_pause();
  Send(request);
  request.mutable_resume();
  Send(request);
  request.mutable_link()->set_up(true);
  Send(request);
  request.mutable_stop();
  Send(request);
  EXPECT_THAT(TakeReplies(), SizeIs(4));
  EXPECT_THAT(target_.TakeCalls(),
              ElementsAre("pause", "resume", "link up", "stop"));
}

TEST_F(ControlSessionTest, RefusalsHaveCodeAndText) {
  proto::ControlRequest request;
  request.mutable_link()->set_card(5);
  proto::ControlReply reply = Ask(request);
  EXPECT_EQ(reply.code(), proto::NOT_FOUND);
  EXPECT_EQ(reply.error(), "there is no such card");
  target_.StopByControl();
  request.mutable_pause();
  EXPECT_EQ(Ask(request).code(), proto::FAILED_PRECONDITION);
}

TEST_F(ControlSessionTest, GracefulStopPressesTheButtonAndSetsATimer) {
  proto::ControlRequest request;
  request.mutable_stop()->set_graceful_ms(2500);
  EXPECT_EQ(Ask(request).code(), proto::OK);
  EXPECT_THAT(target_.TakeCalls(), ElementsAre("button"));
  EXPECT_THAT(timer_.delays, ElementsAre(absl::Milliseconds(2500)));
}

TEST_F(ControlSessionTest, GracefulStopWakesAPausedGuest) {
  ASSERT_TRUE(target_.Pause().ok());
  target_.TakeCalls();
  proto::ControlRequest request;
  request.mutable_stop()->set_graceful_ms(1);
  EXPECT_EQ(Ask(request).code(), proto::OK);
  EXPECT_THAT(target_.TakeCalls(), ElementsAre("resume", "button"));
}

TEST_F(ControlSessionTest, EventsComeWithTheIdOfTheirRequestAndOnlyThen) {
  session_.OnEvent({.kind = VmEvent::Kind::kPaused}, 0);
  EXPECT_THAT(TakeReplies(), IsEmpty());
  Subscribe();
  session_.OnEvent({.kind = VmEvent::Kind::kQueueBroken,
                    .time_ns = 5,
                    .device = "net0",
                    .queue = 3},
                   2);
  const std::vector<proto::ControlReply> replies = TakeReplies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].id(), 9u);
  const proto::ControlEvent& event = replies[0].event();
  EXPECT_EQ(event.kind(), proto::ControlEvent::QUEUE_BROKEN);
  EXPECT_EQ(event.time_ns(), 5);
  EXPECT_EQ(event.device(), "net0");
  EXPECT_EQ(event.queue(), 3u);
  EXPECT_EQ(event.lost(), 2u);
}

TEST_F(ControlSessionTest, SlowReaderLosesEventsIsToldHowManyAndHearsTheEnd) {
  Subscribe();
  constexpr uint64_t kEvents = 100000;
  for (uint64_t i = 0; i < kEvents; ++i) {
    session_.OnEvent({.kind = VmEvent::Kind::kLinkChanged, .device = "net0"},
                     0);
  }
  EXPECT_LE(session_.output().size(), ControlSession::kMaxOutput + 100);
  session_.OnEvent({.kind = VmEvent::Kind::kStopped,
                    .exit = VmExit{.reason = ExitReason::kTripleFault}},
                   1);
  const std::vector<proto::ControlReply> replies = TakeReplies();
  ASSERT_GT(replies.size(), 1u);
  const proto::ControlEvent& last = replies.back().event();
  EXPECT_EQ(last.kind(), proto::ControlEvent::STOPPED);
  EXPECT_NE(last.exit_reason(), "");
  EXPECT_EQ(last.lost() + replies.size() - 1, kEvents + 1);
}

TEST_F(ControlSessionTest, WhoDoesNotReadIsNotServedUntilHeDoes) {
  target_.counters = 2000;
  proto::ControlRequest request;
  request.mutable_counters();
  std::string bytes;
  for (int i = 0; i < 100; ++i) AppendDelimited(request, bytes);
  session_.Receive(bytes);
  EXPECT_FALSE(session_.WantsInput());
  const size_t one = session_.output().size();
  EXPECT_LT(one, size_t{1} << 20);
  size_t replies = 0;
  while (!session_.output().empty()) {
    replies += TakeReplies().size();
    session_.Serve();
  }
  EXPECT_EQ(replies, 100u);
  EXPECT_TRUE(session_.WantsInput());
}

TEST_F(ControlSessionTest, UnknownRequestIsAnErrorAndTheSessionGoesOn) {
  EXPECT_EQ(Ask(proto::ControlRequest()).code(), proto::INVALID_ARGUMENT);
  // A field that nobody knows here: number 100, a varint.
  session_.Receive(std::string("\x03\xa0\x06\x01", 4));
  EXPECT_EQ(TakeReplies().at(0).code(), proto::INVALID_ARGUMENT);
  EXPECT_FALSE(session_.failed());
}

TEST_F(ControlSessionTest, GarbageEndsTheSessionWithAnErrorReply) {
  session_.Receive(std::string("\x02\xff\xff", 3));
  EXPECT_EQ(TakeReplies().at(0).code(), proto::INVALID_ARGUMENT);
  EXPECT_TRUE(session_.failed());
  EXPECT_FALSE(session_.WantsInput());
}

TEST_F(ControlSessionTest, TooLongAMessageEndsTheSessionBeforeItComes) {
  session_.Receive(std::string("\x81\x20", 2));  // 4097.
  EXPECT_EQ(TakeReplies().at(0).code(), proto::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(session_.failed());
}

TEST_F(ControlSessionTest, TruncatedRequestDoesNothing) {
  proto::ControlRequest request;
  request.mutable_link()->set_card(0);
  std::string bytes;
  AppendDelimited(request, bytes);
  bytes.pop_back();
  session_.Receive(bytes);
  EXPECT_THAT(TakeReplies(), IsEmpty());
  EXPECT_THAT(target_.TakeCalls(), IsEmpty());
  EXPECT_FALSE(session_.failed());
}

}  // namespace
}  // namespace annulus
