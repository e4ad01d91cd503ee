// `annulus run` with a guest that lives: console, signals, terminal, exit
// codes.

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/sanitizer.h"
#include "base/unique_fd.h"
#include "cli/subprocess.h"
#include "cli/tiny_guest.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

constexpr char kCtrlA[] = "\x01";

class RunGuestTest : public testing::Test {
 protected:
  RunGuestTest()
      : kernel_(std::filesystem::path(testing::TempDir()) /
                absl::StrCat("tiny-guest-", ::getpid())) {
    std::ofstream(kernel_, std::ios::binary) << TinyGuest();
  }
  ~RunGuestTest() override { std::filesystem::remove(kernel_); }

  void SetUp() override {
    if (::access("/dev/kvm", R_OK | W_OK) != 0) {
      GTEST_SKIP() << "no usable /dev/kvm on this host";
    }
  }

  std::vector<std::string> Command(
      const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {
        std::filesystem::absolute("cli/annulus"),
        "run",
        "--kernel",
        kernel_,
        "--memory",
        "16M",
        "--debug-exit"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // Until the guest has printed into `file`; the test's time limit ends it.
  static void AwaitOutputIn(const std::string& file) {
    while (!std::filesystem::exists(file) || std::filesystem::is_empty(file)) {
      std::this_thread::yield();
    }
  }

  const std::string kernel_;
};

TEST_F(RunGuestTest, InputReachesTheGuestAndItsOutputComesBack) {
  Process vm(Command(), Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  vm.Write("ab\x01x");  // No escapes: this is no terminal.
  EXPECT_TRUE(vm.Await("Rab\x01x"));
  vm.Write("q");
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.exit_code, 64 + ('q' & 0x3f));
  EXPECT_EQ(result.out, "Rab\x01xq");
  EXPECT_TRUE(absl::StartsWith(result.err, "annulus: debug exit"))
      << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
}

TEST_F(RunGuestTest, NetworkCardsOfEachKindStartAndEndWithTheGuest) {
  Process vm(Command({"--net", "loopback,queues=16", "--net",
                      "null,mmio,packed=off,mac=52:54:00:12:34:56", "-v"}),
             Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  vm.Write("q");
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.exit_code, 64 + ('q' & 0x3f)) << result.err;
  // The one without an address got one.
  EXPECT_TRUE(absl::StrContains(result.err, "net0: its address is "));
  EXPECT_FALSE(absl::StrContains(result.err, "net1: its address is "));
}

// Connects to a socket and says `line`; what comes back until the end.
std::string AnswerTo(const std::string& line, const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const void* const any = &address;
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), static_cast<const sockaddr*>(any), sizeof(address)) !=
      0) {
    return "not connected";
  }
  if (::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size())) {
    return "not sent";
  }
  std::string answer;
  char buffer[64];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof(buffer));
    if (got <= 0) return answer;
    answer.append(buffer, static_cast<size_t>(got));
  }
}

TEST_F(RunGuestTest, TheSocketDeviceStartsAndEndsWithTheGuest) {
  for (const std::string transport : {"pci", "mmio"}) {
    const std::string path = absl::StrCat("/tmp/run_guest_test.", ::getpid());
    Process vm(Command({"--vsock",
                        absl::StrCat("cid=3,connect_wait_ms=100,socket=", path,
                                     ",", transport),
                        "-v"}),
               Process::Streams::kPipes);
    ASSERT_TRUE(vm.Await("R"));
    // The guest has no driver, so that nobody accepts; the device ends the
    // wait.
    EXPECT_EQ(AnswerTo("CONNECT 1\n", path), "");
    // Which is answered before a guest is needed.
    EXPECT_EQ(AnswerTo("CONNECT one\n", path), "");
    vm.Write("q");
    const ProcessResult result = vm.Wait();
    EXPECT_EQ(result.exit_code, 64 + ('q' & 0x3f)) << result.err;
    EXPECT_TRUE(absl::StrContains(result.err, "vsock0/rx: ")) << result.err;
    EXPECT_FALSE(std::filesystem::exists(path));
  }
}

TEST_F(RunGuestTest, ASocketThatCannotBeMadeIsOneLine) {
  const std::vector<std::pair<std::string, std::string>> kCases = {
      {"socket=/no/such/directory/vm", "No such file or directory"},
      {"fd=999", "vsock.socket_fd: 999: Bad file descriptor"},
      {"switch=/no/such/directory", "vsock.switch_directory: "},
  };
  for (const auto& [vsock, error] : kCases) {
    Process vm(Command({"--vsock", "cid=3," + vsock}),
               Process::Streams::kPipes);
    const ProcessResult result = vm.Wait();
    EXPECT_EQ(result.exit_code, 2) << vsock;
    EXPECT_TRUE(absl::StartsWith(result.err, "annulus: vsock")) << result.err;
    EXPECT_TRUE(absl::StrContains(result.err, error)) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
  }
}

TEST_F(RunGuestTest, AGuestsCidIsItsOwnInASwitch) {
  const std::string directory =
      absl::StrCat("/tmp/run_guest_test.switch.", ::getpid());
  std::filesystem::create_directory(directory);
  Process first(Command({"--vsock", "cid=3,switch=" + directory}),
                Process::Streams::kPipes);
  ASSERT_TRUE(first.Await("R"));
  Process same(Command({"--vsock", "cid=3,switch=" + directory}),
               Process::Streams::kPipes);
  const ProcessResult refused = same.Wait();
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_TRUE(absl::StartsWith(refused.err, "annulus: vsock.cid: "))
      << refused.err;
  Process other(Command({"--vsock", "cid=4,switch=" + directory}),
                Process::Streams::kPipes);
  EXPECT_TRUE(other.Await("R"));
  first.Write("q");
  other.Write("q");
  EXPECT_EQ(first.Wait().exit_code, 64 + ('q' & 0x3f));
  EXPECT_EQ(other.Wait().exit_code, 64 + ('q' & 0x3f));
  EXPECT_TRUE(std::filesystem::is_empty(directory));
  std::filesystem::remove_all(directory);
}

TEST_F(RunGuestTest, TooFewDescriptorsForAllConnectionsAreSaid) {
  ProcessOptions options;
  options.prepare = [] {
    const rlimit few = {.rlim_cur = 128, .rlim_max = 256};
    if (::setrlimit(RLIMIT_NOFILE, &few) != 0) ::_exit(125);
  };
  Process vm(Command({"--vsock", "cid=3,socket=@run_guest_test"}),
             Process::Streams::kPipes, options);
  vm.Write("q");
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.exit_code, 64 + ('q' & 0x3f)) << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "the host allows 256"))
      << result.err;
}

TEST_F(RunGuestTest, ACardWhoseOtherEndIsNotThereIsOneLine) {
  const std::vector<std::pair<std::string, std::string>> kCases = {
      {"tap=annulus-none", "net[0].tap: tap \"annulus-none\" does not exist"},
      {"passt=/no/such/socket",
       "net[0].passt: /no/such/socket: No such file or directory"},
      {"fd=999", "net[0].tap_fds: 999: Bad file descriptor"},
      {"null,pcap=/no/such/file",
       "net[0].pcap: /no/such/file: No such file or directory"},
  };
  for (const auto& [net, error] : kCases) {
    if (net[0] == 't' && ::access("/dev/net/tun", R_OK | W_OK) != 0) continue;
    Process vm(Command({"--net", net}), Process::Streams::kPipes);
    const ProcessResult result = vm.Wait();
    EXPECT_EQ(result.exit_code, 2) << net;
    EXPECT_TRUE(absl::StrContains(result.err, error)) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
  }
}

TEST_F(RunGuestTest, InputThatIsLongerThanAnyBufferArrivesWhole) {
  std::string text;
  for (int i = 0; i < 3000; ++i) absl::StrAppend(&text, i % 10);
  Process vm(Command({"--quiet"}), Process::Streams::kPipes);
  vm.Write(text + "q");
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.out, "R" + text + "q");
  EXPECT_EQ(result.err, "");
}

TEST_F(RunGuestTest, EndOfInputDoesNotEndTheGuest) {
  Process vm(Command(), Process::Streams::kPipes);
  vm.Write("a");
  vm.CloseInput();
  EXPECT_TRUE(vm.Await("Ra"));
  vm.Kill(SIGTERM);
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.exit_code, 128 + SIGTERM);
  EXPECT_EQ(result.err, "annulus: stopped by SIGTERM\n");
}

TEST_F(RunGuestTest, SignalsStopTheGuestAndShowInTheExitCode) {
  for (const int signal : {SIGINT, SIGHUP, SIGTERM}) {
    Process vm(Command({"-q"}), Process::Streams::kPipes);
    ASSERT_TRUE(vm.Await("R"));
    vm.Kill(signal);
    const ProcessResult result = vm.Wait();
    EXPECT_EQ(result.exit_code, 128 + signal);
    EXPECT_EQ(result.err, "");
  }
}

TEST_F(RunGuestTest, SignalBeforeTheStartIsNotLost) {
  ProcessOptions options;
  options.prepare = [] {  // Pending from the first instruction on.
    sigset_t terminate;
    sigemptyset(&terminate);
    sigaddset(&terminate, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &terminate, nullptr);
    ::kill(::getpid(), SIGTERM);
  };
  Process vm(Command(), Process::Streams::kPipes, options);
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.exit_code, 128 + SIGTERM);
  EXPECT_EQ(result.err, "annulus: stopped by SIGTERM\n");
}

TEST_F(RunGuestTest, TripleFaultHasItsOwnExitCode) {
  Process vm(Command(), Process::Streams::kPipes);
  vm.Write("t");
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_TRUE(absl::StartsWith(result.err, "annulus: triple fault"))
      << result.err;
}

TEST_F(RunGuestTest, ConsoleFileGetsTheOutput) {
  const std::string log = kernel_ + ".log";
  Process vm(Command({"--console", "file:" + log}), Process::Streams::kPipes);
  AwaitOutputIn(log);  // Its input is not the guest's: a signal ends it.
  vm.Kill(SIGTERM);
  EXPECT_EQ(vm.Wait().out, "");
  std::ifstream in(log);
  EXPECT_EQ(std::string((std::istreambuf_iterator<char>(in)), {}), "R");
  std::filesystem::remove(log);
}

TEST_F(RunGuestTest, TimingsAreOneLine) {
  Process vm(Command({"--quiet", "--timings"}), Process::Streams::kPipes);
  vm.Write("q");
  const ProcessResult result = vm.Wait();
  EXPECT_TRUE(
      absl::StartsWith(result.err, "annulus: timings: cpu_at_start_ms="))
      << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
}

TEST_F(RunGuestTest, DeadReaderOfTheOutputDoesNotKillTheProcess) {
  ProcessOptions options;
  options.prepare = [] {
    int ends[2];  // A pipe that nobody reads.
    if (::pipe(ends) != 0) ::_exit(125);
    ::close(ends[0]);
    ::dup2(ends[1], STDOUT_FILENO);
  };
  Process vm(Command({"--quiet"}), Process::Streams::kPipes, options);
  vm.Write("abcq");
  EXPECT_EQ(vm.Wait().exit_code, 64 + ('q' & 0x3f));
}

// What /proc says about a thread behind `field`.
std::string StatusField(const std::filesystem::path& task,
                        const std::string& field) {
  std::ifstream in(task / "status");
  std::string line;
  while (std::getline(in, line)) {
    if (absl::StartsWith(line, field + ":\t")) {
      return line.substr(field.size() + 2);
    }
  }
  return "";
}

TEST_F(RunGuestTest, EachThreadIsInTheSandboxOnceTheGuestRuns) {
  if (kSanitizer) GTEST_SKIP() << "sanitizers make system calls";
  const std::string path = absl::StrCat("/tmp/run_guest_test.", ::getpid());
  Process vm(Command({"--net", "loopback,queues=2", "--rng", "mmio", "--vsock",
                      "cid=3,socket=" + path, "--sandbox", "on"}),
             Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  int threads = 0;
  for (const auto& task : std::filesystem::directory_iterator(
           absl::StrCat("/proc/", vm.pid(), "/task"))) {
    ++threads;
    const std::string name = StatusField(task, "Name");
    EXPECT_EQ(StatusField(task, "Seccomp"), "2") << name;
    EXPECT_EQ(StatusField(task, "Seccomp_filters"), "1") << name;
    EXPECT_EQ(StatusField(task, "NoNewPrivs"), "1") << name;
    EXPECT_EQ(StatusField(task, "CapEff"), std::string(16, '0')) << name;
  }
  // main, console, control, a vCPU, queues of each device.
  EXPECT_GE(threads, 10);
  vm.Write("q");
  EXPECT_EQ(vm.Wait().exit_code, 64 + ('q' & 0x3f));
}

// The kernel has waits go on by a system call of their own.
TEST_F(RunGuestTest, AStoppedProcessGoesOn) {
  Process vm(Command({"--net", "loopback"}), Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  const std::filesystem::path task = absl::StrCat("/proc/", vm.pid());
  vm.Kill(SIGSTOP);
  while (!absl::StartsWith(StatusField(task, "State"), "T")) {
    std::this_thread::yield();
  }
  vm.Kill(SIGCONT);
  vm.Write("a");
  EXPECT_TRUE(vm.Await("Ra"));
  vm.Write("q");
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.exit_code, 64 + ('q' & 0x3f)) << result.err;
}

TEST_F(RunGuestTest, WithoutASandboxNothingIsGivenUp) {
  Process vm(Command({"--sandbox", "off"}), Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  const std::string task = absl::StrCat("/proc/", vm.pid());
  EXPECT_EQ(StatusField(task, "Seccomp"), StatusField("/proc/self", "Seccomp"));
  EXPECT_EQ(StatusField(task, "CapEff"), StatusField("/proc/self", "CapEff"));
  vm.Write("q");
  EXPECT_EQ(vm.Wait().exit_code, 64 + ('q' & 0x3f));
}

TEST_F(RunGuestTest, LogModeHasNothingToSay) {
  if (kSanitizer) GTEST_SKIP() << "sanitizers make system calls";
  Process vm(Command({"--sandbox", "log", "--net", "loopback", "--quiet"}),
             Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  vm.Write("q");
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.exit_code, 64 + ('q' & 0x3f));
  EXPECT_EQ(result.err, "");
}

TEST_F(RunGuestTest, AReportThatCannotBeWrittenIsOneLine) {
  Process vm(Command({"--sandbox", "log:/no/such/directory/file"}),
             Process::Streams::kPipes);
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err,
            "annulus: --sandbox: opening /no/such/directory/file: No such file "
            "or directory; to run without, say --sandbox=off "
            "(docs/sandbox.md)\n");
}

// On a terminal.

bool IsRaw(const termios& mode) {
  return (mode.c_lflag & (ICANON | ECHO | ISIG)) == 0;
}

TEST_F(RunGuestTest, CtrlAXLeavesAndRestoresTheTerminal) {
  if (!HavePseudoTerminals()) GTEST_SKIP() << "no pseudo-terminals here";
  Process vm(Command(), Process::Streams::kTerminal);
  ASSERT_TRUE(vm.Await("R"));
  EXPECT_TRUE(IsRaw(vm.Mode()));
  vm.Write("\x03");  // Ctrl-C is the guest's.
  EXPECT_TRUE(vm.Await("R\x03"));
  vm.Write(absl::StrCat(kCtrlA, kCtrlA, "b"));
  EXPECT_TRUE(
      vm.Await("\x01"
               "b"));
  vm.Write(absl::StrCat(kCtrlA, "h"));
  EXPECT_TRUE(vm.Await("Ctrl-A X: leave"));
  vm.Write(absl::StrCat(kCtrlA, "x"));
  EXPECT_TRUE(vm.Await("stopped by SIGINT"));
  EXPECT_FALSE(IsRaw(vm.Mode()));
  EXPECT_EQ(vm.Wait().exit_code, 130);
}

TEST_F(RunGuestTest, SignalRestoresTheTerminal) {
  if (!HavePseudoTerminals()) GTEST_SKIP() << "no pseudo-terminals here";
  for (const int signal : {SIGTERM, SIGHUP}) {
    Process vm(Command(), Process::Streams::kTerminal);
    ASSERT_TRUE(vm.Await("R"));
    EXPECT_TRUE(IsRaw(vm.Mode()));
    vm.Kill(signal);
    EXPECT_TRUE(vm.Await("stopped by SIG"));
    EXPECT_FALSE(IsRaw(vm.Mode()));
    EXPECT_EQ(vm.Wait().exit_code, 128 + signal);
  }
}

TEST_F(RunGuestTest, GuestsOwnEndRestoresTheTerminal) {
  if (!HavePseudoTerminals()) GTEST_SKIP() << "no pseudo-terminals here";
  Process vm(Command(), Process::Streams::kTerminal);
  ASSERT_TRUE(vm.Await("R"));
  vm.Write("q");
  EXPECT_TRUE(vm.Await("debug exit"));
  EXPECT_FALSE(IsRaw(vm.Mode()));
  EXPECT_EQ(vm.Wait().exit_code, 64 + ('q' & 0x3f));
}

TEST_F(RunGuestTest, TerminalIsLeftAloneForOtherConsoles) {
  if (!HavePseudoTerminals()) GTEST_SKIP() << "no pseudo-terminals here";
  const std::string log = kernel_ + ".log";
  Process vm(Command({"--console", "file:" + log}),
             Process::Streams::kTerminal);
  AwaitOutputIn(log);
  EXPECT_FALSE(IsRaw(vm.Mode()));
  vm.Write("\x03");  // Ctrl-C is a signal.
  EXPECT_EQ(vm.Wait().exit_code, 128 + SIGINT);
  std::filesystem::remove(log);
}

}  // namespace
}  // namespace annulus::cli
