#ifndef DEVICES_VIRTIO_WORKER_POLLING_THREADS_H_
#define DEVICES_VIRTIO_WORKER_POLLING_THREADS_H_

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "devices/virtio/worker/polling_thread.h"
#include "devices/virtio/worker/worker_policy.h"

namespace annulus::virtio {

// Which polling threads the workers of one device share: those whose policy
// gives them the same CPU share one.
//
// Threads: thread-compatible.
class PollingThreads {
 public:
  // `device` names them, as in "net0/cpu1".
  PollingThreads(std::string device, WorkerPolicy policy)
      : device_(std::move(device)), policy_(std::move(policy)) {}

  // That of the worker of queue `index`: its workers own it together, so that
  // they can end in any order. Null where workers do not share threads: they
  // sleep, or nobody said on what CPU they are.
  absl::StatusOr<std::shared_ptr<PollingThread>> Of(size_t index);

 private:
  const std::string device_;
  const WorkerPolicy policy_;
  std::map<int, std::shared_ptr<PollingThread>> of_cpu_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_WORKER_POLLING_THREADS_H_
