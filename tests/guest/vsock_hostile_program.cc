// A driver that fills the queues of a socket device with garbage, and after
// each breach resets the device and uses it as it should be used: then it has
// to work.

#include <cstdint>
#include <cstring>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/vsock_packet.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/status.h"
#include "devices/virtio/spec/vsock.h"
#include "tests/guest/boot_info.h"
#include "tests/guest/console.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/net_queue.h"
#include "tests/guest/programs.h"
#include "tests/guest/virtio_device.h"
#include "tests/guest/virtio_transport.h"
#include "tests/guest/vsock.h"

namespace guest {

namespace virtio = annulus::virtio;

namespace {

constexpr uint64_t kGuestCid = 3;
constexpr uint32_t kHostPort = 1234;
constexpr uint16_t kMaxQueues = 5;

// The same in each run.
uint32_t Random() {
  static uint64_t state = 88172645463325252;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<uint32_t>(state >> 16);
}

uint64_t AddressOf(const void* object) {
  return reinterpret_cast<uint64_t>(object);
}

alignas(64) uint8_t g_memory[65536];

// All queues that there are, started. On packed rings, whatever the options
// say.
class Queues {
 public:
  using Queue = NetQueue<virtio::PackedDriver>;

  explicit Queues(VirtioTransport& transport)
      : transport_(transport),
        count_((WantedVsockFeatures() &
                FeatureBit(virtio::kVsockDgramDefault)) != 0
                   ? kMaxQueues
                   : 3) {
    NegotiateFeatures(transport, WantedVsockFeatures() |
                                     FeatureBit(virtio::kFeatureRingPacked));
    for (uint16_t i = 0; i < count_; ++i) queues_[i].Enable(transport);
    transport.WriteStatus(transport.Status() | virtio::kStatusDriverOk);
  }

  uint16_t count() const { return count_; }

  // Makes a buffer available, and the device look at it; takes back what it has
  // used meanwhile, whatever it says.
  void Put(uint16_t queue, const virtio::DriverElement* readable,
           uint32_t readable_count, const virtio::DriverElement* writable,
           uint32_t writable_count) {
    Queue& to = queues_[queue];
    uint16_t id;
    uint32_t length;
    for (int wait = 0; wait < 20; ++wait) {
      while (to.driver().GetUsed(&id, &length)) continue;
      if (to.driver().free_descriptors() >= readable_count + writable_count) {
        break;
      }
      Pause();
    }
    to.driver().Add(readable, readable_count, writable, writable_count);
    transport_.Notify(queue);
  }
  void PutReadable(uint16_t queue, uint32_t bytes) {
    const virtio::DriverElement element = {.addr = AddressOf(g_memory),
                                           .len = bytes};
    Put(queue, &element, 1, nullptr, 0);
  }
  void PutWritable(uint16_t queue, uint32_t bytes) {
    const virtio::DriverElement element = {.addr = AddressOf(g_memory) + 4096,
                                           .len = bytes};
    Put(queue, nullptr, 0, &element, 1);
  }

  Queue& at(uint16_t queue) { return queues_[queue]; }

 private:
  VirtioTransport& transport_;
  const uint16_t count_;
  Queue queues_[kMaxQueues] = {Queue(0), Queue(1), Queue(2), Queue(3),
                               Queue(4)};
};

constexpr bool kLongHeader = true;  // Of 46 bytes: more do no harm.

void WriteHeader(const virtio::VsockHeader& header) {
  virtio::WriteVsockHeader(header, kLongHeader, g_memory);
}

// Of a packet that would do for a port of the host.
virtio::VsockHeader Plausible(uint16_t op, uint32_t port = 1) {
  return {.src_cid = kGuestCid,
          .dst_cid = virtio::kVsockHostCid,
          .src_port = port,
          .dst_port = kHostPort,
          .type = virtio::kVsockTypeStream,
          .op = op,
          .buf_alloc = 1 << 16};
}

uint32_t HeaderBytes() {
  return virtio::VsockHeaderBytes(
      (WantedVsockFeatures() & FeatureBit(virtio::kVsockMrgRxbufDefault)) != 0);
}

void RandomBytes(VirtioTransport& transport) {
  Queues queues(transport);
  for (int round = 0; round < 40; ++round) {
    for (uint32_t i = 0; i < 64; i += 4) {
      const uint32_t word = Random();
      memcpy(g_memory + i, &word, 4);
    }
    queues.PutReadable(virtio::kVsockTxQueue, 1 + Random() % 100);
    queues.PutWritable(virtio::kVsockRxQueue, 1 + Random() % 100);
  }
}

void PacketsThatAreNearlyRight(VirtioTransport& transport) {
  static constexpr uint64_t kCids[] = {0, 1, 2, 3, 4, 0xffffffff, 0x100000003};
  Queues queues(transport);
  for (int round = 0; round < 80; ++round) {
    virtio::VsockHeader header =
        Plausible(static_cast<uint16_t>(Random() % 9), Random() % 3);
    if (Random() % 4 == 0) header.src_cid = kCids[Random() % 7];
    if (Random() % 4 == 0) header.dst_cid = kCids[Random() % 7];
    if (Random() % 4 == 0) {
      header.type = static_cast<uint16_t>(Random() % 5);
    }
    if (Random() % 2 == 0) header.len = Random() % 64;
    if (Random() % 8 == 0) header.len = Random();
    header.flags = Random() % 5;
    if (Random() % 4 == 0) header.buf_alloc = Random();
    if (Random() % 4 == 0) header.fwd_cnt = Random();
    WriteHeader(header);
    queues.PutReadable(virtio::kVsockTxQueue, HeaderBytes() + Random() % 64);
    if (Random() % 2 == 0) queues.PutWritable(virtio::kVsockRxQueue, 512);
  }
}

void PacketsInPieces(VirtioTransport& transport) {
  Queues queues(transport);
  WriteHeader(Plausible(virtio::kVsockOpRequest));
  const uint64_t at = AddressOf(g_memory);
  // The header over eight elements, one of which has nothing.
  virtio::DriverElement pieces[8] = {};
  uint32_t done = 0;
  for (uint32_t i = 0; i < 8; ++i) {
    pieces[i] = {.addr = at + done, .len = i == 3 ? 0u : 7u};
    done += pieces[i].len;
  }
  queues.Put(virtio::kVsockTxQueue, pieces, 8, nullptr, 0);
  // Too short by a byte; nothing; nothing to read; both.
  queues.PutReadable(virtio::kVsockTxQueue, HeaderBytes() - 1);
  queues.PutReadable(virtio::kVsockTxQueue, 0);
  queues.PutWritable(virtio::kVsockTxQueue, 100);
  queues.Put(virtio::kVsockTxQueue, pieces, 2, pieces + 4, 2);
}

void ReceiveBuffersWithoutRoom(VirtioTransport& transport) {
  Queues queues(transport);
  for (const uint32_t bytes : {0u, 1u, 43u, 44u, 45u, 46u}) {
    queues.PutWritable(virtio::kVsockRxQueue, bytes);
  }
  queues.PutReadable(virtio::kVsockRxQueue, 100);
  for (uint32_t port = 0; port < 8; ++port) {
    WriteHeader(Plausible(virtio::kVsockOpRw, port));  // RST is the answer.
    queues.PutReadable(virtio::kVsockTxQueue, HeaderBytes());
  }
}

void ManyRequestsAndNobodyListensToAnswers(VirtioTransport& transport) {
  Queues queues(transport);
  for (uint32_t port = 0; port < 100; ++port) {
    WriteHeader(Plausible(
        port % 2 == 0 ? virtio::kVsockOpRequest : virtio::kVsockOpRw, port));
    queues.PutReadable(virtio::kVsockTxQueue, HeaderBytes());
  }
}

void DataBeyondCredit(VirtioTransport& transport) {
  Queues queues(transport);
  for (int i = 0; i < 4; ++i) queues.PutWritable(virtio::kVsockRxQueue, 512);
  WriteHeader(Plausible(virtio::kVsockOpRequest));
  queues.PutReadable(virtio::kVsockTxQueue, HeaderBytes());
  virtio::VsockHeader header = Plausible(virtio::kVsockOpRw);
  header.len = sizeof(g_memory) - HeaderBytes();
  for (int i = 0; i < 16; ++i) {
    header.fwd_cnt = i % 3 == 0 ? 0 : Random();
    WriteHeader(header);
    queues.PutReadable(virtio::kVsockTxQueue, sizeof(g_memory));
  }
}

void BuffersWhereNoMemoryIs(VirtioTransport& transport) {
  for (uint16_t queue = 0; queue < 3; ++queue) {
    Queues queues(transport);
    const virtio::DriverElement element = {.addr = 0xd0000000,
                                           .len = 0xffffffff};
    queues.Put(queue, &element, 1, nullptr, 0);
    queues.Put(queue, nullptr, 0, &element, 1);
    if (queue == virtio::kVsockRxQueue) {
      WriteHeader(Plausible(virtio::kVsockOpRw));
      queues.PutReadable(virtio::kVsockTxQueue, HeaderBytes());
    }
  }
}

void EventBuffersOfAnySize(VirtioTransport& transport) {
  Queues queues(transport);
  const auto event = static_cast<uint16_t>(queues.count() - 1);
  for (const uint32_t bytes : {0u, 1u, 3u, 4u, 4096u}) {
    queues.PutWritable(event, bytes);
    queues.PutReadable(event, bytes);
  }
}

void Datagrams(VirtioTransport& transport) {
  Queues queues(transport);
  if (queues.count() != kMaxQueues) return;
  for (int round = 0; round < 40; ++round) {
    virtio::VsockHeader header = virtio::VsockDatagramHeader(
        kGuestCid, Random(), Random() % 5, Random() % 100, Random() % 100);
    if (Random() % 4 == 0) {
      header.type = static_cast<uint16_t>(Random() % 5);
    }
    if (Random() % 4 == 0) header.op = static_cast<uint16_t>(Random() % 9);
    if (Random() % 8 == 0) header.len = Random();
    WriteHeader(header);
    queues.PutReadable(virtio::kVsockDgramTxQueue, Random() % 200);
    queues.PutWritable(virtio::kVsockDgramRxQueue, Random() % 100);
    // And where it does not belong.
    queues.PutReadable(virtio::kVsockTxQueue, HeaderBytes());
  }
}

void RingsOfRandomDescriptors(VirtioTransport& transport) {
  Queues queues(transport);
  for (uint16_t queue = 0; queue < queues.count(); ++queue) {
    for (int i = 0; i < 8; ++i) {
      virtio::DriverElement elements[4];
      for (virtio::DriverElement& element : elements) {
        element = {.addr = AddressOf(g_memory) + Random() % 4096,
                   .len = Random() % 3 == 0 ? Random() : Random() % 100};
      }
      const uint32_t readable = Random() % 4;
      queues.Put(queue, elements, readable, elements + readable, 4 - readable);
    }
  }
}

constexpr struct {
  const char* name;
  void (*commit)(VirtioTransport&);
} kBreaches[] = {
    {"random bytes", RandomBytes},
    {"packets that are nearly right", PacketsThatAreNearlyRight},
    {"packets in pieces", PacketsInPieces},
    {"receive buffers without room", ReceiveBuffersWithoutRoom},
    {"requests, and nobody listens to answers",
     ManyRequestsAndNobodyListensToAnswers},
    {"data beyond credit", DataBeyondCredit},
    {"buffers where no memory is", BuffersWhereNoMemoryIs},
    {"event buffers of any size", EventBuffersOfAnySize},
    {"datagrams", Datagrams},
    {"random descriptors", RingsOfRandomDescriptors},
};

}  // namespace

void VsockHostile() {
  VirtioTransport& transport = FindVirtioTransport();
  for (const auto& breach : kBreaches) {
    Print("breach: ", breach.name);
    breach.commit(transport);
    UseVsock(transport, 1, /*serves=*/false);
  }
}

}  // namespace guest
