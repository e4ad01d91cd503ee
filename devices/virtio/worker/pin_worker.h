#ifndef DEVICES_VIRTIO_WORKER_PIN_WORKER_H_
#define DEVICES_VIRTIO_WORKER_PIN_WORKER_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/thread.h"

namespace annulus::virtio {

// As PinThread(), if there is a CPU; the error says which worker it was for.
//
// Threads: any.
absl::Status PinWorker(const Thread& thread, absl::string_view name,
                       std::optional<int> cpu);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_WORKER_PIN_WORKER_H_
