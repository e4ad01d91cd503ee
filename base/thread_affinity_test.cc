#include "base/thread_affinity.h"

#include <pthread.h>
#include <sched.h>

#include <string>

#include "absl/status/status.h"
#include "base/thread.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(ThreadAffinityTest, ThreadRunsOnThatCpuOnly) {
  cpu_set_t allowed;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    cpu_set_t seen;
    absl::Status status;
    Thread thread = Thread::Start("pinned", [&] {
                      status = PinThread(pthread_self(), cpu);
                      ::sched_getaffinity(0, sizeof(seen), &seen);
                    }).value();
    thread.Join();
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(CPU_COUNT(&seen), 1);
    EXPECT_TRUE(CPU_ISSET(cpu, &seen));
  }
}

TEST(ThreadAffinityTest, CpuThatIsNotThereIsAnError) {
  for (const int cpu : {-1, CPU_SETSIZE - 1, CPU_SETSIZE, 1 << 30}) {
    const absl::Status status = PinThread(pthread_self(), cpu);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_NE(std::string(status.message()).find(std::to_string(cpu)),
              std::string::npos)
        << status;
  }
}

}  // namespace
}  // namespace annulus
