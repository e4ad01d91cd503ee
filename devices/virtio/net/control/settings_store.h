#ifndef DEVICES_VIRTIO_NET_CONTROL_SETTINGS_STORE_H_
#define DEVICES_VIRTIO_NET_CONTROL_SETTINGS_STORE_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "devices/virtio/net/control/net_settings.h"

namespace annulus::virtio {

// The settings of a card: replaced as a whole by the control queue, read by the
// workers of the data queues.
//
// shared_ptr, for the last worker that looks away from old settings is whoever
// it happens to be.
//
// Threads: thread-safe. A change is made of what Current() returned, so writers
//   take turns: the device while no queue runs, then the control queue.
// Allocation: in Publish().
class NetSettingsStore {
 public:
  NetSettingsStore();

  void Publish(const NetSettings& settings);

  // Cold: takes a lock.
  std::shared_ptr<const NetSettings> Current() const;

 private:
  friend class NetSettingsReader;

  mutable Mutex mu_;
  std::shared_ptr<const NetSettings> current_ ABSL_GUARDED_BY(mu_);
  std::atomic<uint64_t> version_{1};  // Written under mu_.
};

// One worker's view of a store.
//
//   const NetSettings& settings = reader.Refresh();  // Once per batch.
//
// Threads: thread-compatible; each worker has its own.
class NetSettingsReader {
 public:
  // `store` outlives the reader.
  explicit NetSettingsReader(
      const NetSettingsStore& store ABSL_ATTRIBUTE_LIFETIME_BOUND)
      : store_(store) {}

  // Hot. The newest settings, valid until the next call. One load where nothing
  // changed. Where something did: a lock, and perhaps the end of the old
  // settings.
  const NetSettings& Refresh() {
    // Acquire: pairs with the release of Publish(). What the writer did before
    // it published is seen by whoever sees the version.
    if (ABSL_PREDICT_FALSE(store_.version_.load(std::memory_order_acquire) !=
                           seen_)) {
      Take();
    }
    return *settings_;
  }

 private:
  ABSL_ATTRIBUTE_COLD void Take();

  const NetSettingsStore& store_;
  uint64_t seen_ = 0;  // Never a version: the first Refresh() takes.
  std::shared_ptr<const NetSettings> settings_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_CONTROL_SETTINGS_STORE_H_
