#include "tests/guest_user/receive_options.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "tests/guest_user/stream_flags.h"
#include "tests/guest_user/stream_frame.h"

namespace annulus::guest_user {
namespace {

using virtio::ReceiveMethod;

constexpr uint32_t kPageBytes = 4096;

constexpr struct {
  const char* name;
  ReceiveMethod method;
} kMethods[] = {{"none", ReceiveMethod::kNone},
                {"A", ReceiveMethod::kChain},
                {"B", ReceiveMethod::kBuffers},
                {"C", ReceiveMethod::kSmallBuffers},
                {"Q", ReceiveMethod::kHeaderQueue}};

constexpr uint64_t Bit(uint32_t bit) { return uint64_t{1} << bit; }

}  // namespace

const char* NameOf(ReceiveMethod method) {
  for (const auto& known : kMethods) {
    if (known.method == method) return known.name;
  }
  return "?";
}

bool ReceiveOptions::uses_mergeable() const {
  switch (method) {
    case ReceiveMethod::kChain:
      return false;
    case ReceiveMethod::kBuffers:
    case ReceiveMethod::kSmallBuffers:
      return true;
    case ReceiveMethod::kNone:
    case ReceiveMethod::kHeaderQueue:
      break;
  }
  return mergeable;
}

uint16_t ReceiveOptions::pages_per_buffer() const {
  if (method == ReceiveMethod::kBuffers ||
      method == ReceiveMethod::kSmallBuffers) {
    return 1;
  }
  // Payload alone, or with its header in front where it is not split.
  const uint32_t bytes = MaxPayloadBytes(stream) + kMaxStreamHeaderBytes;
  return static_cast<uint16_t>((bytes + kPageBytes - 1) / kPageBytes);
}

uint32_t ReceiveOptions::window() const {
  uint32_t descriptors = 1;  // For one frame, split or not.
  const uint32_t pages = MaxPayloadBytes(stream) / kPageBytes + 2;
  switch (method) {
    case ReceiveMethod::kBuffers:
      descriptors = pages;
      break;
    case ReceiveMethod::kSmallBuffers:
      descriptors = 2 * pages;
      break;
    case ReceiveMethod::kNone:
    case ReceiveMethod::kChain:
    case ReceiveMethod::kHeaderQueue:
      descriptors = indirect ? 1u : pages_per_buffer() + 1u;
      break;
  }
  const uint32_t frames = queue_size * 3u / 4 / descriptors;
  return std::clamp(frames, 1u, 64u);
}

uint64_t ReceiveOptions::features() const {
  uint64_t features = Bit(virtio::kFeatureVersion1) | Bit(virtio::kNetMac) |
                      Bit(virtio::kNetCtrlVq) | Bit(virtio::kNetGuestCsum);
  if (packed) features |= Bit(virtio::kFeatureRingPacked);
  if (in_order) features |= Bit(virtio::kFeatureInOrder);
  if (indirect) features |= Bit(virtio::kFeatureIndirectDesc);
  if (uses_mergeable()) features |= Bit(virtio::kNetMrgRxbuf);
  if (stream.gso) {
    features |=
        Bit(IsIpv4(stream) ? virtio::kNetGuestTso4 : virtio::kNetGuestTso6);
  }
  const virtio::HeaderSplitNumbers numbers;
  if (method == ReceiveMethod::kHeaderQueue) {
    features |= Bit(numbers.header_queue_feature);
  } else if (splits()) {
    features |= Bit(numbers.split_feature);
  }
  return features;
}

void AddReceiveFlags(cli::FlagSet& flags, ReceiveOptions& options) {
  flags.AddValue("method", "none|A|B|C|Q", "how headers are to be split",
                 [&options](absl::string_view text) {
                   for (const auto& known : kMethods) {
                     if (text != known.name) continue;
                     options.method = known.method;
                     return absl::OkStatus();
                   }
                   return absl::InvalidArgumentError("no such method");
                 });
  flags.AddValue("pci", "ADDRESS", "the card, if there are several",
                 [&options](absl::string_view text) {
                   options.pci = std::string(text);
                   return absl::OkStatus();
                 });
  flags.AddSwitch("packed", 0,
                  "packed rings (default); --no-packed: split ones",
                  [&options](bool on) { options.packed = on; });
  flags.AddSwitch("in-order", 0, "VIRTIO_F_IN_ORDER",
                  [&options](bool on) { options.in_order = on; });
  flags.AddSwitch("indirect", 0, "VIRTIO_F_INDIRECT_DESC",
                  [&options](bool on) { options.indirect = on; });
  flags.AddSwitch(
      "mergeable", 0,
      "methods none and Q: with MRG_RXBUF (default); --no-mergeable: without",
      [&options](bool on) { options.mergeable = on; });
  flags.AddValue(
      "queue-size", "N", "descriptors of the receiveq (256)",
      [&options](absl::string_view text) {
        uint32_t size = 0;
        if (!absl::SimpleAtoi(text, &size) || size < 64 || size > 1024 ||
            (size & (size - 1)) != 0) {
          return absl::InvalidArgumentError("is no power of 2 from 64 to 1024");
        }
        options.queue_size = static_cast<uint16_t>(size);
        return absl::OkStatus();
      });
  flags.AddValue("min-split", "N",
                 "frames that must come split (all that can be)",
                 [&options](absl::string_view text) {
                   uint64_t frames = 0;
                   if (!absl::SimpleAtoi(text, &frames)) {
                     return absl::InvalidArgumentError("is no number");
                   }
                   options.min_split = frames;
                   return absl::OkStatus();
                 });
  AddStreamFlags(flags, options.stream);
}

}  // namespace annulus::guest_user
