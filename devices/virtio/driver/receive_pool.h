#ifndef DEVICES_VIRTIO_DRIVER_RECEIVE_POOL_H_
#define DEVICES_VIRTIO_DRIVER_RECEIVE_POOL_H_

#include <cstdint>

// Freestanding: the microguest is built from this without a C library.

namespace annulus::virtio {

// Where a ReceivePool finds its memory. All of it outlives the pool.
struct ReceivePoolConfig {
  uint8_t* host = nullptr;  // Of piece 0, as the driver sees it.
  // Guest-physical: of piece 0, if all are contiguous there too. If not, addrs
  // has one for each.
  uint64_t addr = 0;
  const uint64_t* addrs = nullptr;
  uint32_t bytes = 0;        // That the device is told of, of each piece.
  uint32_t stride = 0;       // From a piece to the next; a multiple of 4.
  uint32_t count = 0;        // Up to 2^31.
  uint32_t* free = nullptr;  // `count` of them, private to the driver.
};

// Pieces of memory of one size to receive into, pages or small buffers, and
// which of them are free. What was freed last is taken first: it is in the
// caches.
//
// Threads: thread-compatible.
// Trust: nothing here is shared with the device but the pieces' bytes.
// Allocation: none.
class ReceivePool {
 public:
  explicit ReceivePool(const ReceivePoolConfig& config)
      : config_(config), free_count_(config.count) {
    for (uint32_t i = 0; i < config.count; ++i) {
      config_.free[i] = config.count - 1 - i;
    }
  }

  uint32_t bytes() const { return config_.bytes; }
  uint32_t stride() const { return config_.stride; }
  uint32_t count() const { return config_.count; }
  uint32_t free_count() const { return free_count_; }

  uint8_t* HostOf(uint32_t piece) const {
    return config_.host + uint64_t{piece} * config_.stride;
  }
  uint64_t AddrOf(uint32_t piece) const {
    return config_.addrs != nullptr
               ? config_.addrs[piece]
               : config_.addr + uint64_t{piece} * config_.stride;
  }

  // Hot. The free piece that is `depth` below the one to be taken first; it
  // stays free. REQUIRES: depth < free_count().
  uint32_t Peek(uint32_t depth) const {
    return config_.free[free_count_ - 1 - depth];
  }
  // Hot. Takes the first `pieces`. REQUIRES: pieces <= free_count().
  void Take(uint32_t pieces) { free_count_ -= pieces; }
  // Hot. REQUIRES: it was taken, and not put back since.
  void Put(uint32_t piece) { config_.free[free_count_++] = piece; }

 private:
  ReceivePoolConfig config_;
  uint32_t free_count_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_RECEIVE_POOL_H_
