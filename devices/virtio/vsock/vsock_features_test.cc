#include "devices/virtio/vsock/vsock_features.h"

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/vsock_options.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

VsockOptions All() {
  VsockOptions options;
  options.features = AllVsockFeatures();
  return options;
}

// What CheckVsockOptions() says of options changed so.
std::string Complaint(const std::function<void(VsockOptions&)>& change) {
  VsockOptions options = All();
  change(options);
  const absl::Status status = CheckVsockOptions(options);
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status));
  return std::string(status.message());
}

// "The device SHOULD offer the VIRTIO_VSOCK_F_NO_IMPLIED_STREAM feature."
// (virtio 1.4 §5.10.3)
TEST(VsockFeaturesTest, OffersWhatItsOptionsAllow) {
  VsockOptions options = All();
  const FeatureSet offered = OfferedVsockFeatures(options);
  EXPECT_TRUE(FeatureSet::Of(kVsockStream, kVsockSeqpacket,
                             kVsockNoImpliedStream, kFeatureVersion1,
                             kFeatureInOrder, kFeatureRingPacked)
                  .IsSubsetOf(offered));
  options.features = {};
  EXPECT_EQ(OfferedVsockFeatures(options), FeatureSet::Of(kFeatureVersion1));
}

// Nobody gave these bits a meaning but the options: never by themselves.
TEST(VsockFeaturesTest, ProposalsAreOfferedOnlyWhereTheyAreAskedFor) {
  VsockOptions options = All();
  for (uint32_t bit = 0; bit < 128; ++bit) options.features.Add(bit);
  EXPECT_FALSE(OfferedVsockFeatures(options).Has(kVsockMrgRxbufDefault));
  EXPECT_FALSE(OfferedVsockFeatures(options).Has(kVsockDgramDefault));
  options.mrg_rxbuf = options.dgram = true;
  EXPECT_TRUE(OfferedVsockFeatures(options).Has(kVsockMrgRxbufDefault));
  EXPECT_TRUE(OfferedVsockFeatures(options).Has(kVsockDgramDefault));
  options.numbers = {.mrg_rxbuf_feature = 20, .dgram_feature = 3};
  EXPECT_TRUE(OfferedVsockFeatures(options).Has(20));
  EXPECT_TRUE(OfferedVsockFeatures(options).Has(3));
  EXPECT_FALSE(OfferedVsockFeatures(options).Has(kVsockDgramDefault));
}

TEST(VsockFeaturesTest, CidsThatNoGuestCanHaveAreRefused) {
  for (const uint64_t cid : {uint64_t{0}, uint64_t{1}, uint64_t{2},
                             uint64_t{0xffffffff}, uint64_t{0x100000003}}) {
    EXPECT_NE(Complaint([cid](VsockOptions& o) { o.guest_cid = cid; }), "");
  }
  EXPECT_EQ(Complaint([](VsockOptions& o) { o.guest_cid = 0xfffffffe; }), "");
  EXPECT_EQ(Complaint([](VsockOptions& o) { o.guest_cid = 2; }),
            "vsock0: CID 2, where 3 to 4294967294 are possible");
}

TEST(VsockFeaturesTest, SizesOutsideOfTheirRangesAreRefused) {
  for (const uint16_t size : {0, 1, 3, 2048}) {
    EXPECT_NE(Complaint([size](VsockOptions& o) { o.queue_size = size; }), "");
  }
  EXPECT_EQ(Complaint([](VsockOptions& o) { o.queue_size = 1024; }), "");
  EXPECT_EQ(Complaint([](VsockOptions& o) { o.buf_alloc = 4095; }),
            "vsock0: buf_alloc of 4095, where 4096 to 67108864 are possible");
  EXPECT_NE(Complaint([](VsockOptions& o) { o.buf_alloc = (64 << 20) + 1; }),
            "");
  EXPECT_EQ(Complaint([](VsockOptions& o) { o.buf_alloc = 64 << 20; }), "");
  EXPECT_EQ(Complaint([](VsockOptions& o) { o.max_connections = 0; }),
            "vsock0: max_connections of 0, where 1 is the least");
}

TEST(VsockFeaturesTest, TimesThatNoClockCanShowAreRefused) {
  EXPECT_EQ(
      Complaint([](VsockOptions& o) { o.connect_wait = -absl::Seconds(1); }),
      "vsock0: connect_wait of -1s, where 0 to 24 hours are possible");
  EXPECT_NE(Complaint([](VsockOptions& o) {
              o.listen_wait = absl::InfiniteDuration();
            }),
            "");
  EXPECT_NE(Complaint([](VsockOptions& o) { o.close_wait = absl::Hours(25); }),
            "");
}

TEST(VsockFeaturesTest, BitsOfTheProposalsMustBeFreeAndDifferent) {
  const auto with_bit = [](uint32_t bit) {
    return Complaint([bit](VsockOptions& o) {
      o.mrg_rxbuf = true;
      o.numbers.mrg_rxbuf_feature = bit;
    });
  };
  for (const uint32_t bit : {3, 23, 41, 42, 50, 63}) {
    EXPECT_EQ(with_bit(bit), "") << bit;
  }
  for (const uint32_t bit : {0, 1, 2, 24, 40, 43, 49, 64, 127, 1000}) {
    EXPECT_NE(with_bit(bit), "") << bit;
  }
  EXPECT_EQ(with_bit(2),
            "vsock0: mrg_rxbuf_feature: bit 2 belongs to virtio 1.4; 3 to 23, "
            "41, 42 and 50 to 63 are free");
  EXPECT_EQ(Complaint([](VsockOptions& o) {
              o.mrg_rxbuf = o.dgram = true;
              o.numbers.dgram_feature = kVsockMrgRxbufDefault;
            }),
            "vsock0: dgram_feature: bit 3 is mrg_rxbuf_feature, too");
  // What is not offered has no bit.
  EXPECT_EQ(Complaint([](VsockOptions& o) { o.numbers.mrg_rxbuf_feature = 2; }),
            "");
}

}  // namespace
}  // namespace annulus::virtio
