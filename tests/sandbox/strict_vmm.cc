// A program that runs a virtual machine in a place where nothing can be opened:
// the example of docs/sandbox.md, "In your own sandbox".
//
//   strict_vmm list=docs/sandbox.md kvm=FD kernel=FD keys=FD console=FD log=FD
//       tap=FD listener=FD host=FD cmdline=TEXT
//
// All FDs are made by the parent process: two ends of pipes for the guest's
// serial port, one for the log, a tap's, a listening unix socket for
// callers of the guest's port 5678, a hand-over socket for what the guest
// calls. The list is read, the process is locked up, and only then does the
// library come into play. Ends with 0 if the guest has powered itself off.
//
// For tests: without=LINE leaves out one line of the list; probe=NAME does
// something that is forbidden, in place of a guest.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/fd_log_sink.h"
#include "base/status_macros.h"
#include "tests/sandbox/lock_up.h"
#include "tests/sandbox/strict_list.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using Arguments = std::map<std::string, std::string, std::less<>>;

Arguments ParseArguments(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    arguments.insert(absl::StrSplit(argv[i], absl::MaxSplits('=', 1)));
  }
  return arguments;
}

int Fail(const absl::Status& status, int code) {
  const std::string line = absl::StrCat(status.ToString(), "\n");
  [[maybe_unused]] const ssize_t written =
      ::write(STDERR_FILENO, line.data(), line.size());
  return code;
}

// The descriptor that an argument names; not valid without.
UniqueFd Take(const Arguments& arguments, absl::string_view name) {
  const auto found = arguments.find(name);
  int fd = -1;
  if (found == arguments.end() || !absl::SimpleAtoi(found->second, &fd)) {
    return UniqueFd();
  }
  return UniqueFd(fd);
}

// What the guest may have of the host, in descriptors.
absl::StatusOr<Resources> TakeResources(const Arguments& arguments) {
  Resources resources;
  resources.kvm = Take(arguments, "kvm");
  resources.kernel = Take(arguments, "kernel");
  resources.console_in = Take(arguments, "keys");
  resources.console_out = Take(arguments, "console");
  resources.net.emplace_back().taps.push_back(Take(arguments, "tap"));
  virtio::UnixSocketOptions sockets;
  sockets.host = Take(arguments, "host");
  virtio::UnixPortMap& port = sockets.ports.emplace_back();
  port.port = 5678;
  port.to_guest = true;
  port.type = 1;  // SOCK_STREAM
  port.fd = Take(arguments, "listener");
  ANNULUS_ASSIGN_OR_RETURN(virtio::UnixSockets opened,
                           virtio::UnixSockets::Open(std::move(sockets)));
  resources.vsock = VsockResources{std::move(opened), nullptr, {}};
  return resources;
}

VmConfig Config(const Arguments& arguments) {
  VmConfig config;
  config.memory.size_bytes = uint64_t{64} << 20;
  config.boot.kernel = "passed";
  const auto cmdline = arguments.find("cmdline");
  if (cmdline != arguments.end()) config.boot.cmdline = cmdline->second;
  NetConfig& net = config.net.emplace_back();
  net.backend = NetConfig::Backend::kTap;
  net.tap_fds = {3};  // Said only that there is one: Resources has it.
  VsockConfig& vsock = config.vsock.emplace();
  vsock.cid = 3;
  vsock.host_fd = 3;  // Likewise.
  return config;
}

absl::StatusOr<std::vector<StrictRule>> ReadList(const Arguments& arguments) {
  const auto path = arguments.find("list");
  if (path == arguments.end()) {
    return absl::InvalidArgumentError("list= is not given");
  }
  std::ifstream file(path->second);
  std::stringstream text;
  text << file.rdbuf();
  ANNULUS_ASSIGN_OR_RETURN(std::vector<StrictRule> rules,
                           ParseStrictList(text.str()));
  const auto without = arguments.find("without");
  if (without == arguments.end()) return rules;
  if (std::erase_if(rules, [&](const StrictRule& rule) {
        return rule.line == without->second;
      }) == 0) {
    return absl::InvalidArgumentError("without=: there is no such line");
  }
  return rules;
}

// Each is the end of the process, or has failed to be: 1, or errno for what the
// list lets fail.
int Probe(absl::string_view name) {
  if (name == "open") {
    return ::open("/dev/kvm", O_RDWR | O_CLOEXEC) < 0 ? errno : 0;
  }
  if (name == "connect") return ::connect(0, nullptr, 0) < 0 ? 1 : 0;
  if (name == "socket")
    return ::socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
  if (name == "ioctl") {
    // What would put a character into a terminal's input.
    constexpr unsigned long kTerminalInput = 0x5412;
    return ::syscall(SYS_ioctl, 0, kTerminalInput, "x") < 0 ? 1 : 0;
  }
  if (name == "executable") {
    return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
               ? 1
               : 0;
  }
  if (name == "fork") return ::fork() < 0 ? 1 : 0;
  if (name == "exec") return ::execl("/bin/true", "true", nullptr) < 0 ? 1 : 0;
  if (name == "kill") return ::kill(1, 0) < 0 ? 1 : 0;
  if (name == "dumpable") return ::prctl(PR_SET_DUMPABLE, 1) < 0 ? 1 : 0;
  return 0;
}

absl::Status RunVm(const Arguments& arguments, LogSink& log) {
  ANNULUS_ASSIGN_OR_RETURN(Resources resources, TakeResources(arguments));
  resources.log = &log;
  ANNULUS_ASSIGN_OR_RETURN(
      const std::unique_ptr<Vmm> vm,
      Vmm::Create(Config(arguments), std::move(resources)));
  ANNULUS_RETURN_IF_ERROR(vm->Start());
  const VmExit exit = vm->Wait();
  if (exit.reason == ExitReason::kGuestPoweroff) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(ExitReasonName(exit.reason), " ", exit.detail));
}

absl::Status LockUpWithList(const Arguments& arguments) {
  ANNULUS_ASSIGN_OR_RETURN(const std::vector<StrictRule> rules,
                           ReadList(arguments));
  ANNULUS_RETURN_IF_ERROR(LockUp());
  return InstallStrictList(rules);
}

int Main(const Arguments& arguments) {
  FdLogSink log(Take(arguments, "log"), LogSeverity::kInfo);
  absl::Status status = LockUpWithList(arguments);
  if (!status.ok()) return Fail(status, 2);
  const auto probe = arguments.find("probe");
  if (probe != arguments.end()) return Probe(probe->second);
  status = RunVm(arguments, log);
  return status.ok() ? 0 : Fail(status, 1);
}

}  // namespace
}  // namespace annulus

int main(int argc, char** argv) {
  return annulus::Main(annulus::ParseArguments(argc, argv));
}
