#ifndef BASE_SANITIZER_H_
#define BASE_SANITIZER_H_

namespace annulus {

// Whether AddressSanitizer or ThreadSanitizer watches: everything is slow,
// memory is not what the program alone uses, and the sanitizer makes system
// calls of its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitizer = true;
#else
inline constexpr bool kSanitizer = false;
#endif
#else
inline constexpr bool kSanitizer = false;
#endif

}  // namespace annulus

#endif  // BASE_SANITIZER_H_
