#ifndef TESTS_GUEST_USER_SIMPLE_QUEUE_H_
#define TESTS_GUEST_USER_SIMPLE_QUEUE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "tests/guest_user/deadline.h"
#include "tests/guest_user/dma_memory.h"
#include "tests/guest_user/user_ring.h"
#include "tests/guest_user/virtio_pci_device.h"

namespace annulus::guest_user {

// A queue with one request at a time: a card's transmitq for small frames, or
// its control virtqueue.
//
// Threads: thread-compatible.
template <typename Driver>
class SimpleQueue {
 public:
  static constexpr size_t kMaxReadableBytes = 256;
  static constexpr size_t kMaxWritableBytes = 64;

  // `memory` and `device` outlive the queue. `options.size` may be small.
  SimpleQueue(DmaMemory& memory, VirtioPciDevice& device, uint16_t index,
              const typename UserRing<Driver>::Options& options)
      : device_(device),
        index_(index),
        ring_(memory, options),
        readable_(memory.Allocate(kMaxReadableBytes, 64)),
        writable_(memory.Allocate(kMaxWritableBytes, 64)) {}

  const QueueAddresses& addresses() const { return ring_.addresses(); }

  // Has the device read `request`, and waits until it has used the buffer; what
  // it wrote meanwhile, answer.size() bytes, is then in `answer`.
  // REQUIRES: DRIVER_OK is set, and both are not longer than above.
  absl::Status Do(absl::Span<const uint8_t> request,
                  absl::Span<uint8_t> answer) {
    ANNULUS_CHECK(request.size() <= kMaxReadableBytes &&
                  answer.size() <= kMaxWritableBytes);
    std::memcpy(readable_.host, request.data(), request.size());
    // So that an answer that does not come is not an old one.
    std::memset(writable_.host, 0xff, answer.size());
    const virtio::DriverElement readable = {
        .addr = readable_.addr, .len = static_cast<uint32_t>(request.size())};
    const virtio::DriverElement writable = {
        .addr = writable_.addr, .len = static_cast<uint32_t>(answer.size())};
    Driver& driver = ring_.driver();
    ANNULUS_CHECK(driver.Add(&readable, 1, &writable, answer.empty() ? 0 : 1) !=
                  virtio::kNoDriverBuffer);
    if (driver.NeedsNotification()) device_.Notify(index_);
    uint16_t id = 0;
    uint32_t written = 0;
    const IdleTime idle;
    while (!driver.GetUsed(&id, &written)) {
      if (driver.broken() || device_.NeedsReset() || idle.too_long()) {
        return absl::UnavailableError(
            absl::StrCat("queue ", index_, ": the card does not answer"));
      }
    }
    std::copy_n(writable_.host, answer.size(), answer.begin());
    return absl::OkStatus();
  }

 private:
  VirtioPciDevice& device_;
  const uint16_t index_;
  UserRing<Driver> ring_;
  const DmaMemory::Block readable_;
  const DmaMemory::Block writable_;
};

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_SIMPLE_QUEUE_H_
