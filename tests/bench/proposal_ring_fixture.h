#ifndef TESTS_BENCH_PROPOSAL_RING_FIXTURE_H_
#define TESTS_BENCH_PROPOSAL_RING_FIXTURE_H_

#include <cstdint>
#include <vector>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/violation.h"
#include "devices/virtio/spec/features.h"
#include "gtest/gtest.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "tests/bench/proposal_batch.h"
#include "tests/bench/proposal_chain.h"
#include "tests/bench/proposal_driver.h"
#include "tests/bench/proposal_queue.h"
#include "tests/bench/proposal_ring.h"

namespace annulus::bench {

struct ProposalRingOptions {
  uint16_t size = 4;
  bool event_idx = true;
  bool indirect = false;
  uint32_t offset = 0;
  bool log_writes = false;
};

// Both sides over the same guest memory.
class ProposalTestRing {
 public:
  static constexpr uint64_t kRing = 0x1000;  // Of up to 1024 descriptors.
  static constexpr uint64_t kDriverEvent = 0x5000;
  static constexpr uint64_t kDeviceEvent = 0x6000;
  static constexpr uint64_t kTables = 0x8000;
  static constexpr uint64_t kBuffers = 0x20000;
  static constexpr uint64_t kRamBytes = 1 << 20;
  static constexpr uint16_t kIndirectEntries = 4;

  explicit ProposalTestRing(const ProposalRingOptions& options)
      : memory(memory::GuestMemory::Create(ram.Regions(),
                                           options.log_writes ? &log : nullptr)
                   .value()),
        chain(options.size),
        options_(options),
        slots_(options.size),
        driver({.ring = Host<ProposalDescriptor>(kRing),
                .driver_event = Host<ProposalEvent>(kDriverEvent),
                .device_event = Host<ProposalEvent>(kDeviceEvent),
                .size = options.size,
                .event_idx = options.event_idx,
                .offset = options.offset != 0,
                .slots = slots_.data(),
                .indirect_tables = options.indirect
                                       ? Host<ProposalDescriptor>(kTables)
                                       : nullptr,
                .indirect_tables_addr = kTables,
                .indirect_entries = kIndirectEntries}),
        queue(ProposalQueue::Create(memory, Config(options), options.offset)
                  .value()) {}

  static virtio::QueueConfig Config(const ProposalRingOptions& options) {
    virtio::QueueConfig config;
    config.size = options.size;
    config.descriptor = memory::GuestAddress(kRing);
    config.driver = memory::GuestAddress(kDriverEvent);
    config.device = memory::GuestAddress(kDeviceEvent);
    if (options.event_idx) config.features.Add(virtio::kFeatureEventIdx);
    if (options.indirect) config.features.Add(virtio::kFeatureIndirectDesc);
    return config;
  }

  template <typename T>
  T* Host(uint64_t addr) {
    return static_cast<T*>(
        memory.Map(memory::GuestAddress(addr), sizeof(T))->AsIovec().iov_base);
  }
  ProposalDescriptor& At(uint16_t slot) {
    return *Host<ProposalDescriptor>(kRing + 16 * uint64_t{slot});
  }

  uint16_t AddWritable(uint32_t bytes) {
    const virtio::DriverElement element = {.addr = kBuffers, .len = bytes};
    return driver.Add(nullptr, 0, &element, 1);
  }
  // `count` elements, the first one readable.
  uint16_t AddChain(uint32_t count) {
    std::vector<virtio::DriverElement> elements(count,
                                                {.addr = kBuffers, .len = 8});
    return driver.Add(elements.data(), 1, elements.data() + 1, count - 1);
  }
  // Uses the next buffer; true if the driver is to be notified.
  bool UseOne(uint32_t written) {
    EXPECT_TRUE(queue.Pop(chain));
    queue.Push(chain, written);
    return queue.Publish();
  }
  // Takes all used buffers.
  uint32_t CountUsed() {
    uint16_t index = 0;
    uint32_t len = 0;
    uint32_t count = 0;
    while (driver.GetUsed(&index, &len)) ++count;
    EXPECT_FALSE(driver.broken());
    return count;
  }
  void ExpectUsed(uint16_t expected, uint32_t len) {
    uint16_t index = virtio::kNoDriverBuffer;
    uint32_t got = 0;
    EXPECT_TRUE(driver.GetUsed(&index, &got));
    EXPECT_EQ(index, expected);
    EXPECT_EQ(got, len);
  }
  // That the first buffer is refused, by Pop() as by a new queue's Take().
  void ExpectViolation(virtio::Violation violation) {
    EXPECT_FALSE(queue.Pop(chain));
    EXPECT_EQ(queue.violation(), violation);
    ProposalQueue other =
        ProposalQueue::Create(memory, Config(options_), options_.offset)
            .value();
    ProposalBatch batch(options_.size, options_.size);
    EXPECT_EQ(other.Take(batch), 0u);
    EXPECT_EQ(other.violation(), violation);
  }

  memory::GuestRam ram = memory::GuestRam::Create({.size = kRamBytes}).value();
  memory::DirtyLog log{kRamBytes};
  memory::GuestMemory memory;
  ProposalChain chain;

 private:
  const ProposalRingOptions options_;
  std::vector<virtio::DriverSlot> slots_;

 public:
  ProposalDriver driver;
  ProposalQueue queue;
};

}  // namespace annulus::bench

#endif  // TESTS_BENCH_PROPOSAL_RING_FIXTURE_H_
