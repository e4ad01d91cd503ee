#include "vmm/standalone/standalone_devices.h"

#include <poll.h>

#include <cstddef>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/thread_entries.h"
#include "devices/virtio/vsock/backend/unix_address.h"
#include "vmm/config/validate_devices_config.h"
#include "vmm/standalone/make_device.h"

namespace annulus {
namespace {

std::string Place(const DeviceConfig& device) {
  if (device.fd != 0) return absl::StrCat("serves descriptor ", device.fd);
  if (!device.connect.empty()) {
    return absl::StrCat("connects to ", virtio::QuotedPath(device.connect));
  }
  return absl::StrCat("waits for front-ends at ",
                      virtio::QuotedPath(device.socket));
}

}  // namespace

absl::StatusOr<std::unique_ptr<StandaloneDevices>> StandaloneDevices::Create(
    const DevicesConfig& config, std::vector<DeviceResources> resources,
    LogSink& log) {
  ThreadEntries entries;
  auto self = Assemble(config, std::move(resources), entries, log);
  // What the lack of a thread led to is not the cause.
  ANNULUS_RETURN_IF_ERROR(entries.Await());
  return self;
}

absl::StatusOr<std::unique_ptr<StandaloneDevices>> StandaloneDevices::Assemble(
    const DevicesConfig& config, std::vector<DeviceResources> resources,
    ThreadEntries& entries, LogSink& log) {
  ANNULUS_RETURN_IF_ERROR(ValidateDevicesConfig(config));
  if (resources.size() != config.device.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("device: ", config.device.size(), " are configured, but ",
                     resources.size(), " were opened"));
  }
  const std::vector<std::string> names = DeviceNames(config);
  std::unique_ptr<StandaloneDevices> self(new StandaloneDevices);
  // All are there before the first of them is served.
  DeviceMaker maker(log);
  std::vector<std::unique_ptr<vhost_user::BackEndDevice>> devices;
  for (size_t i = 0; i < config.device.size(); ++i) {
    ANNULUS_ASSIGN_OR_RETURN(
        std::unique_ptr<vhost_user::BackEndDevice> device,
        maker.Make(config.device[i],
                   {.name = names[i], .field = absl::StrCat("device[", i, "]")},
                   std::move(resources[i].kind)));
    devices.push_back(std::move(device));
  }
  // Nobody waits for a queue whose thread is not there.
  ANNULUS_RETURN_IF_ERROR(entries.Await());
  for (size_t i = 0; i < devices.size(); ++i) {
    self->socket_files_.push_back(std::move(resources[i].socket_file));
    vhost_user::BackEndOptions options;
    options.name = names[i];
    options.state_file = std::move(resources[i].state_file);
    ANNULUS_ASSIGN_OR_RETURN(
        std::unique_ptr<vhost_user::BackEndServer> server,
        vhost_user::BackEndServer::Create(std::move(options),
                                          std::move(resources[i].endpoint),
                                          std::move(devices[i]), log));
    self->servers_.push_back(std::move(server));
    log.Log(LogSeverity::kInfo,
            absl::StrCat(names[i], ": ", Place(config.device[i])));
  }
  return self;
}

StandaloneDevices::End StandaloneDevices::Wait(int stop_fd) const {
  std::vector<pollfd> fds = {{stop_fd, POLLIN, 0}};
  for (const auto& server : servers_) {
    fds.push_back({server->finished_fd(), POLLIN, 0});
  }
  size_t left = servers_.size();
  while (left > 0) {
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;  // EINTR.
    if (fds[0].revents != 0) return End::kStopRequested;
    for (size_t i = 1; i < fds.size(); ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      fds[i].fd = -1;  // Passed over by poll(2).
      --left;
    }
  }
  return End::kFinished;
}

absl::Status StandaloneDevices::failure() const {
  for (const auto& server : servers_) {
    ANNULUS_RETURN_IF_ERROR(server->failure());
  }
  return absl::OkStatus();
}

void StandaloneDevices::Stop() {
  for (const auto& server : servers_) server->Stop();
  socket_files_.clear();
}

}  // namespace annulus
