#include "devices/virtio/net/switch/frame_switch_port.h"

#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/base/optimization.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "devices/virtio/net/backend/all_offloads.h"
#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/net/backend/frame_ring.h"
#include "devices/virtio/net/frame_format.h"
#include "devices/virtio/net/switch/frame_segments.h"
#include "devices/virtio/net/switch/learned_addresses.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {
namespace {

constexpr size_t kMacBytes = 6;
constexpr size_t kMaxBytes = kNetHeaderBytes + kNetMaxFrameBytes;
static_assert(kMaxBytes <= FrameRing::kMaxFrameBytes);

uint64_t AddressOf(const uint8_t* mac) {
  uint64_t address = 0;
  for (size_t i = 0; i < kMacBytes; ++i) address = address << 8 | mac[i];
  return address;
}

// "the Individual/Group bit", IEEE 802 §8.2.2.
bool IsGroup(uint64_t address) { return (address >> 40 & 1) != 0; }

uint32_t Seconds() {
  return static_cast<uint32_t>(MonotonicNanoseconds() / 1'000'000'000);
}

const uint8_t* HeaderOf(absl::Span<const iovec> frame) {
  return static_cast<const uint8_t*>(frame[0].iov_base);
}

// Whether a driver takes the frame as it is (virtio 1.4 §5.1.6.4 "Processing of
// Incoming Packets", device requirements).
bool Takes(const FrameSwitch::Route& route, const uint8_t* header) {
  // No offload: the common case of short frames.
  if ((header[0] | header[1]) == 0) return true;
  const uint8_t gso_type = header[1] & ~kNetGsoEcn;
  return route.csum && gso_type < 8 && (route.gso_types >> gso_type & 1) != 0 &&
         ((header[1] & kNetGsoEcn) == 0 || route.ecn);
}

}  // namespace

SwitchPortQueue::SwitchPortQueue(FrameSwitch& frame_switch, uint8_t port,
                                 uint8_t slot, uint8_t index)
    : switch_(frame_switch),
      inbox_(frame_switch.inbox(slot)),
      port_(port),
      slot_(slot),
      index_(index),
      copy_(std::make_unique_for_overwrite<uint8_t[]>(kMaxBytes)) {}

// Hot.
Transfer SwitchPortQueue::Send(absl::Span<const iovec> frame, uint32_t bytes) {
  uint8_t ends[2 * kMacBytes];
  if (ABSL_PREDICT_FALSE(
          bytes < kNetHeaderBytes + kEthernetHeaderBytes || bytes > kMaxBytes ||
          GatherFrame(frame.subspan(1), ends, sizeof(ends)) != sizeof(ends))) {
    return {TransferStatus::kDropped, 0};
  }
  if (flushed_) {
    flushed_ = false;
    now_ = Seconds();
  }
  const uint64_t source = AddressOf(ends + kMacBytes);
  if (ABSL_PREDICT_FALSE(source != last_key_ || now_ != last_seen_) &&
      !IsGroup(source)) {
    switch_.addresses().Learn(source, port_, now_);
    last_key_ = source;
    last_seen_ = now_;
  }
  const uint64_t destination = AddressOf(ends);
  std::optional<uint8_t> port;
  if (!IsGroup(destination)) port = switch_.addresses().Find(destination, now_);
  if (ABSL_PREDICT_TRUE(port.has_value())) {
    if (ABSL_PREDICT_FALSE(*port == port_)) {
      counters_.filtered.Add(1);
      return {TransferStatus::kDone, bytes};
    }
    if (!Deliver(*port, frame, bytes)) return {TransferStatus::kDropped, 0};
    counters_.forwarded.Add(1);
    return {TransferStatus::kDone, bytes};
  }
  counters_.flooded.Add(1);
  uint64_t others = switch_.ports() & ~(uint64_t{1} << port_);
  for (; others != 0; others &= others - 1) {
    (void)Deliver(static_cast<uint8_t>(std::countr_zero(others)), frame, bytes);
  }
  return {TransferStatus::kDone, bytes};
}

// Hot.
bool SwitchPortQueue::Deliver(uint8_t port, absl::Span<const iovec> frame,
                              uint32_t bytes) {
  const FrameSwitch::Route route = switch_.route(port);
  if (ABSL_PREDICT_FALSE(!route.open)) return false;  // It left just now.
  const uint8_t pair = index_ < route.active_pairs
                           ? index_
                           : static_cast<uint8_t>(index_ % route.active_pairs);
  const size_t slot = size_t{route.first_slot} + pair;
  if (ABSL_PREDICT_FALSE(!Takes(route, HeaderOf(frame)))) {
    return DeliverCompleted(route, slot, frame, bytes);
  }
  uint8_t* const room = Reserve(slot, bytes);
  if (ABSL_PREDICT_FALSE(room == nullptr)) return false;
  GatherFrame(frame, room, bytes);
  Keep(slot);
  return true;
}

uint8_t* SwitchPortQueue::Reserve(size_t slot, size_t bytes) {
  uint8_t* const room = switch_.inbox(slot).ring(slot_).Reserve(bytes);
  if (ABSL_PREDICT_FALSE(room == nullptr)) counters_.full.Add(1);
  return room;
}

void SwitchPortQueue::Keep(size_t slot) {
  switch_.inbox(slot).ring(slot_).Keep();
  touched_ |= uint64_t{1} << slot;
}

// To a driver without the offloads that the frame has.
bool SwitchPortQueue::DeliverCompleted(const FrameSwitch::Route& route,
                                       size_t slot,
                                       absl::Span<const iovec> frame,
                                       uint32_t bytes) {
  // What guest memory has from here on is of no interest.
  GatherFrame(frame, copy_.get(), bytes);
  uint8_t* const header_bytes = copy_.get();
  NetHeader header =
      DecodeNetHeader(absl::MakeConstSpan(header_bytes, kNetHeaderBytes));
  const absl::Span<uint8_t> packet =
      absl::MakeSpan(copy_.get() + kNetHeaderBytes, bytes - kNetHeaderBytes);
  // It was checked already, by the rules of this card; but nothing below is to
  // depend on that.
  const HeaderRules any = {.csum = true,
                           .tso4 = true,
                           .tso6 = true,
                           .ecn = true,
                           .uso4 = true,
                           .uso6 = true};
  if (!CheckNetHeader(any, static_cast<uint32_t>(packet.size()), header)) {
    counters_.unusable.Add(1);
    return false;
  }
  counters_.completed.Add(1);
  if (header.gso_type != kNetGsoNone) {
    return DeliverSegments(slot, header, packet);
  }
  if ((header.flags & kNetHeaderNeedsCsum) != 0 && !route.csum) {
    CompleteChecksum(header, packet);
    header.flags &= static_cast<uint8_t>(~kNetHeaderNeedsCsum);
  }
  uint8_t* const room = Reserve(slot, bytes);
  if (room == nullptr) return false;
  std::memset(room, 0, kNetHeaderBytes);
  std::memcpy(room + kNetHeaderBytes, packet.data(), packet.size());
  Keep(slot);
  return true;
}

bool SwitchPortQueue::DeliverSegments(size_t slot, const NetHeader& header,
                                      absl::Span<const uint8_t> frame) {
  const std::optional<FrameSegments> segments =
      FrameSegments::Of(header, frame);
  if (!segments.has_value()) {
    counters_.unusable.Add(1);
    return false;
  }
  for (size_t i = 0; i < segments->count(); ++i) {
    uint8_t* const room = Reserve(slot, kNetHeaderBytes + segments->bytes(i));
    // One that is lost is sent again; the others may be of use.
    if (room == nullptr) return i != 0;
    std::memset(room, 0, kNetHeaderBytes);
    segments->Write(i, room + kNetHeaderBytes);
    Keep(slot);
  }
  return true;
}

// Hot.
void SwitchPortQueue::Flush() {
  flushed_ = true;
  for (; touched_ != 0; touched_ &= touched_ - 1) {
    const auto slot = static_cast<size_t>(std::countr_zero(touched_));
    SwitchInbox& inbox = switch_.inbox(slot);
    inbox.ring(slot_).Publish();
    inbox.Announce(slot_);
  }
}

// Hot.
Transfer SwitchPortQueue::Receive(absl::Span<const iovec> room) {
  const absl::Span<const uint8_t> front = inbox_.Front();
  if (front.empty()) return {TransferStatus::kAgain, 0};
  ScatterFrame(front, room);
  const auto bytes = static_cast<uint32_t>(front.size());
  inbox_.Pop();
  return {TransferStatus::kDone, bytes};
}

absl::StatusOr<std::unique_ptr<FrameSwitchPort>> FrameSwitchPort::Create(
    std::shared_ptr<FrameSwitch> frame_switch, uint16_t queue_pairs) {
  ANNULUS_ASSIGN_OR_RETURN(const uint8_t port,
                           frame_switch->AddPort(queue_pairs));
  return std::unique_ptr<FrameSwitchPort>(
      new FrameSwitchPort(std::move(frame_switch), port, queue_pairs));
}

FrameSwitchPort::FrameSwitchPort(std::shared_ptr<FrameSwitch> frame_switch,
                                 uint8_t port, uint16_t queue_pairs)
    : switch_(std::move(frame_switch)), port_(port) {
  const uint8_t first = switch_->route(port).first_slot;
  // A switch has 63 pairs in all.
  for (uint16_t i = 0; i < queue_pairs; ++i) {
    queues_.push_back(std::make_unique<SwitchPortQueue>(
        *switch_, port, static_cast<uint8_t>(first + i),
        static_cast<uint8_t>(i)));
  }
}

FrameSwitchPort::~FrameSwitchPort() {
  // Nothing of this port is in the rings when another one takes the slots.
  for (const auto& queue : queues_) queue->Flush();
  switch_->RemovePort(port_);
}

// Those of which a frame can be had without them. UFO's cannot: nobody cuts
// those up any more.
FeatureSet FrameSwitchPort::offloads() const {
  FeatureSet offloads = kAllOffloads;
  offloads.Remove(kNetHostUfo);
  offloads.Remove(kNetGuestUfo);
  return offloads;
}

absl::Status FrameSwitchPort::SetReceiveOffloads(const FeatureSet& offloads) {
  switch_->SetReceiveOffloads(port_, offloads);
  return absl::OkStatus();
}

absl::Status FrameSwitchPort::SetActivePairs(uint16_t pairs) {
  ANNULUS_CHECK(pairs >= 1 && pairs <= queues_.size());
  switch_->SetActivePairs(port_, pairs);
  return absl::OkStatus();
}

void FrameSwitchPort::SetPolled(bool polled) {
  for (const auto& queue : queues_) queue->SetPolled(polled);
}

}  // namespace annulus::virtio
