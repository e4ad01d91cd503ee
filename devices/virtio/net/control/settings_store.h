#ifndef DEVICES_VIRTIO_NET_CONTROL_SETTINGS_STORE_H_
#define DEVICES_VIRTIO_NET_CONTROL_SETTINGS_STORE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "devices/virtio/net/control/net_settings.h"

namespace annulus::virtio {

class NetSettingsReader;

// The settings of a card: replaced as a whole by the control queue, read by the
// workers of the data queues.
//
// shared_ptr, for the last worker that looks away from old settings is whoever
// it happens to be.
//
// Threads: thread-safe. A change is made of what Current() returned, so writers
//   take turns: the device while no queue runs, then the control queue.
// Allocation: in Publish(), and where a reader is made.
class NetSettingsStore {
 public:
  NetSettingsStore();
  ~NetSettingsStore();  // REQUIRES: no reader is left.

  NetSettingsStore(const NetSettingsStore&) = delete;
  NetSettingsStore& operator=(const NetSettingsStore&) = delete;

  void Publish(const NetSettings& settings);

  // Cold: takes a lock.
  std::shared_ptr<const NetSettings> Current() const;

  // Cold, the writer's. Returns when no reader between Begin() and End() uses
  // settings older than the current ones, and none will; what readers did with
  // the old ones happened before. For as long as the longest of them takes to
  // get to its next Refresh() or End(), however late it is scheduled.
  //
  // REQUIRES: the calling thread is not itself between Begin() and End().
  void WaitForReaders() const;

 private:
  friend class NetSettingsReader;

  bool HasReaderBefore(uint64_t version) const;

  mutable Mutex mu_;
  std::shared_ptr<const NetSettings> current_ ABSL_GUARDED_BY(mu_);
  std::atomic<uint64_t> version_{1};  // Written under mu_.

  // Not mu_, so that who waits does not stand in the way of who takes. Neither
  // is held while the other is taken.
  mutable Mutex readers_mu_;
  mutable std::vector<const NetSettingsReader*> readers_
      ABSL_GUARDED_BY(readers_mu_);
};

// One worker's view of a store.
//
//   const NetSettings* settings = &reader.Begin();  // Once per batch.
//   ... use *settings ...
//   settings = &reader.Refresh();                   // At will, in between.
//   ... use *settings ...
//   reader.End();
//
// A reader that never begins may call Refresh() alone: nobody waits for it.
//
// Threads: thread-compatible; each worker has its own.
class NetSettingsReader {
 public:
  // `store` outlives the reader.
  explicit NetSettingsReader(
      const NetSettingsStore& store ABSL_ATTRIBUTE_LIFETIME_BOUND);
  ~NetSettingsReader();  // Not between Begin() and End().

  NetSettingsReader(const NetSettingsReader&) = delete;
  NetSettingsReader& operator=(const NetSettingsReader&) = delete;

  // Hot. The newest settings, which are valid until the next call of anything:
  // from here to End(), WaitForReaders() waits for this reader if it has older
  // ones. Where something changed, as Refresh().
  const NetSettings& Begin() {
    // Sequentially consistent, with the load of version_ in Refresh(): the
    // mark first, then the look. The writer does the opposite: version_ first
    // (Publish()), then a look at the mark (WaitForReaders()). In the one order
    // of all four, one of the two looks comes last and sees what the other
    // wrote: either this reader takes the new settings, or it is waited for.
    mark_.store(seen_, std::memory_order_seq_cst);
    return Refresh();
  }

  // Hot. The newest settings; those of an earlier call are not in use any more.
  // One load where nothing changed. Where something did: a lock, and perhaps
  // the end of the old settings.
  const NetSettings& Refresh() {
    // Sequentially consistent: see Begin(). As an acquire it pairs with the
    // increment in Publish(): what the writer did before it published is seen
    // by whoever sees the version.
    if (ABSL_PREDICT_FALSE(store_.version_.load(std::memory_order_seq_cst) !=
                           seen_)) {
      Take();
    }
    return *settings_;
  }

  // Hot. The settings are not in use any more. (They are kept for the next
  // time: a reader that rests holds on to one copy, maybe an old one.)
  void End() {
    // Release: pairs with the load in HasReaderBefore(): what was done with the
    // settings happened before WaitForReaders() returns.
    mark_.store(kResting, std::memory_order_release);
  }

 private:
  friend class NetSettingsStore;

  // Newer than all that there will be.
  static constexpr uint64_t kResting = ~uint64_t{0};

  ABSL_ATTRIBUTE_COLD void Take();

  const NetSettingsStore& store_;
  uint64_t seen_ = 0;  // Never a version: the first Refresh() takes.
  std::shared_ptr<const NetSettings> settings_;
  // No older version than this is in use. Written by the worker alone.
  std::atomic<uint64_t> mark_{kResting};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_CONTROL_SETTINGS_STORE_H_
