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
// but what may fail; settings always make sense for the card, and header queues
// lie in the guest's memory.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/check.h"
#include "devices/virtio/net/control/coalescing.h"
#include "devices/virtio/net/control/control_command.h"
#include "devices/virtio/net/control/control_target.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/fuzz_ram.h"
#include "devices/virtio/net/header_split/header_queue.h"
#include "devices/virtio/net/header_split/header_split_options.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "devices/virtio/transport/fuzz_input.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {
namespace {

// A card that checks what the commands ask of it.
class CheckingTarget final : public ControlTarget {
 public:
  CheckingTarget(const FeatureSet& features, uint16_t pairs, bool refuses)
      : features_(features), pairs_(pairs), refuses_(refuses) {}

  uint16_t max_queue_pairs() const override { return pairs_; }
  uint16_t data_queues() const override {
    return features_.Has(kNetMq) || features_.Has(kNetRss) ? 2 * pairs_ : 2;
  }
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

const memory::GuestMemory& Memory() {
  static const memory::GuestMemory& memory = *new memory::GuestMemory(
      memory::GuestMemory::Create(FuzzRam().Regions()).value());
  return memory;
}

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

bool IsAllowed(SplitMethod method, const HeaderSplitOptions& options,
               bool mergeable) {
  switch (method) {
    case SplitMethod::kChain:
      return options.chain && !mergeable;
    case SplitMethod::kBuffers:
      return options.buffers && mergeable;
    case SplitMethod::kSmallBuffers:
      return options.small_buffers && mergeable;
    case SplitMethod::kHeaderQueue:
      return false;  // That is what header queues are for.
  }
  return false;
}

void CheckSplit(const SplitSettings& split, const FeatureSet& features,
                const HeaderSplitOptions& options) {
  if (split.types == 0) return;  // It means nothing.
  ANNULUS_CHECK(features.Has(options.numbers.split_feature));
  ANNULUS_CHECK((split.types & ~kSplitAllTypes) == 0);
  ANNULUS_CHECK(split.threshold >= options.min_threshold &&
                split.threshold <= options.max_threshold);
  ANNULUS_CHECK(IsAllowed(split.method, options, features.Has(kNetMrgRxbuf)));
  ANNULUS_CHECK((split.header_buffer_bytes != 0) ==
                (split.method == SplitMethod::kSmallBuffers));
}

void CheckHeaderQueues(const HeaderQueues& queues, const FeatureSet& features,
                       const HeaderSplitOptions& options, uint16_t receiveqs) {
  for (size_t id = 0; id < HeaderQueues::kMaxQueues; ++id) {
    if (queues.by_id[id] == nullptr) continue;
    ANNULUS_CHECK(features.Has(options.numbers.header_queue_feature));
    const HeaderQueueConfig& config = queues.by_id[id]->config();
    ANNULUS_CHECK(config.id == id);
    ANNULUS_CHECK(config.threshold >= options.min_threshold &&
                  config.threshold <= options.max_threshold);
    std::optional<HeaderSlots> slots =
        HeaderSlots::Map(*queues.by_id[id], Memory());
    ANNULUS_CHECK(slots.has_value());
    // All of it can be written to.
    const std::vector<uint8_t> header(config.slot_bytes, 0x5a);
    slots->Write(0, header);
    slots->Write(static_cast<uint16_t>(queues.by_id[id]->slots() - 1), header);
  }
  for (size_t pair = 0; pair < HeaderQueues::kMaxQueues; ++pair) {
    const std::shared_ptr<HeaderQueue>& queue = queues.by_pair[pair];
    if (queue == nullptr) continue;
    ANNULUS_CHECK(pair < receiveqs);
    ANNULUS_CHECK(queues.by_id[queue->config().id] == queue);
  }
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
  const bool narrow = (card & 0x40) != 0;
  const HeaderSplitOptions header_split = {
      .offered = true,
      .chain = (card & 0x20) == 0,
      .buffers = (card & 0x20) == 0,
      .small_buffers = (card & 0x10) == 0,
      .min_threshold = narrow ? 64u : 0u,
      .max_threshold = narrow ? 1600u : uint32_t{kNetMaxFrameBytes}};
  const uint32_t result_room = narrow ? kSplitCapBytes : 64;
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
        {.features = features,
         .settings = settings,
         .target = target,
         .header_split = header_split,
         .memory = Memory(),
         .result_room = result_room});
    ANNULUS_CHECK(reply.result.bytes().size() <= result_room);
    if (!reply.ok) {
      ANNULUS_CHECK(!reply.settings_changed && reply.result.bytes().empty());
      ANNULUS_CHECK(target.effects == effects);
    }
    if (!reply.settings_changed) ANNULUS_CHECK(settings == before);
    CheckSettings(settings, features, pairs);
    CheckSplit(settings.split, features, header_split);
    CheckHeaderQueues(settings.header_queues, features, header_split,
                      target.data_queues() / 2);
  }
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  annulus::virtio::Run(annulus::virtio::FuzzInput({data, size}));
  return 0;
}
