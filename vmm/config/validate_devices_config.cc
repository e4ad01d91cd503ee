#include "vmm/config/validate_devices_config.h"

#include <algorithm>
#include <array>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "vmm/config/field_checks.h"
#include "vmm/config/validate_net_config.h"
#include "vmm/config/validate_vsock_config.h"
#include "vmm/config/validate_workers_config.h"

namespace annulus {
namespace {

std::string At(size_t index) { return absl::StrCat("device[", index, "]"); }

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
         c == '_' || c == '.';
}

absl::Status ValidateName(const std::string& at, absl::string_view name) {
  const std::string field = at + ".name";
  if (name.size() > kMaxDeviceName) {
    return WrongField(field,
                      absl::StrCat(name.size(), " characters are more than ",
                                   kMaxDeviceName));
  }
  if (!std::all_of(name.begin(), name.end(), IsNameCharacter)) {
    return WrongField(field,
                      "may only contain A-Z, a-z, 0-9, '-', '_' and '.'");
  }
  return absl::OkStatus();
}

absl::Status ValidateEndpoint(const std::string& at,
                              const DeviceConfig& device) {
  const int given = (device.socket.empty() ? 0 : 1) +
                    (device.connect.empty() ? 0 : 1) + (device.fd == 0 ? 0 : 1);
  if (given == 0) {
    return WrongField(at + ".socket", "is not given, nor are connect and fd");
  }
  if (given > 1) {
    return WrongField(at + (device.fd != 0 ? ".fd" : ".connect"),
                      "is given, but another of socket, connect and fd is, "
                      "too");
  }
  if (device.fd != 0) return CheckFd(at + ".fd", device.fd);
  return device.socket.empty()
             ? CheckSocketPath(at + ".connect", device.connect)
             : CheckSocketPath(at + ".socket", device.socket);
}

absl::Status NotExternal(const std::string& at) {
  return WrongField(at + ".vhost_user",
                    "is given, which is for a device of a VM");
}

absl::Status ValidateKind(const std::string& at, const DeviceConfig& device) {
  const VirtioConfig* virtio = nullptr;
  if (const auto* net = std::get_if<NetConfig>(&device.kind)) {
    ANNULUS_RETURN_IF_ERROR(ValidateNetConfig(at + ".net", *net));
    if (net->vhost_user.given()) return NotExternal(at + ".net");
    virtio = &net->virtio;
  } else if (const auto* vsock = std::get_if<VsockConfig>(&device.kind)) {
    const absl::Status status = ValidateVsockConfig(*vsock);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(at, ".", status.message()));
    }
    if (vsock->vhost_user.given()) return NotExternal(at + ".vsock");
    virtio = &vsock->virtio;
  } else if (const auto* rng = std::get_if<RngConfig>(&device.kind)) {
    ANNULUS_RETURN_IF_ERROR(ValidateWorkers(at + ".rng", *rng));
    if (rng->vhost_user.given()) return NotExternal(at + ".rng");
    virtio = &rng->virtio;
  } else {
    return WrongField(at + ".net", "is not given, nor are vsock and rng");
  }
  if (virtio->transport != TransportKind::kPci) {
    return WrongField(
        absl::StrCat(at, ".", DeviceKindName(device), ".virtio.transport"),
        "is the front-end's to choose");
  }
  return absl::OkStatus();
}

// What two devices cannot both have: each would take it from the other.
struct Exclusive {
  absl::string_view field;
  std::string value;  // Empty: none.
};

std::array<Exclusive, 7> ExclusivesOf(const DeviceConfig& device) {
  std::array<Exclusive, 7> mine = {{
      {"socket", device.socket},
      {"connect", device.connect},
      {"fd", device.fd == 0 ? "" : absl::StrCat(device.fd)},
      {"state_file", device.state_file},
  }};
  if (const auto* net = std::get_if<NetConfig>(&device.kind)) {
    mine[4] = {"net.tap", net->tap};
    mine[5] = {"net.passt", net->passt};
    mine[6] = {"net.pcap", net->pcap};
  } else if (const auto* vsock = std::get_if<VsockConfig>(&device.kind)) {
    mine[4] = {"vsock.socket", vsock->socket};
  }
  return mine;
}

absl::Status ValidateUnique(const DevicesConfig& config, size_t index) {
  const auto mine = ExclusivesOf(config.device[index]);
  for (size_t i = 0; i < index; ++i) {
    const auto theirs = ExclusivesOf(config.device[i]);
    for (size_t field = 0; field < mine.size(); ++field) {
      if (mine[field].value.empty() ||
          mine[field].field != theirs[field].field ||
          mine[field].value != theirs[field].value) {
        continue;
      }
      return WrongField(
          absl::StrCat(At(index), ".", mine[field].field),
          absl::StrCat(Quoted(mine[field].value), " belongs to ", At(i)));
    }
  }
  return absl::OkStatus();
}

// REQUIRES: each device is valid, so that there are few descriptors.
absl::Status ValidateUniqueFds(const DevicesConfig& config) {
  std::vector<uint32_t> seen;
  const auto add = [&seen](const std::string& field, uint32_t fd) {
    if (fd == 0) return absl::OkStatus();
    if (std::find(seen.begin(), seen.end(), fd) != seen.end()) {
      return WrongField(field, absl::StrCat(fd, " is given twice"));
    }
    seen.push_back(fd);
    return absl::OkStatus();
  };
  for (size_t i = 0; i < config.device.size(); ++i) {
    const DeviceConfig& device = config.device[i];
    ANNULUS_RETURN_IF_ERROR(add(At(i) + ".fd", device.fd));
    if (const auto* net = std::get_if<NetConfig>(&device.kind)) {
      for (const uint32_t fd : net->tap_fds) {
        ANNULUS_RETURN_IF_ERROR(add(At(i) + ".net.tap_fds", fd));
      }
    } else if (const auto* vsock = std::get_if<VsockConfig>(&device.kind)) {
      ANNULUS_RETURN_IF_ERROR(
          add(At(i) + ".vsock.socket_fd", vsock->socket_fd));
      for (const VsockPortConfig& port : vsock->ports) {
        ANNULUS_RETURN_IF_ERROR(add(At(i) + ".vsock.ports", port.fd));
      }
    }
  }
  return absl::OkStatus();
}

// Names that were not given are among them.
absl::Status ValidateNames(const DevicesConfig& config) {
  const std::vector<std::string> names = DeviceNames(config);
  for (size_t i = 0; i < names.size(); ++i) {
    const auto end = names.begin() + static_cast<ptrdiff_t>(i);
    const auto other = std::find(names.begin(), end, names[i]);
    if (other == end) continue;
    return WrongField(
        At(i) + ".name",
        absl::StrCat(Quoted(names[i]), " belongs to ",
                     At(static_cast<size_t>(other - names.begin()))));
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view DeviceKindName(const DeviceConfig& device) {
  constexpr std::array<absl::string_view, 4> kNames = {"", "net", "vsock",
                                                       "rng"};
  static_assert(std::variant_size_v<decltype(device.kind)> == kNames.size());
  return kNames[device.kind.index()];
}

std::vector<std::string> DeviceNames(const DevicesConfig& config) {
  std::vector<std::string> names;
  std::array<size_t, 4> count = {};
  for (const DeviceConfig& device : config.device) {
    const size_t number = count[device.kind.index()]++;
    names.push_back(device.name.empty()
                        ? absl::StrCat(DeviceKindName(device), number)
                        : device.name);
  }
  return names;
}

absl::Status ValidateDevicesConfig(const DevicesConfig& config) {
  if (config.device.empty()) return WrongField("device", "is not given");
  if (config.device.size() > kMaxDevices) {
    return WrongField("device", absl::StrCat(config.device.size(),
                                             " are more than ", kMaxDevices));
  }
  for (size_t i = 0; i < config.device.size(); ++i) {
    const std::string at = At(i);
    ANNULUS_RETURN_IF_ERROR(ValidateName(at, config.device[i].name));
    ANNULUS_RETURN_IF_ERROR(ValidateEndpoint(at, config.device[i]));
    ANNULUS_RETURN_IF_ERROR(
        CheckPath(at + ".state_file", config.device[i].state_file));
    ANNULUS_RETURN_IF_ERROR(ValidateKind(at, config.device[i]));
    ANNULUS_RETURN_IF_ERROR(ValidateUnique(config, i));
  }
  ANNULUS_RETURN_IF_ERROR(ValidateUniqueFds(config));
  return ValidateNames(config);
}

}  // namespace annulus
