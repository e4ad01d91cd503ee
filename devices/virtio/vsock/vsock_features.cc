#include "devices/virtio/vsock/vsock_features.h"

#include <bit>
#include <cstdint>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kMinQueueSize = 2;
constexpr uint16_t kMaxQueueSize = 1024;
constexpr uint32_t kMinBufAlloc = 4 * 1024;
constexpr uint32_t kMaxBufAlloc = 64 * 1024 * 1024;

// "Feature bits for the specific device type" (virtio 1.4 §2.2 "Feature Bits"),
// below 64, for vhost-user to carry them, and without those that it has.
constexpr uint32_t kFeatureLimit = 64;
bool IsFree(uint32_t bit) {
  return (bit > kVsockNoImpliedStream && bit < 24) || bit == 41 || bit == 42 ||
         (bit >= 50 && bit < kFeatureLimit);
}

absl::Status CheckFeature(const VsockOptions& options, absl::string_view field,
                          uint32_t bit) {
  if (IsFree(bit)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s: %s: bit %u %s; 3 to 23, 41, 42 and 50 to 63 are free", options.name,
      field, bit,
      bit < kFeatureLimit ? "belongs to virtio 1.4" : "is not below 64"));
}

absl::Status CheckNumbers(const VsockOptions& options) {
  const VsockNumbers& numbers = options.numbers;
  if (options.mrg_rxbuf) {
    ANNULUS_RETURN_IF_ERROR(
        CheckFeature(options, "mrg_rxbuf_feature", numbers.mrg_rxbuf_feature));
  }
  if (options.dgram) {
    ANNULUS_RETURN_IF_ERROR(
        CheckFeature(options, "dgram_feature", numbers.dgram_feature));
  }
  if (options.mrg_rxbuf && options.dgram &&
      numbers.mrg_rxbuf_feature == numbers.dgram_feature) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: dgram_feature: bit %u is mrg_rxbuf_feature, too",
                        options.name, numbers.dgram_feature));
  }
  return absl::OkStatus();
}

absl::Status CheckWait(const VsockOptions& options, absl::string_view field,
                       absl::Duration wait) {
  // An infinite one has no deadline that a clock could show.
  if (wait >= absl::ZeroDuration() && wait <= absl::Hours(24)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: %s of %s, where 0 to 24 hours are possible",
                      options.name, field, absl::FormatDuration(wait)));
}

}  // namespace

FeatureSet AllVsockFeatures() {
  return FeatureSet::Of(kVsockStream, kVsockSeqpacket, kVsockNoImpliedStream,
                        kFeatureIndirectDesc, kFeatureEventIdx,
                        kFeatureVersion1, kFeatureRingPacked, kFeatureInOrder);
}

FeatureSet OfferedVsockFeatures(const VsockOptions& options) {
  FeatureSet features = options.features.Intersection(AllVsockFeatures());
  features.Add(kFeatureVersion1);
  if (options.mrg_rxbuf) features.Add(options.numbers.mrg_rxbuf_feature);
  if (options.dgram) features.Add(options.numbers.dgram_feature);
  return features;
}

absl::Status CheckVsockOptions(const VsockOptions& options) {
  if (options.guest_cid < kVsockFirstGuestCid ||
      options.guest_cid > kVsockLastGuestCid) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: CID %u, where %u to %u are possible", options.name,
        options.guest_cid, kVsockFirstGuestCid, kVsockLastGuestCid));
  }
  if (options.queue_size < kMinQueueSize ||
      options.queue_size > kMaxQueueSize ||
      !std::has_single_bit(options.queue_size)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: queues of %u, where powers of two from %u to %u are possible",
        options.name, options.queue_size, kMinQueueSize, kMaxQueueSize));
  }
  if (options.buf_alloc < kMinBufAlloc || options.buf_alloc > kMaxBufAlloc) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: buf_alloc of %u, where %u to %u are possible", options.name,
        options.buf_alloc, kMinBufAlloc, kMaxBufAlloc));
  }
  if (options.max_connections == 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: max_connections of 0, where 1 is the least", options.name));
  }
  ANNULUS_RETURN_IF_ERROR(
      CheckWait(options, "connect_wait", options.connect_wait));
  ANNULUS_RETURN_IF_ERROR(
      CheckWait(options, "listen_wait", options.listen_wait));
  ANNULUS_RETURN_IF_ERROR(CheckWait(options, "close_wait", options.close_wait));
  return CheckNumbers(options);
}

}  // namespace annulus::virtio
