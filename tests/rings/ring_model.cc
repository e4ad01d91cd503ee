#include "tests/rings/ring_model.h"

#include <utility>

namespace annulus::virtio::model {

uint32_t WritableBytes(const Buffer& buffer) {
  uint32_t bytes = 0;
  for (const Element& element : buffer) {
    if (element.writable) bytes += element.len;
  }
  return bytes;
}

Verdict RingModel::CheckBuffer(const Buffer& buffer, uint16_t id,
                               size_t descriptors) const {
  if (buffer.empty()) return "a buffer has at least one element (§2.8)";
  for (size_t i = 1; i < buffer.size(); ++i) {
    if (buffer[i - 1].writable && !buffer[i].writable) {
      return "readable elements come before writable ones (§2.7.4.2, §2.8.17)";
    }
  }
  if (buffer.size() > size_) {
    return "a list is no longer than the queue size (§2.7.5.3.1, §2.8.17)";
  }
  if (descriptors > free_descriptors_) {
    return "there must be room for the whole list (§2.8.17)";
  }
  if (ids_.count(id) != 0) return "the id is in flight";
  return "";
}

void RingModel::AddAvailable(InFlight in_flight) {
  free_descriptors_ -= static_cast<uint32_t>(in_flight.descriptors.size());
  ids_.insert(in_flight.id);
  available_.push_back(std::move(in_flight));
}

void RingModel::TakeAvailable() {
  taken_.push_back(std::move(available_.front()));
  available_.pop_front();
}

Verdict RingModel::Complete(size_t index, uint32_t written) {
  if (features_.in_order && index != 0) {
    return "buffers are used in the order in which they came (§6.2)";
  }
  if (written > WritableBytes(taken_[index].buffer)) {
    return "more bytes written than there is room for";
  }
  completed_.push_back(std::move(taken_[index]));
  completed_.back().written = written;
  taken_.erase(taken_.begin() + static_cast<std::ptrdiff_t>(index));
  return "";
}

Verdict RingModel::ExposeUsed(const std::vector<bool>& own) {
  if (own.size() != completed_.size()) return "one answer for each buffer";
  if (!own.empty() && !own.back()) {
    return "a batch is told of by the used element of its last buffer (§2.8.8)";
  }
  size_t buffers = 0;
  size_t descriptors = 0;
  for (size_t i = 0; i < completed_.size(); ++i) {
    ++buffers;
    descriptors += completed_[i].descriptors.size();
    if (own[i]) {
      WriteUsed(completed_[i], buffers, descriptors);
      buffers = 0;
      descriptors = 0;
      continue;
    }
    if (!features_.in_order) {
      return "only VIRTIO_F_IN_ORDER lets a buffer go without used element";
    }
    // "The skipped buffers (for which no used descriptor was written) are
    // assumed to have been used (read or written) by the device completely."
    // (§2.7.9, §2.8.8)
    if (completed_[i].written != WritableBytes(completed_[i].buffer)) {
      return "a skipped buffer was not written completely (§2.7.9, §2.8.8)";
    }
  }
  for (InFlight& in_flight : completed_) used_.push_back(std::move(in_flight));
  completed_.clear();
  return "";
}

std::optional<RingModel::Used> RingModel::NextUsed() const {
  if (used_.empty()) return std::nullopt;
  return Used{.id = used_.front().id, .len = used_.front().written};
}

void RingModel::TakeUsed() {
  free_descriptors_ += static_cast<uint32_t>(used_.front().descriptors.size());
  ids_.erase(used_.front().id);
  Freed(used_.front());
  used_.pop_front();
}

}  // namespace annulus::virtio::model
