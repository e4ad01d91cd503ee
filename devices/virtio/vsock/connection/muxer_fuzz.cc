// A guest that sends any packets to a multiplexer, while programs of the host
// write, read, close and call.
//
// Input: a list of operations, each of 1 byte and what it takes:
//   0-7   a packet of this op: 1 byte of ports and type (bits 0 and 1: the
//         guest's; 2 and 3: the host's; 4 and 5: the type), 1 byte of flags, 2
//         of length, 4 of fwd_cnt, 4 of buf_alloc
//   8     a program calls: 1 byte of port and type
//   9-11  a program writes, reads, or closes: 1 byte that says which, and how
//         much
//   12    the rx worker runs: 1 byte of buffers
//   13    so many seconds pass: 1 byte
//   14    the device is reset and started with these features: 1 byte
//   15    a packet of an op that there is not, as 0-7

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/transport/fuzz_input.h"
#include "devices/virtio/vsock/connection/memory_sink.h"
#include "devices/virtio/vsock/connection/muxer.h"
#include "devices/virtio/vsock/connection/test_backend.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/vsock/vsock_options.h"

namespace annulus::virtio {
namespace {

constexpr uint32_t kMostConnections = 6;

class Fuzzer {
 public:
  Fuzzer() {
    options_.max_connections = kMostConnections;
    options_.buf_alloc = 16 * 1024;
    muxer_ = Muxer::Create(options_, backend_, rx_, tx_, NullLogSink()).value();
    muxer_->Start(FeatureSet::Of(kVsockSeqpacket));
  }

  void Run(FuzzInput& input) {
    while (!input.empty()) {
      Operation(input.Byte() % 16, input);
      ANNULUS_CHECK(muxer_->connections() <= kMostConnections);
    }
    sink_.set_buffers(10'000);
    Poll();
    CheckPackets();
  }

 private:
  void Operation(uint8_t operation, FuzzInput& input) {
    switch (operation) {
      case 8: {
        const uint8_t byte = input.Byte();
        Keep(backend_.Call(1 + byte / 4 % 2, byte % 4, "OK %\n"));
        return;
      }
      case 9: {
        const uint8_t byte = input.Byte();
        const std::string bytes(size_t{byte} * 16, 'h');
        static_cast<void>(::send(End(byte).get(), bytes.data(), bytes.size(),
                                 MSG_NOSIGNAL | MSG_DONTWAIT));
        return;
      }
      case 10: {
        const uint8_t byte = input.Byte();
        std::string bytes(size_t{byte} * 128, '\0');
        static_cast<void>(
            ::recv(End(byte).get(), bytes.data(), bytes.size(), MSG_DONTWAIT));
        return;
      }
      case 11: {
        const uint8_t byte = input.Byte();
        if (byte < 64) return End(byte).reset();
        ::shutdown(End(byte).get(), byte % 3);
        return;
      }
      case 12:
        sink_.set_buffers(input.Byte());
        return Poll();
      case 13:
        later_ns_ += int64_t{input.Byte()} * 1'000'000'000;
        return;
      case 14: {
        FeatureSet features;
        features.SetPage(0, input.Byte());
        muxer_->Reset();
        return muxer_->Start(features);
      }
      default:
        return Packet(operation, input);
    }
  }

  void Packet(uint8_t op, FuzzInput& input) {
    const uint8_t ports = input.Byte();
    PacketHeader header = {.src_cid = options_.guest_cid,
                           .dst_cid = kVsockHostCid,
                           .src_port = ports % 4u,
                           .dst_port = ports / 4 % 4u,
                           .type = static_cast<uint16_t>(ports / 16 % 4),
                           .op = op,
                           .flags = input.Byte()};
    // Of connections that programs of the host made.
    if (header.dst_port == 3) header.dst_port = (1u << 30) + ports / 64u;
    std::string payload(input.Number(2), 'g');
    header.len = static_cast<uint32_t>(payload.size());
    header.fwd_cnt = input.Number(4);
    header.buf_alloc = input.Number(4);
    const ChainElement element = {
        .span = memory::GuestSpan(reinterpret_cast<uint8_t*>(payload.data()),
                                  payload.size()),
        .address = memory::GuestAddress(0)};
    muxer_->PacketFromGuest(
        header,
        PacketPayload(absl::MakeConstSpan(&element, 1), 0, payload.size()));
    if (op == kVsockOpRequest) Keep(backend_.Accept(header.dst_port));
  }

  void Poll() {
    muxer_->PollHost(MonotonicNanoseconds() + later_ns_);
    while (muxer_->Deliver(sink_) == Muxer::Delivered::kMore) continue;
    CheckPackets();
  }

  void CheckPackets() {
    while (!sink_.empty()) {
      const SentPacket packet = sink_.Take();
      ANNULUS_CHECK(packet.header.src_cid == kVsockHostCid);
      ANNULUS_CHECK(packet.header.len == packet.payload.size());
      ANNULUS_CHECK(packet.header.op >= kVsockOpRequest &&
                    packet.header.op <= kVsockOpCreditRequest);
    }
  }

  void Keep(UniqueFd end) {
    if (end.valid()) ends_[next_++ % ends_.size()] = std::move(end);
  }
  UniqueFd& End(uint8_t byte) { return ends_[byte % ends_.size()]; }

  VsockOptions options_;
  TestBackend backend_;
  VsockCounters rx_;
  VsockCounters tx_;
  std::unique_ptr<Muxer> muxer_;
  MemorySink sink_{0, 500};
  std::array<UniqueFd, 8> ends_;
  size_t next_ = 0;
  int64_t later_ns_ = 0;
};

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  annulus::virtio::FuzzInput input(absl::MakeConstSpan(data, size));
  annulus::virtio::Fuzzer().Run(input);
  return 0;
}
