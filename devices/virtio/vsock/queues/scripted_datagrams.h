#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_SCRIPTED_DATAGRAMS_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_SCRIPTED_DATAGRAMS_H_

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/event_fd.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"

// For tests of a queue by itself: what programs of the host send and get.

namespace annulus::virtio {

class ScriptedDatagrams final : public HostDatagrams {
 public:
  void Add(const Ports& ports, std::string payload) {
    to_guest.emplace_back(ports, std::move(payload));
    event.Signal();
  }

  int fd() const override { return event.fd(); }

  std::optional<size_t> Receive(absl::Span<const iovec> vectors,
                                Ports& ports) override {
    if (to_guest.empty()) return std::nullopt;
    const std::string payload = to_guest.front().second;
    ports = to_guest.front().first;
    to_guest.pop_front();
    if (to_guest.empty()) (void)event.Drain();
    size_t done = 0;
    for (const iovec& vector : vectors) {
      const size_t here = std::min(vector.iov_len, payload.size() - done);
      std::memcpy(vector.iov_base, payload.data() + done, here);
      done += here;
    }
    return payload.size();
  }

  bool Send(const Ports& ports, absl::Span<const iovec> vectors) override {
    if (ports.host == nobody) return false;
    std::string payload;
    for (const iovec& vector : vectors) {
      payload.append(static_cast<const char*>(vector.iov_base), vector.iov_len);
    }
    most_vectors = std::max(most_vectors, vectors.size());
    from_guest.emplace_back(ports, std::move(payload));
    return true;
  }

  std::deque<std::pair<Ports, std::string>> to_guest;
  std::vector<std::pair<Ports, std::string>> from_guest;
  uint32_t nobody = 999;  // At this port.
  size_t most_vectors = 0;
  EventFd event = EventFd::Create().value();
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_SCRIPTED_DATAGRAMS_H_
