#ifndef BASE_CHECK_H_
#define BASE_CHECK_H_

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"

// ANNULUS_CHECK(condition): our own bug if false; prints the place and aborts.
// ANNULUS_DCHECK(condition): the same in debug builds, nothing otherwise.
//
// Trust: a condition must never depend on guest input, on a configuration file
// or on a peer's message; those fail with absl::Status or latch a queue.
// (Debian's Abseil has no absl/log, hence this pair.)

namespace annulus::internal {
[[noreturn]] ABSL_ATTRIBUTE_COLD void CheckFailed(const char* file, int line,
                                                  const char* condition);
}  // namespace annulus::internal

#define ANNULUS_CHECK(condition) \
  (ABSL_PREDICT_TRUE(condition)  \
       ? static_cast<void>(0)    \
       : ::annulus::internal::CheckFailed(__FILE__, __LINE__, #condition))

#ifdef NDEBUG
#define ANNULUS_DCHECK(condition) static_cast<void>(sizeof(condition))
#else
#define ANNULUS_DCHECK(condition) ANNULUS_CHECK(condition)
#endif

#endif  // BASE_CHECK_H_
