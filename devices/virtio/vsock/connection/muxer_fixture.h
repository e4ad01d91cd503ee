#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_MUXER_FIXTURE_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_MUXER_FIXTURE_H_

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/memory_sink.h"
#include "devices/virtio/vsock/connection/muxer.h"
#include "devices/virtio/vsock/connection/test_backend.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/packet_payload.h"
#include "devices/virtio/vsock/vsock_counters.h"
#include "devices/virtio/vsock/vsock_options.h"
#include "gtest/gtest.h"

namespace annulus::virtio {

// A muxer whose guest is the test, as are the programs of the host behind real
// sockets. Threads are the test's own: both directions run where it calls them.
class MuxerFixture : public ::testing::Test {
 protected:
  static constexpr uint64_t kCid = 3;
  static constexpr uint32_t kGuestPort = 1000;
  static constexpr uint32_t kHostPort = 80;
  static constexpr uint32_t kGuestBufAlloc = 256 * 1024;

  static FeatureSet BothTypes() {
    return FeatureSet::Of(kVsockStream, kVsockSeqpacket);
  }

  void SetUp() override { Make(); }

  // Anew, with these.
  void Make(const FeatureSet& negotiated = BothTypes()) {
    muxer_.reset();
    options_.guest_cid = kCid;
    muxer_ = Muxer::Create(options_, backend_, rx_, tx_, NullLogSink()).value();
    muxer_->Start(negotiated);
  }

  static PacketHeader Header(uint16_t op, uint32_t guest_port = kGuestPort,
                             uint32_t host_port = kHostPort) {
    return {.src_cid = kCid,
            .dst_cid = kVsockHostCid,
            .src_port = guest_port,
            .dst_port = host_port,
            .type = kVsockTypeStream,
            .op = op,
            .buf_alloc = kGuestBufAlloc};
  }

  // The guest sends.
  void Send(PacketHeader header, absl::string_view payload = "") {
    std::string bytes(payload);
    const ChainElement element = {
        .span = memory::GuestSpan(reinterpret_cast<uint8_t*>(bytes.data()),
                                  bytes.size()),
        .address = memory::GuestAddress(0)};
    header.len = static_cast<uint32_t>(bytes.size());
    muxer_->PacketFromGuest(
        header,
        PacketPayload(absl::MakeConstSpan(&element, 1), 0, bytes.size()));
  }

  // The rx worker runs until it would sleep.
  Muxer::Delivered Run() {
    while (true) {
      muxer_->PollHost(MonotonicNanoseconds() + later_ns_);
      const Muxer::Delivered delivered = muxer_->Deliver(sink_);
      if (delivered != Muxer::Delivered::kMore && Sleeps()) return delivered;
    }
  }
  // The muxer's descriptor is not readable.
  bool Sleeps() const {
    pollfd poll = {.fd = muxer_->fd(), .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, 0) == 0;
  }
  void AdvanceSeconds(int64_t seconds) { later_ns_ += seconds * 1'000'000'000; }

  // What the guest received next; an op of 0 if nothing.
  SentPacket Next() {
    Run();
    return sink_.empty() ? SentPacket() : sink_.Take();
  }

  // The guest calls the host: its program's end.
  UniqueFd ConnectFromGuest(uint16_t type = kVsockTypeStream) {
    PacketHeader request = Header(kVsockOpRequest);
    request.type = type;
    Send(request);
    EXPECT_EQ(Next().header.op, kVsockOpResponse);
    return backend_.Accept(kHostPort);
  }

  static bool Write(const UniqueFd& fd, absl::string_view bytes) {
    return ::send(fd.get(), bytes.data(), bytes.size(),
                  MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(bytes.size());
  }
  // As much as there is; "EOF" and "EAGAIN" in angle brackets.
  static std::string Read(const UniqueFd& fd, size_t most = 1 << 20) {
    std::string bytes(most, '\0');
    const ssize_t count = ::recv(fd.get(), bytes.data(), most, MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN ? "<EAGAIN>" : "<error>";
    if (count == 0) return "<EOF>";
    bytes.resize(static_cast<size_t>(count));
    return bytes;
  }

  VsockOptions options_;
  TestBackend backend_;
  VsockCounters rx_;
  VsockCounters tx_;
  std::unique_ptr<Muxer> muxer_;
  MemorySink sink_{1024, 3732};
  int64_t later_ns_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_MUXER_FIXTURE_H_
