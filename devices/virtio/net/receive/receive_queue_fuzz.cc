// A receiveq whose driver offers buffers of any shape and whose backend gives
// any frame with any header. What the driver puts together by the rules of
// virtio 1.4 §5.1.6.4 "Processing of Incoming Packets" is what was given, frame
// by frame, but for what was counted as dropped.
//
// Input: 2 bytes of features, then operations, each
//   op      1 byte; bits 0 to 2: 0 to 2 a buffer, 3 the queue is served, 4 to 6
//           a frame, 7 the backend is to fail, or with bit 3 the driver writes
//           over its memory
//   buffer  1 byte: how many elements, and that many sizes of 2 bytes, of which
//           bit 3 halves all but the last; bit 4: a readable element
//   frame   12 bytes of header, 2 of length, tripled with bit 7 of op
//   fail    1 byte: how
//   write   2 bytes of place, in units of 16; 16 bytes

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "base/counter.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/fuzz_ram.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/receive/receive_queue.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/transport/fuzz_input.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {
namespace {

constexpr uint64_t kRingsBytes = 0x8000;     // With some buffers behind them.
constexpr uint64_t kBufferBudget = 0xc0000;  // Available at a time.
constexpr uint16_t kSize = 64;

class Backend final : public NetBackendQueue {
 public:
  Transfer Send(absl::Span<const iovec>, uint32_t) override {
    return {TransferStatus::kDropped, 0};
  }
  Transfer Receive(absl::Span<const iovec> room) override {
    ANNULUS_CHECK(!gone_);
    ANNULUS_CHECK(room.size() <= 1024);
    ANNULUS_CHECK(room[0].iov_len == kNetHeaderBytes);
    size_t bytes = 0;
    for (size_t i = 0; i < room.size(); ++i) {
      ANNULUS_CHECK(room[i].iov_len != 0);
      // The overflow and nothing else is the device's.
      ANNULUS_CHECK(InFuzzRam(room[i]) == (i != 0 && i + 1 != room.size()));
      bytes += room[i].iov_len;
    }
    ANNULUS_CHECK(bytes >= kNetHeaderBytes + kNetMaxFrameBytes);
    if (!failures.empty()) {
      const TransferStatus status = failures.front();
      failures.pop_front();
      gone_ = status == TransferStatus::kGone;
      if (status == TransferStatus::kDropped) ++dropped;
      return {status, 0};
    }
    if (frames.empty()) return {TransferStatus::kAgain, 0};
    const std::string frame = frames.front();
    frames.pop_front();
    size_t done = 0;
    for (const iovec& vector : room) {
      const size_t here = std::min(vector.iov_len, frame.size() - done);
      std::memcpy(vector.iov_base, frame.data() + done, here);
      done += here;
    }
    given.push_back(frame);
    return {TransferStatus::kDone, static_cast<uint32_t>(frame.size())};
  }
  int readable_fd() const override { return 1000; }
  int writable_fd() const override { return -1; }

  std::deque<TransferStatus> failures;
  std::deque<std::string> frames;
  std::deque<std::string> given;
  uint64_t dropped = 0;

 private:
  bool gone_ = false;
};

FeatureSet Features(uint8_t ring, uint8_t net) {
  FeatureSet features;
  const auto add = [&features](bool on, uint32_t bit) {
    if (on) features.Add(bit);
  };
  add((ring & 1) != 0, kFeatureRingPacked);
  add((ring & 2) != 0, kFeatureInOrder);
  add((ring & 16) != 0, kNetMrgRxbuf);
  add((net & 1) != 0, kNetHashReport);
  add((net & 2) != 0, kNetGuestCsum);
  add((net & 6) == 6, kNetGuestTso4);
  add((net & 10) == 10, kNetGuestTso6);
  add((net & 14) == 14 && (net & 16) != 0, kNetGuestEcn);
  add((net & 34) == 34, kNetGuestUfo);
  add((net & 66) == 66, kNetGuestUso4);
  add((net & 130) == 130, kNetGuestUso6);
  return features;
}

class Machine {
 public:
  Machine(const memory::GuestMemory& memory, uint8_t ring, uint8_t net)
      : memory_(memory),
        features_(Features(ring, net)),
        mergeable_(features_.Has(kNetMrgRxbuf)),
        header_bytes_(features_.Has(kNetHashReport) ? kNetHeaderHashBytes
                                                    : kNetHeaderBytes),
        driver_(memory, {.packed = features_.Has(kFeatureRingPacked),
                         .event_idx = (ring & 4) != 0,
                         .indirect = (ring & 8) != 0,
                         .in_order = features_.Has(kFeatureInOrder),
                         .size = kSize,
                         .base = memory::GuestAddress(0),
                         .bytes = kFuzzRamBytes}),
        queue_(Virtqueue::Create(memory, driver_.config()).value()),
        handler_(0, backend_, settings_, {}, kSize, counters_) {
    NetSettings settings = InitialNetSettings(features_, {});
    settings.rss =
        RssConfig::ParseHash(HashBytes(RssConfig::kSupportedHashTypes)).value();
    settings_.Publish(settings);
    handler_.SetFeatures(features_);
    handler_.QueueStarted(queue_);
  }

  void Run(FuzzInput& input) {
    while (!input.empty()) {
      const uint8_t op = input.Byte();
      switch (op & 7) {
        case 3:
          Serve();
          break;
        case 4:
        case 5:
        case 6:
          Give(op, input);
          break;
        case 7:
          if ((op & 8) != 0) {
            Scribble(input);
          } else {
            constexpr TransferStatus kHow[] = {
                TransferStatus::kAgain, TransferStatus::kDropped,
                TransferStatus::kDropped, TransferStatus::kGone};
            backend_.failures.push_back(kHow[input.Byte() & 3]);
          }
          break;
        default:
          Offer(op, input);
      }
    }
    Serve();
    handler_.QueueStopped();
  }

 private:
  // From here on only memory is looked at, and what the backend is given.
  void Scribble(FuzzInput& input) {
    hostile_ = true;
    ANNULUS_CHECK(memory_.Write(
        memory::GuestAddress(uint64_t{input.Number(2)} * 16 % kRingsBytes),
        input.Bytes(16)));
  }

  void Offer(uint8_t op, FuzzInput& input) {
    std::vector<uint32_t> sizes;
    const uint32_t count = 1 + input.Byte() % 17;
    uint64_t room = 0;
    for (uint32_t i = 0; i < count; ++i) {
      uint32_t size = input.Number(2);
      if ((op & 8) != 0 && i + 1 != count) size &= 31;
      sizes.push_back(size);
      room += size + 16;
    }
    if (room > kBufferBudget - available_) return;
    FakeDriver::ChainBuilder chain = driver_.Chain();
    if ((op & 16) != 0) chain.Readable("not for writing");
    for (const uint32_t size : sizes) chain.Writable(size);
    if (!chain.Offer().has_value()) return;
    available_ += room;
    ++offered_;
  }

  void Give(uint8_t op, FuzzInput& input) {
    if (backend_.frames.size() + backend_.given.size() > 100) return;
    std::string frame;
    for (const uint8_t byte : input.Bytes(kNetHeaderBytes)) {
      frame += static_cast<char>(byte);
    }
    const uint32_t length = std::min<uint32_t>(
        input.Number(2) * ((op & 0x80) != 0 ? 3 : 1), kNetMaxFrameBytes);
    ++number_;
    frame += FuzzPayload(number_, length);
    // Some are IPv4, so that there is something to hash.
    if ((op & 8) != 0 && length > 40) {
      frame.replace(kNetHeaderBytes + 12, 3, "\x08\x00\x45", 3);
    }
    backend_.frames.push_back(frame);
  }

  void Serve() {
    while (true) {
      const bool more = handler_.Drain(queue_);
      (void)queue_.Publish();
      if (!more || !queue_.ok()) break;
    }
    if (hostile_) return;
    ANNULUS_CHECK(queue_.ok() && !driver_.broken());
    while (Collect()) {
    }
    // All but one that waits for buffers was delivered or dropped.
    uint64_t drops = 0;
    for (const Counter& drop : counters_.drops) drops += drop.value();
    const uint64_t in_hand =
        total_given() - delivered_ - (drops - backend_.dropped);
    ANNULUS_CHECK(in_hand <= (mergeable_ ? 1u : 0u));
    ANNULUS_CHECK(counters_.frames.value() == delivered_);
    if (used_ == offered_) available_ = 0;
  }

  uint64_t total_given() const { return skipped_ + backend_.given.size(); }

  FakeDriver::Used MustGetUsed() {
    const std::optional<FakeDriver::Used> used = driver_.GetUsed();
    ANNULUS_CHECK(used.has_value());
    ++used_;
    return *used;
  }

  bool Collect() {
    if (!driver_.HasUsed()) return false;
    FakeDriver::Used used = MustGetUsed();
    if (used.len == 0) {
      // Given back, for no frame would fit.
      ANNULUS_CHECK(used.writable_bytes <
                    header_bytes_ + (mergeable_ ? 0 : 14));
      return true;
    }
    ANNULUS_CHECK(used.len >= header_bytes_ && used.len <= used.writable_bytes);
    const std::string header = used.data.substr(0, header_bytes_);
    std::string frame = used.data.substr(header_bytes_);
    const int buffers = static_cast<uint8_t>(header[10]) +
                        256 * static_cast<uint8_t>(header[11]);
    ANNULUS_CHECK(buffers >= 1 && (mergeable_ || buffers == 1));
    for (int i = 1; i < buffers; ++i) {
      // "fully, except the last".
      ANNULUS_CHECK(used.len == used.writable_bytes);
      used = MustGetUsed();
      ANNULUS_CHECK(used.len <= used.writable_bytes);
      frame += used.data;
    }
    CheckHeader(header, frame.size());
    while (!backend_.given.empty() &&
           backend_.given.front().substr(kNetHeaderBytes) != frame) {
      backend_.given.pop_front();
      ++skipped_;
    }
    ANNULUS_CHECK(!backend_.given.empty());
    backend_.given.pop_front();
    ++skipped_;
    ++delivered_;
    return true;
  }

  // §5.1.6.4.2: nothing that was not negotiated.
  void CheckHeader(const std::string& header, size_t frame_bytes) const {
    const uint8_t flags = static_cast<uint8_t>(header[0]);
    const uint8_t gso = static_cast<uint8_t>(header[1]);
    ANNULUS_CHECK(flags == 0 || features_.Has(kNetGuestCsum));
    ANNULUS_CHECK((flags & ~(kNetHeaderNeedsCsum | kNetHeaderDataValid)) == 0);
    ANNULUS_CHECK(frame_bytes >= 14 && frame_bytes <= kNetMaxFrameBytes);
    if (header_bytes_ == kNetHeaderHashBytes) {
      ANNULUS_CHECK(header[17] == 0 && header[18] == 0 && header[19] == 0);
      ANNULUS_CHECK(static_cast<uint8_t>(header[16]) <= 9);
    }
    if (gso == kNetGsoNone) return;
    ANNULUS_CHECK((flags & kNetHeaderNeedsCsum) != 0);
    ANNULUS_CHECK(header[4] != 0 || header[5] != 0);
    if ((gso & kNetGsoEcn) != 0) ANNULUS_CHECK(features_.Has(kNetGuestEcn));
    switch (gso & ~kNetGsoEcn) {
      case kNetGsoTcpv4:
        return ANNULUS_CHECK(features_.Has(kNetGuestTso4));
      case kNetGsoTcpv6:
        return ANNULUS_CHECK(features_.Has(kNetGuestTso6));
      case kNetGsoUdp:
        return ANNULUS_CHECK(features_.Has(kNetGuestUfo));
      case kNetGsoUdpL4:
        return ANNULUS_CHECK(features_.Has(kNetGuestUso4) ||
                             features_.Has(kNetGuestUso6));
      default:
        ANNULUS_CHECK(false);
    }
  }

  const memory::GuestMemory& memory_;
  const FeatureSet features_;
  const bool mergeable_;
  const size_t header_bytes_;
  FakeDriver driver_;
  Virtqueue queue_;
  Backend backend_;
  NetSettingsStore settings_;
  QueueCounters counters_;
  ReceiveQueue handler_;
  bool hostile_ = false;
  uint32_t number_ = 0;
  uint64_t available_ = 0;
  uint64_t offered_ = 0;
  uint64_t used_ = 0;
  uint64_t delivered_ = 0;
  uint64_t skipped_ = 0;  // Given, and no more expected.
};

void RunOne(FuzzInput input) {
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(FuzzRam().Regions()).value();
  static const std::vector<uint8_t> zeros(kRingsBytes);
  ANNULUS_CHECK(memory.Write(memory::GuestAddress(0), zeros));
  const uint8_t ring = input.Byte();
  const uint8_t net = input.Byte();
  Machine(memory, ring, net).Run(input);
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  annulus::virtio::RunOne(annulus::virtio::FuzzInput({data, size}));
  return 0;
}
