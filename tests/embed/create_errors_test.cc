// What Vmm::Create() cannot use, or cannot have, is an error that names it; the
// process is as it was before.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/sanitizer.h"
#include "base/thread_setup.h"
#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/embed/guest_parts.h"
#include "tests/embed/process_state.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using testing::HasSubstr;
using testing::Values;

// All kinds of devices, with descriptors for all of them.
struct Parts {
  VmConfig config;
  Resources resources;
};

UniqueFd Opened(const char* path, int flags = O_RDWR) {
  return UniqueFd(::open(path, flags | O_CLOEXEC));
}

UniqueFd UnixSocket() {
  return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

Parts MakeParts() {
  Parts parts;
  const UniqueFd listener = ListenSomewhere();
  parts.config = RngConfigOf(TransportKind::kPci, "idle");
  parts.config.cpu.count = 2;
  parts.config.net =
      NetConfigOf(TransportKind::kMmio, NetConfig::Backend::kLoopback).net;
  parts.config.vsock = VsockConfigOf(TransportKind::kPci, listener).vsock;
  parts.resources = OpenMicroguest(kMicroguest);
  parts.resources.net.resize(1);
  auto vsock = OpenVsockResources(*parts.config.vsock);
  EXPECT_TRUE(vsock.ok()) << vsock.status();
  parts.resources.vsock = *std::move(vsock);
  parts.resources.console_in = Opened("/dev/null");
  parts.resources.console_out = Opened("/dev/null");
  return parts;
}

absl::Status Create(Parts parts) {
  return Vmm::Create(parts.config, std::move(parts.resources)).status();
}

// Of the process, once all that is made at first use is there.
ProcessState StateBefore() {
  EXPECT_TRUE(Create(MakeParts()).ok());
  return StateOfProcess();
}

struct Broken {
  const char* name;
  std::function<void(Parts&)> change;
  const char* message;  // A part of it.

  friend void PrintTo(const Broken& broken, std::ostream* out) {
    *out << broken.name;
  }
};

void Tap(Parts& parts, UniqueFd fd) {
  parts.config.net[0].backend = NetConfig::Backend::kTap;
  parts.config.net[0].tap_fds = {100};  // Resources has it.
  if (fd.valid()) parts.resources.net[0].taps.push_back(std::move(fd));
}

void VhostUser(Parts& parts, UniqueFd connection) {
  parts.config.net[0].backend = NetConfig::Backend::kVhostUser;
  parts.config.net[0].vhost_user.fd = 100;
  parts.resources.net[0].vhost_user.connection = std::move(connection);
}

// One end of a connection whose other end has gone.
UniqueFd Abandoned() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ::close(ends[1]);
  return UniqueFd(ends[0]);
}

// A number behind which there is nothing. Not one that another thread of the
// process could get.
UniqueFd Closed() { return UniqueFd(4000); }

class BrokenPartsTest : public testing::TestWithParam<Broken> {};

TEST_P(BrokenPartsTest, IsAnErrorThatNamesIt) {
  SKIP_WITHOUT_KVM();
  const ProcessState before = StateBefore();
  Parts parts = MakeParts();
  GetParam().change(parts);
  const absl::Status status = Create(std::move(parts));
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_EQ(StateOfProcess(before.threads), before);
}

INSTANTIATE_TEST_SUITE_P(
    All, BrokenPartsTest,
    Values(
        Broken{"no kvm", [](Parts& p) { p.resources.kvm.reset(); }, "/dev/kvm"},
        Broken{"kvm is a pipe",
               [](Parts& p) { p.resources.kvm = MakePipe().first; },
               "/dev/kvm"},
        Broken{"kvm is closed", [](Parts& p) { p.resources.kvm = Closed(); },
               "/dev/kvm"},
        Broken{"no kernel", [](Parts& p) { p.resources.kernel.reset(); },
               "kernel"},
        Broken{"kernel is a directory",
               [](Parts& p) {
                 p.resources.kernel = Opened("/", O_RDONLY | O_DIRECTORY);
               },
               "kernel"},
        Broken{"kernel is a pipe",
               [](Parts& p) { p.resources.kernel = MakePipe().first; },
               "kernel"},
        Broken{
            "kernel cannot be read",
            [](Parts& p) { p.resources.kernel = Opened(kMicroguest, O_PATH); },
            "kernel"},
        Broken{"kernel is empty",
               [](Parts& p) {
                 p.resources.kernel.reset(::memfd_create("k", MFD_CLOEXEC));
               },
               "kernel"},
        Broken{"initrd is a socket",
               [](Parts& p) { p.resources.initrd = UnixSocket(); }, "initrd"},
        Broken{"console_in is closed",
               [](Parts& p) { p.resources.console_in = Closed(); },
               "console_in"},
        Broken{"console_out is closed",
               [](Parts& p) { p.resources.console_out = Closed(); },
               "console_out"},
        Broken{"console_out can only be read",
               [](Parts& p) {
                 p.resources.console_out = Opened("/dev/null", O_RDONLY);
               },
               "console_out"},
        Broken{"no card", [](Parts& p) { p.resources.net.clear(); }, "net"},
        Broken{"a card too many", [](Parts& p) { p.resources.net.resize(2); },
               "net"},
        Broken{"no vsock", [](Parts& p) { p.resources.vsock.reset(); },
               "vsock"},
        Broken{"vsock that is not configured",
               [](Parts& p) { p.config.vsock.reset(); }, "vsock"},
        Broken{"no tap", [](Parts& p) { Tap(p, UniqueFd()); }, "net[0].tap"},
        Broken{"tap is a socket", [](Parts& p) { Tap(p, UnixSocket()); },
               "net[0].tap"},
        Broken{"tap is a device without an interface",
               [](Parts& p) { Tap(p, Opened("/dev/net/tun")); }, "net[0].tap"},
        Broken{"passt is no socket",
               [](Parts& p) {
                 p.config.net[0].backend = NetConfig::Backend::kPasst;
                 p.config.net[0].passt = "there";
                 p.resources.net[0].socket = MakePipe().first;
               },
               "net[0].passt"},
        Broken{"no switch",
               [](Parts& p) {
                 p.config.net[0].backend = NetConfig::Backend::kSwitch;
                 p.config.net[0].switch_name = "s";
               },
               "net[0].switch_name"},
        Broken{"pcap is a pipe",
               [](Parts& p) { p.resources.net[0].pcap = MakePipe().second; },
               "net[0].pcap"},
        Broken{"back-end is gone", [](Parts& p) { VhostUser(p, Abandoned()); },
               "net[0].vhost_user"},
        Broken{"back-end is a pipe",
               [](Parts& p) { VhostUser(p, MakePipe().first); },
               "net[0].vhost_user"},
        Broken{"back-end is not there",
               [](Parts& p) { VhostUser(p, UniqueFd()); }, "net[0].vhost_user"},
        Broken{"more memory than addresses",
               [](Parts& p) { p.config.memory.size_bytes = uint64_t{1} << 50; },
               "memory.size_bytes"},
        Broken{"memory that is not there",
               [](Parts& p) {
                 p.config.memory.size_bytes = uint64_t{512} << 30;
                 p.config.memory.hugepages = true;
               },
               "RAM"},
        Broken{"no processors", [](Parts& p) { p.config.cpu.count = 0; },
               "cpu.count"},
        Broken{"processor pinned to none",
               [](Parts& p) {
                 p.config.cpu.pinning = {0, 100'000};
               },
               "100000"}));

TEST(BrokenVsockTest, ListenerThatDoesNotListenIsAnErrorThatNamesIt) {
  const UniqueFd socket = UnixSocket();
  const VmConfig config = VsockConfigOf(TransportKind::kPci, socket);
  const ProcessState before = StateOfProcess();
  const auto resources = OpenVsockResources(*config.vsock);
  EXPECT_THAT(std::string(resources.status().message()),
              HasSubstr("vsock.socket_fd"));
  EXPECT_EQ(StateOfProcess(before.threads), before);
}

// Sets a limit for a time.
class ScopedLimit {
 public:
  ScopedLimit(__rlimit_resource resource, rlim_t limit) : resource_(resource) {
    EXPECT_EQ(::getrlimit(resource, &before_), 0);
    const rlimit now = {limit, before_.rlim_max};
    EXPECT_EQ(::setrlimit(resource, &now), 0);
  }
  ~ScopedLimit() { ::setrlimit(resource_, &before_); }

 private:
  const __rlimit_resource resource_;
  rlimit before_;
};

TEST(ScarcityTest, DescriptorsThatRunOutAtAnyMoment) {
  SKIP_WITHOUT_KVM();
  const ProcessState before = StateBefore();
  int failures = 0;
  for (rlim_t spare = 0; spare < 500; ++spare) {
    Parts parts = MakeParts();
    // The lowest number that is free: from there on the limit counts.
    const UniqueFd next(::fcntl(parts.resources.kvm.get(), F_DUPFD, 0));
    const auto limit = static_cast<rlim_t>(next.get()) + 1 + spare;
    absl::Status status;
    {
      const ScopedLimit scarce(RLIMIT_NOFILE, limit);
      status = Create(std::move(parts));
    }
    if (status.ok()) break;
    ++failures;
    // "opening", "creating", ... of something.
    EXPECT_THAT(std::string(status.message()), HasSubstr("Too many open files"))
        << spare;
    EXPECT_GT(status.message().size(), 25u) << status;
  }
  EXPECT_GT(failures, 20);
  EXPECT_EQ(StateOfProcess(before.threads), before);
}

// Lets so many threads begin, and no more.
class FewThreads final : public ThreadSetup {
 public:
  explicit FewThreads(int count) : left_(count) {}
  absl::Status EnterThread(ThreadKind, absl::string_view name) override {
    if (left_-- > 0) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat("thread ", name, " is one too many"));
  }

 private:
  std::atomic<int> left_;
};

TEST(ScarcityTest, ThreadsThatRunOutAtAnyMoment) {
  SKIP_WITHOUT_KVM();
  const ProcessState before = StateBefore();
  int failures = 0;
  for (int count = 0; count < 100; ++count) {
    FewThreads few(count);
    const ScopedThreadSetup scope(&few);
    const absl::Status status = Create(MakeParts());
    if (status.ok()) break;
    ++failures;
    EXPECT_THAT(std::string(status.message()), HasSubstr("is one too many"));
  }
  // Two vCPUs, control, queues and the loop of the sockets.
  EXPECT_GT(failures, 6);
  EXPECT_EQ(StateOfProcess(before.threads), before);
}

rlim_t AddressSpace() {
  long pages = 0;
  FILE* const file = std::fopen("/proc/self/statm", "re");
  EXPECT_EQ(std::fscanf(file, "%ld", &pages), 1);
  std::fclose(file);
  return static_cast<rlim_t>(pages) * 4096;
}

// Guest RAM first, then stacks of threads.
TEST(ScarcityTest, AddressSpaceThatRunsOut) {
  SKIP_WITHOUT_KVM();
  if (kSanitizer) GTEST_SKIP() << "sanitizers use all of it";
  const ProcessState before = StateBefore();
  int failures = 0;
  for (rlim_t mib = 10; mib < 1000; mib += 8) {
    Parts parts = MakeParts();
    const ScopedLimit scarce(RLIMIT_AS, AddressSpace() + (mib << 20));
    const absl::Status status = Create(std::move(parts));
    if (status.ok()) break;
    ++failures;
    EXPECT_FALSE(status.message().empty());
  }
  EXPECT_GT(failures, 8);
  EXPECT_EQ(StateOfProcess(before.threads), before);
}

}  // namespace
}  // namespace annulus
