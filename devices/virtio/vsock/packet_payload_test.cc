#include "devices/virtio/vsock/packet_payload.h"

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

// Elements of these sizes with the bytes 0, 1, 2, ... in them.
class PacketPayloadTest : public testing::Test {
 protected:
  void Make(const std::vector<size_t>& sizes) {
    elements_.clear();
    bytes_.resize(std::accumulate(sizes.begin(), sizes.end(), size_t{0}));
    std::iota(bytes_.begin(), bytes_.end(), uint8_t{0});
    size_t done = 0;
    for (const size_t size : sizes) {
      elements_.push_back(
          {.span = memory::GuestSpan(bytes_.data() + done, size),
           .address = memory::GuestAddress(done)});
      done += size;
    }
  }

  std::vector<uint8_t> Expected(size_t begin, size_t size) const {
    return {bytes_.begin() + static_cast<ptrdiff_t>(begin),
            bytes_.begin() + static_cast<ptrdiff_t>(begin + size)};
  }

  std::vector<uint8_t> bytes_;
  std::vector<ChainElement> elements_;
};

std::vector<uint8_t> CopyOf(const PacketPayload& payload) {
  std::vector<uint8_t> copy(payload.size());
  payload.CopyOut(absl::MakeSpan(copy));
  return copy;
}

std::vector<uint8_t> BytesOf(absl::Span<const iovec> vectors) {
  std::vector<uint8_t> bytes;
  for (const iovec& vector : vectors) {
    const auto* base = static_cast<const uint8_t*>(vector.iov_base);
    bytes.insert(bytes.end(), base, base + vector.iov_len);
  }
  return bytes;
}

TEST_F(PacketPayloadTest, EveryPieceOfEveryLayoutIsExact) {
  for (const std::vector<size_t>& sizes :
       {std::vector<size_t>{20}, {1, 19}, {5, 5, 10}, {1, 1, 1, 1, 16}}) {
    Make(sizes);
    for (size_t begin = 0; begin <= 20; ++begin) {
      for (size_t size = 0; begin + size <= 20; ++size) {
        const PacketPayload payload(elements_, begin, size);
        EXPECT_EQ(CopyOf(payload), Expected(begin, size));
        std::array<iovec, 8> vectors;
        const size_t count = payload.Vectors(absl::MakeSpan(vectors));
        EXPECT_EQ(BytesOf(absl::MakeSpan(vectors).first(count)),
                  Expected(begin, size));
        for (const iovec& vector : absl::MakeSpan(vectors).first(count)) {
          EXPECT_NE(vector.iov_len, 0u);
        }
      }
    }
  }
}

// Facts 3.9, 2 (firecracker PR#5485): what was written in part is neither
// repeated nor lost.
TEST_F(PacketPayloadTest, WithoutItsBeginningGoesOnAtTheVeryNextByte) {
  Make({3, 4, 5, 8});
  const PacketPayload payload(elements_, 2, 18);
  for (size_t first = 0; first <= 18; ++first) {
    const PacketPayload rest = payload.Without(first);
    EXPECT_EQ(rest.size(), 18 - first);
    EXPECT_EQ(rest.empty(), first == 18);
    EXPECT_EQ(CopyOf(rest), Expected(2 + first, 18 - first));
    for (size_t second = 0; second <= rest.size(); ++second) {
      EXPECT_EQ(CopyOf(rest.Without(second)),
                Expected(2 + first + second, rest.size() - second));
    }
  }
}

TEST_F(PacketPayloadTest, TooFewVectorsCoverItsBeginning) {
  Make({3, 4, 5});
  std::array<iovec, 2> vectors;
  const size_t count =
      PacketPayload(elements_, 1, 11).Vectors(absl::MakeSpan(vectors));
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(BytesOf(vectors), Expected(1, 6));
}

TEST_F(PacketPayloadTest, PartCanBeCopied) {
  Make({3, 4, 5});
  std::vector<uint8_t> copy(4);
  PacketPayload(elements_, 2, 10).CopyOut(absl::MakeSpan(copy));
  EXPECT_EQ(copy, Expected(2, 4));
}

TEST_F(PacketPayloadTest, NothingIsEmpty) {
  EXPECT_TRUE(PacketPayload().empty());
  EXPECT_EQ(PacketPayload().Vectors({}), 0u);
}

}  // namespace
}  // namespace annulus::virtio
