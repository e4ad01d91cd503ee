#include "vmm/resources.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "vmm/control_resources.h"
#include "vmm/frame_switches.h"

namespace annulus {
namespace {

constexpr mode_t kConsoleFileMode = 0644;

absl::StatusOr<UniqueFd> OpenImage(absl::string_view field,
                                   const std::string& path) {
  // O_NONBLOCK: a FIFO must not make the open wait; files ignore it.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    return absl::ErrnoToStatus(errno, absl::StrCat(field, ": ", path));
  }
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(field, ": ", path));
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", path, ": not a regular file"));
  }
  return fd;
}

absl::StatusOr<UniqueFd> OpenKvm() {
  UniqueFd fd(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    return absl::ErrnoToStatus(errno,
                               "/dev/kvm (`annulus doctor` tells what to do)");
  }
  return fd;
}

absl::StatusOr<UniqueFd> Duplicate(int fd, absl::string_view name) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("duplicating ", name));
  }
  return copy;
}

absl::Status OpenConsole(const ConsoleConfig& console, Resources& resources) {
  switch (console.kind) {
    case ConsoleConfig::Kind::kStdio: {
      ANNULUS_ASSIGN_OR_RETURN(resources.console_in,
                               Duplicate(STDIN_FILENO, "standard input"));
      ANNULUS_ASSIGN_OR_RETURN(resources.console_out,
                               Duplicate(STDOUT_FILENO, "standard output"));
      return absl::OkStatus();
    }
    case ConsoleConfig::Kind::kFile:
      resources.console_out =
          UniqueFd(::open(console.path.c_str(),
                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY,
                          kConsoleFileMode));
      if (!resources.console_out.valid()) {
        return absl::ErrnoToStatus(
            errno, absl::StrCat("console.path: ", console.path));
      }
      return absl::OkStatus();
    case ConsoleConfig::Kind::kNull:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Resources> OpenResources(const VmConfig& config) {
  Resources resources;
  ANNULUS_ASSIGN_OR_RETURN(resources.kernel,
                           OpenImage("boot.kernel", config.boot.kernel));
  if (!config.boot.initrd.empty()) {
    ANNULUS_ASSIGN_OR_RETURN(resources.initrd,
                             OpenImage("boot.initrd", config.boot.initrd));
  }
  ANNULUS_ASSIGN_OR_RETURN(resources.kvm, OpenKvm());
  for (size_t i = 0; i < config.rng.size(); ++i) {
    ANNULUS_ASSIGN_OR_RETURN(
        VhostUserResources rng,
        OpenVhostUser(absl::StrCat("rng[", i, "]"), config.rng[i].vhost_user));
    resources.rng.push_back(std::move(rng));
  }
  const auto card = [](size_t i) { return absl::StrCat("net[", i, "]"); };
  FrameSwitches switches;
  for (size_t i = 0; i < config.net.size(); ++i) {
    ANNULUS_ASSIGN_OR_RETURN(
        NetResources net, OpenNetResources(card(i), config.net[i], switches));
    resources.net.push_back(std::move(net));
  }
  if (config.vsock.has_value()) {
    ANNULUS_ASSIGN_OR_RETURN(resources.vsock,
                             OpenVsockResources(*config.vsock));
  }
  ANNULUS_RETURN_IF_ERROR(
      OpenControl(config.control, resources.control, resources.control_file));
  ANNULUS_RETURN_IF_ERROR(OpenConsole(config.console, resources));
  for (size_t i = 0; i < config.net.size(); ++i) {
    ANNULUS_RETURN_IF_ERROR(OpenPcap(card(i), config.net[i], resources.net[i]));
  }
  return resources;
}

}  // namespace annulus
