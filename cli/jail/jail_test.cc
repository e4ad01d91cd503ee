// `annulus jail` with a guest that lives, looked at from outside.

#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "cli/subprocess.h"
#include "cli/tiny_guest.h"
#include "devices/virtio/vsock/backend/hand_over_testing.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Of /proc/PID/FILE, the rest of the line that begins with `key`.
std::string LineOf(pid_t pid, absl::string_view file, absl::string_view key) {
  std::istringstream text(ReadFile(absl::StrCat("/proc/", pid, "/", file)));
  for (std::string line; std::getline(text, line);) {
    if (!absl::StartsWith(line, key)) continue;
    return line.substr(key.size());
  }
  return "no such line";
}

std::string NamespaceOf(pid_t pid, absl::string_view kind) {
  return std::filesystem::read_symlink(
      absl::StrCat("/proc/", pid, "/ns/", kind));
}

class JailTest : public testing::Test {
 protected:
  JailTest()
      : kernel_(std::filesystem::path(testing::TempDir()) /
                absl::StrCat("jail-guest-", ::getpid())) {
    std::ofstream(kernel_, std::ios::binary) << TinyGuest();
  }
  ~JailTest() override { std::filesystem::remove(kernel_); }

  void SetUp() override {
    // It wants /proc, of which there is none in a jail.
    ::setenv("LSAN_OPTIONS", "detect_leaks=0", 1);
    if (::access("/dev/kvm", R_OK | W_OK) != 0) {
      GTEST_SKIP() << "no usable /dev/kvm on this host";
    }
    if (::geteuid() != 0) GTEST_SKIP() << "only root can have another user";
  }

  std::vector<std::string> Command(
      const std::vector<std::string>& jail_flags = {},
      const std::vector<std::string>& run_flags = {}) const {
    std::vector<std::string> arguments = {
        std::filesystem::absolute("cli/annulus"), "jail"};
    arguments.insert(arguments.end(), jail_flags.begin(), jail_flags.end());
    for (const std::string& word :
         {std::string("run"), std::string("--kernel"), kernel_,
          std::string("--memory"), std::string("16M"),
          std::string("--debug-exit")}) {
      arguments.push_back(word);
    }
    arguments.insert(arguments.end(), run_flags.begin(), run_flags.end());
    return arguments;
  }

  // The process in the jail of the one that was started.
  static pid_t Inmate(const Process& jail) {
    const std::string children = ReadFile(
        absl::StrCat("/proc/", jail.pid(), "/task/", jail.pid(), "/children"));
    int pid = 0;
    EXPECT_TRUE(absl::SimpleAtoi(children, &pid)) << children;
    return pid;
  }

  const std::string kernel_;
};

TEST_F(JailTest, ItHasNothingAroundIt) {
  Process vm(Command(), Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  const pid_t pid = Inmate(vm);
  EXPECT_EQ(LineOf(pid, "status", "NSpid:"), absl::StrCat("\t", pid, "\t1"));
  EXPECT_EQ(LineOf(pid, "status", "Uid:"), "\t65534\t65534\t65534\t65534");
  EXPECT_EQ(LineOf(pid, "status", "Gid:"), "\t65534\t65534\t65534\t65534");
  EXPECT_EQ(LineOf(pid, "status", "Groups:"), "\t ");
  EXPECT_EQ(LineOf(pid, "status", "NoNewPrivs:"), "\t1");
  for (const char* set : {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:"}) {
    EXPECT_EQ(LineOf(pid, "status", set), "\t0000000000000000") << set;
  }
  const std::string proc = absl::StrCat("/proc/", pid);
  EXPECT_TRUE(std::filesystem::is_empty(proc + "/root"));
  // Two lines of header, and lo.
  const std::string interfaces = ReadFile(proc + "/net/dev");
  EXPECT_EQ(std::count(interfaces.begin(), interfaces.end(), '\n'), 3);
  const std::string mounts = ReadFile(proc + "/mounts");
  EXPECT_EQ(std::count(mounts.begin(), mounts.end(), '\n'), 1) << mounts;
  EXPECT_TRUE(absl::StartsWith(mounts, "none / tmpfs ro,")) << mounts;
  for (const char* kind :
       {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"}) {
    EXPECT_NE(NamespaceOf(pid, kind), NamespaceOf(::getpid(), kind)) << kind;
  }
  EXPECT_TRUE(
      absl::StrContains(LineOf(pid, "limits", "Max core file size"), " 0 "));
  vm.Write("q");
  EXPECT_EQ(vm.Wait().exit_code, 64 + ('q' & 0x3f));
}

TEST_F(JailTest, ExitCodesPassThrough) {
  Process vm(Command(), Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  vm.Write("t");
  EXPECT_EQ(vm.Wait().exit_code, 4);
  // What fails before there is a jail.
  EXPECT_EQ(RunProcess(Command({}, {"--kernel", "/dev/null"})).exit_code, 2);
  EXPECT_EQ(RunProcess(Command({}, {"--net", "tap=no-such-tap"})).exit_code, 2);
}

TEST_F(JailTest, SignalsPassThrough) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    Process vm(Command(), Process::Streams::kPipes);
    ASSERT_TRUE(vm.Await("R"));
    vm.Kill(signal);
    EXPECT_EQ(vm.Wait().exit_code, 128 + signal);
  }
}

// As who ends a service or a session does.
TEST_F(JailTest, ASignalToBothIsOne) {
  Process vm(Command(), Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  EXPECT_EQ(::kill(Inmate(vm), SIGTERM), 0);
  vm.Kill(SIGTERM);
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.exit_code, 128 + SIGTERM);
  // A second one would not have waited for that.
  EXPECT_TRUE(absl::StrContains(result.err, "stopped by SIGTERM"))
      << result.err;
}

TEST_F(JailTest, WhoStartedItMayIgnoreChildren) {
  ProcessOptions options;
  options.prepare = [] { ::signal(SIGCHLD, SIG_IGN); };
  Process vm(Command(), Process::Streams::kPipes, options);
  ASSERT_TRUE(vm.Await("R"));
  vm.Write("q");
  EXPECT_EQ(vm.Wait().exit_code, 64 + ('q' & 0x3f));
}

// Whoever kills the outer process ends the VM.
TEST_F(JailTest, NobodyIsLeftBehind) {
  Process vm(Command(), Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  const pid_t pid = Inmate(vm);
  vm.Kill(SIGKILL);
  EXPECT_EQ(vm.Wait().exit_code, -SIGKILL);
  while (::kill(pid, 0) == 0) ::usleep(1000);  // Until init has reaped it.
}

TEST_F(JailTest, UserNetworkAndLimitsAreSaid) {
  const std::string log = kernel_ + ".log";
  Process vm(Command({"--user", "1234:5678", "--network", "--nofile", "128",
                      "--fsize=1M"},
                     {"--console", "file:" + log}),
             Process::Streams::kPipes);
  while (ReadFile(log).empty()) ::usleep(1000);
  const pid_t pid = Inmate(vm);
  EXPECT_EQ(LineOf(pid, "status", "Uid:"), "\t1234\t1234\t1234\t1234");
  EXPECT_EQ(LineOf(pid, "status", "Gid:"), "\t5678\t5678\t5678\t5678");
  EXPECT_EQ(NamespaceOf(pid, "net"), NamespaceOf(::getpid(), "net"));
  EXPECT_TRUE(
      absl::StrContains(LineOf(pid, "limits", "Max open files"), " 128 "));
  EXPECT_TRUE(
      absl::StrContains(LineOf(pid, "limits", "Max file size"), " 1048576 "));
  vm.Kill(SIGTERM);
  EXPECT_EQ(vm.Wait().exit_code, 128 + SIGTERM);
  std::filesystem::remove(log);
}

// What the control socket has to say to a caller who asks for nothing.
std::string ToldBy(const std::string& socket, uid_t user) {
  EXPECT_EQ(::seteuid(user), 0);
  const UniqueFd caller = virtio::ConnectTo(socket, SOCK_STREAM);
  EXPECT_EQ(::seteuid(0), 0);
  ::shutdown(caller.get(), SHUT_WR);
  return virtio::ReceiveAll(caller.get());
}

// Its user, whom the kernel shows where it cannot show another, is not all of
// them.
TEST_F(JailTest, ControlSocketTellsUsersApart) {
  const std::string socket = absl::StrCat("@annulus-jail-test-", ::getpid());
  Process vm(Command({}, {"--control", socket}), Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  EXPECT_EQ(ToldBy(socket, 0), "");
  EXPECT_EQ(ToldBy(socket, 65534), "");
  EXPECT_TRUE(absl::StrContains(ToldBy(socket, 1234),
                                "user 1234 may not control this machine"));
  vm.Kill(SIGTERM);
  EXPECT_EQ(vm.Wait().exit_code, 128 + SIGTERM);
}

// Where cgroup v2 is; empty: nowhere.
std::string Hierarchy() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() > 2 && words[2] == "cgroup2") return words[1];
  }
  return "";
}

TEST_F(JailTest, ItsGroupIsThereAsLongAsItIs) {
  const std::string hierarchy = Hierarchy();
  if (hierarchy.empty() || ::access(hierarchy.c_str(), W_OK) != 0) {
    GTEST_SKIP() << "no cgroup v2 that can be written to";
  }
  const std::string name = absl::StrCat("annulus-jail-test-", ::getpid());
  Process vm(Command({"--cgroup", "/" + name}), Process::Streams::kPipes);
  ASSERT_TRUE(vm.Await("R"));
  const pid_t pid = Inmate(vm);
  const std::string path = absl::StrCat(hierarchy, "/", name);
  EXPECT_EQ(ReadFile(path + "/cgroup.procs"), absl::StrCat(pid, "\n"));
  vm.Kill(SIGTERM);
  EXPECT_EQ(vm.Wait().exit_code, 128 + SIGTERM);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(JailTest, AGroupThatIsThereIsAnotherVms) {
  const std::string hierarchy = Hierarchy();
  if (hierarchy.empty()) GTEST_SKIP() << "no cgroup v2";
  const ProcessResult result = RunProcess(Command({"--cgroup", "/../x"}));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err,
            "annulus: --cgroup: \"/../x\" leads out of the hierarchy\n");
  const ProcessResult root = RunProcess(Command({"--cgroup", "/"}));
  EXPECT_TRUE(absl::StrContains(root.err, "File exists")) << root.err;
}

// Whose socket a front-end finds, and which is gone afterwards.
TEST_F(JailTest, DevicesLiveThereToo) {
  const std::string path = absl::StrCat("/tmp/annulus-jail-", ::getpid());
  Process device({std::filesystem::absolute("cli/annulus"), "jail", "device",
                  "rng", "--socket", path},
                 Process::Streams::kPipes);
  while (!std::filesystem::is_socket(path)) ::usleep(1000);
  // It is bound before there is a jail.
  pid_t pid = 0;
  while (
      !absl::SimpleAtoi(ReadFile(absl::StrCat("/proc/", device.pid(), "/task/",
                                              device.pid(), "/children")),
                        &pid)) {
    ::usleep(1000);
  }
  while (LineOf(pid, "status", "NoNewPrivs:") != "\t1") ::usleep(1000);
  EXPECT_EQ(LineOf(pid, "status", "Uid:"), "\t65534\t65534\t65534\t65534");
  device.Kill(SIGTERM);
  EXPECT_EQ(device.Wait().exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(path));
}

// With the sandbox around it, too: both ways, and no name of anything.
TEST_F(JailTest, SocketsComeAsDescriptors) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd theirs(ends[0]);
  const UniqueFd hand_over(ends[1]);
  const std::string name = absl::StrCat("@annulus-jail-", ::getpid());
  UniqueFd listener = virtio::ListenAt(name, SOCK_STREAM, 1);
  ProcessOptions options;
  options.prepare = [&] {
    ::fcntl(theirs.get(), F_SETFD, 0);
    ::fcntl(listener.get(), F_SETFD, 0);
  };
  std::vector<std::string> command = Command(
      {}, {"--memory", "64M", "--cmdline",
           "program=vsock pci=1 ring=packed type=stream", "--vsock",
           absl::StrCat("cid=3,host-fd=", theirs.get(),
                        ",port-map=to-guest:5678:fd=", listener.get())});
  std::replace(command.begin(), command.end(), kernel_,
               std::string("tests/guest/microguest.elf"));
  Process vm(command, Process::Streams::kPipes, options);
  theirs.reset();
  listener.reset();
  const auto calls = virtio::EchoHandedOver(hand_over, 3);
  ASSERT_EQ(calls.size(), 3u);
  for (const auto& call : calls) EXPECT_EQ(call.port, 1234u);
  ASSERT_TRUE(vm.Await("listening"));
  const UniqueFd caller = virtio::ConnectTo(name, SOCK_STREAM);
  virtio::SendText(caller.get(), "hello");
  ASSERT_EQ(::shutdown(caller.get(), SHUT_WR), 0);
  EXPECT_EQ(virtio::ReceiveAll(caller.get()), "hello");
  const ProcessResult result = vm.Wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(absl::StrContains(result.out, "calls 3, served 5")) << result.out;
}

TEST_F(JailTest, MistakesAreNamed) {
  const auto error = [this](const std::vector<std::string>& flags,
                            const std::vector<std::string>& more) {
    const ProcessResult result = RunProcess(Command(flags, more));
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return result.err;
  };
  EXPECT_TRUE(absl::StrContains(error({"--user", "no-such-user"}, {}),
                                "\"no-such-user\" is not in /etc/passwd"));
  EXPECT_TRUE(absl::StrContains(error({"--cpu-max", "half"}, {}),
                                "--cpu-max: \"half\" is not a number"));
  EXPECT_TRUE(
      absl::StrContains(error({"--chroot"}, {}), "unknown flag --chroot"));
  EXPECT_TRUE(absl::StrContains(
      error({}, {"--vsock", "cid=3,socket=/tmp/annulus-jail-vsock"}),
      "vsock.socket: in a jail"));
  EXPECT_EQ(
      RunProcess({std::filesystem::absolute("cli/annulus"), "jail"}).exit_code,
      2);
}

// The program and its guest where everybody may read them.
class PublicCopy {
 public:
  explicit PublicCopy(const std::string& kernel) {
    std::string path = "/tmp/annulus-jail-XXXXXX";
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    path_ = path;
    std::filesystem::copy_file("cli/annulus", program());
    std::filesystem::copy_file(kernel, this->kernel());
    for (const std::string& file : {path_, program(), this->kernel()}) {
      EXPECT_EQ(::chmod(file.c_str(), 0755), 0);
    }
  }
  ~PublicCopy() { std::filesystem::remove_all(path_); }

  std::string program() const { return path_ + "/annulus"; }
  std::string kernel() const { return path_ + "/kernel"; }

 private:
  std::string path_;
};

// Of those who are not root, where the host lets them make user namespaces.
TEST_F(JailTest, AnyUserHasOne) {
  constexpr uid_t kUser = 4321;
  const PublicCopy copy(kernel_);
  struct stat kvm;
  ASSERT_EQ(::stat("/dev/kvm", &kvm), 0);
  ProcessOptions options;
  options.directory = "/tmp";
  options.prepare = [&] {
    const gid_t group = kvm.st_gid;
    const bool changed = ::setgroups(1, &group) == 0 &&
                         ::setresgid(kUser, kUser, kUser) == 0 &&
                         ::setresuid(kUser, kUser, kUser) == 0;
    if (!changed) ::_exit(99);
  };
  if (RunProcess({"/usr/bin/unshare", "-U", "/bin/test", "-w", "/dev/kvm"},
                 options)
          .exit_code != 0) {
    GTEST_SKIP() << "no user namespaces for users, or no /dev/kvm";
  }
  std::vector<std::string> command = Command();
  command[0] = copy.program();
  std::replace(command.begin(), command.end(), kernel_, copy.kernel());
  Process vm(command, Process::Streams::kPipes, options);
  ASSERT_TRUE(vm.Await("R")) << vm.Wait().err;
  const pid_t pid = Inmate(vm);
  EXPECT_EQ(LineOf(pid, "status", "Uid:"), "\t4321\t4321\t4321\t4321");
  EXPECT_EQ(LineOf(pid, "status", "NSpid:"), absl::StrCat("\t", pid, "\t1"));
  EXPECT_EQ(LineOf(pid, "status", "CapEff:"), "\t0000000000000000");
  EXPECT_TRUE(std::filesystem::is_empty(absl::StrCat("/proc/", pid, "/root")));
  EXPECT_NE(NamespaceOf(pid, "net"), NamespaceOf(::getpid(), "net"));
  vm.Kill(SIGTERM);
  EXPECT_EQ(vm.Wait().exit_code, 128 + SIGTERM);
  command.insert(command.begin() + 2, {"--user", "1"});
  const ProcessResult other = RunProcess(command, options);
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(other.err, "only root can be another one"))
      << other.err;
}

}  // namespace
}  // namespace annulus::cli
