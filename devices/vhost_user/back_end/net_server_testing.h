#ifndef DEVICES_VHOST_USER_BACK_END_NET_SERVER_TESTING_H_
#define DEVICES_VHOST_USER_BACK_END_NET_SERVER_TESTING_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_server.h"
#include "devices/vhost_user/back_end/front_end_testing.h"
#include "devices/vhost_user/back_end/listener_testing.h"
#include "devices/vhost_user/back_end/net_back_end_device.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"

namespace annulus::vhost_user {

inline constexpr uint64_t kNetFeatures =
    uint64_t{1} << virtio::kFeatureVersion1 |
    uint64_t{1} << virtio::kFeatureRingPacked |
    uint64_t{1} << virtio::kFeatureIndirectDesc |
    uint64_t{1} << virtio::kFeatureEventIdx | uint64_t{1} << virtio::kNetMq |
    uint64_t{1} << virtio::kNetMtu | uint64_t{1} << virtio::kNetMac;

// For tests: a network device with its server, for one front-end after the
// other.
class NetServer {
 public:
  explicit NetServer(std::unique_ptr<virtio::NetBackend> backend,
                     uint16_t queue_pairs = 1) {
    virtio::NetOptions options;
    options.features = virtio::AllNetFeatures();
    options.mtu = 1500;
    options.queue_pairs = queue_pairs;
    options.front_end_controls = true;
    auto net =
        virtio::NetDevice::Create(options, std::move(backend), NullLogSink())
            .value();
    device_ = net.get();
    server_ =
        BackEndServer::Create(
            {}, {.listener = DuplicateFd(listener_.fd.get())},
            std::make_unique<NetBackEndDevice>(std::move(net)), NullLogSink())
            .value();
  }

  UniqueFd Connect() const { return listener_.Connect(); }
  virtio::NetDevice& device() { return *device_; }

 private:
  const TestListener listener_;
  virtio::NetDevice* device_ = nullptr;
  std::unique_ptr<BackEndServer> server_;
};

// For tests: the guest with such a card, all of whose queues run.
class NetGuest {
 public:
  explicit NetGuest(const NetServer& server, uint16_t queue_pairs = 1)
      : front_end_(server.Connect()) {
    front_end_.Negotiate(kNetFeatures);
    front_end_.ShareMemory();
    for (uint16_t i = 0; i < 2 * queue_pairs; ++i) {
      queues_.push_back(std::make_unique<TestQueue>(
          front_end_, i,
          virtio::FakeDriverOptions{
              .base = memory::GuestAddress(0x10000 + 0x100000u * i)}));
      queues_.back()->SetUp();
    }
  }

  TestFrontEnd& front_end() { return front_end_; }
  TestQueue& receive(uint16_t pair = 0) { return *queues_[2u * pair]; }
  TestQueue& transmit(uint16_t pair = 0) { return *queues_[2u * pair + 1]; }

  // Has a frame sent, and waits until that is done.
  void Send(const std::string& frame, uint16_t pair = 0) {
    TestQueue& queue = transmit(pair);
    ASSERT_TRUE(queue.driver()
                    .Chain()
                    .Readable(std::string(virtio::kNetHeaderBytes, '\0'))
                    .Readable(frame)
                    .Offer()
                    .has_value());
    queue.Kick();
    (void)queue.AwaitUsed();
  }

  void OfferRoom(uint16_t pair = 0) {
    ASSERT_TRUE(
        receive(pair).driver().Chain().Writable(2048).Offer().has_value());
    receive(pair).Kick();
  }
  // Into room that was offered. Without its header.
  std::string AwaitFrame(uint16_t pair = 0) {
    const std::string bytes = receive(pair).AwaitUsed().data;
    return bytes.size() < virtio::kNetHeaderBytes
               ? std::string()
               : bytes.substr(virtio::kNetHeaderBytes);
  }

 private:
  TestFrontEnd front_end_;
  std::vector<std::unique_ptr<TestQueue>> queues_;
};

using TestMac = std::array<uint8_t, 6>;

inline constexpr TestMac kEveryone = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

inline std::string FrameOf(const TestMac& to, const TestMac& from,
                           const std::string& text) {
  std::string frame(to.begin(), to.end());
  frame.append(from.begin(), from.end());
  frame += "\x88\xb5" + text;
  frame.resize(std::max<size_t>(frame.size(), 60), '.');
  return frame;
}

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_NET_SERVER_TESTING_H_
