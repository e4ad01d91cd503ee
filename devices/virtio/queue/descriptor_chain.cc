#include "devices/virtio/queue/descriptor_chain.h"

#include <algorithm>
#include <optional>

#include "absl/base/optimization.h"
#include "base/check.h"
#include "base/checked_math.h"

namespace annulus::virtio {

Violation DescriptorChain::Append(const memory::GuestMemory& memory,
                                  uint64_t addr, uint32_t len, bool writable) {
  ANNULUS_DCHECK(count_ < elements_.size());
  // "The driver MUST place any device-writable descriptor elements after any
  // device-readable descriptor elements." (§2.7.4.2, §2.8.17)
  if (!writable && count_ != readable_count_) {
    return Violation::kReadableAfterWritable;
  }
  // Nothing forbids an empty element; its address is never used.
  if (len == 0) return Violation::kNone;
  // "Drivers MUST NOT add a descriptor chain longer than 2^32 bytes in total"
  // (§2.7.5.2). The very last of these byte counts is refused too, for the used
  // length has 32 bits.
  const std::optional<uint32_t> total =
      CheckedAdd<uint32_t>(readable_bytes_ + writable_bytes_, len);
  if (ABSL_PREDICT_FALSE(!total.has_value())) return Violation::kChainTooLarge;
  const memory::GuestAddress address(addr);
  const std::optional<memory::GuestSpan> span = memory.Map(address, len);
  if (ABSL_PREDICT_FALSE(!span.has_value())) {
    return Violation::kElementOutsideRam;
  }
  elements_[count_++] = {.span = *span, .address = address};
  if (writable) {
    writable_bytes_ += len;
  } else {
    readable_bytes_ += len;
    ++readable_count_;
  }
  return Violation::kNone;
}

void DescriptorChain::MarkWritten(const memory::GuestMemory& memory,
                                  uint32_t written) const {
  uint64_t left = written;
  for (const ChainElement& element : writable()) {
    if (left == 0) return;
    const uint64_t here = std::min<uint64_t>(left, element.span.size());
    memory.MarkDirty(element.address, here);
    left -= here;
  }
}

}  // namespace annulus::virtio
