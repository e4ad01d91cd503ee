#include "devices/virtio/net/backend/pcap_recorder.h"

#include <sys/uio.h>

#include "absl/types/span.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {
namespace {

class RecordingQueue final : public NetBackendQueue {
 public:
  RecordingQueue(NetBackendQueue& queue, PcapFile& file)
      : queue_(queue), sent_(file), received_(file) {}

  Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) override {
    const Transfer transfer = queue_.Send(frame, bytes);
    Record(sent_, frame, transfer);
    return transfer;
  }
  void Flush() override { queue_.Flush(); }
  Transfer Receive(absl::Span<const iovec> room) override {
    const Transfer transfer = queue_.Receive(room);
    Record(received_, room, transfer);
    return transfer;
  }
  void Discard() override { queue_.Discard(); }
  int readable_fd() const override { return queue_.readable_fd(); }
  int writable_fd() const override { return queue_.writable_fd(); }

 private:
  static void Record(PcapWriter& writer, absl::Span<const iovec> vectors,
                     const Transfer& transfer) {
    if (transfer.status != TransferStatus::kDone ||
        transfer.bytes < kNetHeaderBytes) {
      return;
    }
    writer.Write(vectors.subspan(1), transfer.bytes - kNetHeaderBytes);
  }

  NetBackendQueue& queue_;
  PcapWriter sent_;  // The sender's, as the other is the receiver's.
  PcapWriter received_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PcapRecorder>> PcapRecorder::Create(
    std::unique_ptr<NetBackend> backend, UniqueFd file, LogSink& log) {
  std::unique_ptr<PcapRecorder> recorder(
      new PcapRecorder(std::move(backend), std::move(file), log));
  ANNULUS_RETURN_IF_ERROR(recorder->file_.Begin());
  return recorder;
}

PcapRecorder::PcapRecorder(std::unique_ptr<NetBackend> backend, UniqueFd file,
                           LogSink& log)
    : backend_(std::move(backend)), file_(std::move(file), log) {
  for (uint16_t i = 0; i < backend_->queue_pairs(); ++i) {
    queues_.push_back(
        std::make_unique<RecordingQueue>(backend_->queue(i), file_));
  }
}

}  // namespace annulus::virtio
