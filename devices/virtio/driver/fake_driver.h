#ifndef DEVICES_VIRTIO_DRIVER_FAKE_DRIVER_H_
#define DEVICES_VIRTIO_DRIVER_FAKE_DRIVER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/queue/queue_config.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {

struct FakeDriverOptions {
  bool packed = true;
  bool event_idx = true;
  bool indirect = true;  // Buffers of 2 to 16 elements use a table.
  bool in_order = false;
  uint16_t size = 16;  // Descriptors.
  // Rings and then buffers are laid out from here on; aligned to 16.
  memory::GuestAddress base{0x10000};
  uint64_t bytes = 0x80000;  // For all of them.
};

// For tests: a driver of one queue in real guest memory, over either ring
// format, that keeps the buffers' memory as well.
//
//   FakeDriver driver(memory, {.packed = true});
//   ... give driver.config() to the device ...
//   uint16_t id = *driver.Chain().Readable("request").Writable(64).Offer();
//   if (driver.NeedsNotification()) ... notify ...
//   std::optional<FakeDriver::Used> used = driver.GetUsed();
//
// Threads: thread-compatible; the device may run on another thread.
class FakeDriver {
 public:
  // What came back.
  struct Used {
    uint16_t id;
    uint32_t len;      // As the device says.
    std::string data;  // Of the writable part, the first min(len, size) bytes.
    uint32_t writable_bytes;  // Size of the writable part.
    std::string all;          // Of the writable part: 0xee where nobody wrote.
  };

  class ChainBuilder {
   public:
    // An element that the device reads, with these contents.
    ChainBuilder& Readable(absl::string_view contents);
    // An element of `bytes` that the device writes, filled with 0xee.
    ChainBuilder& Writable(uint32_t bytes);
    // Makes the buffer available. nullopt, and nothing done, without room.
    std::optional<uint16_t> Offer();
    // The same, but the device sees it only after FakeDriver::Expose().
    std::optional<uint16_t> OfferBatched();

   private:
    friend class FakeDriver;
    explicit ChainBuilder(FakeDriver& driver) : driver_(driver) {}

    FakeDriver& driver_;
    std::vector<std::string> readable_;
    std::vector<uint32_t> writable_;
  };

  // `memory` outlives the driver. The range of the options must lie in one
  // region of it.
  FakeDriver(const memory::GuestMemory& memory,
             const FakeDriverOptions& options);
  FakeDriver(const FakeDriver&) = delete;
  FakeDriver& operator=(const FakeDriver&) = delete;

  // What a transport would be told.
  const QueueConfig& config() const { return config_; }

  ChainBuilder Chain() { return ChainBuilder(*this); }

  std::optional<Used> GetUsed();

  void Expose();
  bool NeedsNotification();
  uint32_t NotificationData(uint16_t queue) const;
  bool HasUsed() const;
  void DisableCallbacks();
  bool EnableCallbacks();
  bool EnableEveryCallback();  // Packed only.
  bool EnableCallbacksDelayed();
  // Frees an unused buffer and returns its id; nullopt: there is none.
  std::optional<uint16_t> DetachUnused();
  void Reset();  // REQUIRES: all buffers are detached.
  uint32_t free_descriptors() const;
  bool broken() const;  // The device used a buffer that was not in flight.

 private:
  struct Piece {
    uint64_t addr;
    uint32_t bytes;
  };
  struct InFlight {
    std::vector<Piece> readable;
    std::vector<Piece> writable;
  };

  uint8_t* Host(uint64_t addr, uint64_t bytes) const;
  uint64_t Reserve(uint64_t bytes, uint64_t alignment);  // For the rings.
  Piece Allocate(uint32_t bytes);
  void Free(const Piece& piece);
  std::optional<uint16_t> Offer(const ChainBuilder& chain, bool batched);
  void Forget(uint16_t id);  // Frees the buffer's memory.

  const memory::GuestMemory& memory_;
  QueueConfig config_;
  uint64_t next_;  // Of the rings' layout, later the start of the buffers.
  uint64_t end_;
  std::vector<DriverSlot> slots_;
  std::map<uint64_t, uint64_t> free_;  // Free buffer memory: start to bytes.
  std::map<uint16_t, InFlight> in_flight_;  // By buffer id.
  std::variant<std::monostate, PackedDriver, SplitDriver> ring_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_FAKE_DRIVER_H_
