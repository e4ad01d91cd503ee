#include "devices/virtio/net/header_split/header_predictor.h"

#include <cstdint>
#include <random>

#include "devices/virtio/net/header_split/split_point.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint32_t kFlow = 0x12345678;
constexpr uint32_t kOther = 0x9abcdef1;

void ExpectSure(const HeaderPredictor& predictor, uint32_t header_bytes) {
  EXPECT_TRUE(predictor.Next().sure);
  EXPECT_EQ(predictor.Next().header_bytes, header_bytes);
}

TEST(HeaderPredictorTest, KnowsNothingAtFirst) {
  EXPECT_FALSE(HeaderPredictor().Next().sure);
}

TEST(HeaderPredictorTest, IsSureAfterTheSameCameTwice) {
  HeaderPredictor predictor;
  predictor.Learn(kFlow, 66);  // After nothing.
  EXPECT_FALSE(predictor.Next().sure);
  predictor.Learn(kFlow, 66);  // After the flow.
  EXPECT_FALSE(predictor.Next().sure);
  predictor.Learn(kFlow, 66);  // Confirmed.
  ExpectSure(predictor, 66);
  for (int i = 0; i < 1000; ++i) predictor.Learn(kFlow, 66);
  ExpectSure(predictor, 66);
}

TEST(HeaderPredictorTest, TheVeryFirstFrameConfirmsNoFlow) {
  for (uint32_t flow = 0; flow < 1000; ++flow) {
    HeaderPredictor predictor;
    predictor.Learn(flow, 66);
    predictor.Learn(flow, 66);
    ASSERT_FALSE(predictor.Next().sure) << flow;
    predictor.Learn(flow, 66);
    ASSERT_TRUE(predictor.Next().sure) << flow;
  }
}

TEST(HeaderPredictorTest, OneFrameOfANewFlowIsPredictedByNothing) {
  HeaderPredictor predictor;
  for (int i = 0; i < 10; ++i) predictor.Learn(kFlow, 66);
  predictor.Learn(kOther, 62);
  EXPECT_FALSE(predictor.Next().sure) << "what follows the other is not known";
}

TEST(HeaderPredictorTest, WhatWasRightOftenOutlivesOneWrongGuess) {
  HeaderPredictor predictor;
  for (int i = 0; i < 100; ++i) predictor.Learn(kFlow, 66);
  predictor.Learn(kFlow, 78);
  ExpectSure(predictor, 66);
  predictor.Learn(kFlow, 66);
  predictor.Learn(kFlow, 78);
  ExpectSure(predictor, 66);
}

TEST(HeaderPredictorTest, TwoWrongGuessesStartAgain) {
  HeaderPredictor predictor;
  for (int i = 0; i < 100; ++i) predictor.Learn(kFlow, 66);
  predictor.Learn(kFlow, 78);
  predictor.Learn(kFlow, 78);
  EXPECT_FALSE(predictor.Next().sure);
  predictor.Learn(kFlow, 78);
  ExpectSure(predictor, 78);
}

TEST(HeaderPredictorTest, WhatAlternatesInOneFlowIsNeverSure) {
  HeaderPredictor predictor;
  for (int i = 0; i < 100; ++i) {
    predictor.Learn(kFlow, 66);
    EXPECT_FALSE(predictor.Next().sure);
    predictor.Learn(kFlow, 78);
    EXPECT_FALSE(predictor.Next().sure);
  }
}

TEST(HeaderPredictorTest, FlowsThatTakeTurns) {
  HeaderPredictor predictor;
  for (int i = 0; i < 3; ++i) {
    predictor.Learn(kFlow, 66);
    predictor.Learn(kOther, 62);
  }
  for (int i = 0; i < 100; ++i) {
    ExpectSure(predictor, 66);
    predictor.Learn(kFlow, 66);
    ExpectSure(predictor, 62);
    predictor.Learn(kOther, 62);
  }
}

TEST(HeaderPredictorTest, WhatIsNotSplitIsPredictedToo) {
  HeaderPredictor predictor;
  for (int i = 0; i < 3; ++i) predictor.Learn(/*ARP*/ 0x080600, 0);
  ExpectSure(predictor, 0);
}

TEST(HeaderPredictorTest, TheLongestHeader) {
  HeaderPredictor predictor;
  for (int i = 0; i < 3; ++i) predictor.Learn(kFlow, kMaxSplitHeaderBytes);
  ExpectSure(predictor, kMaxSplitHeaderBytes);
}

TEST(HeaderPredictorTest, FlowsOfOneTrainAfterAnother) {
  // Eight flows in trains of 20, for the second time: what is wrong is the
  // first frame of each train.
  HeaderPredictor predictor;
  uint32_t wrong = 0;
  uint32_t unsure = 0;
  for (int round = 0; round < 2; ++round) {
    wrong = unsure = 0;
    for (uint32_t flow = 0; flow < 8; ++flow) {
      for (int i = 0; i < 20; ++i) {
        const HeaderPredictor::Guess guess = predictor.Next();
        const uint32_t header_bytes = 54 + 4 * flow;
        if (!guess.sure) {
          ++unsure;
        } else if (guess.header_bytes != header_bytes) {
          ++wrong;
        }
        predictor.Learn(flow * 0x01010101, header_bytes);
      }
    }
  }
  EXPECT_EQ(wrong, 8u);
  EXPECT_EQ(unsure, 0u);
}

TEST(HeaderPredictorTest, WhoeverKnowsTheGuessesMakesHalfOfThemWrong) {
  // A wrong guess has to be confirmed again before it is the next: of all
  // frames, at most every second costs two copies, and the others one.
  HeaderPredictor predictor;
  std::minstd_rand random;
  uint32_t wrong = 0;
  constexpr uint32_t kFrames = 100'000;
  for (uint32_t i = 0; i < kFrames; ++i) {
    const HeaderPredictor::Guess guess = predictor.Next();
    // The other where it hurts, else what makes the guess sure.
    const uint32_t header_bytes =
        guess.sure ? 120 - guess.header_bytes : guess.header_bytes;
    if (guess.sure) ++wrong;
    predictor.Learn(static_cast<uint32_t>(random() % 100), header_bytes);
  }
  EXPECT_LE(wrong, kFrames / 2);
  EXPECT_GT(wrong, kFrames / 3);
}

}  // namespace
}  // namespace annulus::virtio
