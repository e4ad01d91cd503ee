#include "tests/guest/header_split.h"

#include <cstdint>
#include <cstring>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/header_slot_ring.h"
#include "devices/virtio/driver/header_split_commands.h"
#include "devices/virtio/driver/header_split_receiver.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/received_packet.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/spec/device_id.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
#include "devices/virtio/spec/net_header_split.h"
#include "devices/virtio/spec/status.h"
#include "tests/guest/boot_info.h"
#include "tests/guest/console.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/net_queue.h"
#include "tests/guest/virtio_device.h"

namespace guest {

namespace virtio = annulus::virtio;

namespace {

using virtio::ReceiveMethod;

constexpr uint16_t kReceiveQueue = 0;
constexpr uint16_t kTransmitQueue = 1;
constexpr uint16_t kControlQueue = 2;

// The frame: IPv4, TCP with timestamps, some bytes of payload. To everybody,
// and from everybody, for it comes back with its addresses swapped.
// Short: a software KVM takes a microsecond for each.
constexpr uint32_t kHeaderBytes = 66;
constexpr uint32_t kPayloadBytes = 150;
constexpr uint8_t kHeader[kHeaderBytes] = {0xff, 0xff, 0xff, 0xff, 0xff,
                                           0xff, 0xff, 0xff, 0xff, 0xff,
                                           0xff, 0xff, 8,    0,  // Ethernet
                                           0x45, 0,    0,    0,    0,
                                           1,    0x40, 0,    64,   6,
                                           0,    0,  // IPv4
                                           10,   0,    0,    1,    10,
                                           0,    0,    2,  // its ends
                                           0x13, 0x88, 0x13, 0x89, 0,
                                           0,    0,    1,    0,    0,
                                           0,    1,  // TCP
                                           0x80, 0x10, 0xff, 0xff, 0,
                                           0,    0,    0,  // doff is 8
                                           1,    1,    8,    10,   0,
                                           0,    0,    2,    0,    0,
                                           0,    3};

constexpr uint32_t kPageBytes = 4096;
constexpr uint32_t kPages = 16;
constexpr uint32_t kSmallBytes = 128;
constexpr uint16_t kLogSlots = 2;  // Goes round soon.
constexpr uint16_t kHeaderQueueId = 9;

alignas(kPageBytes) uint8_t g_pages[kPages * kPageBytes];
alignas(64) uint8_t g_small[kPages * kSmallBytes];
alignas(64) uint8_t g_slots[virtio::kDefaultHeaderSlotBytes << kLogSlots];
alignas(64) uint16_t g_tail;
uint32_t g_free_pages[kPages];
uint32_t g_free_small[kPages];
uint8_t g_slots_in_driver[1 << kLogSlots];
virtio::ReceivePiece g_in_flight[2 * NetQueue<virtio::PackedDriver>::kSize];
// What is sent, and commands with their answers.
uint8_t g_transmitted[512];
uint8_t g_command[64];
uint8_t g_ack;

uint64_t AddressOf(const void* object) {
  return reinterpret_cast<uint64_t>(object);  // Memory is mapped one to one.
}

ReceiveMethod MethodOption() {
  const char* const method = Option("method");
  if (Equal(method, "A")) return ReceiveMethod::kChain;
  if (Equal(method, "B")) return ReceiveMethod::kBuffers;
  if (Equal(method, "C")) return ReceiveMethod::kSmallBuffers;
  GUEST_CHECK(Equal(method, "Q"));
  return ReceiveMethod::kHeaderQueue;
}

bool Mergeable(ReceiveMethod method) { return method != ReceiveMethod::kChain; }

uint64_t WantedFeatures(ReceiveMethod method) {
  const virtio::HeaderSplitNumbers numbers;
  uint64_t wanted = FeatureBit(virtio::kFeatureVersion1) |
                    FeatureBit(virtio::kNetCtrlVq) |
                    FeatureBit(virtio::kNetGuestCsum);
  if (Equal(Option("ring"), "packed")) {
    wanted |= FeatureBit(virtio::kFeatureRingPacked);
  }
  if (Mergeable(method)) wanted |= FeatureBit(virtio::kNetMrgRxbuf);
  wanted |= FeatureBit(method == ReceiveMethod::kHeaderQueue
                           ? numbers.header_queue_feature
                           : numbers.split_feature);
  return wanted;
}

template <typename Driver>
class Card {
 public:
  Card(VirtioTransport& transport, ReceiveMethod method)
      : transport_(transport),
        method_(method),
        header_{.header_queue = method == ReceiveMethod::kHeaderQueue},
        pages_({.host = g_pages,
                .addr = AddressOf(g_pages),
                .bytes = kPageBytes,
                .stride = kPageBytes,
                .count = kPages,
                .free = g_free_pages}),
        // With method Q the virtio-net header alone, so that what follows it
        // begins a page.
        small_({.host = g_small,
                .addr = AddressOf(g_small),
                .bytes = method == ReceiveMethod::kHeaderQueue ? header_.bytes()
                                                               : kSmallBytes,
                .stride = kSmallBytes,
                .count = kPages,
                .free = g_free_small}),
        slots_({.slots = g_slots,
                .tail = &g_tail,
                .id = kHeaderQueueId,
                .slot_bytes = virtio::kDefaultHeaderSlotBytes,
                .log_slots = kLogSlots,
                .in_driver = g_slots_in_driver}),
        receiver_(receive_.driver(), ReceiverConfig()) {}

  void Start() {
    receive_.Enable(transport_);
    transmit_.Enable(transport_);
    control_.Enable(transport_);
    transport_.WriteStatus(transport_.Status() | virtio::kStatusDriverOk);
    SetUpSplit();
    Post();
  }

  // A frame with so much payload, of which each byte is known.
  void SendAndCheck(uint32_t payload_bytes, uint8_t first_byte) {
    const uint32_t bytes = WriteFrame(payload_bytes, first_byte);
    Do(transmit_, g_transmitted, bytes, nullptr);
    virtio::ReceivedPacket packet;
    while (!receiver_.GetPacket(packet)) {
      GUEST_CHECK(!receiver_.broken());
      Pause();
    }
    const uint8_t* const frame = g_transmitted + header_.bytes();
    if (payload_bytes == 0) {
      CheckUnsplit(packet, frame);
    } else {
      CheckSplit(packet, frame, payload_bytes);
    }
    receiver_.ReleaseAll(packet);
    Post();
  }

  uint64_t split() const { return split_; }

 private:
  virtio::HeaderSplitReceiverConfig ReceiverConfig() {
    virtio::HeaderSplitReceiverConfig config;
    config.method = method_;
    config.mergeable = Mergeable(method_);
    config.header = header_;
    config.pages = &pages_;
    config.small = method_ == ReceiveMethod::kBuffers ? nullptr : &small_;
    config.slots = header_.header_queue ? &slots_ : nullptr;
    config.in_flight = g_in_flight;
    GUEST_CHECK(config.Usable());
    return config;
  }

  template <uint32_t kData>
  void Command(const virtio::NetCommand<kData>& command) {
    memcpy(g_command, command.bytes, command.kBytes);
    g_ack = virtio::kNetControlError;
    Do(control_, g_command, command.kBytes, &g_ack);
    GUEST_CHECK(g_ack == virtio::kNetControlOk);
  }

  void SetUpSplit() {
    const virtio::HeaderSplitNumbers numbers;
    if (method_ == ReceiveMethod::kHeaderQueue) {
      Command(virtio::HeaderQueueCreateCommand(
          numbers, {.id = kHeaderQueueId,
                    .slot_bytes = virtio::kDefaultHeaderSlotBytes,
                    .log_slots = kLogSlots,
                    .base = AddressOf(g_slots),
                    .tail = AddressOf(&g_tail)}));
      Command(virtio::HeaderQueueAttachCommand(numbers, kReceiveQueue,
                                               kHeaderQueueId));
      return;
    }
    virtio::SplitSet2 set;
    if (method_ == ReceiveMethod::kChain) set.mode = virtio::kSplitModeChain;
    if (method_ == ReceiveMethod::kBuffers) {
      set.mode = virtio::kSplitModeBuffers;
    }
    if (method_ == ReceiveMethod::kSmallBuffers) {
      set.mode = virtio::kSplitModeSmallBuffers;
      set.header_buffer_bytes = kSmallBytes;
    }
    Command(virtio::SplitSet2Command(numbers, set));
  }

  void Post() {
    if (receiver_.Post() != 0) receive_.NotifyIfNeeded(transport_);
  }

  // Has the device read `request` and write one byte of `answer`, if there is
  // one, and waits.
  void Do(NetQueue<Driver>& queue, const uint8_t* request, uint32_t bytes,
          uint8_t* answer) {
    const virtio::DriverElement readable = {.addr = AddressOf(request),
                                            .len = bytes};
    const virtio::DriverElement writable = {.addr = AddressOf(answer),
                                            .len = 1};
    GUEST_CHECK(queue.driver().Add(&readable, 1, &writable,
                                   answer != nullptr ? 1 : 0) !=
                virtio::kNoDriverBuffer);
    queue.NotifyIfNeeded(transport_);
    uint16_t id;
    uint32_t length;
    while (!queue.driver().GetUsed(&id, &length)) {
      GUEST_CHECK(!queue.driver().broken());
      Pause();
    }
  }

  uint32_t WriteFrame(uint32_t payload_bytes, uint8_t first_byte) {
    uint8_t* const frame = g_transmitted + header_.bytes();
    memset(g_transmitted, 0, header_.bytes());
    memcpy(frame, kHeader, kHeaderBytes);
    const uint32_t ip_bytes = kHeaderBytes - 14 + payload_bytes;
    frame[16] = static_cast<uint8_t>(ip_bytes >> 8);
    frame[17] = static_cast<uint8_t>(ip_bytes);
    for (uint32_t i = 0; i < payload_bytes; ++i) {
      frame[kHeaderBytes + i] = static_cast<uint8_t>(first_byte + i);
    }
    return header_.bytes() + kHeaderBytes + payload_bytes;
  }

  void CheckSplit(const virtio::ReceivedPacket& packet, const uint8_t* frame,
                  uint32_t payload_bytes) {
    GUEST_CHECK(packet.split);
    GUEST_CHECK(packet.header_bytes == kHeaderBytes);
    GUEST_CHECK(memcmp(packet.header, frame, kHeaderBytes) == 0);
    GUEST_CHECK(packet.part_count == 1);
    GUEST_CHECK(packet.bytes == payload_bytes);
    const virtio::PacketPart& part = packet.parts[0];
    GUEST_CHECK(AddressOf(part.data) % kPageBytes == 0);
    GUEST_CHECK(memcmp(part.data, frame + kHeaderBytes, payload_bytes) == 0);
    ++split_;
  }

  void CheckUnsplit(const virtio::ReceivedPacket& packet,
                    const uint8_t* frame) {
    GUEST_CHECK(!packet.split);
    GUEST_CHECK(packet.bytes == kHeaderBytes);
    uint32_t at = 0;
    for (uint32_t i = 0; i < packet.part_count; ++i) {
      GUEST_CHECK(
          memcmp(packet.parts[i].data, frame + at, packet.parts[i].bytes) == 0);
      at += packet.parts[i].bytes;
    }
    GUEST_CHECK(at == kHeaderBytes);
  }

  VirtioTransport& transport_;
  const ReceiveMethod method_;
  const virtio::ReceivedHeaderLayout header_;
  NetQueue<Driver> receive_{kReceiveQueue};
  NetQueue<Driver> transmit_{kTransmitQueue};
  NetQueue<Driver> control_{kControlQueue};
  virtio::ReceivePool pages_;
  virtio::ReceivePool small_;
  virtio::HeaderSlotRing slots_;
  virtio::HeaderSplitReceiver<Driver> receiver_;
  uint64_t split_ = 0;
};

template <typename Driver>
void Use(VirtioTransport& transport, uint64_t rounds) {
  const ReceiveMethod method = MethodOption();
  const uint64_t wanted = WantedFeatures(method);
  const uint64_t features = NegotiateFeatures(transport, wanted);
  GUEST_CHECK(features == wanted);
  Card<Driver> card(transport, method);
  card.Start();
  for (uint64_t round = 0; round < rounds; ++round) {
    card.SendAndCheck(kPayloadBytes, static_cast<uint8_t>(round));
    // Not with C: a frame that takes a small buffer alone puts small ones and
    // pages out of step.
    if (method != ReceiveMethod::kSmallBuffers) card.SendAndCheck(0, 0);
  }
  GUEST_CHECK((transport.Status() & virtio::kStatusDeviceNeedsReset) == 0);
  Print("split ", card.split(), ", features ", Hex{features});
  ResetVirtioDevice(transport);
}

}  // namespace

void UseHeaderSplit(VirtioTransport& transport, uint64_t rounds) {
  GUEST_CHECK(transport.DeviceId() == virtio::kDeviceIdNetwork);
  if (Equal(Option("ring"), "packed")) {
    Use<virtio::PackedDriver>(transport, rounds);
  } else {
    Use<virtio::SplitDriver>(transport, rounds);
  }
}

}  // namespace guest
