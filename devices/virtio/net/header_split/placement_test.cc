#include "devices/virtio/net/header_split/placement.h"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/header_split/buffers_placement.h"
#include "devices/virtio/net/header_split/chain_placement.h"
#include "devices/virtio/net/header_split/slot_placement.h"
#include "devices/virtio/net/header_split/small_buffers_placement.h"
#include "devices/virtio/net/receive/receive_window.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

using Verdict = Placement::Verdict;

constexpr uint32_t kHeader = kNetHeaderBytes;

class PlacementTest : public testing::Test {
 protected:
  PlacementTest() { window_.Restart(kHeader, /*mergeable=*/true); }

  // One buffer; each number is an element's size.
  void Offer(std::initializer_list<uint32_t> sizes) {
    FakeDriver::ChainBuilder chain = driver_.Chain();
    for (const uint32_t size : sizes) chain.Writable(size);
    ASSERT_TRUE(chain.Offer().has_value());
    EXPECT_EQ(queue_.Visit([this](auto& queue) { return window_.Fill(queue); }),
              1u);
  }

  // The driver's used lengths.
  std::vector<uint32_t> Used(const Placement& placement) {
    std::vector<uint32_t> used;
    for (uint32_t i = 0; i < placement.buffers; ++i) {
      used.push_back(UsedBytes(window_, placement, i, window_.at(i)));
    }
    return used;
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 4 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_, {.size = 64, .bytes = 0x200000}};
  Virtqueue queue_ = Virtqueue::Create(memory_, driver_.config()).value();
  std::array<uint8_t, kNetHeaderBytes> header_;
  std::unique_ptr<uint8_t[]> overflow_ =
      std::make_unique<uint8_t[]>(kNetMaxFrameBytes);
  ReceiveWindow window_{64, absl::MakeSpan(header_),
                        absl::MakeSpan(overflow_.get(), kNetMaxFrameBytes)};
};

TEST_F(PlacementTest, AWholeFrameFillsAllBuffersButTheLast) {
  for (int i = 0; i < 3; ++i) Offer({100});
  EXPECT_EQ(Used(PlaceWhole(window_, 88)), (std::vector<uint32_t>{100}));
  EXPECT_EQ(Used(PlaceWhole(window_, 89)), (std::vector<uint32_t>{100, 1}));
  EXPECT_EQ(Used(PlaceWhole(window_, 288)),
            (std::vector<uint32_t>{100, 100, 100}));
  EXPECT_EQ(PlaceWhole(window_, 20).payload.offset, kHeader);
}

TEST_F(PlacementTest, ChainHasTheHeaderInItsFirstElement) {
  Offer({78, 60, 40});
  const Placement placement = PlaceInChain(window_, 66, 100);
  ASSERT_TRUE(placement.fits());
  EXPECT_EQ(Used(placement), (std::vector<uint32_t>{178}));
  EXPECT_EQ(placement.payload, (ReceiveWindow::Place{.offset = 78}));
  EXPECT_EQ(PlaceInChain(window_, 67, 10).verdict, Verdict::kHeaderTooBig);
  EXPECT_EQ(PlaceInChain(window_, 66, 101).verdict, Verdict::kNoSpace);
}

TEST_F(PlacementTest, ChainOfOneElementHasNoPlaceForAPayload) {
  Offer({4096});
  EXPECT_EQ(PlaceInChain(window_, 66, 1).verdict, Verdict::kNoSpace);
}

TEST_F(PlacementTest, BuffersNeedNotFillTheFirst) {
  Offer({4096});
  Offer({1000, 3096});
  Offer({4096});
  const Placement placement = PlaceInBuffers(window_, 66, 5000);
  ASSERT_TRUE(placement.fits());
  EXPECT_EQ(Used(placement), (std::vector<uint32_t>{78, 4096, 904}));
  EXPECT_EQ(placement.payload, (ReceiveWindow::Place{.buffer = 1}));
  EXPECT_EQ(PlaceInBuffers(window_, 4084, 8192).verdict, Verdict::kFits);
  EXPECT_EQ(PlaceInBuffers(window_, 4085, 1).verdict, Verdict::kHeaderTooBig);
  EXPECT_EQ(PlaceInBuffers(window_, 66, 8193).verdict, Verdict::kNoSpace);
}

TEST_F(PlacementTest, OneBufferHasNoPlaceForAPayload) {
  Offer({4096});
  EXPECT_EQ(PlaceInBuffers(window_, 66, 1).verdict, Verdict::kNoSpace);
}

// Test vector 11.
TEST_F(PlacementTest, SmallBuffersAreSkippedAmongDataBuffers) {
  window_.SetHeaderBufferBytes(256);
  for (int i = 0; i < 3; ++i) {
    Offer({256});
    Offer({4096});
  }
  const Placement placement = PlaceInSmallBuffers(window_, 66, 9000);
  ASSERT_TRUE(placement.fits());
  EXPECT_EQ(Used(placement),
            (std::vector<uint32_t>{78, 4096, 0, 4096, 0, 808}));
  EXPECT_EQ(PlaceInSmallBuffers(window_, 245, 1).verdict,
            Verdict::kHeaderTooBig);
  EXPECT_EQ(PlaceInSmallBuffers(window_, 66, 3 * 4096 + 1).verdict,
            Verdict::kNoSpace);
  EXPECT_EQ(Used(PlaceInSmallBuffers(window_, 66, 4096)),
            (std::vector<uint32_t>{78, 4096}));
}

TEST_F(PlacementTest, SeveralSmallBuffersBeforeTheData) {
  window_.SetHeaderBufferBytes(256);
  for (const uint32_t bytes : {256, 256, 128, 4096}) Offer({bytes});
  EXPECT_EQ(Used(PlaceInSmallBuffers(window_, 66, 4096)),
            (std::vector<uint32_t>{78, 0, 0, 4096}));
}

TEST_F(PlacementTest, ADataBufferFirstMeansThatNothingIsSplit) {
  window_.SetHeaderBufferBytes(256);
  Offer({4096});
  Offer({256});
  Offer({4096});
  EXPECT_EQ(PlaceInSmallBuffers(window_, 66, 100).verdict, Verdict::kNoSpace);
}

// Buffers are sorted anew where the driver names another length meanwhile.
TEST_F(PlacementTest, WhatIsAHeaderBufferMayChange) {
  Offer({256});
  Offer({512});
  Offer({4096});
  for (int round = 0; round < 2; ++round) {
    window_.SetHeaderBufferBytes(256);
    EXPECT_EQ(window_.data_bytes(), 4608u);
    EXPECT_EQ(Used(PlaceInSmallBuffers(window_, 66, 600)),
              (std::vector<uint32_t>{78, 512, 88}));
    window_.SetHeaderBufferBytes(512);
    EXPECT_EQ(window_.data_bytes(), 4096u);
    EXPECT_EQ(Used(PlaceInSmallBuffers(window_, 66, 600)),
              (std::vector<uint32_t>{78, 0, 600}));
  }
  window_.SetHeaderBufferBytes(0);
  EXPECT_EQ(window_.data_bytes(), 4864u);
}

TEST_F(PlacementTest, BesideAHeaderQueueThePayloadIsAFrame) {
  Offer({1000});
  Offer({1000});
  const Placement placement = PlaceBesideSlot(window_, 128, 66, 1500);
  ASSERT_TRUE(placement.fits());
  EXPECT_EQ(Used(placement), (std::vector<uint32_t>{1000, 512}));
  EXPECT_EQ(placement.payload, (ReceiveWindow::Place{.offset = kHeader}));
  EXPECT_EQ(PlaceBesideSlot(window_, 64, 66, 100).verdict,
            Verdict::kHeaderTooBig);
  EXPECT_EQ(PlaceBesideSlot(window_, 128, 66, 2000 - kHeader).verdict,
            Verdict::kFits);
  EXPECT_EQ(PlaceBesideSlot(window_, 128, 66, 2000 - kHeader + 1).verdict,
            Verdict::kNoSpace);
}

TEST_F(PlacementTest, WithoutMergeableBuffersAFrameHasTheFirstAlone) {
  window_.Restart(kHeader, /*mergeable=*/false);
  Offer({1000});
  Offer({1000});
  EXPECT_EQ(PlaceBesideSlot(window_, 128, 66, 1000 - kHeader).verdict,
            Verdict::kFits);
  EXPECT_EQ(PlaceBesideSlot(window_, 128, 66, 1000 - kHeader + 1).verdict,
            Verdict::kNoSpace);
}

}  // namespace
}  // namespace annulus::virtio
