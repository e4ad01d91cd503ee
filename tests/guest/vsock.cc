#include "tests/guest/vsock.h"

#include <cstdint>
#include <cstring>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/driver/vsock_connection.h"
#include "devices/virtio/driver/vsock_endpoint.h"
#include "devices/virtio/driver/vsock_packet.h"
#include "devices/virtio/driver/vsock_receiver.h"
#include "devices/virtio/driver/vsock_transmitter.h"
#include "devices/virtio/spec/device_id.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/spec/vsock.h"
#include "tests/guest/boot_info.h"
#include "tests/guest/console.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/net_queue.h"
#include "tests/guest/virtio_device.h"

namespace guest {

namespace virtio = annulus::virtio;

namespace {

constexpr uint32_t kHostPort = 1234;
constexpr uint32_t kGuestPort = 5678;
constexpr uint32_t kGuestDatagramPort = 7;
constexpr uint32_t kHostDatagramPort = 77;

// Short: a software KVM takes a microsecond for each byte. More than a buffer
// has room for, where they are merged.
constexpr uint32_t kMessageBytes = 300;
constexpr uint32_t kStride = 512;
constexpr uint32_t kMergedBufferBytes = 128;
constexpr uint32_t kWindow = 4096;
constexpr uint16_t kRing = NetQueue<virtio::PackedDriver>::kSize;
constexpr uint32_t kPackets = 4;  // Each takes two descriptors.

alignas(64) uint8_t g_receive[kRing * kStride];
alignas(64) uint8_t g_transmit[kPackets * kStride];
alignas(64) uint8_t g_datagram_receive[kRing * kStride];
alignas(64) uint8_t g_datagram_transmit[kPackets * kStride];
alignas(4) uint8_t g_events[kRing * virtio::kVsockEventBytes];

uint64_t AddressOf(const void* object) {
  return reinterpret_cast<uint64_t>(object);  // Memory is mapped one to one.
}

uint8_t MessageByte(uint32_t seed, uint32_t index) {
  return static_cast<uint8_t>(seed * 7 + index);
}

// A pair of queues for packets.
template <typename Driver>
class Pair {
 public:
  Pair(uint16_t rx, uint16_t tx, bool mergeable, uint8_t* receive,
       uint8_t* transmit)
      : rx_(rx),
        tx_(tx),
        receive_({.host = receive,
                  .addr = AddressOf(receive),
                  .bytes = mergeable ? kMergedBufferBytes : kStride,
                  .stride = kStride,
                  .count = kRing,
                  .free = free_receive_}),
        transmit_({.host = transmit,
                   .addr = AddressOf(transmit),
                   .bytes = kStride,
                   .stride = kStride,
                   .count = kPackets,
                   .free = free_transmit_}),
        receiver_(rx_.driver(), {.mergeable = mergeable,
                                 .buffers = &receive_,
                                 .in_flight = rx_in_flight_,
                                 .parts = parts_}),
        transmitter_(tx_.driver(), {.mergeable = mergeable,
                                    .buffers = &transmit_,
                                    .in_flight = tx_in_flight_}) {}

  virtio::VsockReceiver<Driver>& receiver() { return receiver_; }
  virtio::VsockTransmitter<Driver>& transmitter() { return transmitter_; }

  void Enable(VirtioTransport& transport) {
    rx_.Enable(transport);
    tx_.Enable(transport);
  }
  void NotifyIfNeeded(VirtioTransport& transport) {
    rx_.NotifyIfNeeded(transport);
    tx_.NotifyIfNeeded(transport);
  }

 private:
  NetQueue<Driver> rx_;
  NetQueue<Driver> tx_;
  uint32_t free_receive_[kRing];
  uint32_t free_transmit_[kPackets];
  uint32_t rx_in_flight_[kRing];
  uint16_t tx_in_flight_[kRing];
  virtio::VsockPart parts_[kRing];
  virtio::ReceivePool receive_;
  virtio::ReceivePool transmit_;
  virtio::VsockReceiver<Driver> receiver_;
  virtio::VsockTransmitter<Driver> transmitter_;
};

template <typename Driver>
class Sockets {
 public:
  Sockets(VirtioTransport& transport, uint64_t features, uint64_t cid)
      : transport_(transport),
        cid_(cid),
        mergeable_((features & FeatureBit(virtio::kVsockMrgRxbufDefault)) != 0),
        datagrams_((features & FeatureBit(virtio::kVsockDgramDefault)) != 0),
        type_(Equal(Option("type"), "seqpacket") ? virtio::kVsockTypeSeqpacket
                                                 : virtio::kVsockTypeStream),
        packets_(virtio::kVsockRxQueue, virtio::kVsockTxQueue, mergeable_,
                 g_receive, g_transmit),
        datagram_packets_(virtio::kVsockDgramRxQueue,
                          virtio::kVsockDgramTxQueue, mergeable_,
                          g_datagram_receive, g_datagram_transmit),
        events_(datagrams_ ? virtio::kVsockDgramEventQueue
                           : virtio::kVsockEventQueue),
        table_(connections_, kConnections, slots_, kConnections),
        endpoint_({.cid = cid, .buf_alloc = kWindow, .connections = &table_},
                  packets_.receiver(), packets_.transmitter(), *this) {}

  void Start() {
    packets_.Enable(transport_);
    if (datagrams_) datagram_packets_.Enable(transport_);
    events_.Enable(transport_);
    transport_.WriteStatus(transport_.Status() | virtio::kStatusDriverOk);
    // "the driver MUST [...] add buffers to the event virtqueue" before those
    // of rx (virtio 1.4 §5.10.5 "Device Initialization").
    for (uint32_t i = 0; i < kRing; ++i) {
      const virtio::DriverElement element = {
          .addr = AddressOf(g_events) + i * virtio::kVsockEventBytes,
          .len = virtio::kVsockEventBytes};
      events_.driver().Add(nullptr, 0, &element, 1);
    }
    events_.NotifyIfNeeded(transport_);
    packets_.receiver().Post();
    packets_.NotifyIfNeeded(transport_);
    if (!datagrams_) return;
    datagram_packets_.receiver().Post();
    datagram_packets_.NotifyIfNeeded(transport_);
  }

  // What is sent to the host comes back.
  void Call(uint32_t seed) {
    Begin();
    connection_ = endpoint_.Connect(type_, virtio::kVsockHostCid, kHostPort);
    GUEST_CHECK(connection_ != nullptr);
    while (!connected_) PollOnce();
    SendMessage(seed);
    while (received_bytes_ < kMessageBytes) PollOnce();
    CheckReceived(seed);
    while (!endpoint_.Shutdown(*connection_, virtio::kVsockShutdownSend)) {
      PollOnce();
    }
    while (!closed_) PollOnce();
  }

  // What the host sends goes back.
  void Serve() {
    Begin();
    listens_ = true;
    Print("listening");
    while (!connected_) PollOnce();
    uint32_t sent = 0;
    while (sent < received_bytes_ || !peer_sends_no_more_) {
      PollOnce();
      if (sent == received_bytes_) continue;
      uint32_t bytes = 0;
      uint8_t* const room =
          endpoint_.Room(*connection_, received_bytes_ - sent, &bytes);
      if (room == nullptr) continue;
      memcpy(room, received_ + sent, bytes);
      endpoint_.Send(*connection_, bytes, virtio::kVsockSeqEom);
      sent += bytes;
    }
    listens_ = false;
    if (!closed_) {
      while (!endpoint_.Shutdown(*connection_, virtio::kVsockShutdownBoth)) {
        PollOnce();
      }
    }
    while (!closed_) PollOnce();
    served_bytes_ += sent;
  }

  void ExchangeDatagrams() {
    if (!datagrams_) return;
    uint8_t* const room = datagram_packets_.transmitter().Room();
    GUEST_CHECK(room != nullptr);
    for (uint32_t i = 0; i < kMessageBytes; ++i) room[i] = MessageByte(9, i);
    datagram_packets_.transmitter().Send(virtio::VsockDatagramHeader(
        cid_, kGuestDatagramPort, virtio::kVsockHostCid, kHostDatagramPort,
        kMessageBytes));
    datagram_packets_.NotifyIfNeeded(transport_);
    virtio::VsockPacket packet;
    while (!datagram_packets_.receiver().GetPacket(packet)) {
      GUEST_CHECK(!datagram_packets_.receiver().broken());
      Pause();
    }
    GUEST_CHECK(packet.header.type == virtio::kVsockTypeDgram);
    GUEST_CHECK(packet.header.op == virtio::kVsockOpRw);
    GUEST_CHECK(packet.header.src_cid == virtio::kVsockHostCid);
    GUEST_CHECK(packet.header.src_port == kHostDatagramPort);
    GUEST_CHECK(packet.header.dst_cid == cid_);
    GUEST_CHECK(packet.header.dst_port == kGuestDatagramPort);
    GUEST_CHECK(packet.header.len == kMessageBytes);
    GUEST_CHECK((packet.part_count > 1) == mergeable_);
    uint32_t index = 0;
    for (uint32_t i = 0; i < packet.part_count; ++i) {
      for (uint32_t j = 0; j < packet.parts[i].bytes; ++j) {
        GUEST_CHECK(packet.parts[i].data[j] == MessageByte(9, index++));
      }
    }
    datagram_packets_.receiver().Release(packet);
    ++datagrams_received_;
  }

  void Report(uint64_t calls) const {
    Print("calls ", calls, ", served ", served_bytes_, ", merged ", merged_,
          ", datagrams ", datagrams_received_);
  }

  // For the endpoint.
  bool Accepts(const virtio::VsockHeader& request) {
    return listens_ && request.dst_port == kGuestPort;
  }
  void Connected(virtio::VsockConnection& connection) {
    connection_ = &connection;
    connected_ = true;
  }
  void Data(virtio::VsockConnection& connection, const uint8_t* data,
            uint32_t bytes) {
    GUEST_CHECK(bytes <= sizeof(received_) - received_bytes_);
    memcpy(received_ + received_bytes_, data, bytes);
    received_bytes_ += bytes;
    endpoint_.Consumed(connection, bytes);
  }
  void Received(virtio::VsockConnection&, const virtio::VsockHeader& header) {
    if (header.num_buffers > 1) ++merged_;
    // All in one packet, as there is room.
    if (type_ == virtio::kVsockTypeSeqpacket) {
      GUEST_CHECK((header.flags & virtio::kVsockSeqEom) != 0);
    }
  }
  void Credit(virtio::VsockConnection&) {}
  void Shutdown(virtio::VsockConnection& connection) {
    peer_sends_no_more_ =
        (connection.peer_shutdown & virtio::kVsockShutdownSend) != 0;
  }
  void Closed(virtio::VsockConnection&) {
    GUEST_CHECK(connected_);  // Else it was refused.
    closed_ = peer_sends_no_more_ = true;
  }

 private:
  static constexpr uint32_t kConnections = 2;

  void Begin() {
    connected_ = closed_ = peer_sends_no_more_ = false;
    received_bytes_ = 0;
  }

  void PollOnce() {
    if (!endpoint_.Poll(kRing)) Pause();
    packets_.NotifyIfNeeded(transport_);
    GUEST_CHECK(!endpoint_.broken());
  }

  void SendMessage(uint32_t seed) {
    for (uint32_t sent = 0; sent < kMessageBytes;) {
      uint32_t bytes = 0;
      uint8_t* const room =
          endpoint_.Room(*connection_, kMessageBytes - sent, &bytes);
      if (room == nullptr) {
        PollOnce();
        continue;
      }
      for (uint32_t i = 0; i < bytes; ++i) {
        room[i] = MessageByte(seed, sent + i);
      }
      sent += bytes;
      endpoint_.Send(*connection_, bytes,
                     sent == kMessageBytes ? virtio::kVsockSeqEom : 0);
    }
  }

  void CheckReceived(uint32_t seed) {
    GUEST_CHECK(received_bytes_ == kMessageBytes);
    for (uint32_t i = 0; i < kMessageBytes; ++i) {
      GUEST_CHECK(received_[i] == MessageByte(seed, i));
    }
  }

  VirtioTransport& transport_;
  const uint64_t cid_;
  const bool mergeable_;
  const bool datagrams_;
  const uint16_t type_;
  Pair<Driver> packets_;
  Pair<Driver> datagram_packets_;
  NetQueue<Driver> events_;
  virtio::VsockConnection connections_[kConnections];
  uint32_t slots_[kConnections];
  virtio::VsockConnectionTable table_;
  virtio::VsockEndpoint<Driver, Sockets> endpoint_;

  virtio::VsockConnection* connection_ = nullptr;
  bool listens_ = false;
  bool connected_ = false;
  bool closed_ = false;
  bool peer_sends_no_more_ = false;
  uint8_t received_[2 * kMessageBytes];
  uint32_t received_bytes_ = 0;
  uint64_t served_bytes_ = 0;
  uint64_t merged_ = 0;
  uint64_t datagrams_received_ = 0;
};

template <typename Driver>
void Use(VirtioTransport& transport, uint64_t calls, bool serves) {
  const uint64_t wanted = WantedVsockFeatures();
  const uint64_t features = NegotiateFeatures(transport, wanted);
  GUEST_CHECK(features == wanted);
  const uint64_t cid =
      transport.Config(virtio::kVsockConfigGuestCid) |
      uint64_t{transport.Config(virtio::kVsockConfigGuestCid + 4)} << 32;
  GUEST_CHECK(cid >= virtio::kVsockFirstGuestCid &&
              cid <= virtio::kVsockLastGuestCid);
  Sockets<Driver> sockets(transport, features, cid);
  sockets.Start();
  for (uint64_t i = 0; i < calls; ++i) {
    sockets.Call(static_cast<uint32_t>(i));
  }
  if (serves) {
    sockets.Serve();
    sockets.ExchangeDatagrams();
    sockets.Report(calls);
  }
  GUEST_CHECK((transport.Status() & virtio::kStatusDeviceNeedsReset) == 0);
  ResetVirtioDevice(transport);
}

}  // namespace

uint64_t WantedVsockFeatures() {
  uint64_t wanted = FeatureBit(virtio::kFeatureVersion1) |
                    FeatureBit(virtio::kVsockStream) |
                    FeatureBit(virtio::kVsockSeqpacket) |
                    FeatureBit(virtio::kVsockNoImpliedStream);
  if (Equal(Option("ring"), "packed")) {
    wanted |= FeatureBit(virtio::kFeatureRingPacked);
  }
  if (NumberOption("mrg", 0) != 0) {
    wanted |= FeatureBit(virtio::kVsockMrgRxbufDefault);
  }
  if (NumberOption("dgram", 0) != 0) {
    wanted |= FeatureBit(virtio::kVsockDgramDefault);
  }
  return wanted;
}

void UseVsock(VirtioTransport& transport, uint64_t calls, bool serves) {
  GUEST_CHECK(transport.DeviceId() == virtio::kDeviceIdSocket);
  if (Equal(Option("ring"), "packed")) {
    Use<virtio::PackedDriver>(transport, calls, serves);
  } else {
    Use<virtio::SplitDriver>(transport, calls, serves);
  }
}

}  // namespace guest
