#include "devices/virtio/net/steering/toeplitz.h"

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/net/steering/flow_key.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/net/steering/verification_vectors.h"
#include "devices/virtio/spec/net_control.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// The definition, a bit at a time.
uint32_t HashBitByBit(absl::Span<const uint8_t> key,
                      absl::Span<const uint8_t> input) {
  const auto key_bit = [key](size_t bit) -> uint32_t {
    return bit / 8 < key.size() ? key[bit / 8] >> (7 - bit % 8) & 1 : 0;
  };
  uint32_t hash = 0;
  for (size_t bit = 0; bit < 8 * input.size(); ++bit) {
    if ((input[bit / 8] >> (7 - bit % 8) & 1) == 0) continue;
    for (size_t i = 0; i < 32; ++i) hash ^= key_bit(bit + i) << (31 - i);
  }
  return hash;
}

class ToeplitzTest
    : public testing::TestWithParam<std::vector<VerificationVector>> {};

TEST_P(ToeplitzTest, HashesThePublishedVectors) {
  const Toeplitz toeplitz(VerificationKey());
  for (const VerificationVector& vector : GetParam()) {
    const FrameBytes addresses = Joined({vector.source, vector.destination});
    EXPECT_EQ(toeplitz.Hash(addresses), vector.addresses_hash);
    const FrameBytes with_ports =
        Joined({addresses, BigEndian(vector.source_port),
                BigEndian(vector.destination_port)});
    EXPECT_EQ(toeplitz.Hash(with_ports), vector.ports_hash);
  }
}

INSTANTIATE_TEST_SUITE_P(Ipv4, ToeplitzTest, testing::Values(Ipv4Vectors()));
INSTANTIATE_TEST_SUITE_P(Ipv6, ToeplitzTest, testing::Values(Ipv6Vectors()));

TEST(ToeplitzKeyTest, EveryKeyLengthAndInputLengthHashesAsDefined) {
  std::mt19937 random(1);
  const auto bytes = [&random](size_t count) {
    std::vector<uint8_t> out(count);
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
    return out;
  };
  for (size_t key_bytes = 0; key_bytes <= kNetRssKeyBytes; ++key_bytes) {
    const std::vector<uint8_t> key = bytes(key_bytes);
    const Toeplitz toeplitz(key);
    for (size_t count = 0; count <= FlowKey::kMaxInputBytes; ++count) {
      const std::vector<uint8_t> input = bytes(count);
      EXPECT_EQ(toeplitz.Hash(input), HashBitByBit(key, input))
          << key_bytes << " bytes of key, " << count << " of input";
    }
  }
}

TEST(ToeplitzKeyTest, WithoutAKeyEverythingHashesToZero) {
  EXPECT_EQ(Toeplitz().Hash(FrameBytes(FlowKey::kMaxInputBytes, 0xff)), 0u);
}

}  // namespace
}  // namespace annulus::virtio
