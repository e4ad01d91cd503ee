#include "cli/jail/jail_config.h"

#include <unistd.h>

#include <cstddef>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "cli/jail/jail_user.h"

namespace annulus::cli {
namespace {

absl::Status Refused(absl::string_view field, absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", reason));
}

absl::Status CheckVsock(absl::string_view field, const VsockConfig& vsock) {
  if (!vsock.socket.empty() && vsock.host_fd == 0) {
    return Refused(absl::StrCat(field, ".socket"),
                   "in a jail the guest's calls cannot be connected to files "
                   "beside it; give host_fd, too, or only ports and socket_fd");
  }
  if (!vsock.switch_directory.empty()) {
    return Refused(absl::StrCat(field, ".switch_directory"),
                   "in a jail there is no directory");
  }
  for (size_t i = 0; i < vsock.ports.size(); ++i) {
    const VsockPortConfig& port = vsock.ports[i];
    if (port.direction != VsockPortConfig::Direction::kToHost) continue;
    if (port.path.empty()) continue;
    return Refused(absl::StrCat(field, ".ports[", i, "].path"),
                   "in a jail the guest's calls cannot be connected to a file; "
                   "give fd, a hand-over socket (docs/vsock.md)");
  }
  return absl::OkStatus();
}

absl::Status CheckVhostUser(absl::string_view field,
                            const VhostUserConfig& vhost_user) {
  if (vhost_user.socket.empty() || vhost_user.listen) return absl::OkStatus();
  return Refused(absl::StrCat(field, ".vhost_user.socket"),
                 "in a jail it could not be connected to once more; give fd, "
                 "or listen");
}

// Of others the user namespace says that they are nobody.
absl::Status CheckControl(const ControlConfig& control) {
  if (::geteuid() == 0 || (control.socket.empty() && control.fd == 0)) {
    return absl::OkStatus();
  }
  if (!control.allowed_uids.empty()) {
    return Refused("control.allowed_uids",
                   "only root can make a jail that tells users apart");
  }
  if (::geteuid() == kNobody) {
    return Refused("control", "in a jail of nobody, all users are nobody");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckJailConfig(const VmConfig& config) {
  ANNULUS_RETURN_IF_ERROR(CheckControl(config.control));
  for (size_t i = 0; i < config.rng.size(); ++i) {
    ANNULUS_RETURN_IF_ERROR(
        CheckVhostUser(absl::StrCat("rng[", i, "]"), config.rng[i].vhost_user));
  }
  for (size_t i = 0; i < config.net.size(); ++i) {
    ANNULUS_RETURN_IF_ERROR(
        CheckVhostUser(absl::StrCat("net[", i, "]"), config.net[i].vhost_user));
  }
  if (!config.vsock.has_value()) return absl::OkStatus();
  ANNULUS_RETURN_IF_ERROR(CheckVhostUser("vsock", config.vsock->vhost_user));
  return CheckVsock("vsock", *config.vsock);
}

absl::Status CheckJailConfig(const DevicesConfig& config) {
  for (size_t i = 0; i < config.device.size(); ++i) {
    const std::string field = absl::StrCat("device[", i, "]");
    if (!config.device[i].connect.empty()) {
      return Refused(absl::StrCat(field, ".connect"),
                     "in a jail it could not be connected to once more; give "
                     "socket or fd");
    }
    const VsockConfig* const vsock =
        std::get_if<VsockConfig>(&config.device[i].kind);
    if (vsock == nullptr) continue;
    ANNULUS_RETURN_IF_ERROR(CheckVsock(absl::StrCat(field, ".vsock"), *vsock));
  }
  return absl::OkStatus();
}

}  // namespace annulus::cli
