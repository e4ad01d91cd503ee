#include "tests/bench/proposal_chain.h"

#include <algorithm>

namespace annulus::bench {

void ProposalChain::LogWritten(const memory::GuestMemory& memory,
                               uint32_t written) const {
  uint64_t left = written;
  for (const virtio::ChainElement& element : writable()) {
    if (left == 0) return;
    const uint64_t here = std::min<uint64_t>(left, element.span.size());
    memory.MarkDirty(element.address, here);
    left -= here;
  }
}

}  // namespace annulus::bench
