// The driver side builds as the microguest does: no C library, no exceptions,
// no SSE (see the copts of this target). The returned number is the line of the
// first failure.

#include <cstdint>

#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/header_slot_ring.h"
#include "devices/virtio/driver/header_split_commands.h"
#include "devices/virtio/driver/header_split_receiver.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/received_packet.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/driver/vsock_connection.h"
#include "devices/virtio/driver/vsock_endpoint.h"
#include "devices/virtio/driver/vsock_packet.h"
#include "devices/virtio/driver/vsock_receiver.h"
#include "devices/virtio/driver/vsock_transmitter.h"
#include "devices/virtio/spec/net_header_split.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kSize = 4;

alignas(16) PackedDescriptor packed_ring[kSize];
alignas(4) PackedEventSuppression driver_event;
alignas(4) PackedEventSuppression device_event;
alignas(16) SplitDescriptor split_descriptors[kSize];
alignas(4) uint8_t available[SplitAvailableRingBytes(kSize)];
alignas(4) uint8_t used[SplitUsedRingBytes(kSize)];
DriverSlot slots[kSize];

int RunPacked() {
  PackedDriver driver({.ring = packed_ring,
                       .driver_event = &driver_event,
                       .device_event = &device_event,
                       .size = kSize,
                       .event_idx = true,
                       .slots = slots});
  const DriverElement elements[] = {{0x1000, 8}, {0x2000, 8}};
  const uint16_t id = driver.Add(elements, 1, elements + 1, 1);
  if (id == kNoDriverBuffer || !driver.NeedsNotification()) return __LINE__;
  uint16_t used_id = 0;
  uint32_t len = 0;
  if (driver.GetUsed(&used_id, &len)) return __LINE__;
  driver.DisableCallbacks();
  if (driver.EnableCallbacks()) return __LINE__;
  packed_ring[0].id = id;
  packed_ring[0].len = 5;
  packed_ring[0].flags = kPackedDescAvail | kPackedDescUsed | kPackedDescWrite;
  if (!driver.GetUsed(&used_id, &len) || used_id != id || len != 5) {
    return __LINE__;
  }
  return driver.free_descriptors() == kSize ? 0 : __LINE__;
}

int RunSplit() {
  auto* used_header = reinterpret_cast<SplitUsedHeader*>(used);
  SplitDriver driver(
      {.descriptors = split_descriptors,
       .available = reinterpret_cast<SplitAvailableHeader*>(available),
       .used = used_header,
       .size = kSize,
       .event_idx = true,
       .slots = slots});
  const DriverElement elements[] = {{0x1000, 8}, {0x2000, 8}};
  const uint16_t id = driver.Add(elements, 1, elements + 1, 1);
  if (id == kNoDriverBuffer || !driver.NeedsNotification()) return __LINE__;
  uint16_t used_id = 0;
  uint32_t len = 0;
  if (driver.GetUsed(&used_id, &len)) return __LINE__;
  driver.DisableCallbacks();
  if (driver.EnableCallbacks()) return __LINE__;
  auto* element = reinterpret_cast<SplitUsedElement*>(used_header + 1);
  element->id = id;
  element->len = 5;
  used_header->idx = 1;
  if (!driver.GetUsed(&used_id, &len) || used_id != id || len != 5) {
    return __LINE__;
  }
  return driver.free_descriptors() == kSize ? 0 : __LINE__;
}

constexpr uint32_t kPages = 2;
alignas(4096) uint8_t pages[kPages][4096];
uint32_t free_pages[kPages];
alignas(64) uint8_t header_slots[1][64];
uint8_t in_driver[1];
uint16_t tail;
ReceivePiece in_flight[kSize];

// Method Q on a packed ring.
int RunReceiver() {
  PackedDriver driver({.ring = packed_ring,
                       .driver_event = &driver_event,
                       .device_event = &device_event,
                       .size = kSize,
                       .slots = slots});
  ReceivePool pool({.host = pages[0],
                    .addr = 0x1000,
                    .bytes = 4096,
                    .stride = 4096,
                    .count = kPages,
                    .free = free_pages});
  HeaderSlotRing ring({.slots = header_slots[0],
                       .tail = &tail,
                       .slot_bytes = 64,
                       .in_driver = in_driver});
  const HeaderSplitReceiverConfig config = {
      .method = ReceiveMethod::kHeaderQueue,
      .header = {.header_queue = true},
      .pages = &pool,
      .slots = &ring,
      .in_flight = in_flight};
  if (!config.Usable() || tail != 1) return __LINE__;
  HeaderSplitReceiver<PackedDriver> receiver(driver, config);
  if (receiver.Post() != kPages) return __LINE__;
  pages[0][0] = HeaderSplitNumbers().header_flag;
  pages[0][2] = 42;  // hdr_len
  packed_ring[0].len = 20 + 1;
  packed_ring[0].flags = kPackedDescAvail | kPackedDescUsed | kPackedDescWrite;
  ReceivedPacket packet;
  if (!receiver.GetPacket(packet) || !packet.split) return __LINE__;
  if (packet.header != header_slots[0] || packet.header_bytes != 42 ||
      packet.part_count != 1 || packet.parts[0].data != &pages[0][20]) {
    return __LINE__;
  }
  receiver.ReleaseAll(packet);
  receiver.Post();
  constexpr auto kCommand = HeaderQueueAttachCommand({}, 0, 0);
  return tail == 2 && kCommand.bytes[0] == 0x81 ? 0 : __LINE__;
}

struct Program {
  bool Accepts(const VsockHeader&) { return true; }
  void Connected(VsockConnection&) { ++connected; }
  void Data(VsockConnection&, const uint8_t*, uint32_t) {}
  void Received(VsockConnection&, const VsockHeader&) {}
  void Credit(VsockConnection&) {}
  void Shutdown(VsockConnection&) {}
  void Closed(VsockConnection&) {}
  int connected = 0;
};

alignas(16) PackedDescriptor transmit_ring[kSize];
alignas(4) PackedEventSuppression transmit_event;
alignas(4) PackedEventSuppression transmit_device_event;
DriverSlot transmit_slots[kSize];
uint32_t free_packets[kPages];
uint32_t receive_in_flight[kSize];
uint16_t transmit_in_flight[kSize];
VsockPart parts[kSize];
VsockConnection connections[2];
uint32_t connection_slots[2];

// The host calls.
int RunEndpoint() {
  PackedDriver rx({.ring = packed_ring,
                   .driver_event = &driver_event,
                   .device_event = &device_event,
                   .size = kSize,
                   .slots = slots});
  PackedDriver tx({.ring = transmit_ring,
                   .driver_event = &transmit_event,
                   .device_event = &transmit_device_event,
                   .size = kSize,
                   .slots = transmit_slots});
  ReceivePool receive({.host = pages[0],
                       .addr = 0x1000,
                       .bytes = 2048,
                       .stride = 2048,
                       .count = 2,
                       .free = free_pages});
  ReceivePool transmit({.host = pages[1],
                        .addr = 0x2000,
                        .bytes = 2048,
                        .stride = 2048,
                        .count = 2,
                        .free = free_packets});
  VsockReceiver<PackedDriver> receiver(rx, {.mergeable = true,
                                            .buffers = &receive,
                                            .in_flight = receive_in_flight,
                                            .parts = parts});
  VsockTransmitter<PackedDriver> transmitter(tx,
                                             {.mergeable = true,
                                              .buffers = &transmit,
                                              .in_flight = transmit_in_flight});
  VsockConnectionTable table(connections, 2, connection_slots, 2);
  Program program;
  VsockEndpoint<PackedDriver, Program> endpoint(
      {.cid = 3, .connections = &table}, receiver, transmitter, program);
  if (receiver.Post() != 2) return __LINE__;
  WriteVsockHeader({.src_cid = 2,
                    .dst_cid = 3,
                    .type = kVsockTypeStream,
                    .op = kVsockOpRequest},
                   true, pages[0]);
  pages[0][kVsockHeaderNumBuffers] = 1;
  packed_ring[0].len = kVsockMergeableHeaderBytes;
  packed_ring[0].flags = kPackedDescAvail | kPackedDescUsed | kPackedDescWrite;
  if (!endpoint.Poll(1) || program.connected != 1) return __LINE__;
  return transmit_ring[0].len == kVsockMergeableHeaderBytes ? 0 : __LINE__;
}

}  // namespace
}  // namespace annulus::virtio

// Exit codes have 8 bits: of a line above 255, what is left of it.
// extern "C": to a freestanding compiler main() is a function like any other.
extern "C" int main() {
  const int packed = annulus::virtio::RunPacked();
  if (packed != 0) return packed;
  const int split = annulus::virtio::RunSplit();
  if (split != 0) return split;
  const int receiver = annulus::virtio::RunReceiver();
  return receiver != 0 ? receiver : annulus::virtio::RunEndpoint();
}
