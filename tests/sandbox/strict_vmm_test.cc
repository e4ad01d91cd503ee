// A guest with a network card and a socket device in a process that may open
// nothing: its parent makes all descriptors, and is at their other ends.

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "cli/subprocess.h"
#include "devices/virtio/net/backend/net_namespace_testing.h"
#include "devices/virtio/net/backend/tap_device.h"
#include "devices/virtio/vsock/backend/hand_over_testing.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "gtest/gtest.h"
#include "tests/sandbox/strict_list.h"

namespace annulus {
namespace {

constexpr char kProgram[] = "tests/sandbox/strict_vmm";
constexpr char kList[] = "docs/sandbox.md";
constexpr char kKernel[] = "tests/guest/microguest.elf";
constexpr char kTap[] = "strict0";
constexpr int kRounds = 5;

std::string WhyNot() {
  if (::geteuid() != 0) return "only root can lock a process up like that";
  const UniqueFd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  return kvm.valid() ? "" : "no /dev/kvm";
}

#define SKIP_WHERE_IMPOSSIBLE()                         \
  if (const std::string why = WhyNot(); !why.empty()) { \
    GTEST_SKIP() << why;                                \
  }                                                     \
  static_assert(true)

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<StrictRule> PublishedRules() {
  auto rules = ParseStrictList(ReadFile(kList));
  EXPECT_TRUE(rules.ok()) << rules.status();
  return rules.ok() ? *std::move(rules) : std::vector<StrictRule>();
}

// No frame but those of the test, and its wire is up.
UniqueFd MakeTap() {
  std::ofstream("/proc/sys/net/ipv6/conf/default/disable_ipv6") << 1;
  auto taps = virtio::OpenTap({.name = kTap, .create = true});
  EXPECT_TRUE(taps.ok()) << taps.status();
  return taps.ok() ? std::move(taps->front()) : UniqueFd();
}

// Sends the guest's frames back to it, as a host at the end of its cable.
class FrameEcho {
 public:
  FrameEcho()
      : wire_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC,
                       htons(virtio::kTestEthertype))),
        stop_(::eventfd(0, EFD_CLOEXEC)) {
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(virtio::kTestEthertype);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(kTap));
    const void* const any = &address;
    EXPECT_EQ(
        ::bind(wire_.get(), static_cast<const sockaddr*>(any), sizeof(address)),
        0);
    thread_ = std::thread([this] { Run(); });
  }
  ~FrameEcho() {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
  }

 private:
  void Run() const {
    pollfd waits[] = {{wire_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    while (::poll(waits, 2, -1) > 0 && waits[1].revents == 0) {
      uint8_t frame[2048];
      const ssize_t bytes = ::recv(wire_.get(), frame, sizeof(frame), 0);
      if (bytes < 12) continue;
      std::swap_ranges(frame, frame + 6, frame + 6);
      ::send(wire_.get(), frame, static_cast<size_t>(bytes), 0);
    }
  }

  const UniqueFd wire_;
  const UniqueFd stop_;
  std::thread thread_;
};

// The parent of one VM.
class StrictVm {
 public:
  explicit StrictVm(const std::vector<std::string>& more)
      : tap_(MakeTap()),
        kvm_(::open("/dev/kvm", O_RDWR | O_CLOEXEC)),
        kernel_(::open(kKernel, O_RDONLY | O_CLOEXEC)),
        listener_(virtio::ListenAt(Name(), SOCK_STREAM, 1)) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    UniqueFd theirs(ends[0]);
    hand_over_.reset(ends[1]);
    std::vector<std::string> arguments = {
        kProgram,
        absl::StrCat("list=", kList),
        absl::StrCat("kvm=", kvm_.get()),
        absl::StrCat("kernel=", kernel_.get()),
        absl::StrCat("tap=", tap_.get()),
        absl::StrCat("listener=", listener_.get()),
        absl::StrCat("host=", theirs.get()),
        "keys=0",
        "console=1",
        "log=2",
        absl::StrCat("cmdline=program=net_and_vsock net=1 vsock=2 ring=packed "
                     "rounds=",
                     kRounds),
    };
    arguments.insert(arguments.end(), more.begin(), more.end());
    cli::ProcessOptions options;
    options.prepare = [&] {
      const UniqueFd* const passed[] = {&kvm_, &kernel_, &tap_, &listener_,
                                        &theirs};
      for (const UniqueFd* fd : passed) {
        ::fcntl(fd->get(), F_SETFD, 0);
      }
    };
    process_.emplace(arguments, cli::Process::Streams::kPipes, options);
    theirs.reset();
    process_->Write("x");  // That the guest has no use for.
    listener_.reset();     // Nobody is to wait for one that is gone.
    connections_ = std::thread([this] { virtio::EchoHandedOver(hand_over_); });
  }
  ~StrictVm() {
    process_.reset();
    connections_.join();
  }

  cli::Process& process() { return *process_; }

  // A caller that says nothing, if there is still somebody to call.
  static void TryToCallGuest() {
    [[maybe_unused]] const int error =
        virtio::ConnectError(Name(), SOCK_STREAM);
  }

  // What the guest sends back.
  std::string CallGuest(absl::string_view text) const {
    const UniqueFd guest = virtio::ConnectTo(Name(), SOCK_STREAM);
    virtio::SendText(guest.get(), text);
    EXPECT_EQ(::shutdown(guest.get(), SHUT_WR), 0);
    return virtio::ReceiveAll(guest.get());
  }

 private:
  static std::string Name() {
    return absl::StrCat("@annulus-strict-", ::getpid());
  }

  const UniqueFd tap_;
  const FrameEcho frames_;
  const UniqueFd kvm_;
  const UniqueFd kernel_;
  UniqueFd listener_;
  UniqueFd hand_over_;
  std::optional<cli::Process> process_;
  std::thread connections_;
};

NET_NAMESPACE_TEST(StrictVmmTest, GuestWithNetAndSocketsNeedsDescriptorsAlone) {
  SKIP_WHERE_IMPOSSIBLE();
  StrictVm vm({});
  ASSERT_TRUE(vm.process().Await("listening"));
  EXPECT_EQ(vm.CallGuest("from the host"), "from the host");
  const cli::ProcessResult result = vm.process().Wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_TRUE(absl::StrContains(result.out, "echoed 5 on 1")) << result.out;
  EXPECT_TRUE(absl::StrContains(result.out, "calls 3, served 13"))
      << result.out;
  EXPECT_TRUE(absl::StrContains(result.out, "PASS")) << result.out;
}

// The value of a line of /proc/PID/status.
std::string StatusOf(pid_t pid, absl::string_view field) {
  const std::string status = ReadFile(absl::StrCat("/proc/", pid, "/status"));
  const std::string key = absl::StrCat("\n", field, ":\t");
  const size_t at = status.find(key);
  if (at == std::string::npos) return "";
  const size_t begin = at + key.size();
  return status.substr(begin, status.find('\n', begin) - begin);
}

NET_NAMESPACE_TEST(StrictVmmTest, ItsProcessHasNothingElse) {
  SKIP_WHERE_IMPOSSIBLE();
  StrictVm vm({});
  ASSERT_TRUE(vm.process().Await("listening"));
  const pid_t pid = vm.process().pid();
  EXPECT_EQ(StatusOf(pid, "Uid"), "65534\t65534\t65534\t65534");
  EXPECT_EQ(StatusOf(pid, "Gid"), "65534\t65534\t65534\t65534");
  EXPECT_EQ(StatusOf(pid, "Groups"), " ");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_EQ(StatusOf(pid, set), "0000000000000000") << set;
  }
  EXPECT_EQ(StatusOf(pid, "NoNewPrivs"), "1");
  EXPECT_EQ(StatusOf(pid, "Seccomp"), "2");
  const std::string proc = absl::StrCat("/proc/", pid);
  EXPECT_TRUE(std::filesystem::is_empty(proc + "/root"));
  // Its header, and the loopback interface.
  const std::string interfaces = ReadFile(proc + "/net/dev");
  EXPECT_EQ(std::count(interfaces.begin(), interfaces.end(), '\n'), 3);
  EXPECT_TRUE(absl::StrContains(interfaces, "lo:")) << interfaces;
}

struct Probe {
  const char* name;
  int exit_code;
};

// What a process that was taken over would try next.
NET_NAMESPACE_TEST(StrictVmmTest, WhatTheListDoesNotHaveIsTheEnd) {
  SKIP_WHERE_IMPOSSIBLE();
  for (const Probe& probe :
       {Probe{"open", EACCES}, Probe{"connect", -SIGSYS},
        Probe{"ioctl", -SIGSYS}, Probe{"executable", -SIGSYS},
        Probe{"fork", -SIGSYS}, Probe{"exec", -SIGSYS}, Probe{"kill", -SIGSYS},
        Probe{"dumpable", -SIGSYS}, Probe{"socket", EACCES},
        Probe{"nothing", 0}}) {
    const cli::ProcessResult result =
        cli::RunProcess({kProgram, absl::StrCat("list=", kList),
                         absl::StrCat("probe=", probe.name)});
    EXPECT_EQ(result.exit_code, probe.exit_code) << probe.name << result.err;
  }
}

// The list has no line too many: without any one of them the process ends.
NET_NAMESPACE_TEST(StrictVmmTest, EachLineOfTheListIsNeeded) {
  SKIP_WHERE_IMPOSSIBLE();
  for (const StrictRule& rule : PublishedRules()) {
    if (rule.sometimes) continue;
    StrictVm vm({absl::StrCat("without=", rule.line)});
    if (vm.process().Await("listening")) vm.TryToCallGuest();
    EXPECT_EQ(vm.process().Wait().exit_code, -SIGSYS) << rule.line;
  }
}

}  // namespace
}  // namespace annulus
