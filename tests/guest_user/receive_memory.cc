#include "tests/guest_user/receive_memory.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "devices/virtio/spec/net_header_split.h"

namespace annulus::guest_user {
namespace {

using virtio::ReceiveMethod;

constexpr uint32_t kPageBytes = 4096;
// Rings with their tables, small buffers, slots, control and transmit.
constexpr size_t kOtherBytes = 2 * DmaMemory::kHugePageBytes;
// Of the small descriptor of method A: "hold" behind the header included.
constexpr uint32_t kChainHeaderBytes = 128;
constexpr uint16_t kHeaderQueueId = 3;

// What is in small buffers before the device writes to them.
constexpr uint8_t kHold = 0xee;

size_t PageCount(const ReceiveOptions& options) {
  return size_t{2} * options.queue_size *
         (options.indirect ? options.pages_per_buffer() : 1);
}

}  // namespace

size_t ReceiveMemory::BytesNeeded(const ReceiveOptions& options) {
  return PageCount(options) * kPageBytes + kOtherBytes;
}

ReceiveMemory::ReceiveMemory(DmaMemory& memory, const ReceiveOptions& options)
    : options_(options) {
  AddPages(memory);
  switch (options.method) {
    case ReceiveMethod::kNone:
      AddSmall(memory, header_layout().bytes());
      break;
    case ReceiveMethod::kChain:
      AddSmall(memory, kChainHeaderBytes);
      break;
    case ReceiveMethod::kBuffers:
      break;
    case ReceiveMethod::kSmallBuffers:
      AddSmall(memory, kSmallBytes);
      break;
    case ReceiveMethod::kHeaderQueue:
      AddSmall(memory, header_layout().bytes());
      AddSlots(memory);
      break;
  }
}

void ReceiveMemory::AddPages(DmaMemory& memory) {
  DmaMemory::Pages pages = memory.AllocatePages(PageCount(options_));
  page_addrs_ = std::move(pages.addrs);
  free_pages_.resize(page_addrs_.size());
  pages_.emplace(virtio::ReceivePoolConfig{
      .host = pages.host,
      .addrs = page_addrs_.data(),
      .bytes = kPageBytes,
      .stride = kPageBytes,
      .count = static_cast<uint32_t>(page_addrs_.size()),
      .free = free_pages_.data()});
}

void ReceiveMemory::AddSmall(DmaMemory& memory, uint32_t bytes) {
  const uint32_t count = 2u * options_.queue_size;
  const uint32_t stride = (bytes + 63) / 64 * 64;
  const DmaMemory::Block block =
      memory.Allocate(size_t{count} * stride, kPageBytes);
  std::memset(block.host, kHold, size_t{count} * stride);
  free_small_.resize(count);
  small_.emplace(virtio::ReceivePoolConfig{.host = block.host,
                                           .addr = block.addr,
                                           .bytes = bytes,
                                           .stride = stride,
                                           .count = count,
                                           .free = free_small_.data()});
}

void ReceiveMemory::AddSlots(DmaMemory& memory) {
  create_.id = kHeaderQueueId;
  create_.slot_bytes = virtio::kDefaultHeaderSlotBytes;
  // More than packets in the ring: one that is used is released later.
  create_.log_slots =
      static_cast<uint16_t>(std::countr_zero(options_.queue_size) + 1);
  const size_t slots = size_t{1} << create_.log_slots;
  const DmaMemory::Block block =
      memory.Allocate(slots * create_.slot_bytes, kPageBytes);
  const DmaMemory::Block tail = memory.Allocate(sizeof(uint16_t), 64);
  create_.base = block.addr;
  create_.tail = tail.addr;
  slots_in_driver_.resize(slots);
  slots_.emplace(virtio::HeaderSlotRingConfig{
      .slots = block.host,
      .tail = reinterpret_cast<uint16_t*>(tail.host),
      .id = create_.id,
      .slot_bytes = create_.slot_bytes,
      .log_slots = create_.log_slots,
      .in_driver = slots_in_driver_.data()});
}

virtio::ReceivedHeaderLayout ReceiveMemory::header_layout() const {
  return {.header_queue = options_.method == ReceiveMethod::kHeaderQueue};
}

bool ReceiveMemory::IsHoldUntouched(
    const virtio::ReceivedPacket& packet) const {
  if (options_.method != ReceiveMethod::kChain || !packet.split) return true;
  const uint8_t* const buffer = small_->HostOf(packet.header_piece.number());
  return std::all_of(packet.header + packet.header_bytes,
                     buffer + small_->bytes(),
                     [](uint8_t byte) { return byte == kHold; });
}

void ReceiveMemory::RestoreHold(const virtio::ReceivedPacket& packet) {
  if (options_.method != ReceiveMethod::kChain) return;
  if (packet.split) {
    std::memset(small_->HostOf(packet.header_piece.number()), kHold,
                small_->bytes());
  }
  for (uint32_t i = 0; i < packet.part_count; ++i) {
    const virtio::ReceivePiece piece = packet.parts[i].piece;
    if (piece.small()) {
      std::memset(small_->HostOf(piece.number()), kHold, small_->bytes());
    }
  }
}

virtio::HeaderSplitReceiverConfig ReceiveMemory::ReceiverConfig() {
  virtio::HeaderSplitReceiverConfig config;
  config.method = options_.method;
  config.mergeable = options_.uses_mergeable();
  config.header = header_layout();
  config.pages = &*pages_;
  config.small = small_.has_value() ? &*small_ : nullptr;
  config.pages_per_buffer = options_.pages_per_buffer();
  config.slots = slots_.has_value() ? &*slots_ : nullptr;
  in_flight_.resize(size_t{options_.queue_size} * config.elements_per_buffer());
  config.in_flight = in_flight_.data();
  ANNULUS_CHECK(config.Usable());
  return config;
}

}  // namespace annulus::guest_user
