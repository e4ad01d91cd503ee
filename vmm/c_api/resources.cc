#include <fcntl.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "vmm/c_api.h"
#include "vmm/c_api/guard.h"
#include "vmm/c_api/handles.h"
#include "vmm/vhost_user_resources.h"
#include "vmm/vmm.h"

namespace {

using annulus::UniqueFd;
using annulus::c_api::Guard;
using annulus::c_api::NullArgument;

// More than any configuration has; a wrong number must not take all memory.
constexpr uint32_t kMaxIndex = 64;

absl::Status CheckFd(int fd) {
  if (fd >= 0 && ::fcntl(fd, F_GETFD) >= 0) return absl::OkStatus();
  return absl::ErrnoToStatus(fd < 0 ? EBADF : errno, absl::StrCat("fd: ", fd));
}

// Element `index` of `list`, made if need be.
template <typename List>
absl::StatusOr<typename List::value_type*> ElementOf(List& list,
                                                     absl::string_view name,
                                                     uint32_t index) {
  if (index >= kMaxIndex) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": ", index, " is not below ", kMaxIndex));
  }
  if (list.size() <= index) list.resize(index + size_t{1});
  return &list[index];
}

// Calls `body` with the Resources, once `fd` is known to be open.
template <typename Body>
annulus_code HandOver(annulus_resources* resources, int fd,
                      annulus_error** error, Body body) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (resources == nullptr) return NullArgument("resources");
    ANNULUS_RETURN_IF_ERROR(CheckFd(fd));
    return body(*resources);
  });
}

annulus::virtio::UnixSocketOptions& Vsock(annulus_resources& resources) {
  if (!resources.vsock.has_value()) resources.vsock.emplace();
  return *resources.vsock;
}

UniqueFd* FileOf(annulus_resources& resources, annulus_file file) {
  switch (file) {
    case ANNULUS_FILE_KVM:
      return &resources.resources.kvm;
    case ANNULUS_FILE_KERNEL:
      return &resources.resources.kernel;
    case ANNULUS_FILE_INITRD:
      return &resources.resources.initrd;
    case ANNULUS_FILE_CONSOLE_IN:
      return &resources.resources.console_in;
    case ANNULUS_FILE_CONSOLE_OUT:
      return &resources.resources.console_out;
    case ANNULUS_FILE_VSOCK:
      return &Vsock(resources).listener;
    case ANNULUS_FILE_VSOCK_HOST:
      return &Vsock(resources).host;
    case ANNULUS_FILE_CONTROL:
      return &resources.resources.control;
  }
  return nullptr;  // The caller's number.
}

absl::Status SetCardFile(annulus::NetResources& card, annulus_card_file file,
                         int fd) {
  switch (file) {
    case ANNULUS_CARD_TAP:
      card.taps.emplace_back(fd);
      return absl::OkStatus();
    case ANNULUS_CARD_PASST:
      card.socket.reset(fd);
      return absl::OkStatus();
    case ANNULUS_CARD_PCAP:
      card.pcap.reset(fd);
      return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("file: ", file, " is no annulus_card_file"));
}

absl::StatusOr<annulus::VhostUserResources*> VhostUserOf(
    annulus::Resources& resources, annulus_device_kind kind, uint32_t index) {
  switch (kind) {
    case ANNULUS_DEVICE_RNG:
      return ElementOf(resources.rng, "index", index);
    case ANNULUS_DEVICE_NET: {
      ANNULUS_ASSIGN_OR_RETURN(annulus::NetResources * card,
                               ElementOf(resources.net, "index", index));
      return &card->vhost_user;
    }
    case ANNULUS_DEVICE_VSOCK:
      if (index != 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("index: ", index, ", but there is one socket device"));
      }
      if (!resources.vsock.has_value()) {
        ANNULUS_ASSIGN_OR_RETURN(annulus::virtio::UnixSockets none,
                                 annulus::virtio::UnixSockets::Open({}));
        resources.vsock.emplace(annulus::VsockResources{
            .sockets = std::move(none), .vsock_switch = {}, .vhost_user = {}});
      }
      return &resources.vsock->vhost_user;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("kind: ", kind, " is no annulus_device_kind"));
}

}  // namespace

extern "C" {

annulus_code annulus_resources_create(annulus_resources** resources,
                                      annulus_error** error) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (resources == nullptr) return NullArgument("resources");
    *resources = nullptr;
    *resources = new annulus_resources;
    return absl::OkStatus();
  });
}

annulus_code annulus_resources_open(const annulus_config* config,
                                    annulus_resources** resources,
                                    annulus_error** error) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (resources == nullptr) return NullArgument("resources");
    *resources = nullptr;
    if (config == nullptr) return NullArgument("config");
    ANNULUS_RETURN_IF_ERROR(annulus::ValidateVmConfig(config->config));
    ANNULUS_ASSIGN_OR_RETURN(annulus::Resources opened,
                             annulus::OpenResources(config->config));
    *resources = new annulus_resources{.resources = std::move(opened),
                                       .vsock = {},
                                       .log = {},
                                       .events = {},
                                       .threads = {}};
    return absl::OkStatus();
  });
}

void annulus_resources_free(annulus_resources* resources) noexcept {
  delete resources;
}

annulus_code annulus_resources_set_file(annulus_resources* resources,
                                        annulus_file file, int fd,
                                        annulus_error** error) noexcept {
  return HandOver(resources, fd, error, [&](annulus_resources& r) {
    UniqueFd* const place = FileOf(r, file);
    if (place == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("file: ", file, " is no annulus_file"));
    }
    place->reset(fd);
    return absl::OkStatus();
  });
}

annulus_code annulus_resources_set_card_file(annulus_resources* resources,
                                             uint32_t card,
                                             annulus_card_file file, int fd,
                                             annulus_error** error) noexcept {
  return HandOver(
      resources, fd, error, [&](annulus_resources& r) -> absl::Status {
        ANNULUS_ASSIGN_OR_RETURN(annulus::NetResources * net,
                                 ElementOf(r.resources.net, "card", card));
        return SetCardFile(*net, file, fd);
      });
}

annulus_code annulus_resources_set_vhost_user(annulus_resources* resources,
                                              annulus_device_kind kind,
                                              uint32_t index, int fd,
                                              annulus_error** error) noexcept {
  return HandOver(
      resources, fd, error, [&](annulus_resources& r) -> absl::Status {
        ANNULUS_ASSIGN_OR_RETURN(annulus::VhostUserResources * place,
                                 VhostUserOf(r.resources, kind, index));
        annulus::VhostUserResources taken;
        ANNULUS_RETURN_IF_ERROR(annulus::TakeSocket(
            "fd", static_cast<uint32_t>(fd), taken.listener, taken.connection));
        *place = std::move(taken);
        return absl::OkStatus();
      });
}

annulus_code annulus_resources_add_vsock_port(annulus_resources* resources,
                                              annulus_vsock_direction direction,
                                              uint32_t port,
                                              annulus_vsock_type type, int fd,
                                              annulus_error** error) noexcept {
  return HandOver(resources, fd, error, [&](annulus_resources& r) {
    if (type != ANNULUS_VSOCK_STREAM && type != ANNULUS_VSOCK_SEQPACKET) {
      return absl::InvalidArgumentError(
          absl::StrCat("type: ", type, " is no annulus_vsock_type"));
    }
    if (direction != ANNULUS_VSOCK_TO_GUEST &&
        direction != ANNULUS_VSOCK_TO_HOST) {
      return absl::InvalidArgumentError(absl::StrCat(
          "direction: ", direction, " is no annulus_vsock_direction"));
    }
    annulus::virtio::UnixPortMap map;
    map.port = port;
    map.to_guest = direction == ANNULUS_VSOCK_TO_GUEST;
    map.type = type == ANNULUS_VSOCK_STREAM
                   ? annulus::virtio::kVsockTypeStream
                   : annulus::virtio::kVsockTypeSeqpacket;
    // Last, as all else may find no memory.
    Vsock(r).ports.push_back(std::move(map));
    Vsock(r).ports.back().fd.reset(fd);
    return absl::OkStatus();
  });
}

annulus_code annulus_switch_create(const char* name,
                                   annulus_switch** frame_switch,
                                   annulus_error** error) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (frame_switch == nullptr) return NullArgument("frame_switch");
    *frame_switch = nullptr;
    if (name == nullptr) return NullArgument("name");
    ANNULUS_ASSIGN_OR_RETURN(
        std::shared_ptr<annulus::virtio::FrameSwitch> created,
        annulus::virtio::FrameSwitch::Create(name));
    *frame_switch = new annulus_switch{std::move(created)};
    return absl::OkStatus();
  });
}

void annulus_switch_free(annulus_switch* frame_switch) noexcept {
  delete frame_switch;
}

annulus_code annulus_resources_set_card_switch(annulus_resources* resources,
                                               uint32_t card,
                                               annulus_switch* frame_switch,
                                               annulus_error** error) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (resources == nullptr) return NullArgument("resources");
    if (frame_switch == nullptr) return NullArgument("frame_switch");
    ANNULUS_ASSIGN_OR_RETURN(annulus::NetResources * net,
                             ElementOf(resources->resources.net, "card", card));
    net->frame_switch = frame_switch->frame_switch;
    return absl::OkStatus();
  });
}

}  // extern "C"
