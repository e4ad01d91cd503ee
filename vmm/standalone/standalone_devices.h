#ifndef VMM_STANDALONE_STANDALONE_DEVICES_H_
#define VMM_STANDALONE_STANDALONE_DEVICES_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/log_sink.h"
#include "base/thread_entries.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_server.h"
#include "devices/virtio/vsock/backend/bound_socket.h"
#include "vmm/config/devices_config.h"
#include "vmm/standalone/device_resources.h"

namespace annulus {

// Devices that stand alone: each is served over vhost-user to another VMM, or
// whatever else drives it, by threads of its own. There is no global state;
// any number of these may be in a process.
//
// A program that uses it calls memory::HandleBusErrors() first, or a front-end
// that truncates its memory ends the process; and ignores or blocks SIGPIPE.
//
//   ANNULUS_ASSIGN_OR_RETURN(auto resources, OpenDeviceResources(config));
//   ANNULUS_ASSIGN_OR_RETURN(
//       auto devices,
//       StandaloneDevices::Create(config, std::move(resources), log));
//   devices->Wait(stop_fd);
//   devices->Stop();
//
// Threads: the methods are serialized by the caller.
// Trust: `config` may be anything; front-ends are untrusted, and cost at most
//   their own device.
class StandaloneDevices {
 public:
  // Validates, makes the devices and serves them. `resources` are those of
  // OpenDeviceResources(), or made by an embedder: one for each device. `log`
  // outlives the devices. InvalidArgument begins with the field that is wrong;
  // other errors are the host's.
  static absl::StatusOr<std::unique_ptr<StandaloneDevices>> Create(
      const DevicesConfig& config, std::vector<DeviceResources> resources,
      LogSink& log);

  StandaloneDevices(const StandaloneDevices&) = delete;
  StandaloneDevices& operator=(const StandaloneDevices&) = delete;
  ~StandaloneDevices() { Stop(); }

  enum class End : uint8_t { kStopRequested, kFinished };

  // Returns when `stop_fd` is readable, which is not read from, or when no
  // device can have a front-end any more: each had a connection that was given,
  // and that has ended, or is in failure(). One that fails is no reason to take
  // the others from their guests.
  End Wait(int stop_fd) const;

  // What the host refused for good to the first of the devices that no
  // front-end can reach any more because of that; names the device, its socket
  // and the reason. OK: nothing. Also after Stop().
  absl::Status failure() const;

  // Ends all sessions and threads, and removes the sockets' files.
  void Stop();

 private:
  StandaloneDevices() = default;

  static absl::StatusOr<std::unique_ptr<StandaloneDevices>> Assemble(
      const DevicesConfig& config, std::vector<DeviceResources> resources,
      ThreadEntries& entries, LogSink& log);

  // Destroyed in reverse: threads end before what they use.
  std::vector<virtio::BoundSocket> socket_files_;
  std::vector<std::unique_ptr<vhost_user::BackEndServer>> servers_;
};

}  // namespace annulus

#endif  // VMM_STANDALONE_STANDALONE_DEVICES_H_
