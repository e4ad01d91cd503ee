// Any commands of a driver that negotiated any features.
//
// Input: the negotiated features 0 to 63 (8 bytes), one byte with the number of
// queue pairs less 1 (4 bits) and whether the backend refuses (bit 7). Then
// commands, each
//   bytes    1 byte: how many of data
//   class    1 byte
//   command  1 byte
//   data     `bytes` bytes
//
// Checked: a command that fails changes nothing and asks nothing of the device
// but what may fail; settings always make sense for the card.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "devices/virtio/net/control/coalescing.h"
#include "devices/virtio/net/control/control_command.h"
#include "devices/virtio/net/control/control_target.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/transport/fuzz_input.h"

namespace annulus::virtio {
namespace {

// A card that checks what the commands ask of it.
class CheckingTarget final : public ControlTarget {
 public:
  CheckingTarget(const FeatureSet& features, uint16_t pairs, bool refuses)
      : features_(features), pairs_(pairs), refuses_(refuses) {}

  uint16_t max_queue_pairs() const override { return pairs_; }
  bool DataQueueEnabled(uint16_t vq) const override { return vq < 2 * pairs_; }
  bool SetActivePairs(uint16_t pairs) override {
    ANNULUS_CHECK(features_.Has(kNetMq) || features_.Has(kNetRss));
    ANNULUS_CHECK(pairs >= 1 && pairs <= pairs_);
    return !refuses_;
  }
  bool SetReceiveOffloads(const FeatureSet& offloads) override {
    ANNULUS_CHECK(offloads.IsSubsetOf(features_));
    ANNULUS_CHECK(offloads.IsSubsetOf(kReceiveOffloads));
    ANNULUS_CHECK(offloads == FeatureSet() || offloads.Has(kNetGuestCsum));
    return !refuses_;
  }
  void SetMac(const MacAddress& mac) override {
    ANNULUS_CHECK(features_.Has(kNetCtrlMacAddr) && (mac[0] & 1) == 0);
    ++effects;
  }
  void AnnounceAcknowledged() override {
    ANNULUS_CHECK(features_.Has(kNetGuestAnnounce));
    ++effects;
  }
  void SetCoalescing(Direction, const Coalescing&) override {
    ANNULUS_CHECK(features_.Has(kNetNotfCoal));
    ++effects;
  }
  void SetQueueCoalescing(uint16_t vq, const Coalescing&) override {
    ANNULUS_CHECK(features_.Has(kNetVqNotfCoal) && vq < 2 * pairs_);
    ++effects;
  }
  Coalescing QueueCoalescing(uint16_t vq) const override {
    ANNULUS_CHECK(vq < 2 * pairs_);
    return {};
  }
  void SettingsPublished(const NetSettings&) override {}

  int effects = 0;  // Calls that cannot fail.

 private:
  const FeatureSet features_;
  const uint16_t pairs_;
  const bool refuses_;
};

void CheckSettings(const NetSettings& settings, const FeatureSet& features,
                   uint16_t pairs) {
  ANNULUS_CHECK(settings.active_pairs >= 1 && settings.active_pairs <= pairs);
  ANNULUS_CHECK(settings.receive_offloads.IsSubsetOf(features));
  ANNULUS_CHECK(!settings.rss.steers() ||
                settings.rss.active_pairs() == settings.active_pairs);
  for (uint32_t value = 0; value < 256; ++value) {
    ANNULUS_CHECK(settings.rss.QueuePair({.value = value, .report = 1}) <
                  settings.active_pairs);
  }
  ANNULUS_CHECK(settings.rss.QueuePair({}) < settings.active_pairs);
}

void Run(FuzzInput input) {
  FeatureSet features;
  const std::vector<uint8_t> bits = input.Bytes(8);
  for (uint32_t bit = 0; bit < 64; ++bit) {
    if ((bits[bit / 8] >> bit % 8 & 1) != 0) features.Add(bit);
  }
  const uint8_t card = input.Byte();
  const uint16_t pairs = 1 + (card & 0xf);
  CheckingTarget target(features, pairs, (card & 0x80) != 0);
  NetSettings settings = InitialNetSettings(features, {2, 0, 0, 0, 0, 1});
  while (!input.empty()) {
    const size_t bytes = input.Byte();
    const uint8_t command_class = input.Byte();
    const uint8_t command = input.Byte();
    const std::vector<uint8_t> data = input.Bytes(bytes);
    const NetSettings before = settings;
    const int effects = target.effects;
    const ControlReply reply = ExecuteControlCommand(
        {.command_class = command_class, .command = command, .data = data},
        {features, settings, target});
    if (!reply.ok) ANNULUS_CHECK(target.effects == effects);
    if (!reply.settings_changed) ANNULUS_CHECK(settings == before);
    CheckSettings(settings, features, pairs);
  }
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  annulus::virtio::Run(annulus::virtio::FuzzInput({data, size}));
  return 0;
}
