#include "base/counting_allocator.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "absl/base/attributes.h"

namespace {
// Atomic: a compiler may assume that operator new changes no variable.
std::atomic<int> allocations{0};
}  // namespace

// Every other form of operator new ends here. Not inlined, or the compiler
// takes free() for the wrong partner of new.
ABSL_ATTRIBUTE_NOINLINE void* operator new(std::size_t bytes) {
  ++allocations;
  void* memory = std::malloc(bytes != 0 ? bytes : 1);
  if (memory == nullptr) std::abort();
  return memory;
}
ABSL_ATTRIBUTE_NOINLINE void operator delete(void* memory) noexcept {
  std::free(memory);
}
ABSL_ATTRIBUTE_NOINLINE void operator delete(void* memory,
                                             std::size_t) noexcept {
  std::free(memory);
}

namespace annulus {

int AllocationCount() { return allocations; }

}  // namespace annulus
