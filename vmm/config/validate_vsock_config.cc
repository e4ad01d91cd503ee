#include "vmm/config/validate_vsock_config.h"

#include <bit>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/vsock.h"
#include "vmm/config/field_checks.h"
#include "vmm/config/validate_vhost_user_config.h"
#include "vmm/config/validate_workers_config.h"

namespace annulus {
namespace {

using Direction = VsockPortConfig::Direction;
using Type = VsockPortConfig::Type;

constexpr uint32_t kPortAny = 0xffffffff;  // VMADDR_PORT_ANY: nobody's.

std::string PortName(size_t index, absl::string_view field) {
  return absl::StrCat("vsock.ports[", index, "].", field);
}

absl::Status ValidateCid(uint64_t cid) {
  constexpr absl::string_view kField = "vsock.cid";
  constexpr absl::string_view kRange = "a guest's is 3 to 4294967294";
  static_assert(virtio::kVsockFirstGuestCid == 3);
  static_assert(virtio::kVsockLastGuestCid == 4294967294);
  switch (cid) {
    case 0:
      return WrongField(kField, absl::StrCat("is not given, or 0, which means "
                                             "the hypervisor; ",
                                             kRange));
    case 1:
      return WrongField(
          kField,
          absl::StrCat("1 means the guest itself everywhere; ", kRange));
    case 2:
      return WrongField(kField, absl::StrCat("2 is the host; ", kRange));
    case 0xffffffff:
      return WrongField(kField,
                        absl::StrCat("4294967295 means any address; ", kRange));
    default:
      return CheckRange(kField, cid, virtio::kVsockFirstGuestCid,
                        virtio::kVsockLastGuestCid);
  }
}

// 0: none.
absl::Status CheckOptionalFd(absl::string_view field, uint32_t fd) {
  return fd == 0 ? absl::OkStatus() : CheckFd(field, fd);
}

absl::Status ValidateSockets(const VsockConfig& vsock) {
  const absl::string_view longest =
      vsock.dgram ? "_dgram_4294967295" : "_4294967295";
  ANNULUS_RETURN_IF_ERROR(
      CheckSocketPath("vsock.socket", vsock.socket, longest.size()));
  ANNULUS_RETURN_IF_ERROR(CheckOptionalFd("vsock.socket_fd", vsock.socket_fd));
  ANNULUS_RETURN_IF_ERROR(CheckOptionalFd("vsock.host_fd", vsock.host_fd));
  if (vsock.host_fd != 0 && vsock.host_fd == vsock.socket_fd) {
    return WrongField("vsock.host_fd", absl::StrCat(vsock.host_fd,
                                                    " belongs to "
                                                    "vsock.socket_fd"));
  }
  ANNULUS_RETURN_IF_ERROR(
      CheckPath("vsock.switch_directory", vsock.switch_directory,
                kMaxSocketPath - absl::string_view("/4294967294").size()));
  const bool anybody = !vsock.socket.empty() || vsock.socket_fd != 0 ||
                       vsock.host_fd != 0 || !vsock.ports.empty() ||
                       !vsock.switch_directory.empty();
  if (!anybody) {
    return WrongField(
        "vsock.socket",
        "is not given, nor is one of socket_fd, host_fd, ports and "
        "switch_directory: nobody could be reached");
  }
  if (vsock.dgram && vsock.socket.empty() && vsock.switch_directory.empty()) {
    return WrongField("vsock.dgram",
                      "is given, but neither socket nor switch_directory: "
                      "nobody could be reached");
  }
  return absl::OkStatus();
}

// What of `vsock` itself is at `path`, which a port cannot have, too; "" if
// nothing is.
absl::string_view OwnSocketAt(const VsockConfig& vsock,
                              absl::string_view path) {
  absl::string_view suffix = path;
  if (vsock.socket.empty() || path.empty()) return "";
  if (!absl::StartsWith(path, vsock.socket)) return "";
  suffix.remove_prefix(vsock.socket.size());
  if (suffix.empty()) return "socket";
  if (vsock.seqpacket && suffix == "_seqpacket") return "seqpacket";
  if (vsock.dgram && suffix == "_dgram") return "dgram";
  return "";
}

absl::Status ValidatePort(const VsockConfig& vsock, size_t index) {
  const VsockPortConfig& port = vsock.ports[index];
  const auto field = [&](absl::string_view name) {
    return PortName(index, name);
  };
  if (port.port == 0) {
    return WrongField(field("port"), "is not given: 1 to 4294967294");
  }
  if (port.port == kPortAny) {
    return WrongField(field("port"),
                      absl::StrCat(port.port, " means any port"));
  }
  if (port.direction == Direction::kNone) {
    return WrongField(field("direction"), "is not given: TO_GUEST or TO_HOST");
  }
  if (port.type == Type::kSeqpacket && !vsock.seqpacket) {
    return WrongField(field("type"),
                      "is SEQPACKET, but vsock.seqpacket is false");
  }
  ANNULUS_RETURN_IF_ERROR(CheckSocketPath(field("path"), port.path));
  ANNULUS_RETURN_IF_ERROR(CheckOptionalFd(field("fd"), port.fd));
  if (port.path.empty() && port.fd == 0) {
    return WrongField(field("path"), "is not given, nor is fd");
  }
  if (!port.path.empty() && port.fd != 0) {
    return WrongField(field("fd"), "is given, but path is, too");
  }
  if (port.direction == Direction::kToHost) return absl::OkStatus();
  const absl::string_view own = OwnSocketAt(vsock, port.path);
  if (!own.empty()) {
    return WrongField(field("path"), absl::StrCat(Quoted(port.path),
                                                  " belongs to vsock.", own));
  }
  return absl::OkStatus();
}

// What two ports cannot both have: only one of them would be reached.
absl::Status ValidateUnique(const VsockConfig& vsock, size_t index) {
  const VsockPortConfig& port = vsock.ports[index];
  if (port.fd != 0 && port.fd == vsock.socket_fd) {
    return WrongField(PortName(index, "fd"),
                      absl::StrCat(port.fd, " belongs to vsock.socket_fd"));
  }
  for (size_t i = 0; i < index; ++i) {
    const VsockPortConfig& other = vsock.ports[i];
    if (port.direction != other.direction) continue;
    const std::string theirs = absl::StrCat(" belongs to vsock.ports[", i, "]");
    if (port.port == other.port && port.type == other.type) {
      return WrongField(PortName(index, "port"),
                        absl::StrCat(port.port, theirs));
    }
    if (port.direction != Direction::kToGuest) continue;
    if (!port.path.empty() && port.path == other.path) {
      return WrongField(PortName(index, "path"),
                        absl::StrCat(Quoted(port.path), theirs));
    }
    if (port.fd != 0 && port.fd == other.fd) {
      return WrongField(PortName(index, "fd"), absl::StrCat(port.fd, theirs));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidatePorts(const VsockConfig& vsock) {
  if (vsock.ports.size() > kMaxVsockPorts) {
    return WrongField("vsock.ports",
                      absl::StrCat(vsock.ports.size(), " ports are more than ",
                                   kMaxVsockPorts));
  }
  for (size_t i = 0; i < vsock.ports.size(); ++i) {
    ANNULUS_RETURN_IF_ERROR(ValidatePort(vsock, i));
    ANNULUS_RETURN_IF_ERROR(ValidateUnique(vsock, i));
  }
  return absl::OkStatus();
}

absl::Status ValidateNumbers(const VsockConfig& vsock) {
  if (!std::has_single_bit(vsock.queue_size)) {
    return WrongField("vsock.queue_size",
                      absl::StrCat(vsock.queue_size, " is not a power of two"));
  }
  const struct {
    absl::string_view field;
    uint64_t value;
    uint64_t low;
    uint64_t high;
  } kRanges[] = {
      {"buf_alloc", vsock.buf_alloc, kMinVsockBufAlloc, kMaxVsockBufAlloc},
      {"max_connections", vsock.max_connections, 1, kMaxVsockConnections},
      {"queue_size", vsock.queue_size, kMinVsockQueueSize, kMaxVsockQueueSize},
      {"connect_wait_milliseconds", vsock.connect_wait_milliseconds, 1,
       kMaxVsockWaitMilliseconds},
      {"listen_wait_milliseconds", vsock.listen_wait_milliseconds, 0,
       kMaxVsockWaitMilliseconds},
      {"close_wait_milliseconds", vsock.close_wait_milliseconds, 0,
       kMaxVsockWaitMilliseconds},
  };
  for (const auto& range : kRanges) {
    ANNULUS_RETURN_IF_ERROR(CheckRange(absl::StrCat("vsock.", range.field),
                                       range.value, range.low, range.high));
  }
  ANNULUS_RETURN_IF_ERROR(ValidateWorkers("vsock", vsock));
  // A caller is given up on after the first of the two.
  if (vsock.listen_wait_milliseconds > vsock.connect_wait_milliseconds) {
    return WrongField("vsock.listen_wait_milliseconds",
                      absl::StrCat(vsock.listen_wait_milliseconds,
                                   " is more than connect_wait_milliseconds: ",
                                   vsock.connect_wait_milliseconds));
  }
  return absl::OkStatus();
}

// Below 64, for vhost-user to carry them; neither of the socket device (virtio
// 1.4 §5.10.3 "Feature bits") nor of virtio itself (§2.2 "Feature Bits").
absl::Status ValidateFeature(absl::string_view field, uint32_t bit) {
  constexpr absl::string_view kFree = "3 to 23 and 50 to 63 are free";
  constexpr absl::string_view kOwn[] = {"STREAM", "SEQPACKET",
                                        "NO_IMPLIED_STREAM"};
  static_assert(virtio::kVsockNoImpliedStream == 2);
  if (bit >= 64) {
    return WrongField(field, absl::StrCat(bit, " is not below 64"));
  }
  if (bit < 3) {
    return WrongField(
        field, absl::StrCat(bit, " belongs to ", kOwn[bit], "; ", kFree));
  }
  if (bit >= 24 && bit <= 49) {
    return WrongField(field,
                      absl::StrCat(bit, " belongs to virtio 1.4; ", kFree));
  }
  return absl::OkStatus();
}

absl::Status ValidateFeatures(const VsockConfig& vsock) {
  ANNULUS_RETURN_IF_ERROR(
      ValidateFeature("vsock.mrg_rxbuf_feature", vsock.mrg_rxbuf_feature));
  ANNULUS_RETURN_IF_ERROR(
      ValidateFeature("vsock.dgram_feature", vsock.dgram_feature));
  // Of one that is not offered, the default must not be in the way.
  if (vsock.mrg_rxbuf && vsock.dgram &&
      vsock.mrg_rxbuf_feature == vsock.dgram_feature) {
    return WrongField(
        "vsock.dgram_feature",
        absl::StrCat(vsock.dgram_feature, " is mrg_rxbuf_feature, too"));
  }
  return absl::OkStatus();
}

// Of a device that another process serves.
absl::Status ValidateExternal(const VsockConfig& vsock) {
  if (vsock.cid != 0) ANNULUS_RETURN_IF_ERROR(ValidateCid(vsock.cid));
  const VsockConfig none;
  ANNULUS_RETURN_IF_ERROR(CheckNothingOfOwner(
      "vsock",
      {{"socket", !vsock.socket.empty()},
       {"socket_fd", vsock.socket_fd != none.socket_fd},
       {"host_fd", vsock.host_fd != none.host_fd},
       {"ports", !vsock.ports.empty()},
       {"switch_directory", !vsock.switch_directory.empty()},
       {"buf_alloc", vsock.buf_alloc != none.buf_alloc},
       {"max_connections", vsock.max_connections != none.max_connections},
       {"connect_wait_milliseconds",
        vsock.connect_wait_milliseconds != none.connect_wait_milliseconds},
       {"listen_wait_milliseconds",
        vsock.listen_wait_milliseconds != none.listen_wait_milliseconds},
       {"close_wait_milliseconds",
        vsock.close_wait_milliseconds != none.close_wait_milliseconds},
       {"poll", vsock.poll != none.poll},
       {"poll_microseconds", vsock.poll_microseconds != none.poll_microseconds},
       {"worker_cpus", !vsock.worker_cpus.empty()},
       {"mrg_rxbuf", vsock.mrg_rxbuf != none.mrg_rxbuf},
       {"dgram", vsock.dgram != none.dgram},
       {"mrg_rxbuf_feature", vsock.mrg_rxbuf_feature != none.mrg_rxbuf_feature},
       {"dgram_feature", vsock.dgram_feature != none.dgram_feature}}));
  return ValidateNumbers(vsock);
}

}  // namespace

absl::Status ValidateVsockConfig(const VsockConfig& vsock) {
  ANNULUS_RETURN_IF_ERROR(ValidateVhostUser("vsock", vsock.vhost_user));
  if (vsock.vhost_user.given()) return ValidateExternal(vsock);
  ANNULUS_RETURN_IF_ERROR(ValidateCid(vsock.cid));
  ANNULUS_RETURN_IF_ERROR(ValidateSockets(vsock));
  ANNULUS_RETURN_IF_ERROR(ValidatePorts(vsock));
  ANNULUS_RETURN_IF_ERROR(ValidateNumbers(vsock));
  return ValidateFeatures(vsock);
}

}  // namespace annulus
