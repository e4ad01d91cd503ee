// Frames are sent and received without an allocation.

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/counting_allocator.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/backend/null_backend.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/receive/receive_queue.h"
#include "devices/virtio/net/receive/split_receive_fixture.h"
#include "devices/virtio/net/receive/split_receive_frames.h"
#include "devices/virtio/net/scripted_backend.h"
#include "devices/virtio/net/transmit/transmit_queue.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "devices/virtio/worker/queue_handler.h"
#include "gtest/gtest.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {
namespace {

constexpr uint16_t kSize = 64;

// Over both ring formats.
class NetAllocationTest : public testing::TestWithParam<bool> {
 protected:
  // Rounds of a full ring each; the driver, which allocates, is not counted.
  template <typename Offer>
  void Run(QueueHandler& handler, Offer offer) {
    handler.QueueStarted(queue_);
    int served = 0;
    for (int round = 0; round < 100; ++round) {
      while (offer()) {
      }
      const int before = AllocationCount();
      while (handler.Drain(queue_)) (void)queue_.Publish();
      (void)handler.Wait();
      (void)queue_.Publish();
      ASSERT_EQ(AllocationCount(), before);
      while (driver_.GetUsed().has_value()) ++served;
    }
    EXPECT_GE(served, 100 * (kSize / 3));
  }

  // With limits that are never reached.
  static NetOptions Options() {
    NetOptions options;
    options.queue_size = kSize;
    options.receive_limit = {.frames_per_second = 1'000'000'000};
    options.transmit_limit = options.receive_limit;
    return options;
  }

  memory::GuestRam ram_ = memory::GuestRam::Create({.size = 1 << 20}).value();
  memory::GuestMemory memory_ =
      memory::GuestMemory::Create(ram_.Regions()).value();
  FakeDriver driver_{memory_,
                     {.packed = GetParam(), .indirect = false, .size = kSize}};
  Virtqueue queue_ = Virtqueue::Create(memory_, driver_.config()).value();
  QueueCounters counters_;
};

TEST_P(NetAllocationTest, NothingIsAllocatedPerFrameSent) {
  const std::unique_ptr<NullBackend> backend = NullBackend::Create({}).value();
  TransmitQueue handler(backend->queue(0), Options(), counters_);
  handler.SetFeatures({});
  Run(handler, [this] {
    return driver_.Chain()
        .Readable(std::string(6, '\0'))
        .Readable(std::string(6, '\0'))
        .Readable(std::string(60, 'x'))
        .Offer()
        .has_value();
  });
}

TEST_P(NetAllocationTest, NothingIsAllocatedPerFrameReceived) {
  const std::unique_ptr<NullBackend> backend =
      NullBackend::Create({.queue_pairs = 1, .generate_bytes = 900}).value();
  const FeatureSet features =
      FeatureSet::Of(kNetMrgRxbuf, kNetCtrlVq, kNetCtrlRx, kNetHashReport);
  NetSettingsStore settings;
  settings.Publish(InitialNetSettings(features, {}));
  ReceiveQueue handler(0, backend->queue(0), settings, Options(), counters_);
  handler.SetFeatures(features);
  Run(handler,
      [this] { return driver_.Chain().Writable(400).Offer().has_value(); });
}

// Gives the same frames over and over, of which some are split and some not.
class TrainBackend final : public NetBackendQueue {
 public:
  TrainBackend() {
    for (int i = 0; i < 7; ++i) {
      frames_.push_back(
          WithNetHeader(MakeFrame({.tcp_options = 12, .payload = 1448})));
    }
    frames_.push_back(WithNetHeader(MakeFrame({.tcp_options = 12})));
    frames_.push_back(WithNetHeader(NoiseFrame(1200, 1)));
    frames_.push_back(WithNetHeader(MakeFrame({.udp = true, .payload = 900})));
  }

  Transfer Send(absl::Span<const iovec>, uint32_t) override {
    return {TransferStatus::kDropped, 0};
  }
  Transfer Receive(absl::Span<const iovec> room) override {
    const std::string& frame = frames_[next_++ % frames_.size()];
    size_t done = 0;
    for (const iovec& vector : room) {
      const size_t here = std::min(vector.iov_len, frame.size() - done);
      std::memcpy(vector.iov_base, frame.data() + done, here);
      done += here;
    }
    return {TransferStatus::kDone, static_cast<uint32_t>(frame.size())};
  }
  int readable_fd() const override { return 1000; }
  int writable_fd() const override { return -1; }

 private:
  std::vector<std::string> frames_;
  size_t next_ = 0;
};

TEST_P(NetAllocationTest, NothingIsAllocatedPerFrameSplit) {
  for (const SplitMethod method :
       {SplitMethod::kChain, SplitMethod::kBuffers, SplitMethod::kSmallBuffers,
        SplitMethod::kHeaderQueue}) {
    const bool queued = method == SplitMethod::kHeaderQueue;
    const SplitShape shape = {.packed = GetParam(),
                              .indirect = false,
                              .mergeable = method != SplitMethod::kChain,
                              .hash = true,
                              .header_queue = queued};
    SplitReceiver receiver(shape);
    HeaderArea area(receiver.memory(), {.log_slots = 6});
    if (queued) {
      receiver.Attach(area.queue());
    } else {
      receiver.Set({.types = kSplitAllTypes,
                    .method = method,
                    .header_buffer_bytes = 256});
    }
    TrainBackend backend;
    ReceiveQueue handler(0, backend, receiver.settings(), Options(), counters_);
    handler.SetFeatures(FeaturesOf(shape));
    const uint64_t before = counters_.split.split_packets.value();
    receiver.StopQueue();
    handler.QueueStarted(receiver.queue());
    for (int round = 0; round < 50; ++round) {
      area.SetTail(static_cast<uint16_t>(counters_.split.split_packets.value() -
                                         before + area.slots()));
      while (true) {
        if (method == SplitMethod::kChain) {
          if (!receiver.Offer({128, 2048})) break;
        } else if (!receiver.Offer({256}) || !receiver.Offer({2048})) {
          break;
        }
      }
      const int allocations = AllocationCount();
      while (handler.Drain(receiver.queue())) (void)receiver.queue().Publish();
      (void)receiver.queue().Publish();
      // The first settings are taken, which is cold.
      if (round != 0) {
        ASSERT_EQ(AllocationCount(), allocations);
      }
      ASSERT_FALSE(receiver.Collect().empty());
    }
    EXPECT_GT(counters_.split.split_packets.value() - before, 400u);
    handler.QueueStopped();
  }
  EXPECT_GT(counters_.split.predicted.value(), 100u);
  EXPECT_GT(counters_.split.mispredicted.value(), 100u);
  EXPECT_GT(counters_.split.unpredicted.value(), 10u);
}

INSTANTIATE_TEST_SUITE_P(BothFormats, NetAllocationTest, testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "packed" : "split";
                         });

}  // namespace
}  // namespace annulus::virtio
