#ifndef DEVICES_VIRTIO_TRANSPORT_FAKE_HOST_H_
#define DEVICES_VIRTIO_TRANSPORT_FAKE_HOST_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "devices/interrupt.h"
#include "devices/notification_registrar.h"
#include "memory/guest_address.h"

namespace annulus {

// Counts.
class FakeInterrupt final : public Interrupt {
 public:
  void Trigger() override { count_.fetch_add(1); }
  // Triggers since the last call.
  int Take() { return count_.exchange(0); }

 private:
  std::atomic<int> count_{0};
};

// Remembers what is bound, and refuses what KVM would refuse.
class FakeRegistrar final : public NotificationRegistrar {
 public:
  absl::Status Bind(const NotificationAddress& address, int event_fd) override {
    MutexLock lock(mu_);
    if (refuse_) return absl::ResourceExhaustedError("refused by the test");
    if (!bound_.emplace(Key(address), event_fd).second) {
      return absl::AlreadyExistsError("bound twice");
    }
    return absl::OkStatus();
  }
  void Unbind(const NotificationAddress& address, int event_fd) override {
    MutexLock lock(mu_);
    const auto it = bound_.find(Key(address));
    if (it == bound_.end() || it->second != event_fd) {
      ++bad_unbinds_;
      return;
    }
    bound_.erase(it);
  }

  // The descriptor that a store there signals, or -1.
  int Find(uint64_t address, uint32_t width,
           std::optional<uint64_t> data) const {
    MutexLock lock(mu_);
    const auto it = bound_.find({address, width, data});
    return it == bound_.end() ? -1 : it->second;
  }
  size_t size() const {
    MutexLock lock(mu_);
    return bound_.size();
  }
  int bad_unbinds() const {
    MutexLock lock(mu_);
    return bad_unbinds_;
  }
  void set_refuse(bool refuse) {
    MutexLock lock(mu_);
    refuse_ = refuse;
  }

 private:
  using KeyType = std::tuple<uint64_t, uint32_t, std::optional<uint64_t>>;
  static KeyType Key(const NotificationAddress& address) {
    return {address.address.value(), address.width, address.data};
  }

  mutable Mutex mu_;
  std::map<KeyType, int> bound_ ABSL_GUARDED_BY(mu_);
  int bad_unbinds_ ABSL_GUARDED_BY(mu_) = 0;
  bool refuse_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace annulus

#endif  // DEVICES_VIRTIO_TRANSPORT_FAKE_HOST_H_
