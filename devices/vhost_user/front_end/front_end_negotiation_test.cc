// FrontEndDevice: back-ends that say something wrong at the beginning.

#include <sys/eventfd.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "devices/vhost_user/front_end/front_end_card.h"
#include "devices/vhost_user/front_end/front_end_testing.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"

namespace annulus::vhost_user {
namespace {

TEST_F(HostileBackEndTest, SilentOneIsGivenUp) {
  patience_ = absl::Milliseconds(10);
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(HostileBackEndTest, AnswerToSomethingElseIsRefused) {
  Play([this](const Message& request) {
    Message other;
    other.request = request.request + 1;
    return Reply(other, UINT64_MAX);
  });
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HostileBackEndTest, AnswerOfOtherSizeIsRefused) {
  Play([this](const Message& request) {
    return peer_
        ->Send(MakeMessage(request.request, kFlagReply, uint32_t{0}), stop_,
               absl::InfiniteDuration())
        .ok();
  });
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HostileBackEndTest, BackEndOfBeforeVersion1IsRefused) {
  Play([this](const Message& request) {
    return Reply(request, uint64_t{1} << 30);
  });
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kUnimplemented);
}

TEST_F(HostileBackEndTest, AnswerWithADescriptorIsRefused) {
  Play([this](const Message& request) {
    Message reply = MakeMessage(request.request, kFlagReply, UINT64_MAX);
    reply.fds.emplace_back(::eventfd(0, EFD_CLOEXEC));
    return Send(reply);
  });
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HostileBackEndTest, AnswerThatIsARequestIsRefused) {
  Play([this](const Message& request) {
    return Send(MakeMessage(request.request, 0, UINT64_MAX));
  });
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HostileBackEndTest, AnswerThatIsCutOffIsGivenUp) {
  patience_ = absl::Milliseconds(20);
  Play([this](const Message&) {
    const uint32_t part[] = {static_cast<uint32_t>(Request::kGetFeatures)};
    return ::write(peer_->fd(), part, sizeof(part)) == ssize_t{sizeof(part)};
  });
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(HostileBackEndTest, OneThatHangsUpInAnAnswerIsGivenUp) {
  Play([this](const Message&) {
    const uint32_t part[] = {static_cast<uint32_t>(Request::kGetFeatures)};
    (void)!::write(peer_->fd(), part, sizeof(part));
    return false;
  });
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HostileBackEndTest, PayloadWithoutEndIsRefused) {
  Play([this](const Message& request) {
    const uint32_t header[] = {request.request, kFlagReply | 1, UINT32_MAX};
    return ::write(peer_->fd(), header, sizeof(header)) ==
           ssize_t{sizeof(header)};
  });
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(HostileBackEndTest, OneWithoutProtocolFeaturesIsRefused) {
  Play([this](const Message& request) {
    return Reply(request, uint64_t{1} << 32);
  });
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kUnimplemented);
}

TEST_F(HostileBackEndTest, ConfigurationFromAnotherPlaceIsRefused) {
  Play([this](const Message& request) {
    if (request.request != static_cast<uint32_t>(Request::kGetConfig)) {
      return Honest(request, Bit(ProtocolFeature::kConfig));
    }
    Message config = MakeMessage(request.request, kFlagReply, uint64_t{0});
    config.size = request.size;
    config.payload = request.payload;
    config.payload[0] = 4;  // The offset.
    return Send(config);
  });
  EXPECT_EQ(Create(std::make_unique<FrontEndVsock>(3, AllRngFeatures()))
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(HostileBackEndTest, TooManyQueuesAreRefused) {
  Play([this](const Message& request) {
    if (request.request == static_cast<uint32_t>(Request::kGetQueueNum)) {
      return Reply(request, UINT64_MAX);
    }
    if (request.request == static_cast<uint32_t>(Request::kGetConfig)) {
      return ReplyConfig(request);
    }
    return Honest(request, UINT64_MAX);
  });
  EXPECT_EQ(Create(std::make_unique<FrontEndNet>(FrontEndNet::Options{}))
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(HostileBackEndTest, ConfigurationOfOtherSizeIsRefused) {
  Play([this](const Message& request) {
    if (request.request == static_cast<uint32_t>(Request::kGetConfig)) {
      return Reply(request, 0);
    }
    return Honest(request, Bit(ProtocolFeature::kConfig));
  });
  EXPECT_EQ(Create(std::make_unique<FrontEndVsock>(3, AllRngFeatures()))
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace annulus::vhost_user
