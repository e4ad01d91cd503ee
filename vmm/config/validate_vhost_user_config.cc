#include "vmm/config/validate_vhost_user_config.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "vmm/config/field_checks.h"

namespace annulus {
namespace {

using Device = std::pair<std::string, const VhostUserConfig*>;

std::vector<Device> DevicesOf(const VmConfig& config) {
  std::vector<Device> devices;
  for (size_t i = 0; i < config.rng.size(); ++i) {
    devices.emplace_back(absl::StrCat("rng[", i, "].vhost_user"),
                         &config.rng[i].vhost_user);
  }
  for (size_t i = 0; i < config.net.size(); ++i) {
    devices.emplace_back(absl::StrCat("net[", i, "].vhost_user"),
                         &config.net[i].vhost_user);
  }
  if (config.vsock.has_value()) {
    devices.emplace_back("vsock.vhost_user", &config.vsock->vhost_user);
  }
  return devices;
}

// Those that devices of this process use.
std::vector<uint32_t> OwnFds(const VmConfig& config) {
  std::vector<uint32_t> fds;
  for (const NetConfig& net : config.net) {
    fds.insert(fds.end(), net.tap_fds.begin(), net.tap_fds.end());
  }
  if (config.vsock.has_value()) {
    fds.push_back(config.vsock->socket_fd);
    for (const VsockPortConfig& port : config.vsock->ports) {
      fds.push_back(port.fd);
    }
  }
  return fds;
}

}  // namespace

absl::Status ValidateVhostUser(absl::string_view at,
                               const VhostUserConfig& vhost_user) {
  const auto field = [at](absl::string_view name) {
    return absl::StrCat(at, ".vhost_user.", name);
  };
  if (vhost_user.listen && vhost_user.socket.empty()) {
    return WrongField(field("listen"), vhost_user.fd != 0
                                           ? "is given, but fd is a socket "
                                             "that listens already, or never"
                                           : "is given without socket");
  }
  if (!vhost_user.socket.empty() && vhost_user.fd != 0) {
    return WrongField(field("fd"), "is given, but socket is, too");
  }
  if (vhost_user.fd != 0) return CheckFd(field("fd"), vhost_user.fd);
  return CheckSocketPath(field("socket"), vhost_user.socket);
}

absl::Status CheckNothingOfOwner(absl::string_view at,
                                 std::initializer_list<FieldOfOwner> fields) {
  for (const FieldOfOwner& field : fields) {
    if (!field.given) continue;
    return WrongField(absl::StrCat(at, ".", field.name),
                      "is given, but belongs to the process behind vhost_user");
  }
  return absl::OkStatus();
}

absl::Status ValidateVhostUserRng(absl::string_view at, const RngConfig& rng) {
  ANNULUS_RETURN_IF_ERROR(ValidateVhostUser(at, rng.vhost_user));
  if (!rng.vhost_user.given()) return absl::OkStatus();
  const RngConfig none;
  return CheckNothingOfOwner(
      at,
      {{"poll", rng.poll != none.poll},
       {"poll_microseconds", rng.poll_microseconds != none.poll_microseconds},
       {"worker_cpus", !rng.worker_cpus.empty()}});
}

absl::Status ValidateUniqueVhostUser(const VmConfig& config) {
  const std::vector<Device> devices = DevicesOf(config);
  const std::vector<uint32_t> own = OwnFds(config);
  for (size_t i = 0; i < devices.size(); ++i) {
    const auto& [at, mine] = devices[i];
    if (mine->fd != 0 &&
        std::find(own.begin(), own.end(), mine->fd) != own.end()) {
      return WrongField(absl::StrCat(at, ".fd"),
                        absl::StrCat(mine->fd, " is given twice"));
    }
    for (size_t j = 0; j < i; ++j) {
      const auto& [there, theirs] = devices[j];
      if (!mine->socket.empty() && mine->socket == theirs->socket) {
        return WrongField(
            absl::StrCat(at, ".socket"),
            absl::StrCat(Quoted(mine->socket), " belongs to ", there));
      }
      if (mine->fd != 0 && mine->fd == theirs->fd) {
        return WrongField(absl::StrCat(at, ".fd"),
                          absl::StrCat(mine->fd, " belongs to ", there));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace annulus
