#ifndef DEVICES_VIRTIO_NET_BACKEND_TAP_BACKEND_H_
#define DEVICES_VIRTIO_NET_BACKEND_TAP_BACKEND_H_

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/backend/link_state.h"
#include "devices/virtio/net/backend/link_watcher.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// One queue of a tap or macvtap: a frame is one readv(2) or writev(2), which
// carries the virtio_net_hdr (virtio 1.4 §5.1.6 "Device Operation") as it is.
//
// What the kernel does when all is not well (Linux 6.18), so that nobody who
// polls spins:
//   interface down     write EIO: kDropped. Read EAGAIN; poll reports nothing.
//   header or frame not to its taste      write EINVAL: kDropped.
//   unreadable memory  write EFAULT: kDropped. A read returns the frame's
//                      length as if it had been copied.
//   interface deleted  both EBADFD: kGone. poll reports POLLERR for ever,
//                      whatever it was asked for: stop polling.
//   macvtap deleted    read EAGAIN, write done; poll reports no POLLIN. The
//                      link is down.
//   queue detached     read EAGAIN, write as ever.
// A received header has its first 10 bytes written; num_buffers is the
// caller's. Of a frame longer than its room no length is known but the room's.
class TapQueue final : public NetBackendQueue {
 public:
  explicit TapQueue(UniqueFd fd) : fd_(std::move(fd)) {}

  Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) override;
  Transfer Receive(absl::Span<const iovec> room) override;
  int readable_fd() const override { return fd_.get(); }
  int writable_fd() const override { return fd_.get(); }

 private:
  UniqueFd fd_;
};

// A tap or macvtap interface of the host.
//
// Threads, Trust, Allocation: as NetBackend and NetBackendQueue say.
class TapBackend final : public NetBackend {
 public:
  // From open descriptors of one interface (see OpenTap()), one per queue pair:
  // of /dev/net/tun, attached with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR, or of a
  // macvtap's /dev/tapN. Needs no privilege. The link follows the interface if
  // that is in the calling thread's network namespace and netlink is to be had;
  // otherwise it is simply up. A thread is started to follow it.
  static absl::StatusOr<std::unique_ptr<TapBackend>> Create(
      std::vector<UniqueFd> queues);

  FeatureSet offloads() const override { return offloads_; }
  uint16_t queue_pairs() const override {
    return static_cast<uint16_t>(queues_.size());
  }
  NetBackendQueue& queue(uint16_t pair) override { return queues_[pair]; }

  // USO is one switch for both IP versions: off unless both are in.
  absl::Status SetReceiveOffloads(const FeatureSet& offloads) override;

  absl::Status SetActivePairs(uint16_t pairs) override;

  bool link_up() const override { return link_.up(); }
  void SetLinkObserver(LinkObserver* observer) override {
    link_.SetObserver(observer);
  }

  // Of the interface, when this was created.
  const std::string& name() const { return name_; }

 private:
  TapBackend(std::string name, const FeatureSet& offloads,
             std::vector<UniqueFd> queues);

  const std::string name_;
  const FeatureSet offloads_;
  std::vector<TapQueue> queues_;  // Constant after construction.
  uint16_t active_pairs_;
  LinkState link_{true};
  std::unique_ptr<LinkWatcher> watcher_;  // After link_, which it sets.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_TAP_BACKEND_H_
