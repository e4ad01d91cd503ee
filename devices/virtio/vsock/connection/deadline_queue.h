#ifndef DEVICES_VIRTIO_VSOCK_CONNECTION_DEADLINE_QUEUE_H_
#define DEVICES_VIRTIO_VSOCK_CONNECTION_DEADLINE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace annulus::virtio {

// When each of a number of things is to be looked at next: an indexed heap.
//
// Threads: thread-compatible.
// Allocation: Set() of an id that is greater than any before.
class DeadlineQueue {
 public:
  // `id` is small: there is a word for each up to the greatest one. kNever, or
  // Clear(), takes it out.
  void Set(uint32_t id, int64_t deadline_ns);
  void Clear(uint32_t id);

  // Of all; kNever if there is none.
  int64_t earliest_ns() const;

  // The one with the earliest deadline, if that is not after `now_ns`, which it
  // then loses.
  std::optional<uint32_t> PopDue(int64_t now_ns);

  static constexpr int64_t kNever = INT64_MAX;

 private:
  struct Entry {
    int64_t deadline_ns;
    uint32_t id;
  };
  static constexpr uint32_t kOut = UINT32_MAX;

  void Place(size_t at, Entry entry);
  void SiftUp(size_t at);
  void SiftDown(size_t at);

  std::vector<Entry> heap_;
  std::vector<uint32_t> position_;  // In the heap, by id; kOut: nowhere.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_CONNECTION_DEADLINE_QUEUE_H_
