#include "memory/guest_span.h"

#include <cstring>

namespace annulus::memory {

// The copies race with the guest by design, and a hostile one makes them race
// on purpose; volatile bytes would be slow, so they are plain copies that
// ThreadSanitizer is told not to look at (its memcpy interceptor would).
#if defined(__SANITIZE_THREAD__)
#define ANNULUS_GUEST_RACES 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ANNULUS_GUEST_RACES 1
#endif
#endif

namespace {

#ifdef ANNULUS_GUEST_RACES
__attribute__((no_sanitize("thread"))) void Copy(uint8_t* to,
                                                 const uint8_t* from,
                                                 size_t size) {
  for (size_t i = 0; i < size; ++i) {
    __atomic_store_n(to + i, __atomic_load_n(from + i, __ATOMIC_RELAXED),
                     __ATOMIC_RELAXED);
  }
}
#else
void Copy(uint8_t* to, const uint8_t* from, size_t size) {
  std::memcpy(to, from, size);
}
#endif

}  // namespace

void GuestSpan::CopyOut(size_t offset, absl::Span<uint8_t> out) const {
  ANNULUS_DCHECK(offset <= size_ && out.size() <= size_ - offset);
  if (!out.empty()) Copy(out.data(), host_ + offset, out.size());
}

void GuestSpan::CopyIn(size_t offset, absl::Span<const uint8_t> in) const {
  ANNULUS_DCHECK(offset <= size_ && in.size() <= size_ - offset);
  if (!in.empty()) Copy(host_ + offset, in.data(), in.size());
}

void GuestSpan::Fill(size_t offset, size_t length, uint8_t value) const {
  ANNULUS_DCHECK(offset <= size_ && length <= size_ - offset);
  if (length != 0) std::memset(host_ + offset, value, length);
}

}  // namespace annulus::memory
