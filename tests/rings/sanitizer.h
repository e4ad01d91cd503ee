#ifndef TESTS_RINGS_SANITIZER_H_
#define TESTS_RINGS_SANITIZER_H_

namespace annulus::virtio {

// Whether everything is slow: tests that take as many steps as there is time
// for take fewer.
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

}  // namespace annulus::virtio

#endif  // TESTS_RINGS_SANITIZER_H_
