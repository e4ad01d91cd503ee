#ifndef TESTS_GUEST_USER_USER_RING_H_
#define TESTS_GUEST_USER_USER_RING_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "tests/guest_user/dma_memory.h"
#include "tests/guest_user/virtio_pci_device.h"

namespace annulus::guest_user {

// The areas of a ring in memory that the device knows, and the driver side of
// it. `Driver` is PackedDriver or SplitDriver. Nobody waits for interrupts, so
// none are asked for.
//
// Threads: thread-compatible.
template <typename Driver>
class UserRing {
 public:
  struct Options {
    uint16_t size = 0;  // A power of 2.
    bool in_order = false;
    uint16_t indirect_entries = 0;  // 0: without VIRTIO_F_INDIRECT_DESC.
  };

  // `memory` outlives the ring.
  UserRing(DmaMemory& memory, const Options& options)
      : slots_(options.size), driver_(MakeConfig(memory, options)) {
    driver_.DisableCallbacks();
  }

  UserRing(const UserRing&) = delete;
  UserRing& operator=(const UserRing&) = delete;

  Driver& driver() { return driver_; }
  const QueueAddresses& addresses() const { return addresses_; }

 private:
  static constexpr bool kPacked = std::is_same_v<Driver, virtio::PackedDriver>;
  using Config = std::conditional_t<kPacked, virtio::PackedDriverConfig,
                                    virtio::SplitDriverConfig>;

  template <typename T>
  static T* Area(DmaMemory& memory, size_t bytes, size_t alignment,
                 uint64_t& addr) {
    const DmaMemory::Block block = memory.Allocate(bytes, alignment);
    addr = block.addr;
    return reinterpret_cast<T*>(block.host);
  }

  Config MakeConfig(DmaMemory& memory, const Options& options) {
    Config config;
    const size_t size = options.size;
    addresses_.size = options.size;
    constexpr size_t kDescriptorBytes = 16;
    uint64_t& table = addresses_.descriptors;
    if constexpr (kPacked) {
      config.ring = Area<virtio::PackedDescriptor>(
          memory, size * kDescriptorBytes, 16, table);
      config.driver_event = Area<virtio::PackedEventSuppression>(
          memory, 4, 64, addresses_.driver);
      config.device_event = Area<virtio::PackedEventSuppression>(
          memory, 4, 64, addresses_.device);
    } else {
      config.descriptors = Area<virtio::SplitDescriptor>(
          memory, size * kDescriptorBytes, 16, table);
      config.available = Area<virtio::SplitAvailableHeader>(
          memory, virtio::SplitAvailableRingBytes(options.size), 64,
          addresses_.driver);
      config.used = Area<virtio::SplitUsedHeader>(
          memory, virtio::SplitUsedRingBytes(options.size), 64,
          addresses_.device);
    }
    config.size = options.size;
    config.in_order = options.in_order;
    config.slots = slots_.data();
    if (options.indirect_entries != 0) {
      config.indirect_tables =
          Area<std::remove_pointer_t<decltype(config.indirect_tables)>>(
              memory, size * options.indirect_entries * kDescriptorBytes, 16,
              config.indirect_tables_addr);
      config.indirect_entries = options.indirect_entries;
    }
    return config;
  }

  std::vector<virtio::DriverSlot> slots_;
  QueueAddresses addresses_;
  Driver driver_;
};

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_USER_RING_H_
