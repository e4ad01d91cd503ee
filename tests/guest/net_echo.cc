#include "tests/guest/net_echo.h"

#include <cstdint>
#include <cstring>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/spec/device_id.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
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

constexpr uint32_t kMaxPairs = 4;
constexpr uint32_t kVirtioHeaderBytes = 12;
constexpr uint32_t kAddressBytes = 6;
constexpr uint32_t kEthernetBytes = 14;
// Short: a software KVM takes a microsecond for each.
constexpr uint32_t kPayloadBytes = 150;
constexpr uint32_t kFrameBytes = kEthernetBytes + kPayloadBytes;
constexpr uint32_t kBufferBytes = 2048;  // Room for any frame (§5.1.6.3.1).
constexpr uint16_t kBuffers = NetQueue<virtio::PackedDriver>::kSize;

// From everybody: it comes back to everybody, which no filter minds.
constexpr uint8_t kFrom[kAddressBytes] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr uint8_t kTo[kAddressBytes] = {2, 0, 0, 0, 0, 2};

uint8_t g_received[kMaxPairs][kBuffers][kBufferBytes];
uint8_t g_transmitted[kMaxPairs][kVirtioHeaderBytes + kFrameBytes];
uint8_t g_command[4];
uint8_t g_ack;

uint64_t AddressOf(const void* object) {
  return reinterpret_cast<uint64_t>(object);  // Memory is mapped one to one.
}

template <typename Driver>
class EchoCard {
 public:
  EchoCard(VirtioTransport& transport, uint32_t pairs)
      : transport_(transport), pairs_(pairs) {}

  void Start() {
    for (uint32_t pair = 0; pair < pairs_; ++pair) {
      receive_[pair].Enable(transport_);
      transmit_[pair].Enable(transport_);
    }
    // It is behind the last pair that there is (§5.1.2).
    if (pairs_ == kMaxPairs) control_.Enable(transport_);
    transport_.WriteStatus(transport_.Status() | virtio::kStatusDriverOk);
    if (pairs_ == kMaxPairs) SetPairs();
    for (uint32_t pair = 0; pair < pairs_; ++pair) {
      for (uint16_t buffer = 0; buffer < kBuffers; ++buffer) {
        Post(pair, buffer);
      }
    }
  }

  // One frame on each pair, and all of them back.
  void Round(uint64_t round) {
    for (uint32_t pair = 0; pair < pairs_; ++pair) Send(pair, round);
    for (uint32_t pair = 0; pair < pairs_; ++pair) {
      (void)Await(transmit_[pair]);
      Check(pair, Await(receive_[pair]));
    }
  }

 private:
  struct Used {
    uint16_t id;
    uint32_t bytes;
  };

  Used Await(NetQueue<Driver>& queue) {
    Used used = {};
    while (!queue.driver().GetUsed(&used.id, &used.bytes)) {
      GUEST_CHECK(!queue.driver().broken());
      GUEST_CHECK((transport_.Status() & virtio::kStatusDeviceNeedsReset) == 0);
      Pause();
    }
    return used;
  }

  void SetPairs() {
    g_command[0] = virtio::kNetControlMq;
    g_command[1] = virtio::kNetControlMqPairsSet;
    g_command[2] = kMaxPairs;
    g_command[3] = 0;
    g_ack = virtio::kNetControlError;
    const virtio::DriverElement command = {.addr = AddressOf(g_command),
                                           .len = sizeof(g_command)};
    const virtio::DriverElement ack = {.addr = AddressOf(&g_ack), .len = 1};
    GUEST_CHECK(control_.driver().Add(&command, 1, &ack, 1) !=
                virtio::kNoDriverBuffer);
    control_.NotifyIfNeeded(transport_);
    (void)Await(control_);
    GUEST_CHECK(g_ack == virtio::kNetControlOk);
  }

  void Post(uint32_t pair, uint16_t buffer) {
    const virtio::DriverElement writable = {
        .addr = AddressOf(g_received[pair][buffer]), .len = kBufferBytes};
    const uint16_t id = receive_[pair].driver().Add(nullptr, 0, &writable, 1);
    GUEST_CHECK(id != virtio::kNoDriverBuffer);
    buffer_of_[pair][id] = buffer;
    receive_[pair].NotifyIfNeeded(transport_);
  }

  // Each byte of the payload is known.
  static uint8_t ByteAt(uint32_t pair, uint64_t round, uint32_t at) {
    return static_cast<uint8_t>(round * 7 + pair * 64 + at);
  }

  void Send(uint32_t pair, uint64_t round) {
    round_ = round;
    uint8_t* const frame = g_transmitted[pair] + kVirtioHeaderBytes;
    memset(g_transmitted[pair], 0, kVirtioHeaderBytes);
    memcpy(frame, kTo, kAddressBytes);
    memcpy(frame + kAddressBytes, kFrom, kAddressBytes);
    frame[12] = 0x88;  // Local experiments (IEEE 802).
    frame[13] = 0xb5;
    for (uint32_t i = 0; i < kPayloadBytes; ++i) {
      frame[kEthernetBytes + i] = ByteAt(pair, round, i);
    }
    const virtio::DriverElement readable = {
        .addr = AddressOf(g_transmitted[pair]),
        .len = sizeof(g_transmitted[pair])};
    GUEST_CHECK(transmit_[pair].driver().Add(&readable, 1, nullptr, 0) !=
                virtio::kNoDriverBuffer);
    transmit_[pair].NotifyIfNeeded(transport_);
  }

  void Check(uint32_t pair, const Used& used) {
    const uint16_t buffer = buffer_of_[pair][used.id];
    GUEST_CHECK(used.bytes == kVirtioHeaderBytes + kFrameBytes);
    const uint8_t* const frame = g_received[pair][buffer] + kVirtioHeaderBytes;
    GUEST_CHECK(memcmp(frame, kFrom, kAddressBytes) == 0);
    GUEST_CHECK(memcmp(frame + kAddressBytes, kTo, kAddressBytes) == 0);
    for (uint32_t i = 0; i < kPayloadBytes; ++i) {
      GUEST_CHECK(frame[kEthernetBytes + i] == ByteAt(pair, round_, i));
    }
    Post(pair, buffer);
  }

  VirtioTransport& transport_;
  const uint32_t pairs_;
  uint64_t round_ = 0;
  NetQueue<Driver> receive_[kMaxPairs] = {
      NetQueue<Driver>(0), NetQueue<Driver>(2), NetQueue<Driver>(4),
      NetQueue<Driver>(6)};
  NetQueue<Driver> transmit_[kMaxPairs] = {
      NetQueue<Driver>(1), NetQueue<Driver>(3), NetQueue<Driver>(5),
      NetQueue<Driver>(7)};
  NetQueue<Driver> control_{2 * kMaxPairs};
  uint16_t buffer_of_[kMaxPairs][kBuffers] = {};
};

template <typename Driver>
void Use(VirtioTransport& transport, uint64_t rounds) {
  const auto pairs = static_cast<uint32_t>(NumberOption("pairs", 1));
  GUEST_CHECK(pairs == 1 || pairs == kMaxPairs);
  uint64_t wanted = FeatureBit(virtio::kFeatureVersion1);
  if (Equal(Option("ring"), "packed")) {
    wanted |= FeatureBit(virtio::kFeatureRingPacked);
  }
  if (pairs > 1) {
    wanted |= FeatureBit(virtio::kNetCtrlVq) | FeatureBit(virtio::kNetMq);
  }
  GUEST_CHECK(NegotiateFeatures(transport, wanted) == wanted);
  EchoCard<Driver> card(transport, pairs);
  card.Start();
  for (uint64_t round = 0; round < rounds; ++round) card.Round(round);
  Print("echoed ", rounds, " on ", pairs);
  ResetVirtioDevice(transport);
}

}  // namespace

void UseNetEcho(VirtioTransport& transport, uint64_t rounds) {
  GUEST_CHECK(transport.DeviceId() == virtio::kDeviceIdNetwork);
  if (Equal(Option("ring"), "packed")) {
    Use<virtio::PackedDriver>(transport, rounds);
  } else {
    Use<virtio::SplitDriver>(transport, rounds);
  }
}

}  // namespace guest
