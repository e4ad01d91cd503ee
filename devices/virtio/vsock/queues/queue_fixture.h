#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_QUEUE_FIXTURE_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_QUEUE_FIXTURE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/packet_header.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

// For tests: one virtqueue with its driver, and packets as bytes.

namespace annulus::virtio {

inline constexpr uint64_t kGuestCid = 42;

// As the driver writes it; `header_bytes` with num_buffers, which it leaves 0.
inline std::string WirePacket(PacketHeader header, absl::string_view payload,
                              size_t header_bytes = kVsockHeaderBytes) {
  header.len = static_cast<uint32_t>(payload.size());
  std::vector<uint8_t> bytes(header_bytes);
  EncodePacketHeader(header, absl::MakeSpan(bytes));
  std::string packet(bytes.begin(), bytes.end());
  packet.append(payload.data(), payload.size());
  return packet;
}

inline PacketHeader HeaderOf(const std::string& bytes) {
  std::vector<uint8_t> header(bytes.begin(), bytes.end());
  header.resize(std::max(header.size(), kVsockHeaderBytes));
  return DecodePacketHeader(header);
}

inline uint16_t NumBuffersOf(const std::string& bytes) {
  return static_cast<uint16_t>(
      static_cast<uint8_t>(bytes[kVsockHeaderNumBuffers]) |
      static_cast<uint8_t>(bytes[kVsockHeaderNumBuffers + 1]) << 8);
}

// Different bytes at any two places that could be mistaken for each other.
inline std::string Bytes(size_t count, uint32_t seed = 1) {
  std::string bytes;
  while (bytes.size() < count) {
    seed = seed * 1664525 + 1013904223;
    bytes += static_cast<char>(seed >> 24);
  }
  return bytes;
}

inline PacketHeader RwHeader() {
  return {.src_cid = kGuestCid,
          .dst_cid = kVsockHostCid,
          .src_port = 1000,
          .dst_port = 2000,
          .type = kVsockTypeStream,
          .op = kVsockOpRw,
          .buf_alloc = 65536,
          .fwd_cnt = 7};
}

struct RingShape {
  bool packed = false;
  bool event_idx = true;
  bool indirect = true;
  bool in_order = false;
};

// All of them.
inline std::vector<RingShape> AllRingShapes() {
  std::vector<RingShape> shapes;
  for (int bits = 0; bits < 16; ++bits) {
    shapes.push_back({.packed = (bits & 1) != 0,
                      .event_idx = (bits & 2) != 0,
                      .indirect = (bits & 4) != 0,
                      .in_order = (bits & 8) != 0});
  }
  return shapes;
}

inline std::string NameOf(const testing::TestParamInfo<RingShape>& info) {
  const RingShape& shape = info.param;
  return std::string(shape.packed ? "Packed" : "Split") +
         (shape.event_idx ? "EventIdx" : "") +
         (shape.indirect ? "Indirect" : "") + (shape.in_order ? "InOrder" : "");
}

// A queue that runs without a worker.
class QueueFixture {
 public:
  explicit QueueFixture(const RingShape& shape, uint16_t size = 64)
      : driver_(memory_, {.packed = shape.packed,
                          .event_idx = shape.event_idx,
                          .indirect = shape.indirect,
                          .in_order = shape.in_order,
                          .size = size,
                          .bytes = 0x300000}) {}

  FakeDriver& driver() { return driver_; }
  Virtqueue& queue() { return queue_; }

  // As the worker does when the queue is stopped and started again: what was
  // taken and not given back is there again. REQUIRES: nothing refers to it.
  void PauseAndResume() {
    const QueueState state = queue_.SaveRewound();
    queue_ = Virtqueue::Create(memory_, driver_.config(), state).value();
  }

  // Whatever the device gave back, after it was shown.
  std::vector<FakeDriver::Used> Collect() {
    (void)queue_.Publish();
    std::vector<FakeDriver::Used> all;
    while (std::optional<FakeDriver::Used> used = driver_.GetUsed()) {
      all.push_back(*std::move(used));
    }
    EXPECT_FALSE(driver_.broken());
    EXPECT_TRUE(queue_.ok());
    return all;
  }

 private:
  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 4 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_;
  Virtqueue queue_ = Virtqueue::Create(memory_, driver_.config()).value();
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_QUEUE_FIXTURE_H_
