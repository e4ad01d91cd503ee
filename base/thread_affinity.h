#ifndef BASE_THREAD_AFFINITY_H_
#define BASE_THREAD_AFFINITY_H_

#include <pthread.h>

#include "absl/status/status.h"

namespace annulus {

// Lets `thread` run on that CPU of the host only. InvalidArgument where there
// is none of that number, or this process may not use it.
//
// Threads: any.
absl::Status PinThread(pthread_t thread, int cpu);

}  // namespace annulus

#endif  // BASE_THREAD_AFFINITY_H_
