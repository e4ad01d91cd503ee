#include "vmm/sandbox/landlock_needs.h"

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace annulus {
namespace {

void AddDirectory(const std::string& directory,
                  std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), directory) == known.end()) {
    known.push_back(directory);
  }
}

// A name that is bound, or connected to, or both.
void AddSocket(absl::string_view path, bool made, LandlockOptions& needs) {
  if (path.empty()) return;
  if (absl::StartsWith(path, "@")) {
    needs.abstract_sockets = true;
    return;
  }
  if (!made) return;
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return AddDirectory(".", needs.remove_from);
  AddDirectory(std::string(path.substr(0, std::max<size_t>(slash, 1))),
               needs.remove_from);
}

void AddVhostUser(const VhostUserConfig& config, LandlockOptions& needs) {
  AddSocket(config.socket, config.listen, needs);
}

void AddVsock(const VsockConfig& vsock, LandlockOptions& needs) {
  AddVhostUser(vsock.vhost_user, needs);
  AddSocket(vsock.socket, true, needs);
  for (const VsockPortConfig& port : vsock.ports) {
    AddSocket(port.path, port.direction == VsockPortConfig::Direction::kToGuest,
              needs);
  }
  if (!vsock.switch_directory.empty()) {
    AddDirectory(vsock.switch_directory, needs.make_in);
  }
}

}  // namespace

LandlockOptions LandlockNeeds(const VmConfig& config) {
  LandlockOptions needs;
  AddSocket(config.control.socket, true, needs);
  for (const NetConfig& net : config.net) AddVhostUser(net.vhost_user, needs);
  for (const RngConfig& rng : config.rng) AddVhostUser(rng.vhost_user, needs);
  if (config.vsock.has_value()) AddVsock(*config.vsock, needs);
  return needs;
}

LandlockOptions LandlockNeeds(const DevicesConfig& config) {
  LandlockOptions needs;
  for (const DeviceConfig& device : config.device) {
    AddSocket(device.socket, true, needs);
    AddSocket(device.connect, false, needs);
    if (const auto* vsock = std::get_if<VsockConfig>(&device.kind)) {
      AddVsock(*vsock, needs);
    }
  }
  return needs;
}

}  // namespace annulus
