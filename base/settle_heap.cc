#include "base/settle_heap.h"

#include <malloc.h>

#include <array>
#include <cstddef>
#include <cstdlib>

#include "absl/status/statusor.h"
#include "base/thread.h"
#include "base/thread_setup.h"

namespace annulus {
namespace {

// More than M_TRIM_THRESHOLD together, each less than M_MMAP_THRESHOLD. Their
// pages are not touched.
constexpr size_t kBlockBytes = 100'000;

void ShrinkOwnHeap() {
  std::array<void*, 4> blocks;
  for (void*& block : blocks) {
    block = std::malloc(kBlockBytes);
    asm("" : : "r"(block) : "memory");  // Else nobody would have to allocate.
  }
  for (void* block : blocks) std::free(block);
}

// For a third heap, that of the first thread included.
void UseOwnHeap() {
  void* block = std::malloc(1);
  asm("" : : "r"(block) : "memory");
  std::free(block);
}

bool SettleOnce() {
#ifdef M_ARENA_TEST
  // How many heaps may be there is asked behind this number of them, once:
  // afterwards the number has no meaning.
  ::mallopt(M_ARENA_TEST, 1);
#endif
  // They do what no sandbox lets them do.
  const ScopedThreadSetup none(nullptr);
  // The process's first thread has a heap of another kind. Without the threads
  // it is all later.
  (void)Thread::Start("annulus/heap", [] {
    ShrinkOwnHeap();
    (void)Thread::Start("annulus/heap", &UseOwnHeap);
  });
  return true;
}

}  // namespace

void SettleHeap() { [[maybe_unused]] static const bool once = SettleOnce(); }

}  // namespace annulus
