#include "base/settle_heap.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <cstddef>
#include <cstdlib>
#include <vector>

#include "base/thread.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

constexpr int kThreads = 24;

// More heaps than may be there, each of which grows and shrinks.
void UseHeaps() {
  std::barrier all_are_there(kThreads);
  std::vector<Thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    absl::StatusOr<Thread> thread = Thread::Start("heap", [&all_are_there] {
      std::vector<void*> blocks;
      for (int block = 0; block < 8; ++block) {
        blocks.push_back(std::malloc(100'000));
      }
      all_are_there.arrive_and_wait();
      for (void* block : blocks) std::free(block);
    });
    if (!thread.ok()) ::_exit(2);
    threads.push_back(*std::move(thread));
  }
}

// From now on to open a file is the end of this process.
bool ForbidToOpen() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {.len = 4, .filter = program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

// How a process ends that does `first`, may open nothing any more, and then
// does `second`.
template <typename First, typename Second>
int StatusOf(First first, Second second) {
  const pid_t child = ::fork();
  if (child == 0) {
    first();
    if (!ForbidToOpen()) ::_exit(3);
    second();
    ::_exit(0);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST(SettleHeapTest, HeapsOfThreadsOpenNothingAfterIt) {
  const int status = StatusOf(&SettleHeap, &UseHeaps);
  EXPECT_TRUE(WIFEXITED(status)) << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(SettleHeapTest, FileThatIsOpenedIsSeen) {
  const int status =
      StatusOf([] {}, [] { (void)::open("/dev/null", O_RDONLY); });
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGSYS);
}

}  // namespace
}  // namespace annulus
