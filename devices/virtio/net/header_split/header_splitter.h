#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_HEADER_SPLITTER_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_HEADER_SPLITTER_H_

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/types/span.h"
#include "devices/virtio/net/header_split/header_predictor.h"
#include "devices/virtio/net/header_split/header_queue.h"
#include "devices/virtio/net/header_split/placement.h"
#include "devices/virtio/net/header_split/split_counters.h"
#include "devices/virtio/net/header_split/split_point.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/receive/receive_window.h"
#include "devices/virtio/net/receive/received_frame.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {

// What becomes of the frame in hand.
struct SplitDecision {
  enum class Verdict : uint8_t {
    kSplit,
    kNotEligible,  // Its kind, its size, or not enabled.
    kHeaderTooBig,
    kNoSlot,
    kNoSpace,
  };

  Verdict verdict = Verdict::kNotEligible;
  // The rest holds if it is split.
  uint32_t header_bytes = 0;
  Placement placement = {};
  uint16_t slot = 0;  // Q: claimed for this frame.
};

// Header-split receive of one receiveq: decides for each frame whether it is
// split, and before, from what came earlier, how it is to be read so that
// little remains to be done. docs/header_split.md has the rules,
// docs/hot_path.md the costs.
//
// A frame that is not split for whatever reason is received as ever: it is not
// dropped for that, and waits no longer.
//
// Threads: Configure() while no frame is read; all on the queue's worker.
// Trust: frames and all that a window has are hostile.
// Allocation: none.
class HeaderSplitter {
 public:
  // `counters` outlive the splitter.
  explicit HeaderSplitter(SplitCounters& counters) : counters_(counters) {}

  // Cold. As the driver wants it from now on: with `header_queue`, by method Q;
  // without, which is null, as `settings` say, whose method goes with the
  // window. A header queue that does not lie in `memory` has no slots.
  void Configure(const SplitSettings& settings,
                 std::shared_ptr<HeaderQueue> header_queue,
                 const memory::GuestMemory& memory, ReceiveWindow& window);

  // Nothing is split, and nothing of the guest's memory is in use.
  void TurnOff();

  // False: frames are read and delivered without the splitter.
  bool on() const { return types_ != 0; }

  // A: frames are read so that no byte behind a header is touched.
  bool keeps_hold() const { return on() && method_ == SplitMethod::kChain; }

  // Hot. Where to read the next frame. REQUIRES: on(), and as ReceiveWindow
  // says of any offer.
  absl::Span<const iovec> Read(ReceivedFrame& frame, ReceiveWindow& window);

  // Hot. Looks at the frame that has come. REQUIRES: `vectors` as for
  // ReceivedFrame::Prefix().
  void Examine(ReceivedFrame& frame, absl::Span<const iovec> vectors,
               const NetHeader& header);

  // Forgets what Examine() saw: the frame is not to be split.
  void PassOver() { point_ = {}; }

  // Hot. REQUIRES: the frame was examined or passed over. A slot that is
  // claimed for it is lost unless the frame is delivered as decided.
  SplitDecision Decide(const ReceivedFrame& frame, ReceiveWindow& window);

  // Hot. Where the header goes: false, behind the driver's header; true, it was
  // written to its slot. REQUIRES: decision.verdict is kSplit.
  bool WriteToSlot(const SplitDecision& decision,
                   absl::Span<const uint8_t> header);
  // REQUIRES: WriteToSlot() was true.
  uint16_t header_queue_id() const { return slots_->config().id; }

  // Hot. The frame was delivered as decided; `in_place` if it had been read to
  // where it belonged. To be called before it is forgotten.
  void Delivered(const ReceivedFrame& frame, const SplitDecision& decision,
                 bool in_place);

 private:
  std::optional<uint32_t> AsideForWhole(ReceiveWindow& window) const;
  bool MayBeSplit(ReceiveWindow& window, uint32_t header_bytes) const;
  Placement Place(ReceiveWindow& window, uint32_t header_bytes,
                  uint32_t payload_bytes) const;

  SplitCounters& counters_;
  HeaderPredictor predictor_;

  uint64_t types_ = 0;
  uint32_t threshold_ = 0;
  SplitMethod method_ = SplitMethod::kChain;
  std::shared_ptr<HeaderQueue> header_queue_;  // Q: what slots_ is a view of.
  std::optional<HeaderSlots> slots_;

  // Of the frame in hand.
  SplitPoint point_;
  bool read_unsure_ = false;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_HEADER_SPLITTER_H_
