#ifndef DEVICES_VIRTIO_NET_SWITCH_LEARNED_ADDRESSES_H_
#define DEVICES_VIRTIO_NET_SWITCH_LEARNED_ADDRESSES_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace annulus::virtio {

// Which port of a switch an address was last seen at: the filtering database of
// IEEE 802.1Q §8.8, of a fixed size.
//
// A port may fill what is empty, but does not displace what another one needs:
// where there is no room, the address of whoever has most entries there goes,
// and an address whose port has none is worth more than the second of another.
// What was not learned is flooded, so that nobody is cut off.
//
// Threads: thread-safe and lock-free. Readers and writers meet at single words.
//   A lookup that races with a change finds the old port, the new one, or none.
// Trust: addresses are guests' to choose; which of them share a bucket is not
//   for them to know.
// Allocation: in the constructor.
class LearnedAddresses {
 public:
  static constexpr size_t kBuckets = 2048;
  static constexpr size_t kWays = 5;  // Of a bucket: one line of the cache.
  static constexpr uint8_t kMaxPorts = 64;
  static constexpr uint32_t kAgingSeconds = 300;  // 802.1Q's default.

  // An address as a number, its first byte highest.
  static constexpr uint64_t kAddressMask = (uint64_t{1} << 48) - 1;

  // `secret` is a random number.
  explicit LearnedAddresses(uint64_t secret);

  // Hot. The port of `address`, if that was seen in the last kAgingSeconds.
  // `now` is in seconds, of any epoch.
  std::optional<uint8_t> Find(uint64_t address, uint32_t now) const;

  // Hot. `address`, which is no group's, was seen at `port`: where it is
  // already known, a write of nothing but the time, and that once a second.
  void Learn(uint64_t address, uint8_t port, uint32_t now);

  // Cold. All addresses of `port`, at which nobody learns any more.
  void Forget(uint8_t port);

 private:
  // A key is address << 16 | port + 1, or 0. The time belongs to the key, but
  // for the moment in which an entry changes hands, when it may be taken for
  // expired or for newer than it is: it is a hint.
  struct alignas(64) Bucket {
    std::array<std::atomic<uint64_t>, kWays> keys = {};
    std::array<std::atomic<uint32_t>, kWays> seen = {};
  };

  static uint64_t KeyOf(uint64_t address, uint8_t port) {
    return address << 16 | (uint64_t{port} + 1);
  }
  static uint8_t PortOf(uint64_t key) {
    return static_cast<uint8_t>((key & 0xff) - 1);
  }

  Bucket& BucketOf(uint64_t address) const;
  static void Insert(Bucket& bucket, uint64_t key, uint32_t now);
  static size_t Victim(const Bucket& bucket, uint8_t port, uint32_t now);
  static void Write(Bucket& bucket, size_t way, uint64_t before, uint64_t key,
                    uint32_t now);

  const uint64_t secret_;  // Odd.
  const std::unique_ptr<Bucket[]> buckets_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_SWITCH_LEARNED_ADDRESSES_H_
