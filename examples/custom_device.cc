// A virtio device of one's own, in a VM: the guest asks for values by keys.
//
//   bazel run //examples:custom_device -- KERNEL COMMAND_LINE KEY VALUE
//
// A request is one buffer: the key is what the device may read, the value comes
// into what it may write. tests/guest/metadata_program.cc has a driver.
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "devices/virtio/device.h"
#include "devices/virtio/worker/queue_handler.h"
#include "devices/virtio/worker/queue_worker.h"
#include "vmm/vmm.h"

namespace virtio = annulus::virtio;

class MetadataDevice : public virtio::VirtioDevice, virtio::QueueHandler {
 public:
  MetadataDevice(std::string key, std::string value)
      : key_(std::move(key)), value_(std::move(value)) {}
  absl::Status StartThread() {
    auto worker = virtio::QueueWorker::Create({.name = "metadata/q0"}, *this,
                                              annulus::NullLogSink());
    if (!worker.ok()) return worker.status();
    worker_ = *std::move(worker);
    return absl::OkStatus();
  }
  uint32_t device_id() const override { return 63; }  // Nobody's.
  virtio::FeatureSet offered_features() const override {
    return virtio::FeatureSet::Of(
        virtio::kFeatureVersion1, virtio::kFeatureRingPacked,
        virtio::kFeatureEventIdx, virtio::kFeatureIndirectDesc);
  }
  absl::Span<const uint16_t> max_queue_sizes() const override { return kSizes; }
  bool AcceptFeatures(const virtio::FeatureSet&) const override { return true; }
  uint32_t config_size() const override { return 0; }
  void ReadConfig(uint32_t, absl::Span<uint8_t>) const override {}
  void WriteConfig(uint32_t, absl::Span<const uint8_t>) override {}
  uint32_t config_generation() const override { return 0; }
  void Start(const virtio::FeatureSet&) override {}
  void StartQueue(uint16_t, const virtio::QueueResources& queue) override {
    worker_->Start(queue);
  }
  std::optional<virtio::QueueState> StopQueue(uint16_t) override {
    return worker_->Stop();
  }
  void Reset() override { worker_->Stop(); }

 private:
  static constexpr std::array<uint16_t, 1> kSizes = {64};

  // On the queue's own thread. Bounded, whatever the guest offers.
  bool Drain(virtio::Virtqueue& queue) override {
    for (int i = 0; i < 16; ++i) {
      if (!queue.Pop(chain_)) return false;
      queue.Push(chain_, Answer());
    }
    return true;
  }
  // Copies what the guest gave once, and returns how much it wrote.
  uint32_t Answer() {
    if (chain_.readable().empty() || chain_.writable().empty()) return 0;
    const annulus::memory::GuestSpan asked = chain_.readable()[0].span;
    const annulus::memory::GuestSpan room = chain_.writable()[0].span;
    std::array<uint8_t, 64> key = {};
    const size_t length = std::min(asked.size(), key.size());
    asked.CopyOut(0, absl::MakeSpan(key.data(), length));
    if (key_ != std::string(key.begin(), key.begin() + length)) return 0;
    for (size_t i = 0; i < value_.size() && i < room.size(); ++i) {
      room.Fill(i, 1, static_cast<uint8_t>(value_[i]));
    }
    return static_cast<uint32_t>(std::min(value_.size(), room.size()));
  }

  const std::string key_, value_;
  virtio::DescriptorChain chain_{kSizes[0]};     // The worker's.
  std::unique_ptr<virtio::QueueWorker> worker_;  // Uses all of the above.
};

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  annulus::VmConfig config;
  config.boot = {.kernel = argv[1], .initrd = "", .cmdline = argv[2]};
  absl::StatusOr<annulus::Resources> resources = annulus::OpenResources(config);
  auto device = std::make_unique<MetadataDevice>(argv[3], argv[4]);
  absl::Status status = device->StartThread();
  if (status.ok()) status = resources.status();
  if (status.ok()) {
    resources->devices.push_back({std::move(device), {}, "metadata"});
    auto vm = annulus::Vmm::Create(config, *std::move(resources));
    status = vm.ok() ? (*vm)->Start() : vm.status();
    if (status.ok()) return static_cast<int>((*vm)->Wait().reason);
  }
  return std::fprintf(stderr, "%s\n", status.ToString().c_str()), 1;
}
