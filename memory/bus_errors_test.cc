#include "memory/bus_errors.h"

#include <linux/filter.h>
#include <linux/memfd.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "memory/guarded_mapping.h"

namespace annulus::memory {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kHugepage = 2 << 20;

UniqueFd Memfd(uint64_t size, unsigned flags = 0) {
  UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | flags));
  EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  return fd;
}

void CutOff(const UniqueFd& fd) { ASSERT_EQ(::ftruncate(fd.get(), 0), 0); }

void WaitFor(const EventFd& event) {
  pollfd fd = {event.fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&fd, 1, -1), 1);
}

// Accesses that no compiler leaves out.
uint8_t Read(const uint8_t* at) {
  return __atomic_load_n(at, __ATOMIC_RELAXED);
}
void Write(uint8_t* at, uint8_t value) {
  __atomic_store_n(at, value, __ATOMIC_RELAXED);
}

class BusErrorsTest : public ::testing::Test {
 protected:
  BusErrorsTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  void SetUp() override { ASSERT_TRUE(lost_.ok() && other_lost_.ok()); }

  absl::StatusOr<EventFd> lost_ = EventFd::Create();
  absl::StatusOr<EventFd> other_lost_ = EventFd::Create();
};

TEST_F(BusErrorsTest, MappingOfFileThatWasCutOffBecomesZeroes) {
  ASSERT_TRUE(HandleBusErrors().ok());
  ASSERT_TRUE(HandleBusErrors().ok());  // Twice does no harm.
  const UniqueFd fd = Memfd(8 * kPage);
  const UniqueFd other_fd = Memfd(kPage);
  auto mapping = GuardedMapping::Map(fd.get(), kPage, 7 * kPage, *lost_);
  auto other = GuardedMapping::Map(other_fd.get(), 0, kPage, *other_lost_);
  ASSERT_TRUE(mapping.ok() && other.ok());
  Write(mapping->data(), 1);
  Write(other->data(), 2);

  ASSERT_EQ(::ftruncate(fd.get(), 2 * kPage), 0);
  EXPECT_EQ(Read(mapping->data()), 1) << "that page is there still";
  EXPECT_FALSE(mapping->lost());
  errno = ERANGE;
  EXPECT_EQ(Read(mapping->data() + 6 * kPage), 0);
  EXPECT_EQ(errno, ERANGE);
  EXPECT_TRUE(mapping->lost());
  EXPECT_EQ(lost_->Drain(), 1u);
  EXPECT_EQ(Read(mapping->data()), 0) << "all of it was replaced";

  // Nothing faults any more, and nothing reaches the file.
  for (uint64_t page = 0; page < 7; ++page) {
    Write(mapping->data() + page * kPage, 3);
  }
  uint8_t byte = 0;
  ASSERT_EQ(::pread(fd.get(), &byte, 1, kPage), 1);
  EXPECT_EQ(byte, 1);
  EXPECT_EQ(lost_->Drain(), 0u);

  EXPECT_FALSE(other->lost());
  EXPECT_EQ(other_lost_->Drain(), 0u);
  EXPECT_EQ(Read(other->data()), 2);
}

TEST_F(BusErrorsTest, ThreadsInTheMiddleOfItGoOn) {
  ASSERT_TRUE(HandleBusErrors().ok());
  constexpr uint64_t kPages = 64;
  const UniqueFd fd = Memfd(kPages * kPage);
  const UniqueFd other_fd = Memfd(kPages * kPage);
  auto mapping = GuardedMapping::Map(fd.get(), 0, kPages * kPage, *lost_);
  auto other =
      GuardedMapping::Map(other_fd.get(), 0, kPages * kPage, *other_lost_);
  ASSERT_TRUE(mapping.ok() && other.ok());
  const auto touch = [&] {
    for (uint64_t i = 0; !mapping->lost(); ++i) {
      Write(mapping->data() + i % kPages * kPage, static_cast<uint8_t>(i));
      Write(other->data() + i % kPages * kPage, 7);
    }
    // And after it.
    for (uint64_t i = 0; i < kPages; ++i) {
      Write(mapping->data() + i * kPage, 9);
      Write(other->data() + i * kPage, 7);
    }
  };
  std::vector<Thread> threads;
  for (int i = 0; i < 3; ++i) {
    absl::StatusOr<Thread> thread = Thread::Start("toucher", touch);
    ASSERT_TRUE(thread.ok());
    threads.push_back(*std::move(thread));
  }
  CutOff(fd);
  WaitFor(*lost_);
  EXPECT_TRUE(mapping->lost());
  threads.clear();
  EXPECT_EQ(other_lost_->Drain(), 0u);
  for (uint64_t i = 0; i < kPages; ++i) {
    ASSERT_EQ(Read(other->data() + i * kPage), 7);
  }
}

// From now on mmap() of 1 GiB and more fails as it does for private memory
// under vm.overcommit_memory=2, which is not a test's to set.
bool RefuseLargeMappings() {
  std::array<sock_filter, 6> filter = {
      {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
       BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 1u << 30, 0, 1),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog program = {.len = filter.size(), .filter = filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_F(BusErrorsTest, HostThatPromisesNoMemoryForAllOfItHasItForAPage) {
  const auto touch = [this] {
    constexpr uint64_t kBytes = uint64_t{1} << 30;
    const UniqueFd fd = Memfd(kBytes);
    auto mapping = GuardedMapping::Map(fd.get(), 0, kBytes, *lost_);
    if (!HandleBusErrors().ok() || !mapping.ok()) ::_exit(1);
    if (!RefuseLargeMappings()) ::_exit(2);
    CutOff(fd);
    Write(mapping->data() + 5 * kPage, 1);
    Write(mapping->data() + kBytes - 1, 2);
    const bool kept = Read(mapping->data() + 5 * kPage) == 1;
    ::_exit(kept && mapping->lost() && lost_->Drain() == 2 ? 0 : 3);
  };
  EXPECT_EXIT(touch(), ::testing::ExitedWithCode(0), "");
}

TEST_F(BusErrorsTest, HugepagesAreReplacedToo) {
  ASSERT_TRUE(HandleBusErrors().ok());
  const UniqueFd fd = Memfd(2 * kHugepage, MFD_HUGETLB | MFD_HUGE_2MB);
  auto mapping =
      GuardedMapping::Map(fd.get(), kPage, 2 * kHugepage - kPage, *lost_);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  CutOff(fd);
  EXPECT_EQ(Read(mapping->data() + kHugepage), 0);
  Write(mapping->data(), 1);
  EXPECT_EQ(Read(mapping->data()), 1);
  EXPECT_TRUE(mapping->lost());
  EXPECT_EQ(lost_->Drain(), 1u);
}

// A page of our own that is gone.
void TouchForeignPage() {
  const UniqueFd fd = Memfd(kPage);
  void* const page =
      ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  CutOff(fd);
  Write(static_cast<uint8_t*>(page), 1);
}

TEST_F(BusErrorsTest, FaultElsewhereEndsProcessAsBefore) {
  const auto fault = [] {
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(SIGBUS, &standard, nullptr);
    (void)HandleBusErrors();
    TouchForeignPage();
  };
  EXPECT_EXIT(fault(), ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(BusErrorsTest, FaultElsewhereCannotBeIgnored) {
  const auto fault = [] {
    ::signal(SIGBUS, SIG_IGN);
    (void)HandleBusErrors();
    ::raise(SIGBUS);  // This can.
    TouchForeignPage();
  };
  EXPECT_EXIT(fault(), ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(BusErrorsTest, SignalThatWasSentEndsProcessAsBefore) {
  const auto send = [] {
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(SIGBUS, &standard, nullptr);
    (void)HandleBusErrors();
    ::raise(SIGBUS);
    ::_exit(0);
  };
  EXPECT_EXIT(send(), ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(BusErrorsTest, FaultElsewhereIsTheEarlierHandlers) {
  const auto fault = [] {
    ::signal(SIGBUS, [](int) { ::_exit(42); });
    (void)HandleBusErrors();
    TouchForeignPage();
  };
  EXPECT_EXIT(fault(), ::testing::ExitedWithCode(42), "");
}

TEST_F(BusErrorsTest, EarlierHandlerGetsTheAddress) {
  static const void* expected = nullptr;
  const auto fault = [] {
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
      ::_exit(info->si_addr == expected ? 43 : 44);
    };
    ::sigaction(SIGBUS, &action, nullptr);
    (void)HandleBusErrors();
    const UniqueFd fd = Memfd(kPage);
    void* const page =
        ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    CutOff(fd);
    expected = static_cast<uint8_t*>(page) + 5;
    Write(static_cast<uint8_t*>(page) + 5, 1);
  };
  EXPECT_EXIT(fault(), ::testing::ExitedWithCode(43), "");
}

}  // namespace
}  // namespace annulus::memory
