#include "devices/virtio/rng/rng_device.h"

#include <string.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace annulus::virtio {
namespace {

FeatureSet Offered(const RngOptions& options) {
  FeatureSet features = FeatureSet::Of(kFeatureVersion1);
  if (options.packed) features.Add(kFeatureRingPacked);
  if (options.event_idx) features.Add(kFeatureEventIdx);
  if (options.indirect_desc) features.Add(kFeatureIndirectDesc);
  if (options.in_order) features.Add(kFeatureInOrder);
  return features;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RngDevice>> RngDevice::Create(
    const RngOptions& options, LogSink& log) {
  std::unique_ptr<RngDevice> device(new RngDevice(options));
  ANNULUS_ASSIGN_OR_RETURN(
      device->worker_,
      QueueWorker::Create({.name = absl::StrCat(options.name, "/q0"),
                           .policy = options.workers},
                          *device, log));
  return device;
}

RngDevice::RngDevice(const RngOptions& options)
    : offered_(Offered(options)),
      source_(options.source != nullptr ? *options.source
                                        : HostEntropySource()),
      chain_(kMaxQueueSize) {}

RngDevice::~RngDevice() = default;

void RngDevice::StartQueue(uint16_t index, const QueueResources& resources) {
  if (index == 0) worker_->Start(resources);
}

std::optional<QueueState> RngDevice::StopQueue(uint16_t index) {
  return index == 0 ? worker_->Stop() : std::nullopt;
}

void RngDevice::Reset() { worker_->Stop(); }

// Hot.
bool RngDevice::Drain(Virtqueue& queue) {
  for (int i = 0; i < kMaxChainsPerDrain; ++i) {
    if (!queue.Pop(chain_)) return false;
    const uint32_t bytes = FillChain();
    queue.Push(chain_, bytes);
    bytes_.Add(bytes);
  }
  return true;
}

// Returns how many bytes of the chain's writable part are random now.
uint32_t RngDevice::FillChain() {
  const uint32_t wanted = std::min(chain_.writable_bytes(), kMaxBytesPerChain);
  uint32_t written = 0;
  for (const ChainElement& element : chain_.writable()) {
    for (size_t offset = 0; offset < element.span.size();) {
      if (written == wanted) break;
      const size_t bytes = std::min<size_t>(
          {kPieceBytes, wanted - written, element.span.size() - offset});
      const absl::Span<uint8_t> piece =
          absl::MakeSpan(piece_).subspan(0, bytes);
      if (!source_.Fill(piece)) {
        entropy_failures_.fetch_add(1, std::memory_order_relaxed);
        return written;
      }
      element.span.CopyIn(offset, piece);
      // The guest's secrets do not stay in our memory.
      ::explicit_bzero(piece.data(), piece.size());
      offset += bytes;
      written += static_cast<uint32_t>(bytes);
    }
  }
  return written;
}

}  // namespace annulus::virtio
