#ifndef DEVICES_PCI_FAKE_MACHINE_H_
#define DEVICES_PCI_FAKE_MACHINE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "devices/bus_device.h"
#include "devices/pci/bar_mapper.h"
#include "devices/pci/msi_vector.h"
#include "memory/guest_address.h"

namespace annulus::pci {

// Counts what it sends; keeps the message.
class FakeMsiVector final : public MsiVector {
 public:
  void Trigger() override { (set_ ? sent_ : lost_).fetch_add(1); }
  void SetMessage(uint64_t address, uint32_t data) override {
    {
      MutexLock lock(mu_);
      message_ = {address, data};
      ++changes_;
      set_ = true;
    }
    if (during_set_message) during_set_message();
  }
  void ClearMessage() override {
    MutexLock lock(mu_);
    message_.reset();
    set_ = false;
  }

  // Something that happens at this very moment on another thread.
  std::function<void()> during_set_message;

  // Messages sent since the last call.
  int Take() { return sent_.exchange(0); }
  // Triggers without a message, ever.
  int lost() const { return lost_.load(); }
  std::optional<std::pair<uint64_t, uint32_t>> message() const {
    MutexLock lock(mu_);
    return message_;
  }
  int changes() const {
    MutexLock lock(mu_);
    return changes_;
  }

 private:
  std::atomic<bool> set_{false};
  std::atomic<int> sent_{0};
  std::atomic<int> lost_{0};
  mutable Mutex mu_;
  std::optional<std::pair<uint64_t, uint32_t>> message_ ABSL_GUARDED_BY(mu_);
  int changes_ ABSL_GUARDED_BY(mu_) = 0;
};

// Makes at most `limit` vectors and remembers them in order.
class FakeMsiVectorFactory final : public MsiVectorFactory {
 public:
  explicit FakeMsiVectorFactory(size_t limit = 4096) : limit_(limit) {}
  absl::StatusOr<std::unique_ptr<MsiVector>> CreateVector() override {
    if (vectors_.size() >= limit_) {
      return absl::ResourceExhaustedError("no more vectors in this test");
    }
    auto vector = std::make_unique<FakeMsiVector>();
    vectors_.push_back(vector.get());
    return vector;
  }
  FakeMsiVector& vector(size_t index) { return *vectors_.at(index); }
  size_t size() const { return vectors_.size(); }

 private:
  const size_t limit_;
  std::vector<FakeMsiVector*> vectors_;  // Owned by who asked for them.
};

// One place for BARs, [start, end), of which at most one is mapped at a time.
class FakeBarMapper final : public BarMapper {
 public:
  static constexpr uint64_t kStart = 0xe0000000;
  static constexpr uint64_t kEnd = 0xe1000000;

  absl::Status Map(memory::GuestAddress address, uint64_t size,
                   BusDevice& device) override {
    MutexLock lock(mu_);
    ++attempts_;
    if (device_ != nullptr || address.value() < kStart ||
        address.value() + size < size || address.value() + size > kEnd) {
      return absl::AlreadyExistsError("taken");
    }
    address_ = address.value();
    size_ = size;
    device_ = &device;
    return absl::OkStatus();
  }
  void Unmap(memory::GuestAddress address, uint64_t size) override {
    MutexLock lock(mu_);
    if (device_ == nullptr || address.value() != address_ || size != size_) {
      ++bad_unmaps_;
      return;
    }
    device_ = nullptr;
  }

  // Null while nothing is mapped.
  BusDevice* device() const {
    MutexLock lock(mu_);
    return device_;
  }
  uint64_t address() const {
    MutexLock lock(mu_);
    return address_;
  }
  int attempts() const {
    MutexLock lock(mu_);
    return attempts_;
  }
  int bad_unmaps() const {
    MutexLock lock(mu_);
    return bad_unmaps_;
  }

 private:
  mutable Mutex mu_;
  uint64_t address_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t size_ ABSL_GUARDED_BY(mu_) = 0;
  BusDevice* device_ ABSL_GUARDED_BY(mu_) = nullptr;
  int attempts_ ABSL_GUARDED_BY(mu_) = 0;
  int bad_unmaps_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace annulus::pci

#endif  // DEVICES_PCI_FAKE_MACHINE_H_
