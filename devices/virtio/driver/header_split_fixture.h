#ifndef DEVICES_VIRTIO_DRIVER_HEADER_SPLIT_FIXTURE_H_
#define DEVICES_VIRTIO_DRIVER_HEADER_SPLIT_FIXTURE_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/header_slot_ring.h"
#include "devices/virtio/driver/header_split_receiver.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/received_header.h"
#include "devices/virtio/driver/received_packet.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {

struct RingKind {
  bool packed;
  bool indirect;
  bool in_order;
};

struct ReceiverOptions {
  ReceiveMethod method = ReceiveMethod::kNone;
  bool mergeable = false;
  ReceivedHeaderLayout header = {};
  uint32_t small_bytes = 0;  // 0: none.
  uint16_t pages_per_buffer = 1;
  uint16_t log_slots = 2;
};

// For tests: a HeaderSplitReceiver of either ring in guest memory, and a device
// side that places packets as the test says, by the rules or against them.
class HeaderSplitPair {
 public:
  static constexpr uint16_t kRing = 64;
  static constexpr uint32_t kPages = 128;
  static constexpr uint32_t kSmall = 64;
  static constexpr uint16_t kSlotBytes = 128;
  static constexpr uint16_t kSlotsId = 3;
  static constexpr uint8_t kUntouched = 0xee;

  HeaderSplitPair(const RingKind& kind, const ReceiverOptions& options)
      : options_(options),
        pages_({.host = At(kPagesAt),
                .addr = kPagesAt,
                .bytes = 4096,
                .stride = 4096,
                .count = kPages,
                .free = free_pages_.data()}),
        small_({.host = At(kSmallAt),
                .addr = kSmallAt,
                .bytes = options.small_bytes,
                .stride = 256,
                .count = kSmall,
                .free = free_small_.data()}),
        in_driver_(size_t{1} << options.log_slots),
        slots_({.slots = At(kSlotsAt),
                .tail = Tail(),
                .id = kSlotsId,
                .slot_bytes = kSlotBytes,
                .log_slots = options.log_slots,
                .in_driver = in_driver_.data()}) {
    std::memset(At(kSlotsAt), kUntouched, kRamBytes - kSlotsAt);
    const HeaderSplitReceiverConfig config = {
        .method = options.method,
        .mergeable = options.mergeable,
        .header = options.header,
        .pages = &pages_,
        .small = options.small_bytes != 0 ? &small_ : nullptr,
        .pages_per_buffer = options.pages_per_buffer,
        .slots =
            options.method == ReceiveMethod::kHeaderQueue ? &slots_ : nullptr,
        .in_flight = in_flight_.data()};
    if (!config.Usable()) std::abort();
    if (kind.packed) {
      side_ = std::make_unique<Side<PackedDriver>>(
          PackedDriverConfig{
              .ring = reinterpret_cast<PackedDescriptor*>(At(kRingAt)),
              .driver_event =
                  reinterpret_cast<PackedEventSuppression*>(At(kDriverAt)),
              .device_event =
                  reinterpret_cast<PackedEventSuppression*>(At(kDeviceAt)),
              .size = kRing,
              .in_order = kind.in_order,
              .slots = ring_slots_.data(),
              .indirect_tables =
                  kind.indirect
                      ? reinterpret_cast<PackedDescriptor*>(At(kTablesAt))
                      : nullptr,
              .indirect_tables_addr = kTablesAt,
              .indirect_entries = 32},
          config);
    } else {
      side_ = std::make_unique<Side<SplitDriver>>(
          SplitDriverConfig{
              .descriptors = reinterpret_cast<SplitDescriptor*>(At(kRingAt)),
              .available =
                  reinterpret_cast<SplitAvailableHeader*>(At(kDriverAt)),
              .used = reinterpret_cast<SplitUsedHeader*>(At(kDeviceAt)),
              .size = kRing,
              .in_order = kind.in_order,
              .slots = ring_slots_.data(),
              .indirect_tables =
                  kind.indirect
                      ? reinterpret_cast<SplitDescriptor*>(At(kTablesAt))
                      : nullptr,
              .indirect_tables_addr = kTablesAt,
              .indirect_entries = 32},
          config);
    }
    FeatureSet features = FeatureSet::Of(kFeatureVersion1);
    if (kind.packed) features.Add(kFeatureRingPacked);
    if (kind.indirect) features.Add(kFeatureIndirectDesc);
    if (kind.in_order) features.Add(kFeatureInOrder);
    queue_ = std::make_unique<Virtqueue>(
        Virtqueue::Create(memory_, {.size = kRing,
                                    .descriptor = memory::GuestAddress(kRingAt),
                                    .driver = memory::GuestAddress(kDriverAt),
                                    .device = memory::GuestAddress(kDeviceAt),
                                    .features = features})
            .value());
  }

  // The driver.
  uint32_t Post() { return side_->Post(); }
  bool Get(ReceivedPacket& packet) { return side_->Get(packet); }
  void ReleaseHeader(const ReceivedPacket& packet) {
    side_->ReleaseHeader(packet);
  }
  void Release(ReceivePiece piece) { side_->Release(piece); }
  void ReleaseAll(const ReceivedPacket& packet) { side_->ReleaseAll(packet); }
  void Restart() { side_->Restart(); }
  bool broken() const { return side_->broken(); }
  const ReceivePool& pages() const { return pages_; }
  const ReceivePool& small() const { return small_; }
  uint16_t* Tail() { return reinterpret_cast<uint16_t*>(At(kTailAt)); }
  const uint8_t* Slot(uint32_t slot) const {
    return At(kSlotsAt) + slot * size_t{kSlotBytes};
  }

  // The device: whether there is a buffer; takes the next, which must be there.
  bool HasAvailable() const { return queue_->HasAvailable(); }
  DescriptorChain& Pop() {
    chains_.push_back(std::make_unique<DescriptorChain>(kRing));
    if (!queue_->Pop(*chains_.back())) std::abort();
    return *chains_.back();
  }
  // Writes to a buffer from its byte `at` on.
  static void Write(DescriptorChain& chain, uint32_t at,
                    absl::Span<const uint8_t> bytes) {
    for (const ChainElement& element : chain.writable()) {
      const uint32_t size = static_cast<uint32_t>(element.span.size());
      const uint32_t skipped = std::min(at, size);
      at -= skipped;
      const size_t here = std::min<size_t>(size - skipped, bytes.size());
      element.span.CopyIn(skipped, bytes.first(here));
      bytes.remove_prefix(here);
    }
  }
  void WriteHeader(DescriptorChain& chain, const ReceivedHeader& header) const {
    std::vector<uint8_t> bytes;
    const auto put = [&bytes](uint64_t value, int count) {
      for (int i = 0; i < count; ++i) {
        bytes.push_back(static_cast<uint8_t>(value >> 8 * i));
      }
    };
    put(header.flags, 1);
    put(header.gso_type, 1);
    for (const uint16_t field :
         {header.hdr_len, header.gso_size, header.csum_start,
          header.csum_offset, header.num_buffers}) {
      put(field, 2);
    }
    if (options_.header.hash_report) {
      put(header.hash_value, 4);
      put(header.hash_report, 4);
    }
    if (options_.header.header_queue) {
      put(header.hdr_buf_index, 2);
      put(header.hdr_buf_id, 2);
      put(0, 4);
    }
    Write(chain, 0, bytes);
  }
  // `len` may be anything: a queue of ours does not tell of more than there
  // was, so that is put into the ring afterwards.
  void Use(DescriptorChain& chain, uint32_t len) {
    const uint64_t at = queue_->packed() ? kRingAt + used_at_ * 16 + 8
                                         : kDeviceAt + 4 + used_at_ * 8 + 4;
    if (len > chain.writable_bytes()) lies_.push_back({at, len});
    used_at_ += queue_->packed() ? chain.ring_descriptors() : 1u;
    used_at_ %= kRing;
    queue_->Push(chain, len);
  }
  void Publish() {
    (void)queue_->Publish();
    for (const Lie& lie : lies_) std::memcpy(At(lie.at), &lie.len, 4);
    lies_.clear();
  }

  // The device, by the rules. `slot` is where method Q puts the header.
  void DeliverUnsplit(absl::Span<const uint8_t> frame) {
    DeliverMerged({}, frame);
  }
  void DeliverSplit(absl::Span<const uint8_t> frame, uint16_t header_bytes,
                    uint16_t slot = 0) {
    const absl::Span<const uint8_t> header = frame.first(header_bytes);
    const absl::Span<const uint8_t> payload = frame.subspan(header_bytes);
    ReceivedHeader net = {.flags = 0x80, .hdr_len = header_bytes};
    if (options_.method == ReceiveMethod::kHeaderQueue) {
      net.hdr_buf_index = slot;
      net.hdr_buf_id = kSlotsId;
      std::copy(header.begin(), header.end(),
                At(kSlotsAt) + (slot % slots_.slots()) * size_t{kSlotBytes});
      return DeliverMerged(net, payload);
    }
    DescriptorChain& first = Pop();
    Write(first, options_.header.bytes(), header);
    if (options_.method == ReceiveMethod::kChain) {
      net.num_buffers = 1;
      WriteHeader(first, net);
      Write(first, options_.small_bytes, payload);
      Use(first, options_.small_bytes + static_cast<uint32_t>(payload.size()));
      return Publish();
    }
    // B and C.
    std::vector<DescriptorChain*> further;
    for (size_t left = payload.size(); left != 0;) {
      further.push_back(&Pop());
      if (Skipped(*further.back())) continue;
      left -= std::min<size_t>(left, further.back()->writable_bytes());
    }
    net.num_buffers = static_cast<uint16_t>(1 + further.size());
    WriteHeader(first, net);
    Use(first, options_.header.bytes() + header_bytes);
    absl::Span<const uint8_t> rest = payload;
    for (DescriptorChain* chain : further) {
      const size_t here =
          Skipped(*chain)
              ? 0
              : std::min<size_t>(rest.size(), chain->writable_bytes());
      Write(*chain, 0, rest.first(here));
      rest.remove_prefix(here);
      Use(*chain, static_cast<uint32_t>(here));
    }
    Publish();
  }

 private:
  class AnySide {
   public:
    virtual ~AnySide() = default;
    virtual uint32_t Post() = 0;
    virtual bool Get(ReceivedPacket& packet) = 0;
    virtual void ReleaseHeader(const ReceivedPacket& packet) = 0;
    virtual void Release(ReceivePiece piece) = 0;
    virtual void ReleaseAll(const ReceivedPacket& packet) = 0;
    virtual void Restart() = 0;
    virtual bool broken() const = 0;
  };
  template <typename Driver>
  class Side final : public AnySide {
   public:
    template <typename Config>
    Side(const Config& ring, const HeaderSplitReceiverConfig& config)
        : driver_(ring), receiver_(driver_, config) {}
    uint32_t Post() override { return receiver_.Post(); }
    bool Get(ReceivedPacket& packet) override {
      return receiver_.GetPacket(packet);
    }
    void ReleaseHeader(const ReceivedPacket& packet) override {
      receiver_.ReleaseHeader(packet);
    }
    void Release(ReceivePiece piece) override { receiver_.Release(piece); }
    void ReleaseAll(const ReceivedPacket& packet) override {
      receiver_.ReleaseAll(packet);
    }
    void Restart() override { receiver_.Restart(); }
    bool broken() const override { return receiver_.broken(); }

   private:
    Driver driver_;
    HeaderSplitReceiver<Driver> receiver_;
  };

  static constexpr uint64_t kRamBytes = 0x200000;
  static constexpr uint64_t kRingAt = 0x10000;
  static constexpr uint64_t kDriverAt = 0x12000;
  static constexpr uint64_t kDeviceAt = 0x14000;
  static constexpr uint64_t kTailAt = 0x16000;
  static constexpr uint64_t kTablesAt = 0x20000;
  static constexpr uint64_t kSlotsAt = 0x40000;
  static constexpr uint64_t kSmallAt = 0x80000;
  static constexpr uint64_t kPagesAt = 0x100000;

  uint8_t* At(uint64_t address) const {
    return ram_.Regions()[0].host + address;
  }

  bool Skipped(const DescriptorChain& chain) const {
    return options_.method == ReceiveMethod::kSmallBuffers &&
           chain.writable_bytes() <= options_.small_bytes;
  }

  // By the base rules: header, then bytes, over as many buffers as it takes.
  void DeliverMerged(ReceivedHeader net, absl::Span<const uint8_t> bytes) {
    std::vector<DescriptorChain*> chains;
    size_t room = 0;
    while (room < options_.header.bytes() + bytes.size()) {
      chains.push_back(&Pop());
      room += chains.back()->writable_bytes();
    }
    net.num_buffers = static_cast<uint16_t>(chains.size());
    WriteHeader(*chains[0], net);
    uint32_t skip = options_.header.bytes();
    for (DescriptorChain* chain : chains) {
      const size_t here =
          std::min<size_t>(bytes.size(), chain->writable_bytes() - skip);
      Write(*chain, skip, bytes.first(here));
      bytes.remove_prefix(here);
      Use(*chain, skip + static_cast<uint32_t>(here));
      skip = 0;
    }
    Publish();
  }

  const ReceiverOptions options_;
  const memory::GuestRam ram_ =
      memory::GuestRam::Create({.size = kRamBytes}).value();
  const memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  std::vector<uint32_t> free_pages_ = std::vector<uint32_t>(kPages);
  std::vector<uint32_t> free_small_ = std::vector<uint32_t>(kSmall);
  ReceivePool pages_;
  ReceivePool small_;
  std::vector<uint8_t> in_driver_;
  HeaderSlotRing slots_;
  std::vector<ReceivePiece> in_flight_ =
      std::vector<ReceivePiece>(size_t{kRing} * 32);
  std::vector<DriverSlot> ring_slots_ = std::vector<DriverSlot>(kRing);
  std::unique_ptr<AnySide> side_;
  std::unique_ptr<Virtqueue> queue_;
  std::vector<std::unique_ptr<DescriptorChain>> chains_;
  // The ring's next used element or descriptor, and where lengths are to be.
  struct Lie {
    uint64_t at;
    uint32_t len;
  };
  uint32_t used_at_ = 0;
  std::vector<Lie> lies_;
};

// Bytes that tell where they belong.
inline std::vector<uint8_t> NumberedFrame(size_t bytes, uint32_t seed = 1) {
  std::vector<uint8_t> frame(bytes);
  for (size_t i = 0; i < bytes; ++i) {
    seed = seed * 1664525 + 1013904223;
    frame[i] = static_cast<uint8_t>(seed >> 24);
  }
  return frame;
}

// Header and parts of a packet, one after the other.
inline std::vector<uint8_t> BytesOf(const ReceivedPacket& packet) {
  std::vector<uint8_t> bytes(packet.header,
                             packet.header + packet.header_bytes);
  for (uint32_t i = 0; i < packet.part_count; ++i) {
    const PacketPart& part = packet.parts[i];
    bytes.insert(bytes.end(), part.data, part.data + part.bytes);
  }
  return bytes;
}

inline std::string NameOf(const RingKind& kind) {
  return std::string(kind.packed ? "Packed" : "Split") +
         (kind.indirect ? "Indirect" : "") + (kind.in_order ? "InOrder" : "");
}

inline constexpr RingKind kRingKinds[] = {
    {true, false, false}, {true, true, false},   {true, false, true},
    {true, true, true},   {false, false, false}, {false, true, false},
    {false, false, true}, {false, true, true},
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_HEADER_SPLIT_FIXTURE_H_
