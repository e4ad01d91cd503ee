#include "devices/virtio/vsock/switch/vsock_switch.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/log_sink.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/switch/switch_fixture.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kMiB = 1024 * 1024;

class VsockSwitchTest : public ::testing::Test {
 protected:
  // Between these ports.
  void Connect(TestGuest& from, TestGuest& to, uint32_t from_port = 1000,
               uint32_t to_port = 80) {
    ASSERT_EQ(from.Send(to.cid(), from_port, to_port, kVsockOpRequest),
              std::nullopt);
    ASSERT_THAT(to.Ops(), ElementsAre(kVsockOpRequest));
    ASSERT_EQ(to.Send(from.cid(), to_port, from_port, kVsockOpResponse),
              std::nullopt);
    ASSERT_THAT(from.Ops(), ElementsAre(kVsockOpResponse));
  }

  const std::shared_ptr<VsockSwitch> switch_ = *VsockSwitch::Create({});
};

TEST_F(VsockSwitchTest, PacketsPassWithTheirCreditUntouched) {
  TestGuest a(*switch_, 3), b(*switch_, 4);
  PacketHeader request = a.Header(4, 1000, 80, kVsockOpRequest);
  request.buf_alloc = 262144;
  ASSERT_EQ(a.Send(request), std::nullopt);
  b.Deliver();
  ASSERT_EQ(b.sink.packets.size(), 1u);
  EXPECT_EQ(b.sink.packets[0].header, request);

  PacketHeader data = b.Header(3, 80, 1000, kVsockOpRw);
  data.buf_alloc = 4096;
  data.fwd_cnt = 0xffffffff;
  ASSERT_EQ(b.Send(b.Header(3, 80, 1000, kVsockOpResponse)), std::nullopt);
  ASSERT_EQ(b.Send(data, "hello, guest"), std::nullopt);
  a.Deliver();
  ASSERT_EQ(a.sink.packets.size(), 2u);
  data.len = 12;
  EXPECT_EQ(a.sink.packets[1].header, data);
  EXPECT_EQ(a.sink.packets[1].payload, "hello, guest");
}

TEST_F(VsockSwitchTest, APacketLargerThanTheBuffersGoesOnWhereItStopped) {
  TestGuest a(*switch_, 3), b(*switch_, 4);
  Connect(a, b);
  PacketHeader data = a.Header(4, 1000, 80, kVsockOpRw);
  data.flags = kVsockSeqEom;
  std::string payload;
  for (int i = 0; payload.size() < 10000; ++i) absl::StrAppend(&payload, i);
  ASSERT_EQ(a.Send(data, payload), std::nullopt);
  ASSERT_EQ(a.Send(4, 1000, 80, kVsockOpShutdown), std::nullopt);
  b.sink.buffers = 1;
  EXPECT_FALSE(b.Deliver());
  EXPECT_EQ(b.sink.packets.size(), 1u);
  EXPECT_FALSE(b.Deliver());
  b.sink.buffers = 2;
  EXPECT_FALSE(b.Deliver());
  b.sink.buffers = 1;
  EXPECT_TRUE(b.Deliver());
  ASSERT_EQ(b.sink.packets.size(), 4u);
  std::string received;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(b.sink.packets[i].header.flags, i == 2 ? kVsockSeqEom : 0);
    received += b.sink.packets[i].payload;
  }
  EXPECT_EQ(received, payload);
  EXPECT_EQ(b.sink.packets[3].header.op, kVsockOpShutdown);
}

TEST_F(VsockSwitchTest, TheDoorbellIsRungForTheFirstPacketAlone) {
  TestGuest a(*switch_, 3), b(*switch_, 4);
  EXPECT_FALSE(b.Readable());
  a.Send(4, 1000, 80, kVsockOpRequest);
  EXPECT_TRUE(b.Readable());
  b.sink.buffers = 0;
  EXPECT_FALSE(b.Deliver());
  EXPECT_FALSE(b.Readable());  // It waits for buffers, and must not spin.
  a.Send(4, 1001, 80, kVsockOpRequest);
  EXPECT_FALSE(b.Readable());
  b.sink.buffers = 10;
  EXPECT_TRUE(b.Deliver());
  EXPECT_EQ(b.sink.packets.size(), 2u);
  EXPECT_FALSE(b.Readable());
}

TEST_F(VsockSwitchTest, WhatIsLeftAtTheBoundOfOneCallRingsAgain) {
  TestGuest a(*switch_, 3), b(*switch_, 4);
  for (uint32_t i = 0; i < 1000; ++i) a.Send(4, i, 80, kVsockOpRequest);
  EXPECT_TRUE(b.Deliver());
  EXPECT_LT(b.sink.packets.size(), 1000u);
  while (b.Readable()) EXPECT_TRUE(b.Deliver());
  ASSERT_EQ(b.sink.packets.size(), 1000u);
  for (uint32_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(b.sink.packets[i].header.src_port, i);
  }
}

TEST_F(VsockSwitchTest, OnlyTheMembersOfAConnectionTalk) {
  TestGuest a(*switch_, 3), b(*switch_, 4), c(*switch_, 5);
  Connect(a, b);
  // Each as if it were the other's connection; a RST is never answered.
  EXPECT_EQ(c.Send(4, 1000, 80, kVsockOpRw, "x"), VsockReset::kUnknown);
  EXPECT_EQ(c.Send(4, 1000, 80, kVsockOpRst), std::nullopt);
  EXPECT_EQ(c.Send(3, 80, 1000, kVsockOpShutdown), VsockReset::kUnknown);
  EXPECT_EQ(b.Send(3, 81, 1000, kVsockOpResponse), VsockReset::kUnknown);
  PacketHeader other_type = b.Header(3, 80, 1000, kVsockOpRw);
  other_type.type = kVsockTypeSeqpacket;
  EXPECT_EQ(b.Send(other_type, "x"), VsockReset::kUnknown);
  EXPECT_THAT(a.Ops(), IsEmpty());
  EXPECT_THAT(b.Ops(), IsEmpty());
  EXPECT_EQ(b.Send(3, 80, 1000, kVsockOpRw, "x"), std::nullopt);
  EXPECT_THAT(a.Ops(), ElementsAre(kVsockOpRw));
}

TEST_F(VsockSwitchTest, NobodyIsReachedWhoIsNotThere) {
  TestGuest a(*switch_, 3);
  for (const uint64_t cid :
       {uint64_t{0}, uint64_t{1}, uint64_t{3}, uint64_t{4},
        uint64_t{0xffffffff}, ~uint64_t{0}, uint64_t{1} << 32 | 4}) {
    EXPECT_EQ(a.Send(cid, 1, 2, kVsockOpRequest), VsockReset::kUnreachable)
        << cid;
    EXPECT_EQ(a.Send(cid, 1, 2, kVsockOpRst), std::nullopt) << cid;
  }
  auto stopped = *switch_->Attach(4, {}, NullLogSink());
  EXPECT_EQ(a.Send(4, 1, 2, kVsockOpRequest), VsockReset::kUnreachable);
  stopped->Start();
  EXPECT_EQ(a.Send(4, 1, 2, kVsockOpRequest), std::nullopt);
  stopped->Reset();
  EXPECT_EQ(a.Send(4, 1, 2, kVsockOpRequest), VsockReset::kUnreachable);
  stopped.reset();
  EXPECT_EQ(a.Send(4, 1, 2, kVsockOpRequest), VsockReset::kUnreachable);
  TestGuest successor(*switch_, 4);
  EXPECT_EQ(a.Send(4, 1, 2, kVsockOpRequest), std::nullopt);
}

TEST_F(VsockSwitchTest, AResetGoesBehindTheDataThatWaits) {
  TestGuest a(*switch_, 3), b(*switch_, 4);
  Connect(a, b);
  a.Send(4, 1000, 80, kVsockOpRw, "last words");
  a.Send(4, 1000, 80, kVsockOpRst);
  EXPECT_THAT(b.Ops(), ElementsAre(kVsockOpRw, kVsockOpRst));
  // Both ends are free of it.
  EXPECT_EQ(b.Send(3, 80, 1000, kVsockOpRw, "x"), VsockReset::kUnknown);
  EXPECT_EQ(a.Send(4, 1000, 80, kVsockOpRw, "x"), VsockReset::kUnknown);
}

// Lesson of cloud-hypervisor 538237492: one that answered would hit a new
// connection of the same ports.
TEST_F(VsockSwitchTest, WhoseResetWaitsIsNotToldTwice) {
  TestGuest a(*switch_, 3), b(*switch_, 4);
  Connect(a, b);
  b.Send(3, 80, 1000, kVsockOpRst);
  EXPECT_EQ(a.Send(4, 1000, 80, kVsockOpRw, "x"), std::nullopt);
  EXPECT_EQ(a.Send(4, 1000, 80, kVsockOpShutdown), std::nullopt);
  EXPECT_THAT(b.Ops(), IsEmpty());
  EXPECT_THAT(a.Ops(), ElementsAre(kVsockOpRst));
}

TEST_F(VsockSwitchTest, PortsAreReusedWhileTheResetOfTheOldConnectionWaits) {
  TestGuest a(*switch_, 3), b(*switch_, 4);
  Connect(a, b);
  // b's guest is slow: it gets all of the old connection, then the new one.
  a.Send(4, 1000, 80, kVsockOpRw, "old");
  a.Send(4, 1000, 80, kVsockOpRst);
  a.Send(4, 1000, 80, kVsockOpRequest);
  // It answers what it knows of, the old one, which is not for the new one.
  EXPECT_EQ(b.Send(3, 80, 1000, kVsockOpRw, "old"), std::nullopt);
  EXPECT_THAT(a.Ops(), IsEmpty());
  EXPECT_THAT(b.Ops(), ElementsAre(kVsockOpRw, kVsockOpRst, kVsockOpRequest));
  EXPECT_EQ(b.Send(3, 80, 1000, kVsockOpResponse), std::nullopt);
  EXPECT_THAT(a.Ops(), ElementsAre(kVsockOpResponse));
}

TEST_F(VsockSwitchTest, ARequestReplacesTheConnectionAtBothEnds) {
  TestGuest a(*switch_, 3), b(*switch_, 4);
  Connect(a, b);
  b.Send(3, 80, 1000, kVsockOpRw, "for the old one");
  EXPECT_EQ(a.Send(4, 1000, 80, kVsockOpRequest), std::nullopt);
  EXPECT_THAT(a.Ops(), IsEmpty());
  EXPECT_THAT(b.Ops(), ElementsAre(kVsockOpRst, kVsockOpRequest));
  b.Send(3, 80, 1000, kVsockOpResponse);
  EXPECT_THAT(a.Ops(), ElementsAre(kVsockOpResponse));
}

TEST_F(VsockSwitchTest, WhoWaitsForAnAnswerGetsNothingElse) {
  TestGuest a(*switch_, 3), b(*switch_, 4);
  a.Send(4, 1000, 80, kVsockOpRequest);
  EXPECT_THAT(b.Ops(), ElementsAre(kVsockOpRequest));
  EXPECT_EQ(b.Send(3, 80, 1000, kVsockOpCreditRequest), std::nullopt);
  EXPECT_THAT(a.Ops(), IsEmpty());
  EXPECT_EQ(b.Send(3, 80, 1000, kVsockOpRst), std::nullopt);
  EXPECT_THAT(a.Ops(), ElementsAre(kVsockOpRst));
}

TEST_F(VsockSwitchTest, ADeviceResetTellsAllOthers) {
  TestGuest a(*switch_, 3), b(*switch_, 4), c(*switch_, 5);
  Connect(a, b);
  Connect(b, c, 2000, 90);
  Connect(a, c, 3000, 90);
  a.Send(4, 1000, 80, kVsockOpRw, "dropped");
  b.Reset();
  EXPECT_THAT(a.Ops(), ElementsAre(kVsockOpRst));
  EXPECT_THAT(c.Ops(), ElementsAre(kVsockOpRst));
  EXPECT_EQ(a.Send(5, 3000, 90, kVsockOpRw, "x"), std::nullopt);
  b.Start();
  EXPECT_THAT(b.Ops(), IsEmpty());
  EXPECT_EQ(a.Send(4, 1000, 80, kVsockOpRw, "x"), VsockReset::kUnknown);
}

TEST_F(VsockSwitchTest, ADestroyedDeviceTellsAllOthers) {
  TestGuest a(*switch_, 3), b(*switch_, 4);
  Connect(a, b);
  b.Destroy();
  EXPECT_THAT(a.Ops(), ElementsAre(kVsockOpRst));
}

TEST_F(VsockSwitchTest, AGuestThatDoesNotReadLosesTheConnectionAtBothEnds) {
  TestGuest a(*switch_, 3), b(*switch_, 4, {.max_bytes = kMiB});
  Connect(a, b);
  const std::string payload(64 * 1024, 'x');
  std::optional<VsockReset> refused;
  int sent = 0;
  while (!refused && sent < 100) {
    refused = a.Send(4, 1000, 80, kVsockOpRw, payload);
    if (!refused) ++sent;
  }
  EXPECT_EQ(refused, VsockReset::kUnreachable);
  EXPECT_EQ(sent, 7);  // Half of the bound, and each a bit more than 64 KiB.
  EXPECT_EQ(a.Send(4, 1000, 80, kVsockOpRw, payload), VsockReset::kUnknown);
  b.Deliver();
  ASSERT_EQ(b.sink.packets.size(), 7u * 16 + 1);
  EXPECT_EQ(b.sink.packets.back().header.op, kVsockOpRst);
}

TEST_F(VsockSwitchTest, AFloodingGuestLeavesRoomForOthers) {
  const SwitchPortOptions small = {.max_connections = 100, .max_bytes = kMiB};
  TestGuest flood(*switch_, 3), a(*switch_, 4), b(*switch_, 5, small);
  Connect(a, b);
  Connect(flood, b, 1000, 81);
  const std::string payload(16 * 1024, 'x');
  while (!flood.Send(5, 1000, 81, kVsockOpRw, payload)) {
  }
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(a.Send(5, 1000, 80, kVsockOpRw, payload), std::nullopt) << i;
  }
  // Connections likewise: it can have as many as the bound.
  uint32_t connections = 0;
  while (!flood.Send(5, 2000 + connections, 81, kVsockOpRequest)) {
    ++connections;
  }
  EXPECT_LE(connections, 100u);
  for (uint32_t i = 0; i < 40; ++i) {
    EXPECT_EQ(a.Send(5, 2000 + i, 80, kVsockOpRequest), std::nullopt) << i;
  }
}

TEST_F(VsockSwitchTest, OneGuestCanHaveAllTheConnectionsThatItMayBegin) {
  const SwitchPortOptions options = {.max_connections = 100};
  TestGuest a(*switch_, 3, options), b(*switch_, 4, options);
  for (uint32_t i = 0; i < 100; ++i) Connect(a, b, 1000 + i, 80);
  EXPECT_EQ(a.Send(4, 2000, 80, kVsockOpRequest), VsockReset::kLimit);
  EXPECT_THAT(b.Ops(), IsEmpty());
  a.Send(4, 1000, 80, kVsockOpRst);
  EXPECT_THAT(b.Ops(), ElementsAre(kVsockOpRst));
  Connect(a, b, 2000, 80);
}

// Each RST that waits costs the guest one of its connections.
TEST_F(VsockSwitchTest, RepliesToAGuestThatDoesNotReadAreBounded) {
  TestGuest a(*switch_, 3, {.max_connections = 100}), b(*switch_, 4);
  std::optional<VsockReset> refused;
  for (int i = 0; i < 200 && !refused; ++i) {
    refused = a.Send(4, 1000, 80, kVsockOpRequest);
    b.Ops();
    b.Send(3, 80, 1000, kVsockOpRst);
  }
  EXPECT_EQ(refused, VsockReset::kLimit);
  EXPECT_THAT(a.Ops(), IsEmpty());  // All of them were of no interest.
  EXPECT_EQ(a.Send(4, 1000, 80, kVsockOpRequest), std::nullopt);
}

TEST_F(VsockSwitchTest, WhatIsNotOfTheSpecificationIsRefused) {
  TestGuest a(*switch_, 3), b(*switch_, 4);
  Connect(a, b);
  PacketHeader packet = a.Header(4, 1000, 80, kVsockOpRw);
  packet.type = 7;
  EXPECT_EQ(a.Send(packet), VsockReset::kType);
  packet.type = kVsockTypeDgram;
  EXPECT_EQ(a.Send(packet), VsockReset::kType);
  EXPECT_THAT(b.Ops(), IsEmpty());
  // An unknown operation ends the connection.
  EXPECT_EQ(a.Send(4, 1000, 80, 8), VsockReset::kProtocol);
  EXPECT_THAT(b.Ops(), ElementsAre(kVsockOpRst));
  EXPECT_EQ(a.Send(4, 1000, 80, kVsockOpInvalid), VsockReset::kProtocol);
  EXPECT_THAT(b.Ops(), IsEmpty());
}

TEST_F(VsockSwitchTest, APacketLargerThanAnyBoundIsNotCopied) {
  const SwitchPortOptions small = {.max_bytes = kMiB};
  TestGuest a(*switch_, 3, small), b(*switch_, 4, small);
  Connect(a, b);
  EXPECT_EQ(a.Send(4, 1000, 80, kVsockOpRw, std::string(2 * kMiB, 'x')),
            VsockReset::kProtocol);
  EXPECT_THAT(b.Ops(), ElementsAre(kVsockOpRst));
}

TEST_F(VsockSwitchTest, DatagramsArriveWholeOrNotAtAll) {
  TestGuest a(*switch_, 3), b(*switch_, 4, {.max_bytes = 256 * 1024});
  EXPECT_TRUE(a.SendDatagram(4, "one"));
  EXPECT_TRUE(a.SendDatagram(4, std::string(5000, 'x')));  // Too large for b.
  EXPECT_TRUE(a.SendDatagram(4, ""));
  EXPECT_FALSE(a.SendDatagram(4, std::string(65537, 'x')));
  EXPECT_FALSE(a.SendDatagram(5, "nobody"));
  EXPECT_FALSE(a.SendDatagram(3, "me"));
  EXPECT_TRUE(b.port().DeliverDatagrams(b.sink));
  ASSERT_EQ(b.sink.packets.size(), 2u);
  EXPECT_EQ(b.sink.packets[0].payload, "one");
  EXPECT_EQ(b.sink.packets[1].payload, "");
  int sent = 0;
  while (a.SendDatagram(4, std::string(60 * 1024, 'x'))) ++sent;
  EXPECT_EQ(sent, 2);
  b.sink.buffers = 0;
  EXPECT_FALSE(b.port().DeliverDatagrams(b.sink));
  b.sink.buffers = 10;
  EXPECT_TRUE(b.port().DeliverDatagrams(b.sink));
  EXPECT_TRUE(a.SendDatagram(4, "again"));
}

TEST_F(VsockSwitchTest, BadCidsAndBoundsAreRefused) {
  const auto attach = [this](uint64_t cid, const SwitchPortOptions& options) {
    return switch_->Attach(cid, options, NullLogSink()).status().code();
  };
  for (const uint64_t cid : {uint64_t{0}, uint64_t{1}, uint64_t{2},
                             uint64_t{0xffffffff}, uint64_t{1} << 32}) {
    EXPECT_EQ(attach(cid, {}), absl::StatusCode::kInvalidArgument) << cid;
  }
  EXPECT_EQ(attach(3, {.max_connections = 0}),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(attach(3, {.max_bytes = 1000}), absl::StatusCode::kInvalidArgument);
  const auto taken = switch_->Attach(3, {}, NullLogSink());
  EXPECT_EQ(attach(3, {}), absl::StatusCode::kAlreadyExists);
}

TEST_F(VsockSwitchTest, PortsOutliveTheSwitch) {
  std::shared_ptr<VsockSwitch> gone = *VsockSwitch::Create({});
  TestGuest a(*gone, 3), b(*gone, 4);
  gone.reset();
  Connect(a, b);
}

}  // namespace
}  // namespace annulus::virtio
