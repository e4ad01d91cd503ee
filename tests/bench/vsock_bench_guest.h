#ifndef TESTS_BENCH_VSOCK_BENCH_GUEST_H_
#define TESTS_BENCH_VSOCK_BENCH_GUEST_H_

#include <poll.h>
#include <x86intrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "base/check.h"
#include "base/event_fd.h"
#include "devices/interrupt.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/driver/vsock_connection.h"
#include "devices/virtio/driver/vsock_endpoint.h"
#include "devices/virtio/driver/vsock_packet.h"
#include "devices/virtio/driver/vsock_receiver.h"
#include "devices/virtio/driver/vsock_transmitter.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "devices/virtio/spec/vsock.h"
#include "tests/bench/vsock_bench_options.h"
#include "tests/bench/vsock_bench_stream.h"

// The guest: its kernel, which sleeps when there is nothing to do, and a
// program that reads into and writes from memory of its own.

namespace annulus::bench {

// Guest-physical: each queue has a megabyte for its rings.
inline uint64_t RingsOf(uint16_t queue) {
  return uint64_t{0x100000} * (1 + queue);
}
inline constexpr uint64_t kDriverArea = 0x40000;
inline constexpr uint64_t kDeviceArea = 0x80000;
inline constexpr uint64_t kTables = 0xa0000;
inline constexpr uint16_t kTableEntries = 2;
inline constexpr uint16_t kQueueSize = 256;
inline constexpr uint64_t kReceiveBuffers = 16 << 20;
inline constexpr uint32_t kReceiveStride = 65536;
inline constexpr uint64_t kTransmitBuffers = 48 << 20;
inline constexpr uint32_t kTransmitStride = 65536 + 4096;
inline constexpr uint64_t kRamBytes = 80 << 20;

inline constexpr uint64_t kGuestCid = 3;
inline constexpr uint32_t kGuestPort = 1234;

// All queues have this one.
class GuestInterrupt final : public Interrupt {
 public:
  void Trigger() override { event_.Signal(); }
  void Await() const {
    pollfd wait = {.fd = event_.fd(), .events = POLLIN, .revents = 0};
    ::poll(&wait, 1, -1);
    event_.Drain();
  }

 private:
  const EventFd event_ = EventFd::Create().value();
};

template <typename T>
T* At(uint8_t* bytes) {
  return static_cast<T*>(static_cast<void*>(bytes));
}

inline virtio::PackedDriver MakeDriver(virtio::PackedDriver*, uint8_t* host,
                                       uint16_t queue,
                                       virtio::DriverSlot* slots) {
  using virtio::PackedDescriptor;
  using virtio::PackedEventSuppression;
  uint8_t* const rings = host + RingsOf(queue);
  return virtio::PackedDriver(
      {.ring = At<PackedDescriptor>(rings),
       .driver_event = At<PackedEventSuppression>(rings + kDriverArea),
       .device_event = At<PackedEventSuppression>(rings + kDeviceArea),
       .size = kQueueSize,
       .event_idx = true,
       .slots = slots,
       .indirect_tables = At<PackedDescriptor>(rings + kTables),
       .indirect_tables_addr = RingsOf(queue) + kTables,
       .indirect_entries = kTableEntries});
}

inline virtio::SplitDriver MakeDriver(virtio::SplitDriver*, uint8_t* host,
                                      uint16_t queue,
                                      virtio::DriverSlot* slots) {
  using virtio::SplitDescriptor;
  uint8_t* const rings = host + RingsOf(queue);
  return virtio::SplitDriver(
      {.descriptors = At<SplitDescriptor>(rings),
       .available = At<virtio::SplitAvailableHeader>(rings + kDriverArea),
       .used = At<virtio::SplitUsedHeader>(rings + kDeviceArea),
       .size = kQueueSize,
       .event_idx = true,
       .slots = slots,
       .indirect_tables = At<SplitDescriptor>(rings + kTables),
       .indirect_tables_addr = RingsOf(queue) + kTables,
       .indirect_entries = kTableEntries});
}

template <typename Driver>
struct GuestQueue {
  GuestQueue(uint8_t* host, uint16_t queue)
      : driver(MakeDriver(static_cast<Driver*>(nullptr), host, queue,
                          slots.data())) {
    driver.DisableCallbacks();
  }
  void Notify() {
    if (driver.NeedsNotification()) notification.Signal();
  }

  std::vector<virtio::DriverSlot> slots =
      std::vector<virtio::DriverSlot>(kQueueSize);
  Driver driver;
  const EventFd notification = EventFd::Create().value();
};

// Threads: Run() on the guest's own; the constructor before, the rest from any.
template <typename Driver>
class Guest {
 public:
  Guest(const VsockBenchOptions& options, uint8_t* host, const Pattern& pattern,
        Transfer& transfer)
      : options_(options),
        pattern_(pattern),
        transfer_(transfer),
        rx_(host, virtio::kVsockRxQueue),
        tx_(host, virtio::kVsockTxQueue),
        event_(host, virtio::kVsockEventQueue),
        receive_({.host = host + kReceiveBuffers,
                  .addr = kReceiveBuffers,
                  .bytes = options.rx_buffer,
                  .stride = kReceiveStride,
                  .count = kQueueSize,
                  .free = free_receive_.data()}),
        transmit_({.host = host + kTransmitBuffers,
                   .addr = kTransmitBuffers,
                   .bytes = virtio::kVsockTransmitPayload + 65536,
                   .stride = kTransmitStride,
                   .count = kQueueSize,
                   .free = free_transmit_.data()}),
        receiver_(rx_.driver, {.mergeable = options.mergeable,
                               .buffers = &receive_,
                               .in_flight = rx_in_flight_.data(),
                               .parts = parts_.data()}),
        transmitter_(tx_.driver, {.mergeable = options.mergeable,
                                  .buffers = &transmit_,
                                  .in_flight = tx_in_flight_.data()}),
        table_(connections_.data(), options.connections, slots_.data(), kSlots),
        endpoint_({.cid = kGuestCid,
                   .buf_alloc = options.buf_alloc,
                   .connections = &table_},
                  receiver_, transmitter_, *this) {
    flows_.reserve(options.connections);
    virtio::DriverElement element = {.addr = RingsOf(3), .len = 4};
    event_.driver.Add(nullptr, 0, &element, 1);
    receiver_.Post();
  }

  GuestInterrupt& interrupt() { return interrupt_; }
  const EventFd& notification(uint16_t queue) const {
    return queue == virtio::kVsockRxQueue   ? rx_.notification
           : queue == virtio::kVsockTxQueue ? tx_.notification
                                            : event_.notification;
  }

  // Until all connections that there were are at their ends, after the transfer
  // was stopped.
  void Run() {
    rx_.Notify();
    event_.Notify();
    auto last_work = Clock::now();
    while (!finished_.load(std::memory_order_acquire)) {
      const bool polled = endpoint_.Poll(kBatch);
      const bool sent = options_.mode == Mode::kToHost && SendToAll();
      rx_.Notify();
      tx_.Notify();
      ANNULUS_CHECK(!endpoint_.broken());
      if (options_.poll_us != 0) {
        if (polled || sent) {
          last_work = Clock::now();
        } else if (Clock::now() - last_work <
                   std::chrono::microseconds(options_.poll_us)) {
          _mm_pause();
          continue;
        }
      }
      if (!polled && !sent) Sleep();
    }
  }

  // Something that Run() is to look at was changed.
  void Wake() { interrupt_.Trigger(); }
  void Finish() {
    finished_.store(true, std::memory_order_release);
    Wake();
  }
  uint32_t ended() const { return ended_.load(std::memory_order_acquire); }

  // For the endpoint.
  bool Accepts(const virtio::VsockHeader& request) {
    return request.dst_port == kGuestPort;
  }
  void Connected(virtio::VsockConnection& connection) {
    connection.user = flows_.size();
    flows_.push_back({.connection = &connection});
    MakeReady(flows_.back());
  }
  void Data(virtio::VsockConnection& connection, const uint8_t* data,
            uint32_t bytes) {
    Flow& flow = flows_[connection.user];
    if (options_.mode == Mode::kToGuest) {
      // read(2) of a program that does it 64 KiB at a time.
      std::memcpy(program_.data(), data, bytes);
      pattern_.Check(static_cast<uint32_t>(connection.user), flow.received,
                     program_.data(), bytes, transfer_.stopped());
      transfer_.Count(bytes);
    } else {
      Echo(connection, data, bytes);
    }
    flow.received += bytes;
    endpoint_.Consumed(connection, bytes);
  }
  void Received(virtio::VsockConnection&, const virtio::VsockHeader&) {}
  void Credit(virtio::VsockConnection& connection) {
    MakeReady(flows_[connection.user]);
  }
  void Shutdown(virtio::VsockConnection& connection) {
    End(flows_[connection.user]);
  }
  void Closed(virtio::VsockConnection& connection) {
    End(flows_[connection.user]);
    flows_[connection.user].connection = nullptr;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Flow {
    virtio::VsockConnection* connection = nullptr;
    uint64_t received = 0;
    uint64_t sent = 0;
    uint64_t end = UINT64_MAX;  // Of what is sent.
    bool ready = false;         // In ready_.
    bool ended = false;
  };
  static constexpr uint32_t kBatch = 64;  // Packets.
  static constexpr uint32_t kSlots = 8192;
  // Bytes that are written before the device is looked after again.
  static constexpr uint32_t kTurn = 128 * 1024;

  void End(Flow& flow) {
    if (flow.ended) return;
    flow.ended = true;
    ended_.fetch_add(1, std::memory_order_release);
  }

  void Echo(virtio::VsockConnection& connection, const uint8_t* data,
            uint32_t bytes) {
    uint32_t room_bytes = 0;
    uint8_t* const room = endpoint_.Room(connection, bytes, &room_bytes);
    ANNULUS_CHECK(room != nullptr && room_bytes == bytes);
    std::memcpy(room, data, bytes);
    endpoint_.Send(connection, bytes);
  }

  void MakeReady(Flow& flow) {
    if (flow.ready || options_.mode != Mode::kToHost) return;
    flow.ready = true;
    ready_.push_back(&flow);
  }

  // write(2) of a program, once for each connection in turn. True if anything
  // was sent, or can be.
  bool SendToAll() {
    uint32_t turn = 0;
    bool any = false;
    full_ = false;
    for (size_t left = kBatch; left != 0 && !ready_.empty() && turn < kTurn;
         --left) {
      Flow& flow = *ready_.front();
      const uint32_t sent = flow.connection == nullptr ? 0 : SendOn(flow);
      if (full_) break;
      ready_.pop_front();
      flow.ready = false;
      if (sent != 0) {
        any = true;
        turn += sent;
        MakeReady(flow);
      }
    }
    return any || (!ready_.empty() && !full_);
  }

  uint32_t SendOn(Flow& flow) {
    if (flow.end == UINT64_MAX && transfer_.stopped()) {
      flow.end = flow.sent + Transfer::TailBytes(options_.connections);
    }
    const uint32_t number = static_cast<uint32_t>(&flow - flows_.data());
    const uint32_t wanted = static_cast<uint32_t>(
        std::min<uint64_t>(options_.bytes, flow.end - flow.sent));
    uint32_t bytes = 0;
    if (wanted == 0) {
      full_ = !endpoint_.Shutdown(*flow.connection, virtio::kVsockShutdownSend);
      return 0;
    }
    uint8_t* const room = endpoint_.Room(*flow.connection, wanted, &bytes);
    if (room == nullptr) {
      full_ = !flow.connection->wants_credit;
      return 0;
    }
    std::memcpy(room, pattern_.At(number, flow.sent), bytes);
    endpoint_.Send(*flow.connection, bytes);
    flow.sent += bytes;
    return bytes;
  }

  void Sleep() {
    bool more = rx_.driver.EnableCallbacks();
    if (full_) more |= tx_.driver.EnableCallbacks();
    if (!more) interrupt_.Await();
    rx_.driver.DisableCallbacks();
    if (full_) tx_.driver.DisableCallbacks();
  }

  const VsockBenchOptions options_;
  const Pattern& pattern_;
  Transfer& transfer_;
  GuestInterrupt interrupt_;
  GuestQueue<Driver> rx_;
  GuestQueue<Driver> tx_;
  GuestQueue<Driver> event_;
  std::vector<uint32_t> free_receive_ = std::vector<uint32_t>(kQueueSize);
  std::vector<uint32_t> free_transmit_ = std::vector<uint32_t>(kQueueSize);
  std::vector<uint32_t> rx_in_flight_ = std::vector<uint32_t>(kQueueSize);
  std::vector<uint16_t> tx_in_flight_ = std::vector<uint16_t>(kQueueSize);
  std::vector<virtio::VsockPart> parts_ =
      std::vector<virtio::VsockPart>(kQueueSize);
  virtio::ReceivePool receive_;
  virtio::ReceivePool transmit_;
  virtio::VsockReceiver<Driver> receiver_;
  virtio::VsockTransmitter<Driver> transmitter_;
  std::vector<virtio::VsockConnection> connections_ =
      std::vector<virtio::VsockConnection>(options_.connections);
  std::vector<uint32_t> slots_ = std::vector<uint32_t>(kSlots);
  virtio::VsockConnectionTable table_;
  virtio::VsockEndpoint<Driver, Guest> endpoint_;

  std::vector<uint8_t> program_ = std::vector<uint8_t>(65536);
  std::vector<Flow> flows_;
  std::deque<Flow*> ready_;
  bool full_ = false;  // Packets wait for the device to use others.
  std::atomic<uint32_t> ended_{0};
  std::atomic<bool> finished_{false};
};

}  // namespace annulus::bench

#endif  // TESTS_BENCH_VSOCK_BENCH_GUEST_H_
