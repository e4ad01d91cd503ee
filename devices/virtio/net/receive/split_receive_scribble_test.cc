// A driver that writes to its buffers while a frame is received into them: what
// is delivered as the header is what was taken for one.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/receive/split_receive_fixture.h"
#include "devices/virtio/net/receive/split_receive_frames.h"
#include "devices/virtio/net/receive/split_receive_model.h"
#include "devices/virtio/spec/net_header_split.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::virtio {
namespace {

// Where the frame begins that the device has just received as it is.
std::optional<memory::GuestAddress> Find(const memory::GuestMemory& memory,
                                         const std::string& frame) {
  std::vector<uint8_t> bytes(0x100000);
  EXPECT_TRUE(
      memory.Read(memory::GuestAddress(0x10000), absl::MakeSpan(bytes)));
  const size_t at = std::string(bytes.begin(), bytes.end()).find(frame);
  if (at == std::string::npos) return std::nullopt;
  return memory::GuestAddress(0x10000 + at);
}

class SplitScribbleTest : public testing::TestWithParam<SplitShape> {};

// Frames that are not split are read to where they belong once there were some,
// and one that is follows. The slot, which nobody scribbles on, has the header.
TEST_P(SplitScribbleTest, HeaderInTheSlotIsTheOneThatWasParsed) {
  SplitReceiver receiver(GetParam(), {.bytes = 0x100000});
  HeaderArea area(receiver.memory(), {.slot_bytes = 256, .log_slots = 1});
  receiver.Attach(area.queue());
  const std::string plain = NoiseFrame(1000, 5);
  const std::string tcp = MakeFrame({.tcp_options = 12, .payload = 1000});
  const auto receive = [&](const std::string& frame) {
    EXPECT_TRUE(receiver.Offer({1200}));
    receiver.Give(WithNetHeader(frame));
    receiver.Drain();
    std::vector<FakeDriver::Used> used = receiver.Collect();
    EXPECT_EQ(used.size(), 1u);
    return used[0];
  };
  (void)receive(plain);
  const std::optional<memory::GuestAddress> place =
      Find(receiver.memory(), plain);
  ASSERT_TRUE(place.has_value());
  // IHL and TCP's data offset change all the time.
  const memory::GuestSpan header = *receiver.memory().Map(*place, 64);
  std::atomic<bool> done{false};
  std::thread driver([&] {
    for (uint32_t i = 0; !done.load(std::memory_order_relaxed); ++i) {
      const uint8_t version = static_cast<uint8_t>(0x45 + i % 3);
      header.Store<uint8_t>(14, version, std::memory_order_relaxed);
      header.Store<uint8_t>(14 + 20 + 12, static_cast<uint8_t>(i << 4),
                            std::memory_order_relaxed);
    }
  });
  uint32_t split = 0;
  for (int round = 0; round < 2000; ++round) {
    for (int i = 0; i < 5; ++i) {
      area.SetTail(static_cast<uint16_t>(split + 2));
      const FakeDriver::Used used = receive(i == 4 ? tcp : plain);
      if (FlagsOf(used.data) == 0) continue;
      const size_t head = HdrLenOf(used.data);
      const uint16_t index = Field16(used.data, receiver.header_bytes() - 8);
      ASSERT_EQ(index, static_cast<uint16_t>(split));
      ++split;
      // As long as the frame, whatever its payload is by now.
      std::string frame = area.Slot(index).substr(0, head);
      frame += std::string(used.len - receiver.header_bytes(), '\0');
      ASSERT_EQ(frame.size(), tcp.size());
      const std::optional<ModelSplit> found =
          RecognizeByModel(frame, NetHeader());
      ASSERT_TRUE(found.has_value()) << "round " << round;
      ASSERT_EQ(found->header_bytes, head) << "round " << round;
    }
  }
  done.store(true, std::memory_order_relaxed);
  driver.join();
  EXPECT_GT(split, 100u);
  EXPECT_GT(receiver.split().mispredicted.value(), 100u);
}

INSTANTIATE_TEST_SUITE_P(All, SplitScribbleTest,
                         testing::Values(SplitShape{.packed = false,
                                                    .header_queue = true},
                                         SplitShape{.packed = true,
                                                    .mergeable = true,
                                                    .header_queue = true}),
                         [](const auto& info) { return NameOf(info.param); });

}  // namespace
}  // namespace annulus::virtio
