#include "devices/virtio/net/backend/null_backend.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"

namespace annulus::virtio {
namespace {

// To everyone, from an address of nobody, of the ethertype for experiments.
constexpr uint8_t kEthernetHeader[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0, 0x88, 0xb5};

std::vector<uint8_t> GeneratedFrame(uint32_t bytes) {
  std::vector<uint8_t> frame(bytes);
  std::copy_n(kEthernetHeader, std::min(sizeof(kEthernetHeader), frame.size()),
              frame.begin());
  return frame;
}

}  // namespace

void NullQueue::Count(uint64_t frames, uint64_t bytes) {
  frames_.store(frames_.load(std::memory_order_relaxed) + frames,
                std::memory_order_relaxed);
  bytes_.store(bytes_.load(std::memory_order_relaxed) + bytes,
               std::memory_order_relaxed);
}

Transfer NullQueue::Send(absl::Span<const iovec>, uint32_t bytes) {
  Count(1, bytes - kNetHeaderBytes);
  return {TransferStatus::kDone, bytes};
}

// Hot.
uint32_t NullQueue::SendPlain(absl::Span<const iovec> frames) {
  uint64_t bytes = 0;
  for (const iovec& frame : frames) bytes += frame.iov_len;
  Count(frames.size(), bytes);
  return static_cast<uint32_t>(frames.size());
}

Transfer NullQueue::Receive(absl::Span<const iovec> room) {
  if (generated_.empty()) return {TransferStatus::kAgain, 0};
  std::memset(room[0].iov_base, 0, kNetHeaderBytes);
  ScatterFrame(generated_, room.subspan(1));
  return {TransferStatus::kDone,
          static_cast<uint32_t>(kNetHeaderBytes + generated_.size())};
}

// Hot.
uint32_t NullQueue::CopyPlain(absl::Span<const iovec> rooms,
                              absl::Span<uint32_t> bytes) {
  if (generated_.empty()) return 0;
  const size_t frame_bytes = kNetHeaderBytes + generated_.size();
  uint32_t count = 0;
  for (const iovec& room : rooms) {
    if (room.iov_len < frame_bytes) break;
    CopyPlainFrame(generated_, room);
    bytes[count++] = static_cast<uint32_t>(frame_bytes);
  }
  return count;
}

absl::StatusOr<std::unique_ptr<NullBackend>> NullBackend::Create(
    const NullBackendOptions& options) {
  if (options.queue_pairs == 0 || options.queue_pairs > kNetMaxQueuePairs) {
    return absl::InvalidArgumentError(absl::StrCat(
        "null network backend with ", options.queue_pairs, " queue pairs"));
  }
  if (options.generate_bytes != 0 &&
      (options.generate_bytes < sizeof(kEthernetHeader) ||
       options.generate_bytes > kNetMaxFrameBytes)) {
    return absl::InvalidArgumentError(
        absl::StrCat("null network backend is to generate frames of ",
                     options.generate_bytes, " bytes: not in ",
                     sizeof(kEthernetHeader), " to ", kNetMaxFrameBytes));
  }
  return std::unique_ptr<NullBackend>(new NullBackend(options));
}

NullBackend::NullBackend(const NullBackendOptions& options)
    : generated_(GeneratedFrame(options.generate_bytes)) {
  for (uint16_t i = 0; i < options.queue_pairs; ++i) {
    queues_.push_back(std::make_unique<NullQueue>(generated_));
  }
}

absl::Status NullBackend::SetActivePairs(uint16_t pairs) {
  ANNULUS_CHECK(pairs >= 1 && pairs <= queues_.size());
  return absl::OkStatus();
}

}  // namespace annulus::virtio
