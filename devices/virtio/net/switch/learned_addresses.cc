#include "devices/virtio/net/switch/learned_addresses.h"

#include <bit>

namespace annulus::virtio {
namespace {

// No way of the bucket.
constexpr size_t kNone = LearnedAddresses::kWays;

// All loads and stores are relaxed: a word is all that there is to see, and no
// other memory is found by it that was not there before.
constexpr auto kRelaxed = std::memory_order_relaxed;

bool Expired(uint32_t seen, uint32_t now) {
  // Signed: another thread's clock may be a little ahead.
  return static_cast<int32_t>(now - seen) >=
         static_cast<int32_t>(LearnedAddresses::kAgingSeconds);
}

}  // namespace

LearnedAddresses::LearnedAddresses(uint64_t secret)
    : secret_(secret | 1), buckets_(std::make_unique<Bucket[]>(kBuckets)) {}

LearnedAddresses::Bucket& LearnedAddresses::BucketOf(uint64_t address) const {
  // The upper bits of a product depend on all bits of both.
  const uint64_t product = (address ^ secret_ >> 16) * secret_;
  return buckets_[product >> (64 - std::countr_zero(kBuckets))];
}

// Hot.
std::optional<uint8_t> LearnedAddresses::Find(uint64_t address,
                                              uint32_t now) const {
  const Bucket& bucket = BucketOf(address);
  for (size_t way = 0; way < kWays; ++way) {
    const uint64_t key = bucket.keys[way].load(kRelaxed);
    if (key >> 16 != address || key == 0) continue;
    if (Expired(bucket.seen[way].load(kRelaxed), now)) return std::nullopt;
    return PortOf(key);
  }
  return std::nullopt;
}

// Hot.
void LearnedAddresses::Learn(uint64_t address, uint8_t port, uint32_t now) {
  if (address == 0) return;  // No card's.
  Bucket& bucket = BucketOf(address);
  const uint64_t key = KeyOf(address, port);
  for (size_t way = 0; way < kWays; ++way) {
    const uint64_t there = bucket.keys[way].load(kRelaxed);
    if (there >> 16 != address) continue;
    if (there != key) {
      Write(bucket, way, there, key, now);  // It has moved.
    } else if (bucket.seen[way].load(kRelaxed) != now) {
      bucket.seen[way].store(now, kRelaxed);
    }
    return;
  }
  Insert(bucket, key, now);
}

void LearnedAddresses::Insert(Bucket& bucket, uint64_t key, uint32_t now) {
  const size_t way = Victim(bucket, PortOf(key), now);
  if (way == kNone) return;
  Write(bucket, way, bucket.keys[way].load(kRelaxed), key, now);
  // Two threads may have found it missing at once. The first is the one that
  // counts; a second would come to light, with an old port, when that goes.
  bool found = false;
  for (std::atomic<uint64_t>& other : bucket.keys) {
    uint64_t there = other.load(kRelaxed);
    if (there >> 16 != key >> 16) continue;
    if (found) other.compare_exchange_strong(there, 0, kRelaxed);
    found = true;
  }
}

// Where an address of `port` may go, or kNone.
size_t LearnedAddresses::Victim(const Bucket& bucket, uint8_t port,
                                uint32_t now) {
  std::array<uint8_t, kMaxPorts> entries = {};
  size_t fullest = 0;
  for (size_t way = 0; way < kWays; ++way) {
    const uint64_t key = bucket.keys[way].load(kRelaxed);
    if (key == 0 || Expired(bucket.seen[way].load(kRelaxed), now)) return way;
    if (++entries[PortOf(key)] > entries[fullest]) fullest = PortOf(key);
  }
  // Not more than one of its own for another's one.
  uint8_t from = static_cast<uint8_t>(fullest);
  if (entries[fullest] <= entries[port] + 1) {
    if (entries[port] == 0) return kNone;
    from = port;
  }
  size_t oldest = kNone;
  for (size_t way = 0; way < kWays; ++way) {
    const uint64_t key = bucket.keys[way].load(kRelaxed);
    if (key == 0) return way;
    if (PortOf(key) != from) continue;
    if (oldest == kNone ||
        static_cast<int32_t>(bucket.seen[way].load(kRelaxed) -
                             bucket.seen[oldest].load(kRelaxed)) < 0) {
      oldest = way;
    }
  }
  return oldest;
}

void LearnedAddresses::Write(Bucket& bucket, size_t way, uint64_t before,
                             uint64_t key, uint32_t now) {
  // Somebody else's change came first: it is as good, and the next frame says
  // this again.
  if (bucket.keys[way].compare_exchange_strong(before, key, kRelaxed)) {
    bucket.seen[way].store(now, kRelaxed);
  }
}

void LearnedAddresses::Forget(uint8_t port) {
  for (size_t i = 0; i < kBuckets; ++i) {
    for (std::atomic<uint64_t>& key : buckets_[i].keys) {
      uint64_t there = key.load(kRelaxed);
      if (there != 0 && PortOf(there) == port) {
        key.compare_exchange_strong(there, 0, kRelaxed);
      }
    }
  }
}

}  // namespace annulus::virtio
