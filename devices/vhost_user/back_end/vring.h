#ifndef DEVICES_VHOST_USER_BACK_END_VRING_H_
#define DEVICES_VHOST_USER_BACK_END_VRING_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/shared_event_signal.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/call_interrupt.h"
#include "devices/vhost_user/back_end/queue_state_file.h"
#include "devices/vhost_user/memory/front_end_memory.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/spec/features.h"
#include "memory/guest_span.h"

namespace annulus::vhost_user {

// One virtqueue as its front-end sets it up, and the state that it is in ("Ring
// states" of the protocol). The ring itself is the device's while it runs.
//
// Threads: that of the connection; the device's worker
//   triggers its interrupt and reports to its DeviceHost.
// Trust: all settings are untrusted. What they say of memory is checked when
//   the queue starts.
class Vring final : private virtio::DeviceHost {
 public:
  // What a queue needs besides its own settings, at its start.
  struct Surroundings {
    virtio::VirtioDevice& device;
    const FrontEndMemory& memory;
    virtio::FeatureSet features;
    bool enabled_by_default;          // Without VHOST_USER_F_PROTOCOL_FEATURES.
    memory::GuestSpan inflight = {};  // Of the front-end, or empty.
    QueueStateFile* state_file = nullptr;  // Or null.
  };

  // `host` outlives the vring, and is told what the device reports.
  static absl::StatusOr<std::unique_ptr<Vring>> Create(
      uint16_t index, uint16_t max_size, virtio::DeviceHost& host,
      const SharedEventSignal& signal);

  // VHOST_USER_SET_VRING_NUM, _ADDR and _BASE. FailedPrecondition while it
  // runs, InvalidArgument for a size that no queue can have.
  absl::Status SetSize(uint32_t size);
  absl::Status SetAddresses(const VringAddress& addresses);
  absl::Status SetBase(uint32_t base);
  // VHOST_USER_SET_VRING_KICK. REQUIRES: not running.
  void SetKick(UniqueFd fd) { kick_.emplace(std::move(fd)); }
  // VHOST_USER_SET_VRING_ENABLE.
  void SetEnabled(bool enabled) { enabled_ = enabled; }
  // VHOST_USER_SET_VRING_CALL and _ERR.
  CallInterrupt& call() { return *call_; }
  CallInterrupt& error() { return *error_; }

  // True if SET_VRING_BASE of `base` is for another driver than the one whose
  // queue this was: it begins elsewhere than where that stopped.
  bool IsNewDriver(uint32_t base) const {
    return was_started_ && static_cast<uint16_t>(base) != BaseAvailable();
  }

  // True if it could run, as far as that is up to its own settings.
  bool ready(bool enabled_by_default) const {
    return !running_ && !broken() && size_ != 0 && addresses_.has_value() &&
           kick_.has_value() && (enabled_ || enabled_by_default);
  }
  bool running() const { return running_; }
  // True if it ran since it was created or reset.
  bool was_started() const { return was_started_; }
  uint16_t size() const { return size_; }
  const std::optional<VringAddress>& addresses() const { return addresses_; }

  // Starts it, where ready() and its rings are in memory. It goes on where it
  // was stopped, or where SET_VRING_BASE says.
  void Start(const Surroundings& surroundings);

  // Takes it from the device; it can be started again.
  void Pause(virtio::VirtioDevice& device);

  // VHOST_USER_GET_VRING_BASE: stops it, until there is a new kick descriptor,
  // and says where.
  uint32_t Stop(virtio::VirtioDevice& device);

  // As it was at first, but for call and error, and for what Stop() says until
  // it runs again: QEMU 7.2 resets a device that it takes to another host, and
  // only then asks where its queues are. REQUIRES: not running.
  void Reset();

 private:
  Vring(uint16_t index, uint16_t max_size, std::unique_ptr<CallInterrupt> call,
        std::unique_ptr<CallInterrupt> error, virtio::DeviceHost& host);

  // DeviceHost
  void ConfigChanged() override { host_.ConfigChanged(); }
  void NeedsReset() override;

  bool broken() const { return broken_.load(std::memory_order_relaxed); }
  uint16_t BaseAvailable() const { return static_cast<uint16_t>(base_); }
  std::optional<virtio::QueueConfig> Config(const Surroundings& s) const;
  memory::GuestSpan Inflight(const Surroundings& s,
                             const virtio::QueueConfig& config) const;
  // Where to go on.
  std::optional<virtio::QueueState> Resume(
      const Surroundings& s, const virtio::QueueConfig& config,
      const memory::GuestSpan& inflight) const;
  virtio::QueueState StateAtBase(const Surroundings& s,
                                 const virtio::QueueConfig& config) const;

  const uint16_t index_;
  const uint16_t max_size_;
  const std::unique_ptr<CallInterrupt> call_;
  const std::unique_ptr<CallInterrupt> error_;
  virtio::DeviceHost& host_;

  uint16_t size_ = 0;
  std::optional<VringAddress> addresses_;
  std::optional<EventFd> kick_;
  bool enabled_ = false;
  bool running_ = false;
  bool was_started_ = false;
  // Of SET_VRING_BASE, or where it stopped, in the format of GET_VRING_BASE.
  uint32_t base_ = 0;
  bool base_known_ = false;
  // A violation stopped it: it does not run again by itself. Relaxed: written
  // by the worker, guards no other memory, and a start too many finds the
  // violation again.
  std::atomic<bool> broken_{false};
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_VRING_H_
