#include "vmm/net_resources.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/net/backend/tap_device.h"

namespace annulus {
namespace {

// Frames are the guest's secrets: not for others to read.
constexpr mode_t kPcapMode = 0600;

absl::Status Failed(int error, absl::string_view card, absl::string_view field,
                    absl::string_view what) {
  return absl::ErrnoToStatus(error, absl::StrCat(card, ".", field, ": ", what));
}

absl::StatusOr<std::vector<UniqueFd>> OpenTaps(absl::string_view card,
                                               const NetConfig& net) {
  absl::StatusOr<std::vector<UniqueFd>> taps =
      virtio::OpenTap({.name = net.tap,
                       .queue_pairs = static_cast<uint16_t>(net.queue_pairs),
                       .create = net.create_tap});
  if (taps.ok()) return taps;
  return absl::Status(taps.status().code(),
                      absl::StrCat(card, ".tap: ", taps.status().message()));
}

absl::StatusOr<std::vector<UniqueFd>> DuplicateTaps(absl::string_view card,
                                                    const NetConfig& net) {
  std::vector<UniqueFd> taps;
  for (const uint32_t fd : net.tap_fds) {
    UniqueFd copy(::fcntl(static_cast<int>(fd), F_DUPFD_CLOEXEC, 3));
    if (!copy.valid()) return Failed(errno, card, "tap_fds", absl::StrCat(fd));
    // Of this one, so that the error has the number that the user gave.
    const absl::Status tap = virtio::DescribeTap(static_cast<int>(fd)).status();
    if (!tap.ok()) {
      return absl::Status(tap.code(),
                          absl::StrCat(card, ".tap_fds: ", tap.message()));
    }
    taps.push_back(std::move(copy));
  }
  return taps;
}

absl::StatusOr<UniqueFd> ConnectTo(absl::string_view card,
                                   absl::string_view field,
                                   const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Failed(ENAMETOOLONG, card, field, path);
  }
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const void* const any = &address;
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() || ::connect(fd.get(), static_cast<const sockaddr*>(any),
                               sizeof(address)) != 0) {
    return Failed(errno, card, field, path);
  }
  return fd;
}

}  // namespace

absl::StatusOr<NetResources> OpenNetResources(absl::string_view card,
                                              const NetConfig& net,
                                              FrameSwitches& switches) {
  NetResources resources;
  switch (net.backend) {
    case NetConfig::Backend::kTap: {
      ANNULUS_ASSIGN_OR_RETURN(resources.taps, net.tap_fds.empty()
                                                   ? OpenTaps(card, net)
                                                   : DuplicateTaps(card, net));
      return resources;
    }
    case NetConfig::Backend::kPasst: {
      ANNULUS_ASSIGN_OR_RETURN(resources.socket,
                               ConnectTo(card, "passt", net.passt));
      return resources;
    }
    case NetConfig::Backend::kVhostUser: {
      ANNULUS_ASSIGN_OR_RETURN(
          resources.vhost_user,
          OpenVhostUser(std::string(card), net.vhost_user));
      return resources;
    }
    case NetConfig::Backend::kSwitch: {
      ANNULUS_ASSIGN_OR_RETURN(resources.frame_switch,
                               switches.Named(net.switch_name));
      return resources;
    }
    case NetConfig::Backend::kNone:
    case NetConfig::Backend::kLoopback:
    case NetConfig::Backend::kNull:
      return resources;
  }
  return resources;
}

absl::Status OpenPcap(absl::string_view card, const NetConfig& net,
                      NetResources& resources) {
  if (net.pcap.empty()) return absl::OkStatus();
  // O_NONBLOCK: a FIFO must not make the open wait; files ignore it.
  UniqueFd file(
      ::open(net.pcap.c_str(),
             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
             kPcapMode));
  struct stat status;
  if (!file.valid() || ::fstat(file.get(), &status) != 0) {
    return Failed(errno, card, "pcap", net.pcap);
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(card, ".pcap: ", net.pcap, ": not a regular file"));
  }
  resources.pcap = std::move(file);
  return absl::OkStatus();
}

}  // namespace annulus
