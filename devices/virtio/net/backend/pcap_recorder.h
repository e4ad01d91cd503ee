#ifndef DEVICES_VIRTIO_NET_BACKEND_PCAP_RECORDER_H_
#define DEVICES_VIRTIO_NET_BACKEND_PCAP_RECORDER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/backend/pcap_file.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// Records what goes through another backend, both ways, for tcpdump(1): each
// frame that was sent or received, as it lay in guest memory right afterwards.
// Frames that were dropped are not in it. With offloads, frames are larger than
// on a wire, and some checksums are still to be made.
//
// Recording never does anything to traffic: where a write fails, as on a full
// disk, recording ends with a line in the log, and the file with a part of a
// record maybe.
//
// Threads, Trust, Allocation: as NetBackend and NetBackendQueue say.
class PcapRecorder final : public NetBackend {
 public:
  // Writes the head of the file. `file` is a regular file, open for writing,
  // and empty. `log` outlives the recorder.
  static absl::StatusOr<std::unique_ptr<PcapRecorder>> Create(
      std::unique_ptr<NetBackend> backend, UniqueFd file, LogSink& log);

  FeatureSet offloads() const override { return backend_->offloads(); }
  uint16_t queue_pairs() const override { return backend_->queue_pairs(); }
  NetBackendQueue& queue(uint16_t pair) override { return *queues_[pair]; }
  absl::Status SetReceiveOffloads(const FeatureSet& offloads) override {
    return backend_->SetReceiveOffloads(offloads);
  }
  absl::Status SetActivePairs(uint16_t pairs) override {
    return backend_->SetActivePairs(pairs);
  }
  void SetPolled(bool polled) override { backend_->SetPolled(polled); }
  bool link_up() const override { return backend_->link_up(); }
  void SetLinkObserver(LinkObserver* observer) override {
    backend_->SetLinkObserver(observer);
  }

 private:
  PcapRecorder(std::unique_ptr<NetBackend> backend, UniqueFd file,
               LogSink& log);

  const std::unique_ptr<NetBackend> backend_;
  PcapFile file_;
  // Refer to both.
  std::vector<std::unique_ptr<NetBackendQueue>> queues_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_PCAP_RECORDER_H_
