#include "devices/vhost_user/back_end/vring.h"

#include <array>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/queue/inflight/recover_queue.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/queue_state.h"
#include "memory/guest_address.h"

namespace annulus::vhost_user {
namespace {

using virtio::QueueConfig;
using virtio::QueueState;

constexpr uint16_t kWrap = 1u << 15;

// Of a packed ring: the offset in the low bits, the wrap counter in the top
// one; what is available in the low half of the word, what is used in the high.
uint16_t PackedPosition(uint16_t offset, bool wrap) {
  return static_cast<uint16_t>(offset | (wrap ? kWrap : 0));
}

uint32_t BaseOf(const QueueState& state) {
  if (!state.packed) return state.next_available;
  return PackedPosition(state.next_available, state.available_wrap) |
         uint32_t{PackedPosition(state.next_used, state.used_wrap)} << 16;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Vring>> Vring::Create(
    uint16_t index, uint16_t max_size, virtio::DeviceHost& host,
    const SharedEventSignal& signal) {
  ANNULUS_ASSIGN_OR_RETURN(std::unique_ptr<CallInterrupt> call,
                           CallInterrupt::Create(signal));
  ANNULUS_ASSIGN_OR_RETURN(std::unique_ptr<CallInterrupt> error,
                           CallInterrupt::Create(signal));
  return std::unique_ptr<Vring>(
      new Vring(index, max_size, std::move(call), std::move(error), host));
}

Vring::Vring(uint16_t index, uint16_t max_size,
             std::unique_ptr<CallInterrupt> call,
             std::unique_ptr<CallInterrupt> error, virtio::DeviceHost& host)
    : index_(index),
      max_size_(max_size),
      call_(std::move(call)),
      error_(std::move(error)),
      host_(host) {}

absl::Status Vring::SetSize(uint32_t size) {
  if (running_ && size != size_) {
    return absl::FailedPreconditionError(
        absl::StrFormat("vring %u runs: its size is fixed", index_));
  }
  if (size == 0 || size > max_size_) {
    return absl::InvalidArgumentError(
        absl::StrFormat("vring %u of size %u, where 1 to %u are possible",
                        index_, size, max_size_));
  }
  size_ = static_cast<uint16_t>(size);
  return absl::OkStatus();
}

absl::Status Vring::SetAddresses(const VringAddress& addresses) {
  if (running_) {
    return absl::FailedPreconditionError(
        absl::StrFormat("vring %u runs: its addresses are fixed", index_));
  }
  addresses_ = addresses;
  return absl::OkStatus();
}

absl::Status Vring::SetBase(uint32_t base) {
  if (running_) {
    return absl::FailedPreconditionError(
        absl::StrFormat("vring %u runs: its base is its own", index_));
  }
  base_ = base;
  base_known_ = true;
  return absl::OkStatus();
}

std::optional<QueueConfig> Vring::Config(const Surroundings& s) const {
  const auto descriptor = s.memory.ToGuest(addresses_->descriptor);
  const auto driver = s.memory.ToGuest(addresses_->available);
  const auto device = s.memory.ToGuest(addresses_->used);
  if (!descriptor || !driver || !device) return std::nullopt;
  return QueueConfig{.size = size_,
                     .descriptor = *descriptor,
                     .driver = *driver,
                     .device = *device,
                     .features = s.features};
}

// Where the driver sees that its buffers are used up to: what was taken by
// somebody else and not used is taken again. Of a split ring that stands in the
// ring, and a front-end may not know it (DPDK's, of a back-end that vanished,
// says 0). A packed ring's may have said nothing of what is used (DPDK): then
// it is what is available.
QueueState Vring::StateAtBase(const Surroundings& s,
                              const QueueConfig& config) const {
  const uint16_t available = BaseAvailable();
  if (!s.features.Has(virtio::kFeatureRingPacked)) {
    std::array<uint8_t, 2> used = {};
    const auto index = config.device.CheckedAdd(2);
    const bool read =
        index && s.memory.memory()->Read(*index, absl::MakeSpan(used));
    const uint16_t position =
        read ? static_cast<uint16_t>(used[0] | used[1] << 8) : available;
    return {.size = size_, .next_available = position, .next_used = position};
  }
  const uint16_t high = static_cast<uint16_t>(base_ >> 16);
  const uint16_t used = high == 0 ? available : high;
  const uint16_t offset = static_cast<uint16_t>(used & ~kWrap);
  const bool wrap = (used & kWrap) != 0;
  return {.packed = true,
          .size = size_,
          .next_available = offset,
          .next_used = offset,
          .available_wrap = wrap,
          .used_wrap = wrap};
}

memory::GuestSpan Vring::Inflight(const Surroundings& s,
                                  const QueueConfig& config) const {
  if (!s.inflight.empty() || s.state_file == nullptr) return s.inflight;
  const std::optional<FilePlace> ring = s.memory.ToFile(config.descriptor);
  if (!ring.has_value()) return {};
  return s.state_file->Region(index_, *ring, size_);
}

// What this process stopped itself it knows better than any record.
std::optional<QueueState> Vring::Resume(
    const Surroundings& s, const QueueConfig& config,
    const memory::GuestSpan& inflight) const {
  if (!inflight.empty() && !was_started_) {
    // An error is one that the device will find, too.
    const absl::StatusOr<std::optional<QueueState>> recovered =
        virtio::RecoverQueue(*s.memory.memory(), config, inflight);
    if (recovered.ok() && recovered->has_value()) return **recovered;
  }
  if (!base_known_) return std::nullopt;
  return StateAtBase(s, config);
}

void Vring::Start(const Surroundings& s) {
  if (!ready(s.enabled_by_default) || s.memory.memory() == nullptr) return;
  // A region that is replaced is away for the moment: its rings wait for it.
  const std::optional<QueueConfig> config = Config(s);
  if (!config.has_value()) return;
  virtio::QueueResources resources = {
      .config = *config,
      .memory = s.memory.memory(),
      .notification = &*kick_,
      .interrupt = call_.get(),
      .host = this,
      .inflight = Inflight(s, *config),
  };
  resources.resume = Resume(s, *config, resources.inflight);
  running_ = true;
  was_started_ = true;
  s.device.StartQueue(index_, resources);
  // Whoever had the queue before may not have come to that.
  call_->Trigger();
}

void Vring::Pause(virtio::VirtioDevice& device) {
  if (!running_) return;
  running_ = false;
  const std::optional<QueueState> state = device.StopQueue(index_);
  if (!state.has_value()) return;
  base_ = BaseOf(*state);
  base_known_ = true;
}

uint32_t Vring::Stop(virtio::VirtioDevice& device) {
  Pause(device);
  kick_.reset();
  broken_.store(false, std::memory_order_relaxed);
  return base_;
}

void Vring::Reset() {
  ANNULUS_CHECK(!running_);
  size_ = 0;
  addresses_.reset();
  kick_.reset();
  enabled_ = false;
  was_started_ = false;
  base_known_ = false;
  broken_.store(false, std::memory_order_relaxed);
}

void Vring::NeedsReset() {
  broken_.store(true, std::memory_order_relaxed);
  // Who is told finds it in the status.
  host_.NeedsReset();
  error_->Trigger();
}

}  // namespace annulus::vhost_user
