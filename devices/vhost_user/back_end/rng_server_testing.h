#ifndef DEVICES_VHOST_USER_BACK_END_RNG_SERVER_TESTING_H_
#define DEVICES_VHOST_USER_BACK_END_RNG_SERVER_TESTING_H_

#include <memory>
#include <utility>

#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_server.h"
#include "devices/vhost_user/back_end/front_end_testing.h"
#include "devices/vhost_user/back_end/plain_device.h"
#include "devices/virtio/rng/rng_device.h"
#include "devices/virtio/spec/features.h"
#include "gtest/gtest.h"

namespace annulus::vhost_user {

inline constexpr uint64_t kRngFeatures =
    uint64_t{1} << virtio::kFeatureVersion1 |
    uint64_t{1} << virtio::kFeatureIndirectDesc |
    uint64_t{1} << virtio::kFeatureEventIdx;

inline uint64_t FeaturesOf(bool packed) {
  return kRngFeatures |
         (packed ? uint64_t{1} << virtio::kFeatureRingPacked : 0);
}

inline std::unique_ptr<BackEndDevice> MakeRng() {
  return std::make_unique<PlainBackEndDevice>(
      virtio::RngDevice::Create({}, NullLogSink()).value());
}

// A server of one device and its front-end, over a pair of sockets.
struct ServedFrontEnd {
  explicit ServedFrontEnd(std::unique_ptr<BackEndDevice> device = MakeRng(),
                          UniqueFd state_file = UniqueFd()) {
    std::pair<UniqueFd, UniqueFd> sockets = SocketPair();
    server = BackEndServer::Create({.state_file = std::move(state_file)},
                                   {.connection = std::move(sockets.first)},
                                   std::move(device), NullLogSink())
                 .value();
    front_end = std::make_unique<TestFrontEnd>(std::move(sockets.second));
  }

  std::unique_ptr<BackEndServer> server;
  std::unique_ptr<TestFrontEnd> front_end;
};

// Has one buffer filled.
inline void ExpectServed(TestQueue& queue) {
  ASSERT_TRUE(queue.driver().Chain().Writable(16).Offer().has_value());
  queue.Kick();
  EXPECT_EQ(queue.AwaitUsed().len, 16u);
}

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_RNG_SERVER_TESTING_H_
