#include "devices/virtio/vsock/vsock_guest.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/check.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/transport/queue_registers.h"
#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

// All five queues in the one MiB of a TestDriver.
constexpr uint64_t kFirstRing = 0x10000;
constexpr uint64_t kRingBytes = 0x30000;

}  // namespace

void VsockGuest::Start() {
  Negotiate();
  EnableQueues();
  transport_.DriverOk();
  for (uint16_t i = 0; i < queues(); ++i) NotifyIfWanted(i);
}

void VsockGuest::Negotiate() {
  transport_.WriteStatus(0);
  rings_.clear();
  FeatureSet features = options_.features;
  const auto add = [&features](bool on, uint32_t bit) {
    if (on) features.Add(bit);
  };
  features.Add(kFeatureVersion1);
  add(options_.shape.packed, kFeatureRingPacked);
  add(options_.shape.event_idx, kFeatureEventIdx);
  add(options_.shape.indirect, kFeatureIndirectDesc);
  add(options_.shape.in_order, kFeatureInOrder);
  if (options_.mrg_rxbuf.has_value()) features.Add(*options_.mrg_rxbuf);
  if (options_.dgram.has_value()) features.Add(*options_.dgram);
  transport_.Negotiate(features);
}

void VsockGuest::EnableQueues() {
  for (uint16_t i = 0; i < queues(); ++i) EnableQueue(i);
}

void VsockGuest::EnableQueue(uint16_t queue) {
  if (rings_.size() <= queue) rings_.resize(queue + size_t{1});
  rings_[queue] = std::make_unique<FakeDriver>(
      transport_.memory(),
      FakeDriverOptions{
          .packed = options_.shape.packed,
          .event_idx = options_.shape.event_idx,
          .indirect = options_.shape.indirect,
          .in_order = options_.shape.in_order,
          .size = kQueueSize,
          .base = memory::GuestAddress(kFirstRing + queue * kRingBytes),
          .bytes = kRingBytes});
  const QueueConfig& config = rings_[queue]->config();
  transport_.SelectQueue(queue);
  transport_.WriteQueueSize(config.size);
  transport_.WriteQueueArea(QueueArea::kDescriptor, config.descriptor.value());
  transport_.WriteQueueArea(QueueArea::kDriver, config.driver.value());
  transport_.WriteQueueArea(QueueArea::kDevice, config.device.value());
  const bool dgram = options_.dgram.has_value();
  if (queue == rx() || (dgram && queue == kVsockDgramRxQueue)) {
    Fill(queue, options_.buffers);
  }
  if (queue == event()) {
    for (int i = 0; i < options_.events; ++i) AddEventBuffer();
  }
  transport_.WriteQueueEnable(1);
}

void VsockGuest::ResetQueue(uint16_t queue) {
  transport_.SelectQueue(queue);
  transport_.WriteQueueReset(1);
}

uint64_t VsockGuest::cid() {
  const std::vector<uint8_t> bytes =
      transport_.ReadConfig(kVsockConfigGuestCid, 8);
  uint64_t cid = 0;
  for (size_t i = 0; i < 8; ++i) cid |= uint64_t{bytes[i]} << 8 * i;
  return cid;
}

void VsockGuest::NotifyIfWanted(uint16_t queue) {
  if (rings_[queue]->NeedsNotification()) transport_.Notify(queue);
}

int VsockGuest::Fill(uint16_t queue, int count) {
  int done = 0;
  while (done < count && rings_[queue]
                             ->Chain()
                             .Writable(options_.buffer_bytes)
                             .Offer()
                             .has_value()) {
    ++done;
  }
  return done;
}

void VsockGuest::AddEventBuffer() {
  ANNULUS_CHECK(
      rings_[event()]->Chain().Writable(kVsockEventBytes).Offer().has_value());
}

PacketHeader VsockGuest::Header(uint16_t op, uint32_t own, uint32_t peer,
                                uint16_t type) {
  return {.src_cid = cid(),
          .dst_cid = kVsockHostCid,
          .src_port = own,
          .dst_port = peer,
          .type = type,
          .op = op,
          .buf_alloc = 256 * 1024};
}

void VsockGuest::Send(const PacketHeader& header, absl::string_view payload,
                      const std::vector<size_t>& pieces, uint16_t queue) {
  const std::string packet = WirePacket(header, payload, header_bytes());
  while (true) {
    FakeDriver::ChainBuilder chain = rings_[queue]->Chain();
    size_t done = 0;
    for (const size_t bytes : pieces) {
      chain.Readable(packet.substr(done, bytes));
      done += std::min(bytes, packet.size() - done);
    }
    if (done != packet.size()) chain.Readable(packet.substr(done));
    if (chain.Offer().has_value()) break;
    (void)AwaitUsed(queue);
  }
  NotifyIfWanted(queue);
}

void VsockGuest::AwaitSent(uint16_t queue) {
  while (rings_[queue]->free_descriptors() != kQueueSize) {
    (void)AwaitUsed(queue);
  }
}

FakeDriver::Used VsockGuest::AwaitUsed(uint16_t queue) {
  FakeDriver& ring = *rings_[queue];
  while (true) {
    if (std::optional<FakeDriver::Used> used = ring.GetUsed()) {
      ring.DisableCallbacks();
      return *std::move(used);
    }
    if (ring.EnableCallbacks()) continue;
    // Of any queue: whoever waits looks at its own first.
    while (transport_.TakeUsedBufferInterrupts() == 0) {
      std::this_thread::yield();
    }
  }
}

VsockGuest::Packet VsockGuest::Receive(uint16_t queue) {
  while (true) {
    std::optional<Packet> packet = TakePacket(queue, AwaitUsed(queue));
    if (packet.has_value()) return *std::move(packet);
  }
}

std::optional<VsockGuest::Packet> VsockGuest::TryReceive(uint16_t queue) {
  std::optional<FakeDriver::Used> used = rings_[queue]->GetUsed();
  if (!used.has_value()) return std::nullopt;
  return TakePacket(queue, *std::move(used));
}

// Nothing: it was a buffer without a packet.
std::optional<VsockGuest::Packet> VsockGuest::TakePacket(
    uint16_t queue, FakeDriver::Used first) {
  int buffers = 1;
  std::string bytes = std::move(first.data);
  if (options_.mrg_rxbuf.has_value() && !bytes.empty()) {
    for (; buffers < NumBuffersOf(bytes); ++buffers) {
      // They are shown together.
      std::optional<FakeDriver::Used> more = rings_[queue]->GetUsed();
      ANNULUS_CHECK(more.has_value());
      bytes += more->data;
    }
  }
  if (refills_ && Fill(queue, buffers) != 0) NotifyIfWanted(queue);
  if (bytes.empty()) return std::nullopt;
  Packet packet = {.header = HeaderOf(bytes),
                   .payload = bytes.substr(header_bytes())};
  // What Linux drops otherwise.
  ANNULUS_CHECK(packet.header.len == packet.payload.size());
  return packet;
}

VsockGuest::Packet VsockGuest::Connect(uint32_t own, uint32_t peer,
                                       uint16_t type) {
  Send(Header(kVsockOpRequest, own, peer, type));
  return Receive();
}

}  // namespace annulus::virtio
