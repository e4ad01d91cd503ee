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

// Which polling threads workers share, those of one device or of several: who
// is on the same CPU by its policy shares the one thread of that CPU.
//
// Threads: thread-compatible.
class PollingThreads {
 public:
  // `owner` names them, as in "net0/cpu1".
  explicit PollingThreads(std::string owner) : owner_(std::move(owner)) {}

  // That of the worker of queue `index`: its workers own it together, so that
  // they can end in any order. Null where workers do not share threads: they
  // sleep, or nobody said on what CPU they are.
  absl::StatusOr<std::shared_ptr<PollingThread>> Of(const WorkerPolicy& policy,
                                                    size_t index);

 private:
  const std::string owner_;
  // Those that were asked for. Without workers they end.
  std::map<int, std::weak_ptr<PollingThread>> of_cpu_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_WORKER_POLLING_THREADS_H_
