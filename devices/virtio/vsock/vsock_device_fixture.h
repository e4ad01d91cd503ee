#ifndef DEVICES_VIRTIO_VSOCK_VSOCK_DEVICE_FIXTURE_H_
#define DEVICES_VIRTIO_VSOCK_VSOCK_DEVICE_FIXTURE_H_

#include <poll.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "devices/virtio/transport/test_driver.h"
#include "devices/virtio/transport/transport_options.h"
#include "devices/virtio/vsock/connection/test_backend.h"
#include "devices/virtio/vsock/switch/switch_port.h"
#include "devices/virtio/vsock/vsock_device.h"
#include "devices/virtio/vsock/vsock_features.h"
#include "devices/virtio/vsock/vsock_guest.h"
#include "devices/virtio/vsock/vsock_options.h"

namespace annulus::virtio {

// Keeps what is logged.
class KeptLog final : public LogSink {
 public:
  void Log(LogSeverity, absl::string_view line) override {
    MutexLock lock(mu_);
    lines_.emplace_back(line);
  }
  std::vector<std::string> lines() const {
    MutexLock lock(mu_);
    return lines_;
  }

 private:
  mutable Mutex mu_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mu_);
};

using MakeTransport = std::unique_ptr<TestDriver> (*)(
    VirtioDevice& device, const TransportOptions& options);

// For tests: a socket device with all its threads behind a transport, its
// guest, and programs of the host at the ends of real sockets.
class VsockDeviceFixture {
 public:
  static constexpr uint64_t kCid = 42;

  static VsockOptions DefaultOptions() {
    VsockOptions options;
    options.guest_cid = kCid;
    options.features = AllVsockFeatures();
    return options;
  }

  void Make(const VsockOptions& options, MakeTransport make_transport,
            const VsockGuest::Options& guest,
            std::unique_ptr<SwitchPort> port = nullptr) {
    guest_.reset();
    transport_.reset();
    device_.reset();
    auto backend = std::make_unique<TestBackend>();
    backend_ = backend.get();
    device_ =
        VsockDevice::Create(options, std::move(backend), std::move(port), log_)
            .value();
    transport_ = make_transport(*device_, {});
    guest_ = std::make_unique<VsockGuest>(*transport_, guest);
  }

  VsockDevice& device() { return *device_; }
  VsockGuest& guest() { return *guest_; }
  TestBackend& backend() { return *backend_; }
  TestDriver& transport() { return *transport_; }
  KeptLog& log() { return log_; }
  void DestroyDevice() {
    guest_.reset();
    transport_.reset();
    device_.reset();
  }

  // A program of the host: waits as long as it takes.
  static void Write(const UniqueFd& fd, absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd.get(), bytes.data(), bytes.size(),
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else {
        Await(fd, POLLOUT);
      }
    }
  }
  // As many bytes, or up to the end.
  static std::string Read(const UniqueFd& fd, size_t size) {
    std::string bytes(size, '\0');
    size_t done = 0;
    while (done < size) {
      Await(fd, POLLIN);
      const ssize_t count =
          ::recv(fd.get(), bytes.data() + done, size - done, MSG_DONTWAIT);
      if (count <= 0) break;
      done += static_cast<size_t>(count);
    }
    bytes.resize(done);
    return bytes;
  }
  // Waits for its end. False: there was data, or an error.
  static bool AwaitEnd(const UniqueFd& fd) {
    Await(fd, POLLIN);
    char byte;
    return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }
  static bool Readable(const UniqueFd& fd) {
    pollfd one = {fd.get(), POLLIN, 0};
    return ::poll(&one, 1, 0) == 1;
  }

 private:
  static void Await(const UniqueFd& fd, int16_t events) {
    pollfd one = {fd.get(), events, 0};
    (void)::poll(&one, 1, -1);
  }

  KeptLog log_;
  TestBackend* backend_ = nullptr;  // The device's.
  std::unique_ptr<VsockDevice> device_;
  std::unique_ptr<TestDriver> transport_;
  std::unique_ptr<VsockGuest> guest_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_VSOCK_DEVICE_FIXTURE_H_
