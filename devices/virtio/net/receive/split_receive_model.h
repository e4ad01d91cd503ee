#ifndef DEVICES_VIRTIO_NET_RECEIVE_SPLIT_RECEIVE_MODEL_H_
#define DEVICES_VIRTIO_NET_RECEIVE_SPLIT_RECEIVE_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/virtio/net/header_split/header_queue.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/net_header.h"
#include "devices/virtio/net/receive/split_receive_fixture.h"
#include "devices/virtio/net/steering/rss.h"

namespace annulus::virtio {

// Where a frame is split, by the definition of header-split receive read a
// second time: slow, and with nothing of the device's. nullopt: not at all.
struct ModelSplit {
  uint64_t type;
  size_t header_bytes;
};
std::optional<ModelSplit> RecognizeByModel(const std::string& frame,
                                           const NetHeader& header);

// What a driver must see of a receiveq with header split, to the last byte: it
// is offered the same buffers and given the same frames as a device, and served
// when that is.
//
// Threads: thread-compatible.
class SplitModel {
 public:
  // One used buffer.
  struct Buffer {
    std::vector<uint32_t> elements;  // As they were offered.
    uint32_t len = 0;
    std::string all;  // Of the writable part: 0xee where nobody writes.
    // A frame may have been read into it that it did not get.
    bool may_be_dirty = false;
  };
  // One frame, or a buffer given back without one.
  struct Packet {
    std::string frame;
    NetHeader header;  // Of the backend.
    bool split = false;
    SplitMethod method = SplitMethod::kChain;  // If split.
    size_t header_bytes = 0;                   // If split: of the frame.
    size_t hold_begin = 0;  // Method A: what the device leaves alone in
    size_t hold_end = 0;    // the first buffer.
    std::vector<Buffer> buffers;
  };

  explicit SplitModel(const SplitShape& shape) : shape_(shape) {}

  void Set(const SplitSettings& split) { split_ = split; }
  void SetRss(const RssConfig& rss) { rss_ = rss; }
  // A header queue and what is in its slots; null detaches.
  struct Slots {
    HeaderQueueConfig config;
    uint16_t head = 0;
    uint16_t tail = 0;
    std::string all;
  };
  void Attach(std::shared_ptr<Slots> slots) { slots_ = std::move(slots); }

  void Offer(const std::vector<uint32_t>& elements);
  void Give(const std::string& frame, const NetHeader& header);
  std::vector<Packet> Serve();
  // The device read a frame to where it did not belong.
  void Mispredicted();

  bool waits() const { return in_hand_.has_value(); }
  size_t offered_elements() const;

  // What the counters are to be. Of the last three, where more than one reason
  // would do, any may be counted: how many frames there are for sure, and how
  // many all together.
  struct Counts {
    uint64_t frames = 0;
    uint64_t short_buffers = 0;
    uint64_t no_room = 0;  // Dropped.
    uint64_t offload = 0;  // Dropped.
    uint64_t split_packets = 0;
    uint64_t split_header_bytes = 0;
    uint64_t split_payload_bytes = 0;
    uint64_t not_eligible = 0;
    uint64_t header_too_big = 0;
    uint64_t no_slot = 0;
    uint64_t no_space = 0;
    uint64_t other_unsplit = 0;  // Of one of the last three, all in all.
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Frame {
    std::string bytes;
    NetHeader header;
  };
  struct Reasons {
    bool header_too_big = false;
    bool no_slot = false;
    bool no_space = false;
    bool any() const { return header_too_big || no_slot || no_space; }
  };

  bool on() const { return slots_ != nullptr || split_.types != 0; }
  SplitMethod method() const {
    return slots_ != nullptr ? SplitMethod::kHeaderQueue : split_.method;
  }
  uint64_t Sum(size_t begin, size_t end) const;
  bool IsData(const Buffer& buffer) const;
  uint64_t DataRoom() const;
  std::optional<ModelSplit> Eligible(const Frame& frame) const;
  Reasons WhyNot(SplitMethod method, size_t header, size_t payload) const;
  std::string Header(const Frame& frame, bool split, size_t header_bytes,
                     size_t num_buffers) const;
  Packet Take(const Frame& frame, std::optional<ModelSplit> split);
  void Fill(Packet& packet, const std::string& stream, bool skips_small);

  const SplitShape shape_;
  SplitSettings split_;
  RssConfig rss_;
  std::shared_ptr<Slots> slots_;
  std::deque<Buffer> buffers_;
  std::deque<Frame> frames_;
  std::optional<Frame> in_hand_;
  Counts counts_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_RECEIVE_SPLIT_RECEIVE_MODEL_H_
