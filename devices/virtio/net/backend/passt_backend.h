#ifndef DEVICES_VIRTIO_NET_BACKEND_PASST_BACKEND_H_
#define DEVICES_VIRTIO_NET_BACKEND_PASST_BACKEND_H_

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/backend/hangup_watcher.h"
#include "devices/virtio/net/backend/link_state.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/backend/passt_stream.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

// The one pair of a PasstBackend: both directions of its socket.
class PasstQueue final : public NetBackendQueue {
 public:
  explicit PasstQueue(UniqueFd socket) : socket_(std::move(socket)) {}

  // The socket may take a part of a frame. The rest is copied, and kAgain
  // returned until the socket has taken that too: the same frame given again
  // finishes it, and is done.
  Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) override;

  // A frame too short for an Ethernet header is dropped.
  Transfer Receive(absl::Span<const iovec> room) override;

  int readable_fd() const override { return socket_.get(); }
  int writable_fd() const override { return socket_.get(); }

 private:
  // Of which frame a rest is left: one given later that looks the same is the
  // same given again.
  struct Identity {
    const void* data;
    uint32_t bytes;
    friend bool operator==(const Identity&, const Identity&) = default;
  };

  static constexpr size_t kMaxVectors = 1024;  // UIO_MAXIOV

  TransferStatus SendRest();
  TransferStatus SendNew(absl::Span<const iovec> frame, size_t frame_bytes);
  TransferStatus ReadMore();
  TransferStatus Deliver(absl::Span<const uint8_t> frame,
                         absl::Span<const iovec> room) const;

  const UniqueFd socket_;

  // The sender's.
  std::array<iovec, kMaxVectors> vectors_;
  std::array<uint8_t, kPasstLengthBytes + kNetMaxFrameBytes> copy_;
  absl::Span<const uint8_t> rest_;  // Of copy_.
  Identity rest_of_ = {};

  // The receiver's.
  alignas(64) PasstStream stream_;
};

// The other end of a unix stream socket that speaks the protocol of passt(1)
// (QEMU's "-netdev stream"): networking without privileges. Frames have no
// virtio_net_hdr there, hence no offloads.
//
// A peer that hangs up is gone, and so is one that sends what is no frame: the
// link goes down, and stays so.
//
// Threads, Trust, Allocation: as NetBackend and NetBackendQueue say. The peer
//   is not trusted.
class PasstBackend final : public NetBackend {
 public:
  // From a connected unix stream socket.
  static absl::StatusOr<std::unique_ptr<PasstBackend>> Create(UniqueFd socket);

  FeatureSet offloads() const override { return FeatureSet(); }
  uint16_t queue_pairs() const override { return 1; }
  NetBackendQueue& queue(uint16_t) override { return queue_; }
  absl::Status SetReceiveOffloads(const FeatureSet&) override {
    return absl::OkStatus();  // There are none to set.
  }
  absl::Status SetActivePairs(uint16_t) override { return absl::OkStatus(); }
  bool link_up() const override { return link_.up(); }
  void SetLinkObserver(LinkObserver* observer) override {
    link_.SetObserver(observer);
  }

 private:
  explicit PasstBackend(UniqueFd socket) : queue_(std::move(socket)) {}

  PasstQueue queue_;
  LinkState link_{true};
  std::unique_ptr<HangupWatcher> watcher_;  // After what it uses.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_PASST_BACKEND_H_
