#include "devices/virtio/queue/descriptor_chain.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "devices/virtio/queue/queue_state.h"

namespace annulus::virtio {

void DescriptorChain::LogWritten(const memory::GuestMemory& memory,
                                 uint32_t written) const {
  uint64_t left = written;
  for (const ChainElement& element : writable()) {
    if (left == 0) return;
    const uint64_t here = std::min<uint64_t>(left, element.span.size());
    memory.MarkDirty(element.address, here);
    left -= here;
  }
}

absl::Status DescriptorChain::Resume(const memory::GuestMemory& memory,
                                     const ChainState& state) {
  const auto fail = [this](Violation violation) {
    Clear();
    return absl::InvalidArgumentError(
        absl::StrFormat("a saved chain cannot be resumed: %s",
                        ViolationToStatus(violation).message()));
  };
  Clear();
  if (state.readable.size() > max_descriptors_ ||
      state.writable.size() > max_descriptors_ - state.readable.size()) {
    return fail(Violation::kChainTooLong);
  }
  for (const bool writable : {false, true}) {
    for (const ElementState& element :
         writable ? state.writable : state.readable) {
      const Violation violation =
          Append(memory, element.address, element.bytes, writable);
      if (violation != Violation::kNone) return fail(violation);
    }
  }
  id_ = state.id;
  ring_descriptors_ = state.ring_descriptors;
  return absl::OkStatus();
}

}  // namespace annulus::virtio
