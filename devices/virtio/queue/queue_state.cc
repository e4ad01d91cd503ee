#include "devices/virtio/queue/queue_state.h"

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

bool IsKnownViolation(Violation violation) {
  return violation <= Violation::kLast;
}

}  // namespace annulus::virtio
