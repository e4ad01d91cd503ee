#include "devices/virtio/net/receive/split_receive_model.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/net/steering/flow_key.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"

namespace annulus::virtio {
namespace {

constexpr char kUntouched = static_cast<char>(0xee);

// Bytes of a frame; what lies beyond its end is nothing.
class Reader {
 public:
  explicit Reader(const std::string& bytes) : bytes_(bytes) {}
  size_t size() const { return bytes_.size(); }
  uint32_t At(size_t offset) const {
    return offset < bytes_.size() ? static_cast<uint8_t>(bytes_[offset]) : 0;
  }
  uint32_t Big16(size_t offset) const {
    return At(offset) << 8 | At(offset + 1);
  }

 private:
  const std::string& bytes_;
};

struct Transport {
  uint32_t protocol;
  size_t offset;
  size_t end;  // Of the IP packet; 0: not said.
};

std::optional<Transport> FindInIpv4(const Reader& frame, size_t ip) {
  if (ip + 20 > frame.size() || frame.At(ip) >> 4 != 4) return std::nullopt;
  const size_t header = (frame.At(ip) & 15) * size_t{4};
  const size_t total = frame.Big16(ip + 2);
  if (header < 20 || ip + header > frame.size() || total < header) {
    return std::nullopt;
  }
  if ((frame.Big16(ip + 6) & 0x3fff) != 0) return std::nullopt;
  return Transport{frame.At(ip + 9), ip + header, ip + total};
}

std::optional<Transport> FindInIpv6(const Reader& frame, size_t ip) {
  if (ip + 40 > frame.size() || frame.At(ip) >> 4 != 6) return std::nullopt;
  const size_t length = frame.Big16(ip + 4);
  uint32_t next = frame.At(ip + 6);
  size_t offset = ip + 40;
  for (int walked = 0; next != 6 && next != 17; ++walked) {
    const bool known = next == 0 || next == 43 || next == 60 || next == 51;
    if (!known || walked == 8 || offset + 8 > frame.size()) {
      return std::nullopt;
    }
    const size_t units = frame.At(offset + 1);
    const size_t bytes = next == 51 ? (units + 2) * 4 : (units + 1) * 8;
    next = frame.At(offset);
    offset += bytes;
    if (offset > frame.size()) return std::nullopt;
  }
  return Transport{next, offset, length == 0 ? 0 : ip + 40 + length};
}

}  // namespace

std::optional<ModelSplit> RecognizeByModel(const std::string& frame,
                                           const NetHeader& header) {
  const Reader bytes(frame);
  if (bytes.size() < 14) return std::nullopt;
  size_t ip = 14;
  uint32_t type = bytes.Big16(12);
  for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8); ++tags) {
    if (ip + 4 > bytes.size()) return std::nullopt;
    type = bytes.Big16(ip + 2);
    ip += 4;
  }
  const bool ipv6 = type == 0x86dd;
  if (!ipv6 && type != 0x0800) return std::nullopt;
  const std::optional<Transport> transport =
      ipv6 ? FindInIpv6(bytes, ip) : FindInIpv4(bytes, ip);
  if (!transport.has_value()) return std::nullopt;
  const size_t l4 = transport->offset;
  size_t end = l4 + 8;
  if (transport->protocol == 6) {
    if (l4 + 20 > bytes.size()) return std::nullopt;
    const size_t words = bytes.At(l4 + 12) >> 4;
    if (words < 5) return std::nullopt;
    end = l4 + words * 4;
  } else if (transport->protocol != 17) {
    return std::nullopt;
  }
  if (end > bytes.size()) return std::nullopt;
  if ((header.gso_type & 0x60) != 0) return std::nullopt;
  if ((header.flags & 1) != 0 && header.csum_start != l4) return std::nullopt;
  if (end == bytes.size()) return std::nullopt;
  if (transport->end != 0 && bytes.size() > transport->end) return std::nullopt;
  const bool tcp = transport->protocol == 6;
  return ModelSplit{
      ipv6 ? (tcp ? kSplitTcp6 : kSplitUdp6) : (tcp ? kSplitTcp4 : kSplitUdp4),
      end};
}

void SplitModel::Offer(const std::vector<uint32_t>& elements) {
  const size_t bytes =
      std::accumulate(elements.begin(), elements.end(), size_t{0});
  buffers_.push_back(
      {.elements = elements, .all = std::string(bytes, kUntouched)});
}

void SplitModel::Give(const std::string& frame, const NetHeader& header) {
  frames_.push_back({.bytes = frame, .header = header});
}

void SplitModel::Mispredicted() {
  for (Buffer& buffer : buffers_) buffer.may_be_dirty = true;
}

size_t SplitModel::offered_elements() const {
  size_t elements = 0;
  for (const Buffer& buffer : buffers_) elements += buffer.elements.size();
  return elements;
}

uint64_t SplitModel::Sum(size_t begin, size_t end) const {
  uint64_t bytes = 0;
  for (size_t i = begin; i < std::min(end, buffers_.size()); ++i) {
    bytes += buffers_[i].all.size();
  }
  return bytes;
}

bool SplitModel::IsData(const Buffer& buffer) const {
  return buffer.all.size() > split_.header_buffer_bytes;
}

uint64_t SplitModel::DataRoom() const {
  uint64_t bytes = 0;
  for (const Buffer& buffer : buffers_) {
    if (IsData(buffer)) bytes += buffer.all.size();
  }
  return bytes;
}

std::optional<ModelSplit> SplitModel::Eligible(const Frame& frame) const {
  const uint64_t types =
      slots_ != nullptr ? slots_->config.types : split_.types;
  const uint32_t threshold =
      slots_ != nullptr ? slots_->config.threshold : split_.threshold;
  const std::optional<ModelSplit> found =
      RecognizeByModel(frame.bytes, frame.header);
  if (!found.has_value() || (types & found->type) == 0) {
    return std::nullopt;
  }
  if (frame.bytes.size() <= threshold) return std::nullopt;
  return found;
}

// REQUIRES: there is a buffer.
SplitModel::Reasons SplitModel::WhyNot(SplitMethod method, size_t header,
                                       size_t payload) const {
  const Buffer& front = buffers_.front();
  const size_t whole = shape_.header_bytes() + header;
  Reasons why;
  switch (method) {
    case SplitMethod::kChain: {
      // Empty elements are none.
      std::vector<uint32_t> elements;
      for (const uint32_t size : front.elements) {
        if (size != 0) elements.push_back(size);
      }
      why.header_too_big = elements.empty() || whole > elements[0];
      why.no_space =
          elements.size() < 2 || payload > front.all.size() - elements[0];
      break;
    }
    case SplitMethod::kBuffers:
      why.header_too_big = whole > front.all.size();
      why.no_space = payload > Sum(1, buffers_.size());
      break;
    case SplitMethod::kSmallBuffers:
      why.header_too_big = whole > front.all.size() || IsData(front);
      // A data buffer in front may be called either.
      why.no_space = payload > DataRoom() || IsData(front);
      break;
    case SplitMethod::kHeaderQueue: {
      const uint16_t free = static_cast<uint16_t>(slots_->tail - slots_->head);
      why.header_too_big = header > slots_->config.slot_bytes;
      why.no_slot = free == 0;
      why.no_space = shape_.header_bytes() + payload >
                     Sum(0, shape_.mergeable ? buffers_.size() : 1);
      break;
    }
  }
  return why;
}

std::string SplitModel::Header(const Frame& frame, bool split,
                               size_t header_bytes, size_t num_buffers) const {
  NetHeader header = frame.header;
  ANNULUS_CHECK(CheckNetHeader(ReceiveRules(FeaturesOf(shape_)),
                               static_cast<uint32_t>(frame.bytes.size()),
                               header));
  if (split) {
    header.flags |= HeaderSplitNumbers{}.header_flag;
    header.hdr_len = static_cast<uint16_t>(header_bytes);
  }
  header.num_buffers = static_cast<uint16_t>(num_buffers);
  std::vector<uint8_t> bytes(kNetHeaderBytes);
  EncodeNetHeader(header, absl::MakeSpan(bytes));
  const auto put = [&bytes](uint64_t value, int width) {
    for (int i = 0; i < width; ++i) {
      bytes.push_back(static_cast<uint8_t>(value >> 8 * i));
    }
  };
  if (shape_.hash) {
    const std::vector<uint8_t> prefix(frame.bytes.begin(), frame.bytes.end());
    const FlowHash hash = rss_.Hash(absl::MakeConstSpan(prefix).first(
        std::min(prefix.size(), kFlowPrefixBytes)));
    put(hash.value, 4);
    put(hash.report, 2);
    put(0, 2);
  }
  if (shape_.header_queue) {
    const bool queued = split && slots_ != nullptr;
    put(queued ? slots_->head : 0, 2);
    put(queued ? slots_->config.id : 0, 2);
    put(0, 4);
  }
  return {bytes.begin(), bytes.end()};
}

// Moves buffers into the packet until they hold the stream: each full but the
// last, and small ones, of method C, left out.
void SplitModel::Fill(Packet& packet, const std::string& stream,
                      bool skips_small) {
  size_t done = 0;
  while (done < stream.size()) {
    ANNULUS_CHECK(!buffers_.empty());
    Buffer buffer = std::move(buffers_.front());
    buffers_.pop_front();
    if (!skips_small || IsData(buffer)) {
      const size_t here = std::min(stream.size() - done, buffer.all.size());
      buffer.all.replace(0, here, stream, done, here);
      buffer.len = static_cast<uint32_t>(here);
      done += here;
    }
    packet.buffers.push_back(std::move(buffer));
  }
}

SplitModel::Packet SplitModel::Take(const Frame& frame,
                                    std::optional<ModelSplit> split) {
  Packet packet;
  packet.frame = frame.bytes;
  packet.header = frame.header;
  const size_t head = split.has_value() ? split->header_bytes : 0;
  packet.split = split.has_value();
  packet.method = method();
  packet.header_bytes = head;
  const std::string header = frame.bytes.substr(0, head);
  const std::string payload = frame.bytes.substr(head);
  // The header has the number of buffers, which is known at the end only; it is
  // as long in any case.
  const std::string blank(shape_.header_bytes(), '\0');
  size_t first_element = 0;
  for (const uint32_t size : buffers_.front().elements) {
    if (first_element == 0) first_element = size;
  }
  if (!split.has_value() || method() == SplitMethod::kHeaderQueue) {
    Fill(packet, blank + payload, false);
  } else if (method() == SplitMethod::kChain) {
    Buffer buffer = std::move(buffers_.front());
    buffers_.pop_front();
    buffer.all.replace(blank.size(), head, header);
    buffer.all.replace(first_element, payload.size(), payload);
    buffer.len = static_cast<uint32_t>(first_element + payload.size());
    packet.hold_begin = blank.size() + head;
    packet.hold_end = first_element;
    packet.buffers.push_back(std::move(buffer));
  } else {
    Buffer buffer = std::move(buffers_.front());
    buffers_.pop_front();
    buffer.all.replace(blank.size(), head, header);
    buffer.len = static_cast<uint32_t>(blank.size() + head);
    packet.buffers.push_back(std::move(buffer));
    Fill(packet, payload, method() == SplitMethod::kSmallBuffers);
  }
  // It may be cut into several buffers, if they are small.
  const std::string bytes =
      Header(frame, packet.split, head, packet.buffers.size());
  size_t done = 0;
  for (Buffer& buffer : packet.buffers) {
    const size_t here = std::min(bytes.size() - done, buffer.all.size());
    buffer.all.replace(0, here, bytes, done, here);
    done += here;
  }
  if (packet.split && method() == SplitMethod::kHeaderQueue) {
    const size_t slots = size_t{1} << slots_->config.log_slots;
    slots_->all.replace(slots_->head % slots * slots_->config.slot_bytes, head,
                        header);
    ++slots_->head;
  }
  return packet;
}

std::vector<SplitModel::Packet> SplitModel::Serve() {
  std::vector<Packet> packets;
  const size_t least = shape_.header_bytes() + (shape_.mergeable ? 0 : 14);
  while (true) {
    if (!in_hand_.has_value()) {
      while (!buffers_.empty() && buffers_.front().all.size() < least) {
        packets.emplace_back();
        packets.back().buffers.push_back(std::move(buffers_.front()));
        buffers_.pop_front();
        ++counts_.short_buffers;
      }
      if (buffers_.empty() || frames_.empty()) return packets;
      in_hand_ = std::move(frames_.front());
      frames_.pop_front();
      NetHeader header = in_hand_->header;
      if (!CheckNetHeader(ReceiveRules(FeaturesOf(shape_)),
                          static_cast<uint32_t>(in_hand_->bytes.size()),
                          header)) {
        ++counts_.offload;
        in_hand_.reset();
        continue;
      }
    }
    const Frame& frame = *in_hand_;
    std::optional<ModelSplit> split;
    Reasons why;
    if (on()) {
      split = Eligible(frame);
      if (split.has_value()) {
        why = WhyNot(method(), split->header_bytes,
                     frame.bytes.size() - split->header_bytes);
      }
    }
    const bool splits = split.has_value() && !why.any();
    if (!splits && shape_.header_bytes() + frame.bytes.size() >
                       Sum(0, shape_.mergeable ? buffers_.size() : 1)) {
      if (shape_.mergeable) return packets;  // It waits.
      ++counts_.no_room;
      in_hand_.reset();
      continue;
    }
    ++counts_.frames;
    if (splits) {
      ++counts_.split_packets;
      counts_.split_header_bytes += split->header_bytes;
      counts_.split_payload_bytes += frame.bytes.size() - split->header_bytes;
    } else if (on() && !split.has_value()) {
      ++counts_.not_eligible;
    } else if (on()) {
      ++counts_.other_unsplit;
      const int reasons = why.header_too_big + why.no_slot + why.no_space;
      if (reasons == 1) {
        counts_.header_too_big += why.header_too_big;
        counts_.no_slot += why.no_slot;
        counts_.no_space += why.no_space;
      }
    }
    packets.push_back(Take(frame, splits ? split : std::nullopt));
    in_hand_.reset();
  }
}

}  // namespace annulus::virtio
