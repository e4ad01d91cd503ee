#include "devices/virtio/net/receive/vector_row.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>

#include "absl/types/span.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// Vectors that are never followed and tell themselves apart.
char g_places[0x2000];
iovec Vector(size_t number, size_t bytes) { return {&g_places[number], bytes}; }

bool Same(const iovec& a, const iovec& b) {
  return a.iov_base == b.iov_base && a.iov_len == b.iov_len;
}

const iovec kBack = Vector(0x1000, 7);

void Append(VectorRow& row, const iovec& vector) {
  row.Reserve();
  row.Append(vector);
}

TEST(VectorRowTest, OffersWhatComesAfterTheSkippedOnesBetweenFrontsAndBack) {
  VectorRow row(8);
  for (size_t i = 0; i < 4; ++i) Append(row, Vector(i + 1, 100));
  const iovec fronts[] = {Vector(91, 12), Vector(92, 66)};
  const absl::Span<const iovec> offer = row.Offer(fronts, 1, 3, kBack);
  ASSERT_EQ(offer.size(), 5u);
  EXPECT_TRUE(Same(offer[0], fronts[0]));
  EXPECT_TRUE(Same(offer[1], fronts[1]));
  EXPECT_TRUE(Same(offer[2], Vector(2, 100)));
  EXPECT_TRUE(Same(offer[3], Vector(3, 100)));
  EXPECT_TRUE(Same(offer[4], kBack));
  EXPECT_EQ(row.offered(), 200u);
}

TEST(VectorRowTest, WhatFrontsAndBackCoveredIsThereAgain) {
  VectorRow row(8);
  for (size_t i = 0; i < 4; ++i) Append(row, Vector(i + 1, 100));
  const iovec fronts[] = {Vector(91, 12), Vector(92, 66), Vector(93, 1)};
  (void)row.Offer(fronts, 2, 3, kBack);
  const absl::Span<const iovec> all = row.Offer({fronts[0]}, 0, 4, kBack);
  ASSERT_EQ(all.size(), 6u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(Same(all[1 + i], Vector(i + 1, 100))) << i;
  }
}

TEST(VectorRowTest, OffersNoMoreThanTheLargestFrameNeeds) {
  VectorRow row(64);
  for (size_t i = 0; i < 64; ++i) Append(row, Vector(i + 1, 4096));
  const iovec front = Vector(91, 12);
  const size_t needed = (kNetMaxFrameBytes + 4095) / 4096;
  EXPECT_EQ(row.Offer({front}, 0, 64, kBack).size(), needed + 2);
  EXPECT_EQ(row.offered(), needed * 4096);
}

TEST(VectorRowTest, OffersNoMoreThanReadvTakes) {
  VectorRow row(4096);
  for (size_t i = 0; i < 4096; ++i) Append(row, Vector(i + 1, 1));
  const iovec fronts[] = {Vector(91, 12), Vector(92, 66), Vector(93, 1)};
  for (size_t skip = 8; skip > 0; --skip) {
    EXPECT_EQ(row.Offer(fronts, skip, 4096, kBack).size(), 1024u);
    EXPECT_EQ(row.offered(), 1020u);
  }
}

// Against a deque, with offers of every kind in between.
TEST(VectorRowTest, IsWhatWasAppendedAndNotDropped) {
  constexpr size_t kCapacity = 24;
  std::mt19937 random(3);
  const auto below = [&random](size_t most) { return random() % (most + 1); };
  VectorRow row(kCapacity);
  std::deque<iovec> model;
  size_t next = 1;
  for (int step = 0; step < 200'000; ++step) {
    while (model.size() < kCapacity && below(2) != 0) {
      model.push_back(Vector(next++ % 1000, 1 + below(12000)));
      Append(row, model.back());
    }
    const size_t skip = below(model.size());
    const size_t limit = skip + below(model.size() - skip);
    const size_t fronts = 1 + below(skip == 0 ? 1 : 2);
    const iovec front = Vector(1001, 12);
    const absl::Span<const iovec> offer =
        fronts == 1   ? row.Offer({front}, skip, limit, kBack)
        : fronts == 2 ? row.Offer({front, front}, skip, limit, kBack)
                      : row.Offer({front, front, front}, skip, limit, kBack);
    uint64_t bytes = 0;
    ASSERT_GE(offer.size(), fronts + 1);
    const size_t count = offer.size() - fronts - 1;
    for (size_t i = 0; i < count; ++i) {
      ASSERT_TRUE(Same(offer[fronts + i], model[skip + i]));
      bytes += model[skip + i].iov_len;
    }
    ASSERT_EQ(row.offered(), bytes);
    ASSERT_TRUE(skip + count == limit || bytes >= kNetMaxFrameBytes);
    ASSERT_LE(skip + count, limit);
    const size_t drop = below(model.size());
    row.Drop(drop);
    model.erase(model.begin(), model.begin() + static_cast<ptrdiff_t>(drop));
    ASSERT_EQ(row.size(), model.size());
  }
}

}  // namespace
}  // namespace annulus::virtio
