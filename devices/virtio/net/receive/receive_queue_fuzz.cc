// A receiveq whose driver offers buffers of any shape and whose backend gives
// any frame with any header. What the driver puts together by the rules of
// virtio 1.4 §5.1.6.4 "Processing of Incoming Packets" is what was given, frame
// by frame, but for what was counted as dropped. What is split is put together
// by the rules of docs/header_split.md, and it is split where it may be.
//
// Input: 2 bytes of features, then operations, each
//   op      1 byte; bits 0 to 2: 0 to 2 a buffer, 3 the queue is served, 4 to 6
//           a frame, 7 the backend is to fail, or with bit 3 the driver writes
//           over its memory, or with bit 4 header split is set
//   buffer  1 byte: how many elements, and that many sizes of 2 bytes, of which
//           bit 3 halves all but the last; bit 4: a readable element
//   frame   12 bytes of header, 2 of length, tripled with bit 7 of op; with bit
//           4, 2 bytes of what is in it, and the length is that of its payload
//   fail    1 byte: how
//   write   2 bytes of place, in units of 16; 16 bytes
//   set     1 byte, of which bits 0 and 1 are: 0 types (and 1 byte of them, 2
//   of
//           threshold, 2 of the length of header buffers, of method C with bit
//           2); 1 a header queue (1 byte of sizes, 1 of types, 2 of threshold;
//           bit 2: which); 2 none of these; 3 its index (2 bytes; with bit 2,
//           of how many slots more there are)

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "base/counter.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/frame_format.h"
#include "devices/virtio/net/fuzz_ram.h"
#include "devices/virtio/net/header_split/header_queue.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/receive/receive_queue.h"
#include "devices/virtio/net/receive/split_receive_frames.h"
#include "devices/virtio/net/receive/split_receive_model.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"
#include "devices/virtio/transport/fuzz_input.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {
namespace {

NetOptions Options(uint16_t queue_size) {
  NetOptions options;
  options.queue_size = queue_size;
  return options;
}

constexpr uint64_t kRingsBytes = 0x8000;     // With some buffers behind them.
constexpr uint64_t kBufferBudget = 0xc0000;  // Available at a time.
constexpr uint16_t kSize = 64;

// Header queues and their indices, behind what the driver has.
constexpr uint64_t kHeaderAreas = 0xf0000;
constexpr uint64_t kHeaderAreaBytes = 0x4000;
constexpr HeaderSplitNumbers kNumbers;

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
      // The overflow and nothing else is the device's; if it splits, a place
      // for a header, too.
      const bool own = i == 0 || i + 1 == room.size();
      ANNULUS_CHECK(InFuzzRam(room[i]) == !own || (splits && i == 1));
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
  uint32_t CopyPlain(absl::Span<const iovec> rooms,
                     absl::Span<uint32_t> bytes) override {
    ANNULUS_CHECK(!gone_ && !splits && rooms.size() <= bytes.size());
    if (!failures.empty()) return 0;
    uint32_t count = 0;
    while (count < rooms.size() && count < frames.size()) {
      const iovec& room = rooms[count];
      const std::string& frame = frames[count];
      ANNULUS_CHECK(InFuzzRam(room));
      if (frame.size() < kNetHeaderBytes + kEthernetHeaderBytes ||
          frame.size() > kNetHeaderBytes + kNetMaxFrameBytes ||
          frame.size() > room.iov_len ||
          frame.find_first_not_of('\0') < kNetHeaderBytes) {
        break;
      }
      CopyPlainFrame(
          absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(frame.data()),
                              frame.size())
              .subspan(kNetHeaderBytes),
          room);
      bytes[count++] = static_cast<uint32_t>(frame.size());
    }
    copied_ = count;
    return count;
  }
  void TakeCopied() override {
    ANNULUS_CHECK(copied_ != 0 && copied_ <= frames.size());
    for (; copied_ != 0; --copied_) {
      given.push_back(frames.front());
      frames.pop_front();
    }
  }
  int readable_fd() const override { return 1000; }
  int writable_fd() const override { return -1; }

  std::deque<TransferStatus> failures;
  std::deque<std::string> frames;
  std::deque<std::string> given;
  uint64_t dropped = 0;
  bool splits = false;

 private:
  uint32_t copied_ = 0;
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
  add((ring & 32) != 0 && (net & 2) != 0, kNumbers.header_queue_feature);
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
        header_bytes_(DriverHeaderBytes(features_, kNumbers)),
        driver_(memory, {.packed = features_.Has(kFeatureRingPacked),
                         .event_idx = (ring & 4) != 0,
                         .indirect = (ring & 8) != 0,
                         .in_order = features_.Has(kFeatureInOrder),
                         .size = kSize,
                         .base = memory::GuestAddress(0),
                         .bytes = kHeaderAreas}),
        queue_(Virtqueue::Create(memory, driver_.config()).value()),
        handler_(0, backend_, settings_, Options(kSize), counters_) {
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
          } else if ((op & 16) != 0) {
            Set(input);
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
    const std::optional<uint16_t> id = chain.Offer();
    if (!id.has_value()) return;
    std::erase(sizes, 0u);
    first_size_[*id] = sizes.empty() ? 0 : sizes[0];
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
    if ((op & 16) != 0) {
      const uint8_t kind = input.Byte();
      frame += Packet(kind, input.Byte(), length);
      if (frame.size() > kNetHeaderBytes + kNetMaxFrameBytes) return;
      backend_.frames.push_back(frame);
      return;
    }
    frame += FuzzPayload(number_, length);
    // Some are IPv4, so that there is something to hash.
    if ((op & 8) != 0 && length > 40) {
      frame.replace(kNetHeaderBytes + 12, 3, "\x08\x00\x45", 3);
    }
    backend_.frames.push_back(frame);
  }

  // One that may be split, more or less.
  std::string Packet(uint8_t kind, uint8_t more, uint32_t length) const {
    FrameSpec spec = {
        .vlans = kind & 3, .ipv6 = (kind & 4) != 0, .udp = (kind & 8) != 0};
    spec.ip_options = kind >> 4 & 4;
    if ((kind & 32) != 0) spec.extensions = {0, 60, 43};
    spec.tcp_options = (more & 7) * 4u;
    spec.padding = (more & 64) != 0 ? 3 : 0;
    spec.payload = std::min(length, 65000u);
    spec.seed = number_;
    std::string frame = MakeFrame(spec);
    if ((kind & 128) != 0) {
      char& byte = frame[(more * size_t{7} + 12) % frame.size()];
      byte = static_cast<char>(byte ^ more);
    }
    return frame;
  }

  struct HeaderArea {
    std::shared_ptr<HeaderQueue> queue;
    std::string slots;  // What is to be in them.
    uint16_t claimed = 0;
  };

  void Set(FuzzInput& input) {
    const uint8_t op = input.Byte();
    if (!features_.Has(kNetGuestCsum)) return;
    NetSettings settings = *settings_.Current();
    std::shared_ptr<HeaderQueue>& attached = settings.header_queues.by_pair[0];
    switch (op & 3) {
      case 0: {
        SplitMethod method = SplitMethod::kChain;
        if (mergeable_) {
          method = (op & 4) != 0 ? SplitMethod::kSmallBuffers
                                 : SplitMethod::kBuffers;
        }
        settings.split = {.types = input.Byte() & kSplitAllTypes,
                          .threshold = input.Number(2),
                          .method = method};
        const uint16_t bytes = static_cast<uint16_t>(input.Number(2));
        if (method == SplitMethod::kSmallBuffers) {
          settings.split.header_buffer_bytes = std::max<uint16_t>(bytes, 1);
        }
        break;
      }
      case 1:
        if (!features_.Has(kNumbers.header_queue_feature)) return;
        CreateHeaderQueue(op >> 2 & 1, input);
        attached_ = &areas_[op >> 2 & 1];
        attached = attached_->queue;
        break;
      case 2:
        attached_ = nullptr;
        attached = nullptr;
        break;
      default: {
        const uint16_t number = static_cast<uint16_t>(input.Number(2));
        if (attached_ == nullptr) return;
        const HeaderQueueConfig& config = attached_->queue->config();
        const uint32_t slots = attached_->queue->slots();
        const uint16_t tail = static_cast<uint16_t>(
            (op & 4) == 0 ? number : attached_->claimed + number % (slots + 1));
        memory_.Map(config.tail, 2)
            ->Store<uint16_t>(0, tail, std::memory_order_release);
        return;
      }
    }
    settings_.Publish(settings);
    backend_.splits = attached != nullptr || settings.split.types != 0;
  }

  // In the place of another one, which may be attached so far.
  void CreateHeaderQueue(size_t place, FuzzInput& input) {
    const uint8_t sizes = input.Byte();
    HeaderQueueConfig config;
    config.id = static_cast<uint16_t>(1 + place);
    config.slot_bytes = static_cast<uint16_t>(64 * (1 + (sizes & 15)));
    config.log_slots = sizes >> 4 & 3;
    config.base = memory::GuestAddress(kHeaderAreas + place * kHeaderAreaBytes);
    config.tail = memory::GuestAddress(config.base.value() + 0x3000);
    config.types = input.Byte() & kSplitAllTypes;
    config.threshold = input.Number(2);
    ++header_queues_;
    HeaderArea& area = areas_[place];
    area = {.queue = std::make_shared<HeaderQueue>(config), .slots = {}};
    area.slots.assign(size_t{config.slot_bytes} << config.log_slots, '\xdd');
    memory_.Map(config.base, area.slots.size())
        ->Fill(0, area.slots.size(), 0xdd);
    memory_.Map(config.tail, 2)
        ->Store<uint16_t>(0, 0, std::memory_order_release);
  }

  void CheckHeaderAreas() const {
    for (const HeaderArea& area : areas_) {
      if (area.queue == nullptr) continue;
      std::vector<uint8_t> bytes(area.slots.size());
      ANNULUS_CHECK(
          memory_.Read(area.queue->config().base, absl::MakeSpan(bytes)));
      ANNULUS_CHECK(std::equal(
          bytes.begin(), bytes.end(), area.slots.begin(),
          [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); }));
    }
    ANNULUS_CHECK(counters_.split.header_queue_errors.value() <=
                  header_queues_);
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
    CheckHeaderAreas();
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
    const int buffers = static_cast<uint8_t>(header[10]) +
                        256 * static_cast<uint8_t>(header[11]);
    ANNULUS_CHECK(buffers >= 1 && (mergeable_ || buffers == 1));
    const bool split = (header[0] & '\x80') != 0;
    const std::string frame =
        split ? CollectSplit(std::move(used), header, buffers)
              : Rest(std::move(used), header_bytes_, buffers);
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

  // What is in the buffers of a packet from `offset` on, by the base rules.
  std::string Rest(FakeDriver::Used used, size_t offset, int buffers) {
    std::string bytes = used.data.substr(offset);
    for (int i = 1; i < buffers; ++i) {
      // "fully, except the last".
      ANNULUS_CHECK(used.len == used.writable_bytes);
      used = MustGetUsed();
      ANNULUS_CHECK(used.len <= used.writable_bytes);
      bytes += used.data;
    }
    return bytes;
  }

  // A frame with a header elsewhere than before its payload.
  std::string CollectSplit(FakeDriver::Used used, const std::string& header,
                           int buffers) {
    const std::shared_ptr<const NetSettings> settings = settings_.Current();
    const SplitSettings& split = settings->split;
    const size_t head = static_cast<uint8_t>(header[2]) +
                        size_t{256} * static_cast<uint8_t>(header[3]);
    std::string frame;
    uint64_t types = split.types;
    uint32_t threshold = split.threshold;
    if (attached_ != nullptr) {
      types = attached_->queue->config().types;
      threshold = attached_->queue->config().threshold;
      frame = CollectFromSlot(header, head);
      frame += Rest(std::move(used), header_bytes_, buffers);
    } else if (split.method == SplitMethod::kChain) {
      const size_t first = first_size_[used.id];
      ANNULUS_CHECK(header_bytes_ + head <= first && first < used.len);
      frame = used.data.substr(header_bytes_, head);
      frame += used.data.substr(first);
    } else {
      ANNULUS_CHECK(used.len == header_bytes_ + head && buffers >= 2);
      const bool small = split.method == SplitMethod::kSmallBuffers;
      const uint32_t longest = split.header_buffer_bytes;
      ANNULUS_CHECK(!small || used.writable_bytes <= longest);
      frame = used.data.substr(header_bytes_);
      for (int i = 1; i < buffers; ++i) {
        used = MustGetUsed();
        frame += used.data;
        if (small && used.writable_bytes <= longest) {
          ANNULUS_CHECK(used.len == 0 && i + 1 != buffers);
        } else if (i + 1 != buffers) {
          ANNULUS_CHECK(used.len == used.writable_bytes);
        } else {
          ANNULUS_CHECK(used.len != 0 && used.len <= used.writable_bytes);
        }
      }
    }
    const std::vector<uint8_t> bytes(header.begin(), header.end());
    const std::optional<ModelSplit> found =
        RecognizeByModel(frame, DecodeNetHeader(bytes));
    ANNULUS_CHECK(found.has_value() && found->header_bytes == head);
    ANNULUS_CHECK((found->type & types) != 0 && frame.size() > threshold);
    return frame;
  }

  std::string CollectFromSlot(const std::string& header, size_t head) {
    const size_t fields = header_bytes_ - kNetHeaderQueueFieldBytes;
    const HeaderQueueConfig& config = attached_->queue->config();
    const auto field = [&](size_t at) {
      return static_cast<uint16_t>(static_cast<uint8_t>(header[fields + at]) |
                                   static_cast<uint8_t>(header[fields + at + 1])
                                       << 8);
    };
    ANNULUS_CHECK(field(0) == attached_->claimed && field(2) == config.id);
    ANNULUS_CHECK(head <= config.slot_bytes);
    const size_t offset = size_t{attached_->claimed} %
                          attached_->queue->slots() * config.slot_bytes;
    ++attached_->claimed;
    std::vector<uint8_t> bytes(head);
    ANNULUS_CHECK(
        memory_.Read(memory::GuestAddress(config.base.value() + offset),
                     absl::MakeSpan(bytes)));
    attached_->slots.replace(offset, head,
                             std::string(bytes.begin(), bytes.end()));
    return {bytes.begin(), bytes.end()};
  }

  // §5.1.6.4.2: nothing that was not negotiated.
  void CheckHeader(const std::string& header, size_t frame_bytes) const {
    const uint8_t flags = static_cast<uint8_t>(header[0]);
    const uint8_t gso = static_cast<uint8_t>(header[1]);
    ANNULUS_CHECK(flags == 0 || features_.Has(kNetGuestCsum));
    ANNULUS_CHECK((flags & ~(kNetHeaderNeedsCsum | kNetHeaderDataValid |
                             (backend_.splits ? 0x80 : 0))) == 0);
    ANNULUS_CHECK(frame_bytes >= 14 && frame_bytes <= kNetMaxFrameBytes);
    if (features_.Has(kNetHashReport)) {
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
  uint64_t skipped_ = 0;                         // Given, and no more expected.
  std::array<uint32_t, kSize> first_size_ = {};  // Of a buffer's elements.
  HeaderArea areas_[2];
  HeaderArea* attached_ = nullptr;
  uint64_t header_queues_ = 0;  // Made so far.
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
