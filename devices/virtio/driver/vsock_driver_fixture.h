#ifndef DEVICES_VIRTIO_DRIVER_VSOCK_DRIVER_FIXTURE_H_
#define DEVICES_VIRTIO_DRIVER_VSOCK_DRIVER_FIXTURE_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/driver/vsock_connection.h"
#include "devices/virtio/driver/vsock_endpoint.h"
#include "devices/virtio/driver/vsock_packet.h"
#include "devices/virtio/driver/vsock_receiver.h"
#include "devices/virtio/driver/vsock_transmitter.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

// For tests: what drivers of a socket device have, in guest memory, and a
// device that does with it what the test says, by the rules or against them.

namespace annulus::virtio {

struct VsockPacked {
  using Driver = PackedDriver;
  static constexpr bool kInOrder = false;
};
struct VsockPackedInOrder {
  using Driver = PackedDriver;
  static constexpr bool kInOrder = true;
};
struct VsockSplit {
  using Driver = SplitDriver;
  static constexpr bool kInOrder = false;
};
struct VsockSplitInOrder {
  using Driver = SplitDriver;
  static constexpr bool kInOrder = true;
};

// Where everything is; guest-physical.
class VsockTestMemory {
 public:
  static constexpr uint64_t kBytes = 8 << 20;

  uint8_t* At(uint64_t address) const {
    return ram_.Regions()[0].host + address;
  }
  template <typename T>
  T* At(uint64_t address) const {
    return reinterpret_cast<T*>(At(address));
  }
  const memory::GuestMemory& memory() const { return memory_; }

 private:
  const memory::GuestRam ram_ =
      memory::GuestRam::Create({.size = kBytes}).value();
  const memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
};

// One queue from both sides.
template <typename Kind>
class VsockTestQueue {
 public:
  using Driver = typename Kind::Driver;
  static constexpr uint16_t kSize = 32;
  static constexpr uint64_t kRings = 0x10000;  // Bytes of its rings.

  VsockTestQueue(const VsockTestMemory& memory, uint64_t at)
      : memory_(memory), at_(at), driver_(MakeConfig()) {
    FeatureSet features = FeatureSet::Of(kFeatureVersion1);
    if (kPacked) features.Add(kFeatureRingPacked);
    if (Kind::kInOrder) features.Add(kFeatureInOrder);
    queue_ = std::make_unique<Virtqueue>(
        Virtqueue::Create(memory.memory(),
                          {.size = kSize,
                           .descriptor = memory::GuestAddress(at),
                           .driver = memory::GuestAddress(at + kDriverArea),
                           .device = memory::GuestAddress(at + kDeviceArea),
                           .features = features})
            .value());
  }

  Driver& driver() { return driver_; }

  // The device.
  bool HasAvailable() const { return queue_->HasAvailable(); }
  std::unique_ptr<DescriptorChain> Pop() {
    auto chain = std::make_unique<DescriptorChain>(kSize);
    if (!queue_->Pop(*chain)) std::abort();
    return chain;
  }
  // `len` may be anything: a queue of ours does not tell of more than there
  // was, so that is put into the ring afterwards.
  void Use(DescriptorChain& chain, uint32_t len) {
    const uint64_t at = kPacked ? at_ + used_at_ * 16 + 8
                                : at_ + kDeviceArea + 8 + used_at_ * 8;
    if (len > chain.writable_bytes()) lies_.push_back({at, len});
    used_at_ += kPacked ? chain.ring_descriptors() : 1u;
    used_at_ %= kSize;
    queue_->Push(chain, len);
  }
  void Publish() {
    (void)queue_->Publish();
    for (const Lie& lie : lies_) std::memcpy(memory_.At(lie.at), &lie.len, 4);
    lies_.clear();
  }

 private:
  static constexpr bool kPacked = std::is_same_v<Driver, PackedDriver>;
  using Config =
      std::conditional_t<kPacked, PackedDriverConfig, SplitDriverConfig>;
  static constexpr uint64_t kDriverArea = 0x4000;
  static constexpr uint64_t kDeviceArea = 0x8000;

  Config MakeConfig() {
    Config config;
    if constexpr (kPacked) {
      config.ring = memory_.At<PackedDescriptor>(at_);
      config.driver_event =
          memory_.At<PackedEventSuppression>(at_ + kDriverArea);
      config.device_event =
          memory_.At<PackedEventSuppression>(at_ + kDeviceArea);
    } else {
      config.descriptors = memory_.At<SplitDescriptor>(at_);
      config.available = memory_.At<SplitAvailableHeader>(at_ + kDriverArea);
      config.used = memory_.At<SplitUsedHeader>(at_ + kDeviceArea);
    }
    config.size = kSize;
    config.in_order = Kind::kInOrder;
    config.slots = slots_.data();
    return config;
  }

  struct Lie {
    uint64_t at;
    uint32_t len;
  };
  const VsockTestMemory& memory_;
  const uint64_t at_;
  std::vector<DriverSlot> slots_ = std::vector<DriverSlot>(kSize);
  Driver driver_;
  std::unique_ptr<Virtqueue> queue_;
  uint32_t used_at_ = 0;  // The ring's next used element or descriptor.
  std::vector<Lie> lies_;
};

struct VsockSideOptions {
  bool mergeable = false;
  uint32_t buffer_bytes = 256;
  uint32_t buffers = 32;        // To receive.
  uint32_t packets = 16;        // To transmit.
  uint32_t packet_bytes = 512;  // Of payload in one of these.
};

// The rx and the tx virtqueue with receiver and transmitter.
template <typename Kind>
class VsockTestSide {
 public:
  using Driver = typename Kind::Driver;

  explicit VsockTestSide(const VsockSideOptions& options)
      : options_(options),
        receive_({.host = memory_.At(kReceiveAt),
                  .addr = kReceiveAt,
                  .bytes = options.buffer_bytes,
                  .stride = 4096,
                  .count = options.buffers,
                  .free = free_receive_.data()}),
        transmit_({.host = memory_.At(kTransmitAt),
                   .addr = kTransmitAt,
                   .bytes = kVsockTransmitPayload + options.packet_bytes,
                   .stride = 4096,
                   .count = options.packets,
                   .free = free_transmit_.data()}),
        receiver_(rx_.driver(), {.mergeable = options.mergeable,
                                 .buffers = &receive_,
                                 .in_flight = rx_in_flight_.data(),
                                 .parts = parts_.data()}),
        transmitter_(tx_.driver(), {.mergeable = options.mergeable,
                                    .buffers = &transmit_,
                                    .in_flight = tx_in_flight_.data()}) {}

  VsockReceiver<Driver>& receiver() { return receiver_; }
  VsockTransmitter<Driver>& transmitter() { return transmitter_; }
  const ReceivePool& receive_pool() const { return receive_; }
  const ReceivePool& transmit_pool() const { return transmit_; }
  VsockTestQueue<Kind>& rx() { return rx_; }
  VsockTestQueue<Kind>& tx() { return tx_; }

  // The device, by the rules; false, and nothing done, without buffers.
  bool Deliver(VsockHeader header, absl::Span<const uint8_t> payload = {}) {
    header.len = static_cast<uint32_t>(payload.size());
    const uint32_t header_bytes = VsockHeaderBytes(options_.mergeable);
    std::vector<uint8_t> bytes(header_bytes);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    const size_t buffers =
        (bytes.size() + options_.buffer_bytes - 1) / options_.buffer_bytes;
    while (chains_.size() < buffers && rx_.HasAvailable()) {
      chains_.push_back(rx_.Pop());
    }
    if (chains_.size() < buffers) return false;
    PutHeader(header, static_cast<uint16_t>(buffers), bytes);
    absl::Span<const uint8_t> rest = bytes;
    for (size_t i = 0; i < buffers; ++i) {
      const auto here =
          rest.first(std::min<size_t>(rest.size(), options_.buffer_bytes));
      Write(*chains_[i], here);
      rest.remove_prefix(here.size());
      rx_.Use(*chains_[i], static_cast<uint32_t>(here.size()));
    }
    chains_.erase(chains_.begin(),
                  chains_.begin() + static_cast<ptrdiff_t>(buffers));
    rx_.Publish();
    return true;
  }

  // The device, as it likes: the first buffer begins with `header`, of which
  // len and num_buffers are as given; a used length for each.
  void Play(const VsockHeader& header, const std::vector<uint32_t>& lengths) {
    if (PlaySome(header, lengths) != lengths.size()) std::abort();
  }
  // The same with as many buffers as there are; returns how many.
  size_t PlaySome(const VsockHeader& header,
                  const std::vector<uint32_t>& lengths) {
    std::vector<std::unique_ptr<DescriptorChain>> chains = std::move(chains_);
    chains_.clear();
    while (chains.size() < lengths.size() && rx_.HasAvailable()) {
      chains.push_back(rx_.Pop());
    }
    if (chains.empty()) return 0;
    std::vector<uint8_t> bytes(VsockHeaderBytes(options_.mergeable));
    PutHeader(header, header.num_buffers, bytes);
    if (options_.buffer_bytes >= bytes.size()) Write(*chains[0], bytes);
    // Those that were popped before are more, perhaps.
    for (size_t i = 0; i < chains.size(); ++i) {
      rx_.Use(*chains[i], i < lengths.size() ? lengths[i] : 0);
    }
    rx_.Publish();
    return chains.size();
  }

  // What the driver has sent next, if anything.
  struct Sent {
    VsockHeader header;
    std::vector<uint8_t> payload;
  };
  std::optional<Sent> TakeSent() {
    if (!tx_.HasAvailable()) return std::nullopt;
    const std::unique_ptr<DescriptorChain> chain = tx_.Pop();
    const uint32_t header_bytes = VsockHeaderBytes(options_.mergeable);
    if (chain->readable_bytes() < header_bytes) std::abort();
    std::vector<uint8_t> bytes(chain->readable_bytes());
    absl::Span<uint8_t> rest = absl::MakeSpan(bytes);
    for (const ChainElement& element : chain->readable()) {
      element.span.CopyOut(0, rest.first(element.span.size()));
      rest.remove_prefix(element.span.size());
    }
    Sent sent;
    alignas(4) uint8_t head[48] = {};
    std::memcpy(head, bytes.data(), header_bytes);
    sent.header = ReadVsockHeader(head, options_.mergeable);
    sent.payload.assign(bytes.begin() + header_bytes, bytes.end());
    if (sent.header.len != sent.payload.size()) std::abort();
    tx_.Use(*chain, 0);
    tx_.Publish();
    return sent;
  }

 private:
  static constexpr uint64_t kRxAt = 0x10000;
  static constexpr uint64_t kTxAt = 0x20000;
  static constexpr uint64_t kReceiveAt = 0x100000;
  static constexpr uint64_t kTransmitAt = 0x400000;

  void PutHeader(const VsockHeader& header, uint16_t buffers,
                 std::vector<uint8_t>& bytes) const {
    alignas(4) uint8_t head[48] = {};
    WriteVsockHeader(header, options_.mergeable, head);
    head[44] = static_cast<uint8_t>(buffers);
    head[45] = static_cast<uint8_t>(buffers >> 8);
    std::memcpy(bytes.data(), head, VsockHeaderBytes(options_.mergeable));
  }
  static void Write(DescriptorChain& chain, absl::Span<const uint8_t> bytes) {
    for (const ChainElement& element : chain.writable()) {
      const auto here =
          bytes.first(std::min<size_t>(element.span.size(), bytes.size()));
      element.span.CopyIn(0, here);
      bytes.remove_prefix(here.size());
    }
  }

  const VsockSideOptions options_;
  const VsockTestMemory memory_;
  VsockTestQueue<Kind> rx_{memory_, kRxAt};
  VsockTestQueue<Kind> tx_{memory_, kTxAt};
  std::vector<uint32_t> free_receive_ = std::vector<uint32_t>(options_.buffers);
  std::vector<uint32_t> free_transmit_ =
      std::vector<uint32_t>(options_.packets);
  std::vector<uint32_t> rx_in_flight_ =
      std::vector<uint32_t>(VsockTestQueue<Kind>::kSize);
  std::vector<uint16_t> tx_in_flight_ =
      std::vector<uint16_t>(VsockTestQueue<Kind>::kSize);
  std::vector<VsockPart> parts_ =
      std::vector<VsockPart>(VsockTestQueue<Kind>::kSize);
  ReceivePool receive_;
  ReceivePool transmit_;
  VsockReceiver<Driver> receiver_;
  VsockTransmitter<Driver> transmitter_;
  std::vector<std::unique_ptr<DescriptorChain>> chains_;
};

// An endpoint on such a side.
template <typename Kind, typename Application>
class VsockTestGuest : public VsockTestSide<Kind> {
 public:
  static constexpr uint32_t kConnections = 8;

  VsockTestGuest(uint64_t cid, const VsockSideOptions& options,
                 uint32_t buf_alloc, Application& application)
      : VsockTestSide<Kind>(options),
        endpoint_({.cid = cid, .buf_alloc = buf_alloc, .connections = &table_},
                  this->receiver(), this->transmitter(), application) {
    this->receiver().Post();
  }

  auto& endpoint() { return endpoint_; }

 private:
  std::vector<VsockConnection> connections_ =
      std::vector<VsockConnection>(kConnections);
  std::vector<uint32_t> slots_ = std::vector<uint32_t>(4);
  VsockConnectionTable table_{connections_.data(), kConnections, slots_.data(),
                              4};
  VsockEndpoint<typename Kind::Driver, Application> endpoint_;
};

// Bytes that tell where they belong.
inline std::vector<uint8_t> NumberedBytes(size_t bytes, uint32_t seed = 1) {
  std::vector<uint8_t> result(bytes);
  for (uint8_t& byte : result) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(seed >> 24);
  }
  return result;
}

inline std::vector<uint8_t> BytesOf(const VsockPacket& packet) {
  std::vector<uint8_t> bytes;
  for (uint32_t i = 0; i < packet.part_count; ++i) {
    const VsockPart& part = packet.parts[i];
    bytes.insert(bytes.end(), part.data, part.data + part.bytes);
  }
  return bytes;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_VSOCK_DRIVER_FIXTURE_H_
