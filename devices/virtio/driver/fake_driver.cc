#include "devices/virtio/driver/fake_driver.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kIndirectEntries = 16;
constexpr uint64_t kBufferAlignment = 16;

// Calls `function` with whichever ring there is.
template <typename Ring, typename Function>
decltype(auto) VisitRing(Ring& ring, Function&& function) {
  if (auto* packed = std::get_if<PackedDriver>(&ring)) return function(*packed);
  return function(*std::get_if<SplitDriver>(&ring));
}

}  // namespace

FakeDriver::ChainBuilder& FakeDriver::ChainBuilder::Readable(
    absl::string_view contents) {
  readable_.emplace_back(contents);
  return *this;
}

FakeDriver::ChainBuilder& FakeDriver::ChainBuilder::Writable(uint32_t bytes) {
  writable_.push_back(bytes);
  return *this;
}

std::optional<uint16_t> FakeDriver::ChainBuilder::Offer() {
  return driver_.Offer(*this, /*batched=*/false);
}

std::optional<uint16_t> FakeDriver::ChainBuilder::OfferBatched() {
  return driver_.Offer(*this, /*batched=*/true);
}

FakeDriver::FakeDriver(const memory::GuestMemory& memory,
                       const FakeDriverOptions& options)
    : memory_(memory),
      next_(options.base.value()),
      end_(options.base.value() + options.bytes),
      slots_(options.size) {
  config_.size = options.size;
  config_.features.Add(kFeatureVersion1);
  if (options.packed) config_.features.Add(kFeatureRingPacked);
  if (options.event_idx) config_.features.Add(kFeatureEventIdx);
  if (options.indirect) config_.features.Add(kFeatureIndirectDesc);
  if (options.in_order) config_.features.Add(kFeatureInOrder);
  const uint32_t size = options.size;
  const uint32_t driver_bytes = options.packed ? sizeof(PackedEventSuppression)
                                               : SplitAvailableRingBytes(size);
  const uint32_t device_bytes = options.packed ? sizeof(PackedEventSuppression)
                                               : SplitUsedRingBytes(size);
  const uint64_t descriptor = Reserve(uint64_t{16} * size, 16);
  const uint64_t driver = Reserve(driver_bytes, 4);
  const uint64_t device = Reserve(device_bytes, 4);
  config_.descriptor = memory::GuestAddress(descriptor);
  config_.driver = memory::GuestAddress(driver);
  config_.device = memory::GuestAddress(device);
  uint64_t tables = 0;
  if (options.indirect) {
    tables = Reserve(uint64_t{16} * kIndirectEntries * size, 16);
  }
  uint8_t* const tables_host = options.indirect ? Host(tables, 16) : nullptr;
  if (options.packed) {
    ring_.emplace<PackedDriver>(PackedDriverConfig{
        .ring = reinterpret_cast<PackedDescriptor*>(Host(descriptor, 16)),
        .driver_event =
            reinterpret_cast<PackedEventSuppression*>(Host(driver, 4)),
        .device_event =
            reinterpret_cast<PackedEventSuppression*>(Host(device, 4)),
        .size = options.size,
        .event_idx = options.event_idx,
        .in_order = options.in_order,
        .slots = slots_.data(),
        .indirect_tables = reinterpret_cast<PackedDescriptor*>(tables_host),
        .indirect_tables_addr = tables,
        .indirect_entries = kIndirectEntries});
  } else {
    ring_.emplace<SplitDriver>(SplitDriverConfig{
        .descriptors = reinterpret_cast<SplitDescriptor*>(Host(descriptor, 16)),
        .available = reinterpret_cast<SplitAvailableHeader*>(Host(driver, 4)),
        .used = reinterpret_cast<SplitUsedHeader*>(Host(device, 4)),
        .size = options.size,
        .event_idx = options.event_idx,
        .in_order = options.in_order,
        .slots = slots_.data(),
        .indirect_tables = reinterpret_cast<SplitDescriptor*>(tables_host),
        .indirect_tables_addr = tables,
        .indirect_entries = kIndirectEntries});
  }
  free_.emplace(Reserve(0, kBufferAlignment), end_ - next_);
}

uint8_t* FakeDriver::Host(uint64_t addr, uint64_t bytes) const {
  const std::optional<memory::GuestSpan> span =
      memory_.Map(memory::GuestAddress(addr), bytes);
  ANNULUS_CHECK(span.has_value());
  return static_cast<uint8_t*>(span->AsIovec().iov_base);
}

uint64_t FakeDriver::Reserve(uint64_t bytes, uint64_t alignment) {
  const uint64_t start = (next_ + alignment - 1) & ~(alignment - 1);
  ANNULUS_CHECK(start + bytes <= end_);
  next_ = start + bytes;
  return start;
}

FakeDriver::Piece FakeDriver::Allocate(uint32_t bytes) {
  const uint64_t wanted =
      (uint64_t{bytes} + kBufferAlignment - 1) & ~(kBufferAlignment - 1);
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    const auto [start, size] = *it;
    if (size < wanted) continue;
    free_.erase(it);
    if (size > wanted) free_.emplace(start + wanted, size - wanted);
    return {.addr = start, .bytes = bytes};
  }
  ANNULUS_CHECK(false);  // The options' `bytes` are too few for the test.
  return {};
}

void FakeDriver::Free(const Piece& piece) {
  const uint64_t size =
      (uint64_t{piece.bytes} + kBufferAlignment - 1) & ~(kBufferAlignment - 1);
  if (size == 0) return;
  auto it = free_.emplace(piece.addr, size).first;
  if (auto after = std::next(it);
      after != free_.end() && it->first + it->second == after->first) {
    it->second += after->second;
    free_.erase(after);
  }
  if (it == free_.begin()) return;
  auto before = std::prev(it);
  if (before->first + before->second == it->first) {
    before->second += it->second;
    free_.erase(it);
  }
}

std::optional<uint16_t> FakeDriver::Offer(const ChainBuilder& chain,
                                          bool batched) {
  InFlight in_flight;
  std::vector<DriverElement> readable;
  std::vector<DriverElement> writable;
  for (const std::string& contents : chain.readable_) {
    const Piece piece = Allocate(static_cast<uint32_t>(contents.size()));
    std::memcpy(Host(piece.addr, piece.bytes), contents.data(), piece.bytes);
    in_flight.readable.push_back(piece);
    readable.push_back({.addr = piece.addr, .len = piece.bytes});
  }
  for (const uint32_t bytes : chain.writable_) {
    const Piece piece = Allocate(bytes);
    std::memset(Host(piece.addr, piece.bytes), 0xee, piece.bytes);
    in_flight.writable.push_back(piece);
    writable.push_back({.addr = piece.addr, .len = piece.bytes});
  }
  const uint16_t id = VisitRing(ring_, [&](auto& ring) {
    const uint32_t readable_count = static_cast<uint32_t>(readable.size());
    const uint32_t writable_count = static_cast<uint32_t>(writable.size());
    return batched ? ring.AddBatched(readable.data(), readable_count,
                                     writable.data(), writable_count)
                   : ring.Add(readable.data(), readable_count, writable.data(),
                              writable_count);
  });
  if (id == kNoDriverBuffer) {
    for (const Piece& piece : in_flight.readable) Free(piece);
    for (const Piece& piece : in_flight.writable) Free(piece);
    return std::nullopt;
  }
  in_flight_.emplace(id, std::move(in_flight));
  return id;
}

std::optional<FakeDriver::Used> FakeDriver::GetUsed() {
  Used used = {};
  if (!VisitRing(ring_, [&](auto& ring) {
        return ring.GetUsed(&used.id, &used.len);
      })) {
    return std::nullopt;
  }
  const auto it = in_flight_.find(used.id);
  ANNULUS_CHECK(it != in_flight_.end());  // The ring has checked the id.
  for (const Piece& piece : it->second.writable) {
    used.writable_bytes += piece.bytes;
    used.all.append(
        reinterpret_cast<const char*>(Host(piece.addr, piece.bytes)),
        piece.bytes);
  }
  used.data = used.all.substr(0, used.len);
  Forget(used.id);
  return used;
}

void FakeDriver::Forget(uint16_t id) {
  const auto it = in_flight_.find(id);
  for (const Piece& piece : it->second.writable) Free(piece);
  for (const Piece& piece : it->second.readable) Free(piece);
  in_flight_.erase(it);
}

std::optional<uint16_t> FakeDriver::DetachUnused() {
  uint16_t id = 0;
  if (!VisitRing(ring_, [&](auto& ring) { return ring.DetachUnused(&id); })) {
    return std::nullopt;
  }
  ANNULUS_CHECK(in_flight_.contains(id));  // The ring gives back what it got.
  Forget(id);
  return id;
}

void FakeDriver::Reset() {
  ANNULUS_CHECK(in_flight_.empty());
  VisitRing(ring_, [](auto& ring) { ring.Reset(); });
}

void FakeDriver::Expose() {
  VisitRing(ring_, [](auto& ring) { ring.Expose(); });
}

bool FakeDriver::NeedsNotification() {
  return VisitRing(ring_, [](auto& ring) { return ring.NeedsNotification(); });
}
uint32_t FakeDriver::NotificationData(uint16_t queue) const {
  return VisitRing(
      ring_, [&](const auto& ring) { return ring.NotificationData(queue); });
}
bool FakeDriver::HasUsed() const {
  return VisitRing(ring_, [](const auto& ring) { return ring.HasUsed(); });
}
void FakeDriver::DisableCallbacks() {
  VisitRing(ring_, [](auto& ring) { ring.DisableCallbacks(); });
}
bool FakeDriver::EnableCallbacks() {
  return VisitRing(ring_, [](auto& ring) { return ring.EnableCallbacks(); });
}
bool FakeDriver::EnableEveryCallback() {
  auto* packed = std::get_if<PackedDriver>(&ring_);
  ANNULUS_CHECK(packed != nullptr);
  return packed->EnableEveryCallback();
}
bool FakeDriver::EnableCallbacksDelayed() {
  return VisitRing(ring_,
                   [](auto& ring) { return ring.EnableCallbacksDelayed(); });
}
uint32_t FakeDriver::free_descriptors() const {
  return VisitRing(ring_,
                   [](const auto& ring) { return ring.free_descriptors(); });
}
bool FakeDriver::broken() const {
  return VisitRing(ring_, [](const auto& ring) { return ring.broken(); });
}

}  // namespace annulus::virtio
