#ifndef TESTS_BENCH_HEADER_SPLIT_BENCH_CARD_H_
#define TESTS_BENCH_HEADER_SPLIT_BENCH_CARD_H_

#include <sched.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include "base/check.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/header_split_commands.h"
#include "devices/virtio/driver/header_split_receiver.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/received_packet.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
#include "devices/virtio/spec/net_header_split.h"
#include "tests/bench/header_split_bench_options.h"
#include "tests/bench/header_split_bench_queues.h"

// How the driver uses the card: its features and commands, and the memory that
// it gives it.

namespace annulus::bench {

// Guest-physical, behind the rings.
inline constexpr uint64_t kRamBytes = 64 << 20;
inline constexpr uint64_t kTail = 0x400000;
inline constexpr uint64_t kCommand = 0x401000;
inline constexpr uint64_t kAck = 0x402000;
inline constexpr uint64_t kSlots = 0x500000;
inline constexpr uint64_t kSmall = 0x600000;
inline constexpr uint64_t kOwnPages = 0x800000;
inline constexpr uint64_t kPages = 0x1000000;

inline constexpr uint16_t kReceiveQueue = 0;
inline constexpr uint16_t kControlQueue = 2;

// Buffers that are posted, and pages beyond those and the held ones.
inline constexpr uint16_t kBuffers = 256;
inline constexpr uint16_t kChains = 64;
inline constexpr uint32_t kSparePages = 64;
inline constexpr uint32_t kSmallBuffers = 512;
inline constexpr uint16_t kSlotBytes = virtio::kDefaultHeaderSlotBytes;
inline constexpr uint16_t kLogSlots = 8;
inline constexpr uint32_t kHeldPages = 1024;

// The memory that frames are received into.
struct Memory {
  Memory(const Method& method, uint8_t* host)
      : page_count((method.pages_per_buffer == 1
                        ? uint32_t{kBuffers}
                        : uint32_t{kChains} * method.pages_per_buffer) +
                   kHeldPages + kSparePages),
        free_pages(page_count),
        pages({.host = host + kPages,
               .addr = kPages,
               .bytes = 4096,
               .stride = 4096,
               .count = page_count,
               .free = free_pages.data()}),
        small({.host = host + kSmall,
               .addr = kSmall,
               .bytes = method.small_bytes,
               .stride = (method.small_bytes + 63) / 64 * 64,
               .count = kSmallBuffers,
               .free = free_small.data()}) {
    ANNULUS_CHECK(kPages + uint64_t{page_count} * 4096 <= kRamBytes);
  }

  const uint32_t page_count;
  std::vector<uint32_t> free_pages;
  std::vector<uint32_t> free_small = std::vector<uint32_t>(kSmallBuffers);
  virtio::ReceivePool pages;
  virtio::ReceivePool small;
  std::vector<virtio::ReceivePiece> in_flight =
      std::vector<virtio::ReceivePiece>(kBuffers * size_t{kTableEntries});
};

inline virtio::FeatureSet FeaturesOf(const HeaderSplitBenchOptions& options) {
  const virtio::HeaderSplitNumbers numbers;
  virtio::FeatureSet features = virtio::FeatureSet::Of(
      virtio::kFeatureVersion1, virtio::kFeatureIndirectDesc,
      virtio::kNetCtrlVq, virtio::kNetGuestCsum, virtio::kNetGuestTso4);
  if (options.format == "packed") features.Add(virtio::kFeatureRingPacked);
  if (options.method->mergeable) features.Add(virtio::kNetMrgRxbuf);
  switch (options.method->method) {
    case virtio::ReceiveMethod::kNone:
      break;
    case virtio::ReceiveMethod::kChain:
    case virtio::ReceiveMethod::kBuffers:
    case virtio::ReceiveMethod::kSmallBuffers:
      features.Add(numbers.split_feature);
      break;
    case virtio::ReceiveMethod::kHeaderQueue:
      features.Add(numbers.split_feature);
      features.Add(numbers.header_queue_feature);
      break;
  }
  return features;
}

// One command of the control queue, and its ack.
template <typename Driver, uint32_t kData>
void Command(Side<Driver>& side, uint8_t* host,
             const virtio::NetCommand<kData>& command) {
  std::copy(std::begin(command.bytes), std::end(command.bytes),
            host + kCommand);
  const virtio::DriverElement readable = {kCommand, command.kBytes};
  const virtio::DriverElement writable = {kAck, 1};
  ANNULUS_CHECK(side.driver.Add(&readable, 1, &writable, 1) !=
                virtio::kNoDriverBuffer);
  side.Notify();
  uint16_t id;
  uint32_t len;
  while (!side.driver.GetUsed(&id, &len)) {
    ANNULUS_CHECK(!side.driver.broken());
    ::sched_yield();
  }
  ANNULUS_CHECK(len == 1 && host[kAck] == virtio::kNetControlOk);
}

template <typename Driver>
void TurnOn(virtio::ReceiveMethod method, Side<Driver>& control,
            uint8_t* host) {
  const virtio::HeaderSplitNumbers numbers;
  switch (method) {
    case virtio::ReceiveMethod::kNone:
      return;
    case virtio::ReceiveMethod::kChain:
      return Command(
          control, host,
          SplitSet2Command(numbers, {.mode = virtio::kSplitModeChain}));
    case virtio::ReceiveMethod::kBuffers:
      return Command(
          control, host,
          SplitSet2Command(numbers, {.mode = virtio::kSplitModeBuffers}));
    case virtio::ReceiveMethod::kSmallBuffers:
      return Command(
          control, host,
          SplitSet2Command(numbers, {.mode = virtio::kSplitModeSmallBuffers,
                                     .header_buffer_bytes = 128}));
    case virtio::ReceiveMethod::kHeaderQueue:
      Command(control, host,
              HeaderQueueCreateCommand(numbers, {.slot_bytes = kSlotBytes,
                                                 .log_slots = kLogSlots,
                                                 .base = kSlots,
                                                 .tail = kTail}));
      return Command(control, host,
                     HeaderQueueAttachCommand(numbers, kReceiveQueue, 0));
  }
}

}  // namespace annulus::bench

#endif  // TESTS_BENCH_HEADER_SPLIT_BENCH_CARD_H_
