#ifndef MEMORY_GUEST_SPAN_H_
#define MEMORY_GUEST_SPAN_H_

#include <sys/uio.h>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "base/check.h"
#include "memory/little_endian.h"
#include "memory/shared_access.h"

namespace annulus::memory {

// A piece of guest RAM that has been bounds-checked and is mapped in one run.
// It is handed out by GuestMemory and is valid as long as that is.
//
// Guest RAM is volatile shared memory: vCPUs and other queues change it at any
// time. A value is therefore loaded once into a local, and no reference into
// the span ever leaves this class except as an iovec for the kernel.
//
// Threads: a value type; the memory behind it is shared with the guest.
// Trust: the bytes are guest-controlled. Offsets are trusted: they come from
//   checked indices, and are only DCHECKed here.
// Allocation: none.
class GuestSpan {
 public:
  GuestSpan() = default;
  // For GuestMemory and for tests on memory of their own.
  GuestSpan(uint8_t* host, size_t size) : host_(host), size_(size) {}

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // The piece [offset, offset + length). REQUIRES: it lies inside.
  GuestSpan Subspan(size_t offset, size_t length) const {
    ANNULUS_DCHECK(offset <= size_ && length <= size_ - offset);
    return GuestSpan(host_ + offset, length);
  }

  // Hot. One atomic little-endian access: never torn.
  // REQUIRES: `offset` is a multiple of sizeof(T) from an aligned span start.
  template <std::unsigned_integral T>
  T Load(size_t offset, std::memory_order order) const {
    return LittleEndian(SharedLoad(At<T>(offset), static_cast<int>(order)));
  }
  template <std::unsigned_integral T>
  void Store(size_t offset, T value, std::memory_order order) const {
    SharedStore(At<T>(offset), LittleEndian(value), static_cast<int>(order));
  }

  // Hot. See memory::PrefetchForWrite(). `offset` may lie outside.
  void PrefetchForWrite(size_t offset) const {
    memory::PrefetchForWrite(reinterpret_cast<uintptr_t>(host_) + offset);
  }

  // Copies bytes out of or into guest RAM, each byte accessed once. Not atomic
  // as a whole: what the guest writes meanwhile may be seen in part.
  void CopyOut(size_t offset, absl::Span<uint8_t> out) const;
  void CopyIn(size_t offset, absl::Span<const uint8_t> in) const;
  void Fill(size_t offset, size_t length, uint8_t value) const;

  // For readv(2), writev(2) and the like: the kernel bears the guest's races.
  iovec AsIovec() const { return {host_, size_}; }

 private:
  template <typename T>
  T* At(size_t offset) const {
    ANNULUS_DCHECK(offset <= size_ && sizeof(T) <= size_ - offset);
    return reinterpret_cast<T*>(host_ + offset);
  }

  uint8_t* host_ = nullptr;
  size_t size_ = 0;
};

}  // namespace annulus::memory

#endif  // MEMORY_GUEST_SPAN_H_
