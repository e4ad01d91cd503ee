#include "devices/virtio/queue/queue_state.h"

#include "absl/strings/str_format.h"
#include "base/check.h"

namespace annulus::virtio {

ChainState SaveChain(const DescriptorChain& chain) {
  ANNULUS_DCHECK(chain.pending());
  ChainState state;
  state.id = chain.id();
  state.ring_descriptors = chain.ring_descriptors();
  for (const ChainElement& element : chain.readable()) {
    // A chain's bytes fit into 32 bits, and so do those of an element.
    state.readable.push_back(
        {.address = element.address.value(),
         .bytes = static_cast<uint32_t>(element.span.size())});
  }
  for (const ChainElement& element : chain.writable()) {
    state.writable.push_back(
        {.address = element.address.value(),
         .bytes = static_cast<uint32_t>(element.span.size())});
  }
  return state;
}

absl::Status CheckQueueState(const QueueState& state, bool packed,
                             uint16_t size) {
  if (state.packed != packed || state.size != size) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the saved queue is a %s one of size %u, not %s of size %u",
        state.packed ? "packed" : "split", state.size,
        packed ? "packed" : "split", size));
  }
  if (state.violation > Violation::kLast) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the saved violation %u does not exist",
                        static_cast<unsigned>(state.violation)));
  }
  return absl::OkStatus();
}

}  // namespace annulus::virtio
