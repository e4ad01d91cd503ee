#include "vmm/machine/vsock_card.h"

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/unix_backend.h"
#include "devices/virtio/vsock/switch/vsock_switch.h"
#include "vmm/machine/worker_policy_of.h"

namespace annulus {
namespace {

absl::Status At(absl::string_view field, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(field, ": ", status.message()));
}

}  // namespace

virtio::FeatureSet VsockFeaturesOf(const VsockConfig& config) {
  virtio::FeatureSet features = virtio::FeatureSet::Of(
      virtio::kVsockStream, virtio::kVsockNoImpliedStream,
      virtio::kFeatureVersion1);
  const struct {
    bool on;
    uint32_t bit;
  } kSwitches[] = {
      {config.seqpacket, virtio::kVsockSeqpacket},
      {config.virtio.packed, virtio::kFeatureRingPacked},
      {config.virtio.event_idx, virtio::kFeatureEventIdx},
      {config.virtio.indirect_desc, virtio::kFeatureIndirectDesc},
      {config.virtio.in_order, virtio::kFeatureInOrder},
  };
  for (const auto& feature : kSwitches) {
    if (feature.on) features.Add(feature.bit);
  }
  return features;
}

absl::StatusOr<VsockCard> MakeVsockCard(const VsockConfig& config,
                                        const std::string& name,
                                        VsockResources resources,
                                        LogSink& log) {
  VsockCard card;
  virtio::VsockOptions& options = card.options;
  options.name = name;
  options.guest_cid = config.cid;
  options.features = VsockFeaturesOf(config);
  options.mrg_rxbuf = config.mrg_rxbuf;
  options.dgram = config.dgram;
  options.numbers = {.mrg_rxbuf_feature = config.mrg_rxbuf_feature,
                     .dgram_feature = config.dgram_feature};
  options.queue_size = static_cast<uint16_t>(config.queue_size);
  options.buf_alloc = static_cast<uint32_t>(config.buf_alloc);
  options.max_connections = config.max_connections;
  options.connect_wait = absl::Milliseconds(config.connect_wait_milliseconds);
  options.listen_wait = absl::Milliseconds(config.listen_wait_milliseconds);
  options.close_wait = absl::Milliseconds(config.close_wait_milliseconds);
  options.workers = WorkerPolicyOf(config);
  auto backend = virtio::UnixBackend::Create({.name = options.name,
                                              .buf_alloc = options.buf_alloc,
                                              .guest_cid = config.cid},
                                             std::move(resources.sockets), log);
  if (!backend.ok()) return At("vsock.socket", backend.status());
  card.backend = *std::move(backend);
  if (resources.vsock_switch != nullptr) {
    auto port = resources.vsock_switch->Attach(
        config.cid,
        {.name = options.name, .max_connections = config.max_connections}, log);
    if (!port.ok()) {
      return At(absl::IsAlreadyExists(port.status()) ? "vsock.cid"
                                                     : "vsock.switch_directory",
                port.status());
    }
    card.port = *std::move(port);
  }
  return card;
}

}  // namespace annulus
