// FrontEndDevice: its configuration space, which the back-end changes.

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/front_end/front_end_card.h"
#include "devices/vhost_user/front_end/front_end_testing.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/message_socket.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"

namespace annulus::vhost_user {
namespace {

// A back-end whose configuration space is a CID, and that can send requests.
class ConfigurationChangeTest : public HostileBackEndTest {
 protected:
  void Serve() {
    Play([this](Message& request) {
      if (request.request == static_cast<uint32_t>(Request::kGetConfig)) {
        return ReplyConfig(request, cid_);
      }
      if (request.request == static_cast<uint32_t>(Request::kSetBackendReqFd)) {
        requests_ = std::move(request.fds[0]);
      }
      return Honest(request, Bit(ProtocolFeature::kReplyAck) |
                                 Bit(ProtocolFeature::kConfig) |
                                 Bit(ProtocolFeature::kBackendReq));
    });
  }

  // What is answered to a request without payload.
  uint64_t Ask(MessageSocket& channel, uint32_t number) {
    Message request;
    request.request = number;
    request.flags |= kFlagNeedReply;
    EXPECT_TRUE(channel.Send(request, stop_, absl::InfiniteDuration()).ok());
    const auto reply = channel.Receive(stop_, absl::InfiniteDuration());
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->Payload<uint64_t>().value_or(UINT64_MAX)
                      : UINT64_MAX;
  }

  UniqueFd requests_;  // Its end, as soon as there is a device.
  std::atomic<uint8_t> cid_{3};
};

constexpr auto kChange = static_cast<uint32_t>(BackEndRequest::kConfigChange);

TEST_F(ConfigurationChangeTest, ReachesTheDriver) {
  Serve();
  auto device = Create(std::make_unique<FrontEndVsock>(0, AllRngFeatures()));
  ASSERT_TRUE(device.ok()) << device.status();
  FrontEndGuest guest(/*packed=*/false);
  guest.StartPlain(**device);
  std::array<uint8_t, 8> config;
  (*device)->ReadConfig(0, absl::MakeSpan(config));
  EXPECT_EQ(config[0], 3);
  const uint32_t generation = (*device)->config_generation();
  cid_ = 7;
  MessageSocket channel(std::move(requests_));
  EXPECT_EQ(Ask(channel, kChange), 0u);
  Await([&] { return guest.host.changes.load() == 1; });
  (*device)->ReadConfig(0, absl::MakeSpan(config));
  EXPECT_EQ(config[0], 7);
  EXPECT_NE((*device)->config_generation(), generation);
  // What it does not know is refused, and no more.
  EXPECT_EQ(Ask(channel, 4711), 1u);
  EXPECT_FALSE(guest.host.needs_reset);
}

// A request that is cut off is awaited without a lock: whoever stops a queue
// hangs here otherwise, until the patience is over.
TEST_F(ConfigurationChangeTest, RequestThatIsCutOffHoldsNobodyUp) {
  patience_ = absl::Hours(1);
  Serve();
  auto device = Create(std::make_unique<FrontEndVsock>(0, AllRngFeatures()));
  ASSERT_TRUE(device.ok()) << device.status();
  FrontEndGuest guest(/*packed=*/false);
  guest.StartPlain(**device);
  ASSERT_EQ(::write(requests_.get(), &kChange, sizeof(kChange)),
            ssize_t{sizeof(kChange)});
  // Until the device has taken it.
  Await([this] {
    int left = 0;
    return ::ioctl(requests_.get(), SIOCOUTQ, &left) == 0 && left == 0;
  });
  EXPECT_TRUE((*device)->StopQueue(0).has_value());
  EXPECT_FALSE(guest.host.needs_reset);
}

TEST_F(ConfigurationChangeTest, ThatIsNotPossibleStaysAway) {
  Serve();
  auto device = Create(std::make_unique<FrontEndVsock>(3, AllRngFeatures()));
  ASSERT_TRUE(device.ok()) << device.status();
  cid_ = 7;  // Not the one that the user gave.
  MessageSocket channel(std::move(requests_));
  EXPECT_EQ(Ask(channel, kChange), 0u);
  // Behind it: this is served after all of that.
  EXPECT_EQ(Ask(channel, 4711), 1u);
  std::array<uint8_t, 8> config;
  (*device)->ReadConfig(0, absl::MakeSpan(config));
  EXPECT_EQ(config[0], 3);
}

}  // namespace
}  // namespace annulus::vhost_user
