#ifndef DEVICES_VIRTIO_NET_RECEIVE_SPLIT_RECEIVE_FIXTURE_H_
#define DEVICES_VIRTIO_NET_RECEIVE_SPLIT_RECEIVE_FIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/header_split/header_queue.h"
#include "devices/virtio/net/header_split/split_counters.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/receive/receive_queue.h"
#include "devices/virtio/net/scripted_backend.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

// For tests of header-split receive: a receiveq with its driver, whose settings
// are as they would be after the driver's commands.

namespace annulus::virtio {

// What a driver negotiated.
struct SplitShape {
  bool packed = true;
  bool indirect = true;
  bool in_order = false;
  bool mergeable = false;
  bool hash = false;
  bool header_queue = false;

  // Of the header that the driver sees.
  uint32_t header_bytes() const {
    return 12 + (hash ? 8 : 0) + (header_queue ? 8 : 0);
  }
};

inline std::string NameOf(const SplitShape& shape) {
  return std::string(shape.packed ? "packed" : "split") +
         (shape.indirect ? "_indirect" : "") +
         (shape.in_order ? "_in_order" : "") +
         (shape.mergeable ? "_mergeable" : "") + (shape.hash ? "_hash" : "") +
         (shape.header_queue ? "_header_queue" : "");
}

// All that there are.
inline std::vector<SplitShape> EveryShape() {
  std::vector<SplitShape> shapes;
  for (int bits = 0; bits < 64; ++bits) {
    shapes.push_back({.packed = (bits & 1) != 0,
                      .indirect = (bits & 2) != 0,
                      .in_order = (bits & 4) != 0,
                      .mergeable = (bits & 8) != 0,
                      .hash = (bits & 16) != 0,
                      .header_queue = (bits & 32) != 0});
  }
  return shapes;
}

inline FeatureSet FeaturesOf(const SplitShape& shape) {
  constexpr HeaderSplitNumbers kNumbers;
  FeatureSet features = FeatureSet::Of(
      kFeatureVersion1, kNetCtrlVq, kNetGuestCsum, kNetGuestTso4, kNetGuestTso6,
      kNetGuestUso4, kNetGuestUso6, kNumbers.split_feature);
  if (shape.mergeable) features.Add(kNetMrgRxbuf);
  if (shape.hash) features.Add(kNetHashReport);
  if (shape.header_queue) features.Add(kNumbers.header_queue_feature);
  return features;
}

// The driver's side of a header queue. Slots that nobody wrote to are of 0xdd.
class HeaderArea {
 public:
  struct Options {
    uint16_t id = 0;
    uint16_t slot_bytes = 128;
    uint16_t log_slots = 4;
    uint64_t types = kSplitAllTypes;
    uint32_t threshold = 0;
    memory::GuestAddress base{0xf00000};  // The slots, and then the tail.
  };

  HeaderArea(const memory::GuestMemory& memory, const Options& options)
      : memory_(memory),
        config_({.id = options.id,
                 .slot_bytes = options.slot_bytes,
                 .log_slots = options.log_slots,
                 .base = options.base,
                 .tail = memory::GuestAddress(
                     options.base.value() +
                     (uint64_t{options.slot_bytes} << options.log_slots)),
                 .types = options.types,
                 .threshold = options.threshold}) {
    memory_.Map(config_.base, bytes())->Fill(0, bytes(), 0xdd);
    SetTail(0);
    EXPECT_TRUE(HeaderQueue::IsUsable(config_, memory));
    queue_ = std::make_shared<HeaderQueue>(config_);
  }

  const HeaderQueueConfig& config() const { return config_; }
  const std::shared_ptr<HeaderQueue>& queue() const { return queue_; }
  uint32_t slots() const { return uint32_t{1} << config_.log_slots; }
  uint64_t bytes() const { return uint64_t{slots()} * config_.slot_bytes; }

  // Release: what the driver has read of the slots, it has read before.
  void SetTail(uint16_t tail) {
    memory_.Map(config_.tail, 2)
        ->Store<uint16_t>(0, tail, std::memory_order_release);
  }

  // The slot of a free-running index.
  std::string Slot(uint16_t index) const {
    return All().substr(size_t{index} % slots() * config_.slot_bytes,
                        config_.slot_bytes);
  }
  std::string All() const {
    std::vector<uint8_t> all(bytes());
    memory_.Map(config_.base, bytes())->CopyOut(0, absl::MakeSpan(all));
    return {all.begin(), all.end()};
  }

 private:
  const memory::GuestMemory& memory_;
  const HeaderQueueConfig config_;
  std::shared_ptr<HeaderQueue> queue_;
};

// One receiveq.
//
// Threads: all on one; several receivers of one memory each on its own.
class SplitReceiver {
 public:
  static constexpr uint16_t kSize = 64;

  struct Options {
    uint16_t pair = 0;
    uint16_t size = kSize;
    RateLimit limit = {};
    // Null: a memory of its own. Rings and buffers lie from `base` on.
    const memory::GuestMemory* memory = nullptr;
    memory::GuestAddress base{0x10000};
    uint64_t bytes = 0xe00000;
  };

  explicit SplitReceiver(const SplitShape& shape)
      : SplitReceiver(shape, Options()) {}
  SplitReceiver(const SplitShape& shape, const Options& options)
      : shape_(shape), options_(options) {
    if (options.memory == nullptr) {
      ram_ = memory::GuestRam::Create({.size = 16 << 20}).value();
      own_ = memory::GuestMemory::Create(ram_->Regions()).value();
      options_.memory = &*own_;
    }
    NetSettings settings = InitialNetSettings(FeaturesOf(shape), {});
    settings.active_pairs = static_cast<uint16_t>(options.pair + 1);
    if (shape.hash) {
      settings.rss =
          RssConfig::ParseHash(HashBytes(RssConfig::kSupportedHashTypes))
              .value();
    }
    settings_.Publish(settings);
    NetOptions net;
    net.queue_size = options.size;
    net.header_split.offered = true;
    net.receive_limit = options.limit;
    handler_ = std::make_unique<ReceiveQueue>(options.pair, backend_, settings_,
                                              net, counters_);
    handler_->SetFeatures(FeaturesOf(shape));
    StartQueue(options_.base);
  }

  // As after a reset of the queue alone: with rings and buffers of its own.
  void StartQueue(memory::GuestAddress base) {
    driver_ = std::make_unique<FakeDriver>(
        memory(), FakeDriverOptions{.packed = shape_.packed,
                                    .indirect = shape_.indirect,
                                    .in_order = shape_.in_order,
                                    .size = options_.size,
                                    .base = base,
                                    .bytes = options_.bytes});
    queue_ = Virtqueue::Create(memory(), driver_->config()).value();
    handler_->QueueStarted(*queue_);
  }
  void StopQueue() { handler_->QueueStopped(); }

  const SplitShape& shape() const { return shape_; }
  uint32_t header_bytes() const { return shape_.header_bytes(); }
  const memory::GuestMemory& memory() const { return *options_.memory; }
  FakeDriver& driver() { return *driver_; }
  Virtqueue& queue() { return *queue_; }
  ScriptedBackend& backend() { return backend_; }
  ReceiveQueue& handler() { return *handler_; }
  const QueueCounters& counters() const { return counters_; }
  const SplitCounters& split() const { return counters_.split; }
  NetSettingsStore& settings() { return settings_; }
  uint64_t drops(NetDrop reason) const {
    return counters_.drops[static_cast<size_t>(reason)].value();
  }

  void Set(const SplitSettings& split) {
    NetSettings settings = *settings_.Current();
    settings.split = split;
    settings_.Publish(settings);
  }
  // Null detaches.
  void Attach(std::shared_ptr<HeaderQueue> queue) {
    NetSettings settings = *settings_.Current();
    if (queue != nullptr) {
      settings.header_queues.by_id[queue->config().id] = queue;
    }
    settings.header_queues.by_pair[options_.pair] = std::move(queue);
    settings_.Publish(settings);
  }

  // One buffer; each number is an element's size.
  bool Offer(const std::vector<uint32_t>& sizes) {
    FakeDriver::ChainBuilder chain = driver_->Chain();
    for (const uint32_t size : sizes) chain.Writable(size);
    return chain.Offer().has_value();
  }

  // With the header of the backend in front.
  void Give(const std::string& frame) { backend_.to_receive.push_back(frame); }

  void Drain() {
    while (handler_->Drain(*queue_)) (void)queue_->Publish();
    (void)queue_->Publish();
  }

  std::vector<FakeDriver::Used> Collect() {
    std::vector<FakeDriver::Used> all;
    while (std::optional<FakeDriver::Used> used = driver_->GetUsed()) {
      all.push_back(*std::move(used));
    }
    return all;
  }

 private:
  const SplitShape shape_;
  Options options_;
  std::optional<memory::GuestRam> ram_;
  std::optional<memory::GuestMemory> own_;
  std::unique_ptr<FakeDriver> driver_;
  std::optional<Virtqueue> queue_;
  ScriptedBackend backend_;
  NetSettingsStore settings_;
  QueueCounters counters_;
  std::unique_ptr<ReceiveQueue> handler_;
};

// Fields of a virtio-net header as the driver got it.
inline uint8_t FlagsOf(const std::string& header) {
  return static_cast<uint8_t>(header[0]);
}
inline uint16_t Field16(const std::string& header, size_t offset) {
  return static_cast<uint16_t>(static_cast<uint8_t>(header[offset]) |
                               static_cast<uint8_t>(header[offset + 1]) << 8);
}
inline uint16_t HdrLenOf(const std::string& header) {
  return Field16(header, 2);
}
inline uint16_t NumBuffersOf(const std::string& header) {
  return Field16(header, 10);
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_RECEIVE_SPLIT_RECEIVE_FIXTURE_H_
