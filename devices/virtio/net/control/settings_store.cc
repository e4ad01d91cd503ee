#include "devices/virtio/net/control/settings_store.h"

#include <sched.h>

#include <utility>

#include "base/check.h"

namespace annulus::virtio {

NetSettingsStore::NetSettingsStore()
    : current_(std::make_shared<const NetSettings>()) {}

NetSettingsStore::~NetSettingsStore() {
  const MutexLock lock(readers_mu_);
  ANNULUS_CHECK(readers_.empty());
}

void NetSettingsStore::Publish(const NetSettings& settings) {
  auto next = std::make_shared<const NetSettings>(settings);
  {
    const MutexLock lock(mu_);
    std::swap(current_, next);
    // Sequentially consistent: see NetSettingsReader::Begin(). As a release it
    // pairs with the acquire of NetSettingsReader::Refresh().
    version_.fetch_add(1, std::memory_order_seq_cst);
  }
  // The old settings, if nobody looks at them, end here and not under the lock.
}

std::shared_ptr<const NetSettings> NetSettingsStore::Current() const {
  const MutexLock lock(mu_);
  return current_;
}

void NetSettingsStore::WaitForReaders() const {
  // The writer's own, or that of one before it: nobody else writes now.
  const uint64_t version = version_.load(std::memory_order_relaxed);
  // The lock is free between two looks, so that a reader can leave meanwhile.
  while (HasReaderBefore(version)) sched_yield();
}

bool NetSettingsStore::HasReaderBefore(uint64_t version) const {
  const MutexLock lock(readers_mu_);
  for (const NetSettingsReader* reader : readers_) {
    // Sequentially consistent: see NetSettingsReader::Begin(). As an acquire it
    // pairs with the releases in NetSettingsReader::End() and Take().
    if (reader->mark_.load(std::memory_order_seq_cst) < version) return true;
  }
  return false;
}

NetSettingsReader::NetSettingsReader(const NetSettingsStore& store)
    : store_(store) {
  const MutexLock lock(store_.readers_mu_);
  store_.readers_.push_back(this);
}

NetSettingsReader::~NetSettingsReader() {
  const MutexLock lock(store_.readers_mu_);
  std::erase(store_.readers_, this);
}

void NetSettingsReader::Take() {
  std::shared_ptr<const NetSettings> newest;
  {
    const MutexLock lock(store_.mu_);
    newest = store_.current_;
    seen_ = store_.version_.load(std::memory_order_relaxed);  // Under mu_.
  }
  settings_ = std::move(newest);  // Perhaps the end of the old ones.
  // Relaxed: nobody else writes it.
  if (mark_.load(std::memory_order_relaxed) == kResting) return;
  // Release: as in End(). No more than that, for it does not rest in between:
  // a writer that does not see the mark move just waits.
  mark_.store(seen_, std::memory_order_release);
}

}  // namespace annulus::virtio
