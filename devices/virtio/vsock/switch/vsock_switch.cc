#include "devices/virtio/vsock/switch/vsock_switch.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/event_fd.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/switch/attached_port.h"
#include "devices/virtio/vsock/switch/link/cid_socket.h"
#include "devices/virtio/vsock/switch/link/process_links.h"

namespace annulus::virtio {
namespace {

// A packet of 64 KiB must fit into the half that one sender may have.
constexpr uint64_t kLeastBytes = 256 * 1024;

}  // namespace

VsockSwitch::VsockSwitch(const SwitchOptions& options)
    : options_(options), members_(std::make_shared<SwitchMembers>()) {}

absl::StatusOr<std::shared_ptr<VsockSwitch>> VsockSwitch::Create(
    const SwitchOptions& options) {
  if (!options.directory.empty()) {
    ANNULUS_RETURN_IF_ERROR(CheckSwitchDirectory(options.directory));
  }
  return std::shared_ptr<VsockSwitch>(new VsockSwitch(options));
}

absl::StatusOr<std::unique_ptr<SwitchPort>> VsockSwitch::Attach(
    uint64_t cid, const SwitchPortOptions& options, LogSink& log) {
  if (cid < kVsockFirstGuestCid || cid > kVsockLastGuestCid) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.name, ": ", cid, " is no guest's CID"));
  }
  if (options.max_connections == 0 || options.max_bytes < kLeastBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        options.name, ": a switch needs at least one connection and ",
        kLeastBytes, " bytes, not ", options.max_connections, " and ",
        options.max_bytes));
  }
  ANNULUS_ASSIGN_OR_RETURN(EventFd packets, EventFd::Create());
  ANNULUS_ASSIGN_OR_RETURN(EventFd datagrams, EventFd::Create());
  auto member = std::make_shared<SwitchMember>(
      cid, options.max_connections, options.max_bytes, std::move(packets),
      std::move(datagrams));
  if (!members_->Join(cid, member)) {
    return absl::AlreadyExistsError(
        absl::StrCat(options.name, ": CID ", cid, " is taken"));
  }
  std::unique_ptr<ProcessLinks> links;
  if (!options_.directory.empty()) {
    auto created = ProcessLinks::Create(options_.directory, options.name,
                                        *members_, *member, log);
    if (!created.ok()) {
      members_->Leave(cid);
      return created.status();
    }
    links = *std::move(created);
  }
  return std::make_unique<AttachedPort>(members_, std::move(member),
                                        std::move(links));
}

}  // namespace annulus::virtio
