#ifndef MEMORY_SHARED_ACCESS_H_
#define MEMORY_SHARED_ACCESS_H_

// Every access of a ring's two sides to the memory that they share goes through
// these functions: the device's by way of GuestSpan, the driver's directly. One
// place, so that a checker of interleavings can stand in for the hardware
// (ANNULUS_SHARED_ACCESS_HOOKS; see tests/interleaving) and show what both
// sides do under each order in which a processor may let them happen.
//
// Freestanding: guests include it too. Values are in host order.

namespace annulus::memory {

// Bytes that the processor moves between its caches at a time.
inline constexpr unsigned kCacheLineBytes = 64;

#ifdef ANNULUS_SHARED_ACCESS_HOOKS

// Defined by whoever compiles with the hooks. `bytes` is 1, 2, 4 or 8, `order`
// one of __ATOMIC_*.
unsigned long long HookedLoad(const void* at, unsigned bytes, int order);
void HookedStore(void* at, unsigned long long value, unsigned bytes, int order);
void HookedFence();

template <typename T>
inline T SharedLoad(const T* at, int order) {
  return static_cast<T>(HookedLoad(at, sizeof(T), order));
}
template <typename T>
inline void SharedStore(T* at, decltype(T()) value, int order) {
  HookedStore(at, value, sizeof(T), order);
}
inline void FullFence() { HookedFence(); }
inline void PrefetchForWrite(unsigned long /*address*/) {}

#else

// Hot. One access, never torn; `order` is one of __ATOMIC_*. REQUIRES: `at` is
// aligned to sizeof(T). The memory may be declared as another type. decltype
// keeps the value out of the deduction of T, so that a 0 takes the width of
// where it goes.
template <typename T>
inline T SharedLoad(const T* at, int order) {
  using Aliased [[gnu::may_alias]] = T;
  return __atomic_load_n(static_cast<const Aliased*>(at), order);
}
template <typename T>
inline void SharedStore(T* at, decltype(T()) value, int order) {
  using Aliased [[gnu::may_alias]] = T;
  __atomic_store_n(static_cast<Aliased*>(at), value, order);
}

// Hot. Sequentially consistent: between a store and a later load of another
// location, which no weaker fence orders.
inline void FullFence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// Hot. Asks for the cache line of a host address that the other side wrote last
// and this side is about to read and then to write: one transfer, where reading
// and then writing would be two. A hint, never a fault: the address may be
// anything, hence no pointer. Not __builtin_prefetch, which for the baseline of
// x86-64 is compiled to a prefetch for reading.
inline void PrefetchForWrite(unsigned long address) {
  asm volatile("prefetchw (%0)" : : "r"(address));
}

#endif  // ANNULUS_SHARED_ACCESS_HOOKS

}  // namespace annulus::memory

#endif  // MEMORY_SHARED_ACCESS_H_
