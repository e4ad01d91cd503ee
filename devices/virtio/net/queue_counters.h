#ifndef DEVICES_VIRTIO_NET_QUEUE_COUNTERS_H_
#define DEVICES_VIRTIO_NET_QUEUE_COUNTERS_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/counter.h"
#include "devices/virtio/net/header_split/split_counters.h"

namespace annulus::virtio {

// Why a frame was dropped.
enum class NetDrop : uint8_t {
  kMalformed,  // Transmit: too short, too long, or an impossible header.
  kBackend,    // The backend refused it, or has vanished.
  kFiltered,   // Receive: the driver does not want it.
  kNoRoom,     // Receive: the driver's buffers are too small.
  kOffload,    // Receive: needs an offload that the driver did not acknowledge.
  kSteering,   // Receive: the queue that it belongs to has no room for it.
  kLinkDown,   // NetDevice::SetLink().
};
inline constexpr size_t kNetDropReasons = 7;

// What one data queue did since the device was made.
//
// Threads: counted by the queue's worker; read by any thread.
struct QueueCounters {
  Counter frames;         // That went to the backend, or to the driver.
  Counter bytes;          // Of them, without virtio_net_hdr.
  Counter interrupts;     // Used buffer notifications that were sent.
  Counter short_buffers;  // Receive: without room for a header, given back.
  std::array<Counter, kNetDropReasons> drops;
  // How many frames were handled before the driver was told: [0] counts 1,
  // [1] 2 and 3, [2] 4 to 7, and so on; the last one all that is more.
  std::array<Counter, 8> batches;
  SplitCounters split;  // Receive.

  void Drop(NetDrop reason) { drops[static_cast<size_t>(reason)].Add(1); }

  void CountBatch(uint32_t count) {
    if (count == 0) return;
    const size_t log2 = static_cast<size_t>(std::bit_width(count)) - 1;
    batches[log2 < batches.size() ? log2 : batches.size() - 1].Add(1);
  }
};

// All of them. Cold.
void VisitCounters(const QueueCounters& counters, CounterVisitor visit);

// One line for people: "frames=10 bytes=600 notifications=1 ...". Cold.
// `notifications` are the available buffer notifications that the driver sent;
// those counted as suppressed are of batches that were found without one.
std::string DescribeCounters(const QueueCounters& counters,
                             uint64_t notifications);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_QUEUE_COUNTERS_H_
