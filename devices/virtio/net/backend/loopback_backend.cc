#include "devices/virtio/net/backend/loopback_backend.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/net/backend/plain_frames.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"

namespace annulus::virtio {
namespace {

constexpr size_t kMacBytes = 6;

static_assert(kNetHeaderBytes + kNetMaxFrameBytes <=
              FrameInbox::kMaxFrameBytes);

uint32_t ReceivableGsoTypes(const FeatureSet& offloads) {
  uint32_t types = 1u << kNetGsoNone;
  if (offloads.Has(kNetGuestTso4)) types |= 1u << kNetGsoTcpv4;
  if (offloads.Has(kNetGuestTso6)) types |= 1u << kNetGsoTcpv6;
  if (offloads.Has(kNetGuestUfo)) types |= 1u << kNetGsoUdp;
  // gso_type does not tell the IP version: the driver has to want both.
  if (offloads.Has(kNetGuestUso4) && offloads.Has(kNetGuestUso6)) {
    types |= 1u << kNetGsoUdpL4;
  }
  return types;
}

}  // namespace

void LoopbackQueue::SetReceiveOffloads(const FeatureSet& offloads) {
  gso_types_.store(ReceivableGsoTypes(offloads), std::memory_order_relaxed);
  csum_.store(offloads.Has(kNetGuestCsum), std::memory_order_relaxed);
  ecn_.store(offloads.Has(kNetGuestEcn), std::memory_order_relaxed);
}

// §5.1.6.4 "Processing of Incoming Packets", device requirements: nothing that
// needs a feature which was not negotiated.
bool LoopbackQueue::Receivable(const uint8_t* header) const {
  const uint8_t gso_type = header[1] & ~kNetGsoEcn;
  if (gso_type >= 32 ||
      (gso_types_.load(std::memory_order_relaxed) >> gso_type & 1) == 0) {
    return false;
  }
  return ((header[0] & kNetHeaderNeedsCsum) == 0 ||
          csum_.load(std::memory_order_relaxed)) &&
         ((header[1] & kNetGsoEcn) == 0 ||
          ecn_.load(std::memory_order_relaxed));
}

Transfer LoopbackQueue::Send(absl::Span<const iovec> frame, uint32_t bytes) {
  constexpr size_t kAddressesEnd = kNetHeaderBytes + 2 * kMacBytes;
  if (bytes < kAddressesEnd || bytes > FrameInbox::kMaxFrameBytes ||
      !Receivable(static_cast<const uint8_t*>(frame[0].iov_base))) {
    return {TransferStatus::kDropped, 0};
  }
  uint8_t* const copy = inbox_.Reserve(bytes);
  if (copy == nullptr) return {TransferStatus::kDropped, 0};
  GatherFrame(frame, copy, bytes);
  uint8_t* const destination = copy + kNetHeaderBytes;
  std::swap_ranges(destination, destination + kMacBytes,
                   destination + kMacBytes);
  Keep(bytes);
  return {TransferStatus::kDone, bytes};
}

// Hot. A frame without offloads is always one to be received.
uint32_t LoopbackQueue::SendPlain(absl::Span<const iovec> frames) {
  PrefetchFrames(frames);
  uint32_t sent = 0;
  for (const iovec& frame : frames) {
    if (frame.iov_len < 2 * kMacBytes) break;
    const size_t bytes = kNetHeaderBytes + frame.iov_len;
    uint8_t* const copy = inbox_.Reserve(bytes);
    if (copy == nullptr) break;
    const auto* const from = static_cast<const uint8_t*>(frame.iov_base);
    CopyPlainFrame({from, frame.iov_len}, {copy, bytes});
    // From where they came: what was just written is slow to be read.
    uint8_t* const destination = copy + kNetHeaderBytes;
    std::memcpy(destination, from + kMacBytes, kMacBytes);
    std::memcpy(destination + kMacBytes, from, kMacBytes);
    Keep(bytes);
    ++sent;
  }
  return sent;
}

void LoopbackQueue::Keep(size_t bytes) {
  inbox_.Keep();
  kept_bytes_ += bytes;
  if (kept_bytes_ >= kMostKept) Flush();
}

void LoopbackQueue::Flush() {
  if (kept_bytes_ == 0) return;
  kept_bytes_ = 0;
  inbox_.Publish();
}

Transfer LoopbackQueue::Receive(absl::Span<const iovec> room) {
  const absl::Span<const uint8_t> front = inbox_.FrontOrArm();
  if (front.empty()) return {TransferStatus::kAgain, 0};
  ScatterFrame(front, room);
  const uint32_t bytes = static_cast<uint32_t>(front.size());
  inbox_.Pop();
  return {TransferStatus::kDone, bytes};
}

// Hot.
uint32_t LoopbackQueue::CopyPlain(absl::Span<const iovec> rooms,
                                  absl::Span<uint32_t> bytes) {
  copied_end_ = inbox_.ring().oldest();
  return CopyPlainFrames(inbox_.ring(), copied_end_, rooms, bytes);
}

absl::StatusOr<std::unique_ptr<LoopbackBackend>> LoopbackBackend::Create(
    uint16_t queue_pairs) {
  if (queue_pairs == 0 || queue_pairs > kNetMaxQueuePairs) {
    return absl::InvalidArgumentError(absl::StrCat(
        "loopback network backend with ", queue_pairs, " queue pairs"));
  }
  std::vector<std::unique_ptr<LoopbackQueue>> queues;
  for (uint16_t i = 0; i < queue_pairs; ++i) {
    ANNULUS_ASSIGN_OR_RETURN(EventFd readable, EventFd::Create());
    queues.push_back(std::make_unique<LoopbackQueue>(std::move(readable)));
  }
  return std::unique_ptr<LoopbackBackend>(
      new LoopbackBackend(std::move(queues)));
}

absl::Status LoopbackBackend::SetReceiveOffloads(const FeatureSet& offloads) {
  for (const auto& queue : queues_) queue->SetReceiveOffloads(offloads);
  return absl::OkStatus();
}

void LoopbackBackend::SetPolled(bool polled) {
  for (const auto& queue : queues_) queue->SetPolled(polled);
}

absl::Status LoopbackBackend::SetActivePairs(uint16_t pairs) {
  ANNULUS_CHECK(pairs >= 1 && pairs <= queues_.size());
  return absl::OkStatus();
}

}  // namespace annulus::virtio
