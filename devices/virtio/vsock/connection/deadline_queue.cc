#include "devices/virtio/vsock/connection/deadline_queue.h"

#include <algorithm>

namespace annulus::virtio {

void DeadlineQueue::Set(uint32_t id, int64_t deadline_ns) {
  if (deadline_ns == kNever) return Clear(id);
  if (id >= position_.size()) position_.resize(id + 1, kOut);
  if (position_[id] == kOut) {
    heap_.push_back({.deadline_ns = deadline_ns, .id = id});
    position_[id] = static_cast<uint32_t>(heap_.size() - 1);
  } else {
    heap_[position_[id]].deadline_ns = deadline_ns;
  }
  SiftUp(position_[id]);
  SiftDown(position_[id]);
}

void DeadlineQueue::Clear(uint32_t id) {
  if (id >= position_.size() || position_[id] == kOut) return;
  const size_t at = position_[id];
  position_[id] = kOut;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (at == heap_.size()) return;
  Place(at, last);
  SiftUp(at);
  SiftDown(position_[last.id]);
}

int64_t DeadlineQueue::earliest_ns() const {
  return heap_.empty() ? kNever : heap_.front().deadline_ns;
}

std::optional<uint32_t> DeadlineQueue::PopDue(int64_t now_ns) {
  if (heap_.empty() || heap_.front().deadline_ns > now_ns) return std::nullopt;
  const uint32_t id = heap_.front().id;
  Clear(id);
  return id;
}

void DeadlineQueue::Place(size_t at, Entry entry) {
  heap_[at] = entry;
  position_[entry.id] = static_cast<uint32_t>(at);
}

void DeadlineQueue::SiftUp(size_t at) {
  const Entry entry = heap_[at];
  while (at != 0) {
    const size_t parent = (at - 1) / 2;
    if (heap_[parent].deadline_ns <= entry.deadline_ns) break;
    Place(at, heap_[parent]);
    at = parent;
  }
  Place(at, entry);
}

void DeadlineQueue::SiftDown(size_t at) {
  const Entry entry = heap_[at];
  while (true) {
    size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() &&
        heap_[child + 1].deadline_ns < heap_[child].deadline_ns) {
      ++child;
    }
    if (heap_[child].deadline_ns >= entry.deadline_ns) break;
    Place(at, heap_[child]);
    at = child;
  }
  Place(at, entry);
}

}  // namespace annulus::virtio
