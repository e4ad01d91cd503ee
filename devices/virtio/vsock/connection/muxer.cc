#include "devices/virtio/vsock/connection/muxer.h"

#include <utility>

#include "base/mutex.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/connection/connection.h"
#include "devices/virtio/vsock/connection/guest_packets.h"
#include "devices/virtio/vsock/connection/guest_sender.h"
#include "devices/virtio/vsock/connection/host_loop.h"
#include "devices/virtio/vsock/connection/muxer_state.h"

namespace annulus::virtio {
namespace {

class MuxerImpl final : public Muxer {
 public:
  explicit MuxerImpl(std::unique_ptr<MuxerState> state)
      : state_(std::move(state)),
        guest_packets_(*state_),
        host_loop_(*state_),
        guest_sender_(*state_) {}

  ~MuxerImpl() override {
    MutexLock lock(state_->mu);
    state_->DropAll();
  }

  void Start(const FeatureSet& negotiated) override {
    MutexLock lock(state_->mu);
    state_->Start(negotiated);
  }
  void Reset() override {
    MutexLock lock(state_->mu);
    state_->ForgetGuest();
  }
  void ResetTransport(uint64_t guest_cid) override {
    MutexLock lock(state_->mu);
    state_->guest_cid = guest_cid;
    const bool started = state_->started;
    state_->ForgetGuest();
    state_->started = started;
  }

  void PacketFromGuest(const PacketHeader& header,
                       const PacketPayload& payload) override {
    guest_packets_.Take(header, payload);
  }
  void Refuse(const PacketHeader& header, VsockReset reason) override {
    guest_packets_.Refuse(header, reason);
  }

  int fd() const override { return state_->poll_set.get(); }
  int64_t deadline_ns() const override { return host_loop_.deadline_ns(); }
  void PollHost(int64_t now_ns) override {
    guest_sender_.set_now_ns(now_ns);
    host_loop_.Poll(now_ns);
  }
  Delivered Deliver(PacketSink& sink) override {
    return guest_sender_.Deliver(sink);
  }

  uint32_t connections() const override {
    // Relaxed: the number guards no other memory.
    return state_->connections.load(std::memory_order_relaxed);
  }

 private:
  const std::unique_ptr<MuxerState> state_;
  GuestPackets guest_packets_;
  HostLoop host_loop_;
  GuestSender guest_sender_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Muxer>> Muxer::Create(
    const VsockOptions& options, VsockBackend& backend, VsockCounters& rx,
    VsockCounters& tx, LogSink& log) {
  ANNULUS_ASSIGN_OR_RETURN(std::unique_ptr<MuxerState> state,
                           MuxerState::Create(options, backend, rx, tx, log));
  return std::make_unique<MuxerImpl>(std::move(state));
}

}  // namespace annulus::virtio
