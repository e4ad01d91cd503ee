// A driver that transmits anything: chains of any shape with any header, and
// what it writes over rings and buffers meanwhile. The backend takes each frame
// apart as a real one would.
//
// Input: 2 bytes of features, then operations, each
//   op      1 byte; bits 0 to 2: 0 to 2 a chain, 3 the queue is served, 4 the
//           backend is to fail, 5 the driver writes over its memory
//   chain   2 bytes: length behind the header, tripled with bit 7 of op; the
//           header, 20 bytes; 1 byte: how many cuts, and that many sizes (in
//           bytes: all of one size with bit 3); bit 4: a writable element
//   fail    1 byte: how; bit 7: and another time
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
#include "devices/virtio/net/fuzz_ram.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/net/queue_counters.h"
#include "devices/virtio/net/transmit/transmit_queue.h"
#include "devices/virtio/queue/virtqueue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/transport/fuzz_input.h"
#include "devices/virtio/worker/queue_handler.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {
namespace {

NetOptions Options(uint16_t queue_size) {
  NetOptions options;
  options.queue_size = queue_size;
  return options;
}

constexpr uint64_t kScribbledBytes = 0x8000;  // Rings, with what is behind.
constexpr uint32_t kWritableBytes = 20;       // Where an element is.
constexpr uint64_t kBufferBudget = 0x80000;   // In flight at a time.

// What every backend relies on, asked for each frame.
class Backend final : public NetBackendQueue {
 public:
  explicit Backend(const FeatureSet& features) : features_(features) {}

  Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) override {
    ANNULUS_CHECK(!gone_);
    ANNULUS_CHECK(frame.size() >= 2 && frame.size() <= 1024);
    ANNULUS_CHECK(frame[0].iov_len == kNetHeaderBytes && !InFuzzRam(frame[0]));
    std::string all;
    for (const iovec& vector : frame) {
      ANNULUS_CHECK(vector.iov_len != 0);
      // A copy of the device's is in one piece.
      ANNULUS_CHECK(&vector == &frame[0] || InFuzzRam(vector) ||
                    frame.size() == 2);
      all.append(static_cast<const char*>(vector.iov_base), vector.iov_len);
    }
    ANNULUS_CHECK(all.size() == bytes);
    ANNULUS_CHECK(bytes >= kNetHeaderBytes + 14 &&
                  bytes <= kNetHeaderBytes + kNetMaxFrameBytes);
    CheckHeader(all, static_cast<uint32_t>(bytes - kNetHeaderBytes));
    if (!failures.empty()) {
      const TransferStatus status = failures.front();
      failures.pop_front();
      gone_ = status == TransferStatus::kGone;
      return {status, 0};
    }
    if (keeps) sent.push_back(all.substr(kNetHeaderBytes));
    return {TransferStatus::kDone, bytes};
  }
  // Where nothing is to fail; one frame less than it could where keeps_back.
  uint32_t SendPlain(absl::Span<const iovec> frames) override {
    ANNULUS_CHECK(!gone_ && !frames.empty());
    if (!failures.empty()) return 0;
    const size_t count = frames.size() - (keeps_back ? 1 : 0);
    for (const iovec& frame : frames.first(count)) {
      ANNULUS_CHECK(frame.iov_len >= 14 && frame.iov_len <= kNetMaxFrameBytes &&
                    InFuzzRam(frame));
      if (!keeps) continue;
      sent.emplace_back(static_cast<const char*>(frame.iov_base),
                        frame.iov_len);
    }
    keeps_back = !keeps_back;
    return static_cast<uint32_t>(count);
  }
  Transfer Receive(absl::Span<const iovec>) override {
    return {TransferStatus::kAgain, 0};
  }
  int readable_fd() const override { return -1; }
  int writable_fd() const override { return 1000; }

  std::deque<TransferStatus> failures;
  std::deque<std::string> sent;
  bool keeps = true;
  bool keeps_back = false;

 private:
  // Virtio 1.4 §5.1.6.2.1 and .2, said once more.
  void CheckHeader(const std::string& all, uint32_t frame_bytes) const {
    const auto number = [&all](size_t at) {
      return static_cast<uint8_t>(all[at]) +
             256u * static_cast<uint8_t>(all[at + 1]);
    };
    const uint8_t flags = static_cast<uint8_t>(all[0]);
    const uint8_t gso = static_cast<uint8_t>(all[1]);
    ANNULUS_CHECK(number(10) == 0);
    ANNULUS_CHECK((flags & ~(kNetHeaderNeedsCsum | kNetHeaderDataValid)) == 0);
    if ((flags & kNetHeaderNeedsCsum) != 0) {
      ANNULUS_CHECK(features_.Has(kNetCsum));
      ANNULUS_CHECK(number(6) + number(8) + 2 <= frame_bytes);
    }
    if (gso == kNetGsoNone) {
      ANNULUS_CHECK(number(2) == 0 && number(4) == 0);
      return;
    }
    ANNULUS_CHECK((flags & kNetHeaderNeedsCsum) != 0 && number(4) != 0);
    ANNULUS_CHECK(number(2) <= frame_bytes);
    if ((gso & kNetGsoEcn) != 0) ANNULUS_CHECK(features_.Has(kNetHostEcn));
    switch (gso & ~kNetGsoEcn) {
      case kNetGsoTcpv4:
        return ANNULUS_CHECK(features_.Has(kNetHostTso4));
      case kNetGsoTcpv6:
        return ANNULUS_CHECK(features_.Has(kNetHostTso6));
      case kNetGsoUdp:
        return ANNULUS_CHECK(features_.Has(kNetHostUfo));
      case kNetGsoUdpL4:
        return ANNULUS_CHECK(features_.Has(kNetHostUso));
      default:
        ANNULUS_CHECK(false);
    }
  }

  const FeatureSet features_;
  bool gone_ = false;
};

FeatureSet Features(uint8_t ring, uint8_t net) {
  FeatureSet features;
  const auto add = [&features](bool on, uint32_t bit) {
    if (on) features.Add(bit);
  };
  add((ring & 1) != 0, kFeatureRingPacked);
  add((ring & 2) != 0, kFeatureInOrder);
  add((net & 1) != 0, kNetHashReport);
  add((net & 2) != 0, kNetCsum);
  add((net & 6) == 6, kNetHostTso4);
  add((net & 10) == 10, kNetHostTso6);
  add((net & 14) == 14 && (net & 16) != 0, kNetHostEcn);
  add((net & 34) == 34, kNetHostUfo);
  add((net & 66) == 66, kNetHostUso);
  return features;
}

// What the backend may be given: these bytes, then so many of any value.
struct OfferedFrame {
  std::string known;
  size_t unknown = 0;

  bool Matches(const std::string& sent) const {
    return sent.size() == known.size() + unknown &&
           sent.compare(0, known.size(), known) == 0;
  }
};

class Machine {
 public:
  Machine(const memory::GuestMemory& memory, uint8_t ring, uint8_t net)
      : memory_(memory),
        features_(Features(ring, net)),
        header_bytes_(features_.Has(kNetHashReport) ? kNetHeaderHashBytes
                                                    : kNetHeaderBytes),
        indirect_(features_.Has(kFeatureRingPacked) && (ring & 8) != 0),
        driver_(memory, {.packed = features_.Has(kFeatureRingPacked),
                         .event_idx = (ring & 4) != 0,
                         .indirect = (ring & 8) != 0,
                         .in_order = features_.Has(kFeatureInOrder),
                         .size = SizeOf(ring),
                         .base = memory::GuestAddress(0),
                         .bytes = kFuzzRamBytes}),
        queue_(Virtqueue::Create(memory, driver_.config()).value()),
        backend_(features_),
        handler_(backend_, Options(SizeOf(ring)), counters_) {
    handler_.SetFeatures(features_);
    handler_.QueueStarted(queue_);
  }

  void Run(FuzzInput& input) {
    while (!input.empty()) {
      const uint8_t op = input.Byte();
      switch (op & 7) {
        case 3:
          Serve(1);
          break;
        case 4:
          Fail(input);
          break;
        case 5:
          // From here on only what the backend gets is looked at.
          hostile_ = true;
          backend_.keeps = false;
          ANNULUS_CHECK(
              memory_.Write(memory::GuestAddress(uint64_t{input.Number(2)} *
                                                 16 % kScribbledBytes),
                            input.Bytes(16)));
          break;
        default:
          Offer(op, input);
      }
    }
    backend_.failures.clear();
    Serve(1000);
    if (!hostile_) CheckAccounts();
    handler_.QueueStopped();
  }

 private:
  static uint16_t SizeOf(uint8_t ring) { return (ring & 16) != 0 ? 1024 : 16; }

  void Offer(uint8_t op, FuzzInput& input) {
    if (hostile_) return;  // Its buffers are lost: it would run out of memory.
    const uint32_t length = input.Number(2) * ((op & 0x80) != 0 ? 3 : 1);
    std::string bytes;
    for (const uint8_t byte : input.Bytes(header_bytes_)) {
      bytes += static_cast<char>(byte);
    }
    ++number_;
    bytes += FuzzPayload(number_, length);
    const uint8_t cuts = input.Byte();
    std::vector<std::string> pieces;
    const size_t step = size_t{1} + (cuts & 31);
    if ((op & 8) != 0 && (bytes.size() - 1) / step < 1024) {
      for (size_t at = 0; at < bytes.size(); at += step) {
        pieces.push_back(bytes.substr(at, step));
      }
    } else {
      size_t at = 0;
      for (uint8_t i = 0; i < cuts % 14 && at < bytes.size(); ++i) {
        const size_t size = 1u + input.Byte();
        pieces.push_back(bytes.substr(at, size));
        at += size;
      }
      if (at < bytes.size()) pieces.push_back(bytes.substr(at));
    }
    uint64_t room = 0;
    for (const std::string& piece : pieces) room += piece.size() + 16;
    if (room > kBufferBudget - in_flight_) return;
    FakeDriver::ChainBuilder chain = driver_.Chain();
    for (const std::string& piece : pieces) chain.Readable(piece);
    if ((op & 16) != 0) chain.Writable(kWritableBytes);
    if (!chain.Offer().has_value()) return;
    in_flight_ += room;
    ++offered_;
    // In a packed ring's indirect table nothing is taken for writable; what it
    // holds nobody wrote.
    const bool table = indirect_ && !pieces.empty() && pieces.size() < 16;
    const size_t unknown = (op & 16) != 0 && table ? kWritableBytes : 0;
    if (bytes.size() + unknown <= header_bytes_) return;
    const std::string known =
        bytes.substr(std::min(header_bytes_, bytes.size()));
    frames_.push_back(
        {known, bytes.size() + unknown - header_bytes_ - known.size()});
  }

  void Fail(FuzzInput& input) {
    uint8_t how;
    do {
      how = input.Byte();
      constexpr TransferStatus kHow[] = {
          TransferStatus::kAgain, TransferStatus::kAgain,
          TransferStatus::kDropped, TransferStatus::kGone};
      backend_.failures.push_back(kHow[how & 3]);
    } while ((how & 0x80) != 0 && !input.empty());
  }

  void Serve(int most) {
    for (int i = 0; i < most; ++i) {
      const bool more = handler_.Drain(queue_);
      (void)queue_.Publish();
      if (!more) {
        // Whoever waits for the backend does not wait for the driver.
        const QueueWait wait = handler_.Wait();
        ANNULUS_CHECK(!queue_.ok() || wait.buffers || wait.fds[0].fd == 1000);
        if (wait.buffers || !queue_.ok()) break;
      }
    }
    if (hostile_) return;
    ANNULUS_CHECK(queue_.ok() && !driver_.broken());
    while (std::optional<FakeDriver::Used> used = driver_.GetUsed()) {
      // One that another of its batch stands for counts as filled (§2.8.8): of
      // a table that is not looked at for room, too.
      ANNULUS_CHECK(used->len == 0 ||
                    (features_.Has(kFeatureInOrder) && indirect_ &&
                     used->len == kWritableBytes));
      ++used_;
    }
    if (used_ == offered_) in_flight_ = 0;
    // In order, and each at most once.
    for (; !backend_.sent.empty(); backend_.sent.pop_front()) {
      ++sent_;
      while (!frames_.empty() &&
             !frames_.front().Matches(backend_.sent.front())) {
        frames_.pop_front();
      }
      ANNULUS_CHECK(!frames_.empty());
      frames_.pop_front();
    }
  }

  void CheckAccounts() {
    uint64_t drops = 0;
    for (const Counter& drop : counters_.drops) drops += drop.value();
    ANNULUS_CHECK(used_ == offered_);
    ANNULUS_CHECK(counters_.frames.value() == sent_);
    ANNULUS_CHECK(sent_ + drops == used_);
  }

  const memory::GuestMemory& memory_;
  const FeatureSet features_;
  const size_t header_bytes_;
  const bool indirect_;  // Of a packed ring.
  FakeDriver driver_;
  Virtqueue queue_;
  Backend backend_;
  QueueCounters counters_;
  TransmitQueue handler_;
  bool hostile_ = false;
  uint32_t number_ = 0;
  uint64_t in_flight_ = 0;
  uint64_t offered_ = 0;
  uint64_t used_ = 0;
  uint64_t sent_ = 0;
  std::deque<OfferedFrame> frames_;
};

void RunOne(FuzzInput input) {
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(FuzzRam().Regions()).value();
  // Rings are zero at first; buffers are written before they are offered.
  static const std::vector<uint8_t> zeros(kScribbledBytes);
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
