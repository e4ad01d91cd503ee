// What a socket device is before, beside and after its queues.

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "devices/virtio/spec/device_id.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/transport/test_driver.h"
#include "devices/virtio/vsock/connection/test_backend.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/queues/recording_muxer.h"
#include "devices/virtio/vsock/vsock_device.h"
#include "devices/virtio/vsock/vsock_device_fixture.h"
#include "devices/virtio/vsock/vsock_guest.h"
#include "devices/virtio/vsock/vsock_options.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class VsockDeviceSetupTest : public testing::Test,
                             protected VsockDeviceFixture {
 protected:
  absl::Status CreateStatus(const VsockOptions& options) {
    return VsockDevice::Create(options, std::make_unique<TestBackend>(),
                               nullptr, log())
        .status();
  }
};

TEST_F(VsockDeviceSetupTest, IsASocketDeviceOfThreeQueues) {
  Make(DefaultOptions(), &MakeMmioTestDriver, {});
  EXPECT_EQ(device().device_id(), kDeviceIdSocket);
  EXPECT_EQ(device().max_queue_sizes(), (std::vector<uint16_t>{256, 256, 256}));
  EXPECT_EQ(device().config_size(), 8u);
  EXPECT_TRUE(device().AcceptFeatures(FeatureSet::Of(kFeatureVersion1)));
}

// "le64 guest_cid": each half of it by itself, and any byte.
TEST_F(VsockDeviceSetupTest, ConfigurationIsTheCidInAnyPieces) {
  VsockOptions options = DefaultOptions();
  options.guest_cid = 0x89abcdef;
  Make(options, &MakeMmioTestDriver, {});
  const std::vector<uint8_t> expected = {0xef, 0xcd, 0xab, 0x89, 0, 0, 0, 0};
  for (uint32_t offset = 0; offset < 8; ++offset) {
    for (uint32_t size = 1; offset + size <= 8; ++size) {
      std::vector<uint8_t> data(size, 0x5a);
      device().ReadConfig(offset, absl::MakeSpan(data));
      EXPECT_EQ(data, std::vector<uint8_t>(expected.begin() + offset,
                                           expected.begin() + offset + size));
    }
  }
  device().WriteConfig(0, std::vector<uint8_t>(8, 0xff));
  EXPECT_EQ(device().guest_cid(), 0x89abcdefu);
}

TEST_F(VsockDeviceSetupTest, OptionsThatMakeNoSenseAreRefusedInOneLine) {
  VsockOptions options = DefaultOptions();
  options.guest_cid = 2;
  EXPECT_EQ(CreateStatus(options).message(),
            "vsock0: CID 2, where 3 to 4294967294 are possible");
  options = DefaultOptions();
  options.dgram = true;
  const absl::Status status = CreateStatus(options);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(
      status.message(),
      "vsock0: dgram, but neither its sockets nor a switch take datagrams");
}

TEST_F(VsockDeviceSetupTest, CidsThatNoGuestCanHaveAreNoneAfterAResetEither) {
  Make(DefaultOptions(), &MakeMmioTestDriver, {});
  const uint32_t generation = device().config_generation();
  for (const uint64_t cid : {uint64_t{0}, uint64_t{2}, uint64_t{0xffffffff},
                             uint64_t{1} << 32 | 3}) {
    EXPECT_TRUE(absl::IsInvalidArgument(device().ResetTransport(cid)));
  }
  EXPECT_EQ(device().guest_cid(), kCid);
  EXPECT_EQ(device().config_generation(), generation);
}

// Other guests would reach it no more.
TEST_F(VsockDeviceSetupTest, PlaceInASwitchKeepsItsCid) {
  Make(DefaultOptions(), &MakeMmioTestDriver, {},
       std::make_unique<RecordingPort>());
  const absl::Status status = device().ResetTransport(kCid + 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_EQ(status.message(),
            "vsock0: CID 43, but other guests reach it by CID 42");
  EXPECT_TRUE(device().ResetTransport(kCid).ok());
}

// With datagrams offered, the event virtqueue is where the negotiated features
// put it.
TEST_F(VsockDeviceSetupTest, EventQueueIsBehindThoseOfDatagrams) {
  VsockOptions options = DefaultOptions();
  options.dgram = true;
  options.numbers.dgram_feature = 20;
  for (const bool negotiated : {false, true}) {
    VsockGuest::Options guest;
    if (negotiated) guest.dgram = 20;
    Make(options, &MakePciTestDriver, guest, std::make_unique<RecordingPort>());
    EXPECT_EQ(device().max_queue_sizes().size(), 5u);
    EXPECT_TRUE(device().offered_features().Has(20));
    this->guest().Start();
    EXPECT_EQ(this->guest().event(), negotiated ? 4 : 2);
    EXPECT_TRUE(device().ResetTransport(kCid).ok());
    EXPECT_EQ(this->guest().AwaitEvent().len, kVsockEventBytes);
    EXPECT_EQ(transport().Status(), 15);
  }
}

// Bits that the options moved: the longer header goes with the bit.
TEST_F(VsockDeviceSetupTest, MergeableHeaderGoesWithItsBit) {
  VsockOptions options = DefaultOptions();
  options.mrg_rxbuf = true;
  options.numbers.mrg_rxbuf_feature = 50;
  for (const bool negotiated : {false, true}) {
    VsockGuest::Options guest;
    if (negotiated) guest.mrg_rxbuf = 50;
    Make(options, &MakeMmioTestDriver, guest);
    this->guest().Start();
    EXPECT_EQ(this->guest().Connect(1, 80).header.op, kVsockOpResponse);
  }
}

TEST_F(VsockDeviceSetupTest, CountersAreLoggedAtItsEnd) {
  Make(DefaultOptions(), &MakeMmioTestDriver, {});
  guest().Start();
  PacketHeader header = guest().Header(kVsockOpRequest, 1, 80);
  header.src_cid = 7;
  guest().Send(header);
  guest().AwaitSent();
  DestroyDevice();
  ASSERT_EQ(log().lines().size(), 3u);
  EXPECT_EQ(log().lines()[0], "vsock0/rx: packets=0 bytes=0 connections=0");
  EXPECT_EQ(log().lines()[1],
            "vsock0/tx: packets=0 bytes=0 connections=0 spoofed=1");
  EXPECT_EQ(log().lines()[2], "vsock0/event: events=0");
}

}  // namespace
}  // namespace annulus::virtio
