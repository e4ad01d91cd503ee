#include "devices/virtio/vsock/queues/event_queue.h"

#include <string>
#include <vector>

#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/vsock/queues/queue_fixture.h"
#include "devices/virtio/vsock/queues/transport_gate.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class EventQueueTest : public testing::TestWithParam<RingShape> {
 protected:
  EventQueueTest() { events_.QueueStarted(fixture_.queue()); }

  void Offer(uint32_t bytes) {
    ASSERT_TRUE(fixture_.driver().Chain().Writable(bytes).Offer().has_value());
  }

  // As the worker does.
  std::vector<FakeDriver::Used> Drain() {
    while (events_.Drain(fixture_.queue())) {
    }
    return fixture_.Collect();
  }

  QueueFixture fixture_{GetParam()};
  TransportGate gate_;
  int opened_ = 0;
  EventQueue events_{64, gate_, [this] { ++opened_; }};
};

// Linux heeds no event but one with a used length of 4 (facts 2.4).
TEST_P(EventQueueTest, ResetIsPostedWithItsLengthInOneBuffer) {
  for (int i = 0; i < 8; ++i) Offer(4);
  EXPECT_TRUE(Drain().empty());
  gate_.Close();
  const std::vector<FakeDriver::Used> used = Drain();
  ASSERT_EQ(used.size(), 1u);
  EXPECT_EQ(used[0].len, 4u);
  EXPECT_EQ(used[0].data, std::string(4, '\0'));
  EXPECT_TRUE(Drain().empty());
}

// Facts 3.9, 22 and 23 (firecracker PR#5882): what comes to the guest before it
// has taken notice is reset with the rest.
TEST_P(EventQueueTest, GateOpensWhenTheDriverGivesAnotherBuffer) {
  for (int i = 0; i < 8; ++i) Offer(4);
  gate_.Close();
  ASSERT_EQ(Drain().size(), 1u);
  EXPECT_FALSE(gate_.open());
  EXPECT_TRUE(events_.Wait().buffers) << "or it would never see one";
  EXPECT_TRUE(Drain().empty());
  EXPECT_FALSE(gate_.open());
  EXPECT_EQ(opened_, 0);
  Offer(4);
  EXPECT_TRUE(Drain().empty());
  EXPECT_TRUE(gate_.open());
  EXPECT_EQ(opened_, 1);
  EXPECT_FALSE(events_.Wait().buffers);
}

// "missed transport reset event" is what QEMU says then.
TEST_P(EventQueueTest, EventIsKeptUntilThereIsABuffer) {
  gate_.Close();
  EXPECT_TRUE(Drain().empty());
  EXPECT_TRUE(events_.Wait().buffers);
  Offer(4);
  EXPECT_EQ(Drain().size(), 1u);
  EXPECT_FALSE(gate_.open());
  Offer(4);
  (void)Drain();
  EXPECT_TRUE(gate_.open());
}

TEST_P(EventQueueTest, ResetAfterResetIsPostedAgain) {
  for (int round = 1; round <= 5; ++round) {
    for (int i = 0; i < 2; ++i) Offer(4);
    gate_.Close();
    EXPECT_EQ(Drain().size(), 1u);
    gate_.Close();
    EXPECT_EQ(Drain().size(), 1u) << "it came after the first was seen";
    Offer(4);
    (void)Drain();
    EXPECT_TRUE(gate_.open());
    EXPECT_EQ(opened_, round);
    EXPECT_EQ(events_.events(), static_cast<uint64_t>(2 * round));
  }
}

// Bad_inputs 35, event queue flood.
TEST_P(EventQueueTest, BuffersThatNoEventIsForAreNotTouched) {
  for (int i = 0; i < 64; ++i) Offer(4);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(events_.Drain(fixture_.queue()));
    EXPECT_FALSE(events_.Wait().buffers);
  }
  EXPECT_TRUE(fixture_.Collect().empty());
  gate_.Close();
  EXPECT_EQ(Drain().size(), 1u);
}

TEST_P(EventQueueTest, BuffersTooSmallForAnEventAreGivenBackAndCounted) {
  for (int i = 0; i < 3; ++i) Offer(3);
  ASSERT_TRUE(
      fixture_.driver().Chain().Readable("12345678").Offer().has_value());
  ASSERT_TRUE(fixture_.driver()
                  .Chain()
                  .Writable(1)
                  .Writable(2)
                  .Writable(9)
                  .Offer()
                  .has_value());
  gate_.Close();
  const std::vector<FakeDriver::Used> used = Drain();
  ASSERT_EQ(used.size(), 5u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(used[i].len, 0u);
  EXPECT_EQ(used[4].len, 4u);
  EXPECT_EQ(used[4].all, std::string(4, '\0') + std::string(8, '\xee'));
  EXPECT_EQ(events_.malformed(), 4u);
}

TEST_P(EventQueueTest, GateOpensThoughTheBatchHasNoRoomForTheBuffer) {
  for (int i = 0; i < 4; ++i) {
    FakeDriver::ChainBuilder chain = fixture_.driver().Chain();
    for (int n = 0; n < 16; ++n) chain.Writable(1);
    ASSERT_TRUE(chain.Offer().has_value());
  }
  gate_.Close();
  ASSERT_EQ(Drain().size(), 1u);
  FakeDriver::ChainBuilder chain = fixture_.driver().Chain();
  for (int n = 0; n < 16; ++n) chain.Writable(1);
  ASSERT_TRUE(chain.Offer().has_value());
  EXPECT_TRUE(Drain().empty());
  EXPECT_TRUE(gate_.open());
  EXPECT_FALSE(events_.Wait().buffers);
}

// Facts 3.9, 24 (firecracker PR#6100): a bare pause and resume armed the gate
// for ever.
TEST_P(EventQueueTest, QueueThatStartsAgainGoesOnWhereTheGateIs) {
  Offer(4);
  gate_.Close();
  ASSERT_EQ(Drain().size(), 1u);
  events_.QueueStopped();
  QueueFixture other(GetParam());
  events_.QueueStarted(other.queue());
  (void)events_.Drain(other.queue());
  EXPECT_FALSE(gate_.open());
  EXPECT_TRUE(events_.Wait().buffers);
  ASSERT_TRUE(other.driver().Chain().Writable(4).Offer().has_value());
  (void)events_.Drain(other.queue());
  EXPECT_TRUE(gate_.open());
  EXPECT_TRUE(other.Collect().empty());
}

// As for a migration's last look at guest memory, or a front-end's new one: the
// driver has done nothing meanwhile.
TEST_P(EventQueueTest, PauseAfterTheEventOpensNoGate) {
  for (int i = 0; i < 8; ++i) Offer(4);
  gate_.Close();
  ASSERT_EQ(Drain().size(), 1u);
  for (int pause = 0; pause < 3; ++pause) {
    events_.QueueStopped();
    fixture_.PauseAndResume();
    events_.QueueStarted(fixture_.queue());
    EXPECT_TRUE(Drain().empty());
    EXPECT_FALSE(gate_.open());
    EXPECT_TRUE(events_.Wait().buffers) << "or it would never see one";
  }
  Offer(4);
  EXPECT_TRUE(Drain().empty());
  EXPECT_TRUE(gate_.open());
  EXPECT_EQ(opened_, 1);
}

// The driver began anew with the queue alone, and has fewer buffers in it now.
TEST_P(EventQueueTest, RingThatBeginsAnewOpensTheGate) {
  for (int i = 0; i < 8; ++i) Offer(4);
  gate_.Close();
  ASSERT_EQ(Drain().size(), 1u);
  events_.QueueStopped();
  QueueFixture other(GetParam());
  events_.QueueStarted(other.queue());
  ASSERT_TRUE(other.driver().Chain().Writable(4).Offer().has_value());
  (void)events_.Drain(other.queue());
  EXPECT_TRUE(gate_.open());
}

TEST_P(EventQueueTest, DeviceResetOpensTheGate) {
  gate_.Close();
  (void)Drain();
  events_.QueueStopped();
  gate_.Reset();
  EXPECT_TRUE(gate_.open());
  QueueFixture other(GetParam());
  events_.QueueStarted(other.queue());
  ASSERT_TRUE(other.driver().Chain().Writable(4).Offer().has_value());
  EXPECT_FALSE(events_.Drain(other.queue()));
  EXPECT_TRUE(other.Collect().empty());
}

INSTANTIATE_TEST_SUITE_P(Rings, EventQueueTest,
                         testing::ValuesIn(AllRingShapes()), NameOf);

}  // namespace
}  // namespace annulus::virtio
