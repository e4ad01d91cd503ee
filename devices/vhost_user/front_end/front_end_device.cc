#include "devices/vhost_user/front_end/front_end_device.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "devices/virtio/queue/ring_area.h"
#include "devices/virtio/spec/features.h"

// The driver's side: what a transport calls.

namespace annulus::vhost_user {
namespace {

using virtio::QueueResources;
using virtio::QueueState;

constexpr uint32_t kWrap = 1u << 15;
// A packed ring at its beginning: both wrap counters are 1.
constexpr uint32_t kPackedBegin = kWrap | kWrap << 16;

// Whether the ring lies in memory: the back-end is not to be asked otherwise,
// for it would be no fault of its own.
bool RingIsThere(const QueueResources& queue, uint16_t max_size) {
  const virtio::QueueConfig& config = queue.config;
  const uint32_t size = config.size;
  const bool packed = config.features.Has(virtio::kFeatureRingPacked);
  if (size == 0 || size > max_size || (!packed && (size & (size - 1)) != 0)) {
    return false;
  }
  const auto mapped = [&queue](memory::GuestAddress address, uint32_t bytes,
                               uint32_t alignment) {
    return virtio::MapRingArea(*queue.memory, address, bytes, alignment, "")
        .ok();
  };
  return mapped(config.descriptor, 16 * size, 16) &&
         mapped(config.driver, packed ? 4 : 6 + 2 * size, packed ? 4 : 2) &&
         mapped(config.device, packed ? 4 : 6 + 8 * size, 4);
}

uint32_t BaseOf(const QueueState& state) {
  if (!state.packed) return state.next_available;
  return state.next_available | (state.available_wrap ? kWrap : 0) |
         (state.next_used | (state.used_wrap ? kWrap : 0)) << 16;
}

QueueState StateOf(uint32_t base, bool packed, uint16_t size) {
  const auto available = static_cast<uint16_t>(base);
  if (!packed) {
    return {.size = size, .next_available = available, .next_used = available};
  }
  // Back-ends that say nothing of what is used stop with all of it used.
  const auto high = static_cast<uint16_t>(base >> 16);
  const uint16_t used = high == 0 ? available : high;
  return {.packed = true,
          .size = size,
          .next_available = static_cast<uint16_t>(available % kWrap),
          .next_used = static_cast<uint16_t>(used % kWrap),
          .available_wrap = (available & kWrap) != 0,
          .used_wrap = (used & kWrap) != 0};
}

}  // namespace

absl::StatusOr<std::unique_ptr<FrontEndDevice>> FrontEndDevice::Create(
    FrontEndOptions options, std::unique_ptr<FrontEndType> type, LogSink& log) {
  ANNULUS_ASSIGN_OR_RETURN(EventFd stop, EventFd::Create());
  ANNULUS_ASSIGN_OR_RETURN(EventFd wake, EventFd::Create());
  ANNULUS_ASSIGN_OR_RETURN(EventFd error, EventFd::Create());
  ANNULUS_ASSIGN_OR_RETURN(SharedEventSignal kick, SharedEventSignal::Create());
  std::unique_ptr<FrontEndDevice> self(new FrontEndDevice(
      std::move(options), std::move(type), std::move(stop), std::move(wake),
      std::move(error), std::move(kick), log));
  ANNULUS_RETURN_IF_ERROR(self->Initialize());
  return self;
}

FrontEndDevice::FrontEndDevice(FrontEndOptions options,
                               std::unique_ptr<FrontEndType> type, EventFd stop,
                               EventFd wake, EventFd error,
                               SharedEventSignal kick, LogSink& log)
    : options_(std::move(options)),
      type_(std::move(type)),
      log_(log),
      stop_(std::move(stop)),
      wake_(std::move(wake)),
      error_(std::move(error)),
      kick_(std::move(kick)) {}

absl::Status FrontEndDevice::Initialize() {
  ANNULUS_ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection,
                           FirstConnection());
  ANNULUS_ASSIGN_OR_RETURN(FrontEndCard card, type_->Card(connection->offer));
  offered_ = card.offered;
  back_end_features_ = connection->offer.features;
  queue_sizes_.assign(card.queues, options_.queue_size);
  UpdateConfig(std::move(card.config));
  {
    MutexLock lock(mu_);
    connection_ = std::move(connection);
    for (uint16_t i = 0; i < card.queues; ++i) {
      ANNULUS_ASSIGN_OR_RETURN(EventFd call, EventFd::Create());
      call_fds_.push_back(call.fd());
      queues_.push_back(Queue{.call = std::move(call)});
    }
    MutexLock relay_lock(relay_mu_);
    interrupts_.resize(card.queues);
  }
  ANNULUS_ASSIGN_OR_RETURN(
      thread_, Thread::Start(
                   absl::StrCat(options_.name, "/vhost"), [this] { Run(); },
                   ThreadKind::kVhostUser));
  return absl::OkStatus();
}

FrontEndDevice::~FrontEndDevice() {
  EndWaits();
  thread_.Join();
  Reset();
}

void FrontEndDevice::ReadConfig(uint32_t offset,
                                absl::Span<uint8_t> data) const {
  MutexLock lock(config_mu_);
  std::copy_n(config_.begin() + offset, data.size(), data.begin());
}

void FrontEndDevice::Start(const virtio::FeatureSet& features) {
  MutexLock lock(mu_);
  features_ = features;
  if (Usable()) Use(SendFeatures());
}

void FrontEndDevice::StartQueue(uint16_t index,
                                const QueueResources& resources) {
  MutexLock lock(mu_);
  {
    MutexLock relay_lock(relay_mu_);
    host_ = resources.host;
  }
  if (!RingIsThere(resources, queue_sizes_[index])) {
    resources.host->NeedsReset();
    return;
  }
  Queue& queue = queues_[index];
  queue.running = resources;
  queue.base = resources.resume.has_value() ? BaseOf(*resources.resume)
               : Packed()                   ? kPackedBegin
                                            : 0;
  queue.seen = false;
  {
    MutexLock relay_lock(relay_mu_);
    interrupts_[index] = resources.interrupt;
  }
  if (!Usable()) return;
  absl::Status status = Prepare(*resources.memory);
  if (status.ok()) status = SendQueue(index, queue.base);
  Use(status);
}

std::optional<QueueState> FrontEndDevice::StopQueue(uint16_t index) {
  MutexLock lock(mu_);
  Queue& queue = queues_[index];
  if (!queue.running.has_value()) return std::nullopt;
  absl::StatusOr<uint32_t> base =
      absl::UnavailableError("there is no back-end");
  if (Usable()) {
    base = GetBase(index);
    Use(base.status());
  }
  // An inflight buffer would tell, but only a back-end.
  if (!base.ok() && !Packed()) base = BaseAfterLoss(queue);
  ForgetInflight(index);
  const bool called = queue.call.Drain() != 0;
  {
    MutexLock relay_lock(relay_mu_);
    if (called) interrupts_[index]->Trigger();
    interrupts_[index] = nullptr;
  }
  const uint16_t size = queue.running->config.size;
  queue.running.reset();
  if (!base.ok()) return std::nullopt;
  return StateOf(*base, Packed(), size);
}

void FrontEndDevice::Reset() {
  MutexLock lock(mu_);
  bool usable = features_.has_value() && Usable();
  for (size_t i = 0; i < queues_.size(); ++i) {
    if (!queues_[i].running.has_value()) continue;
    if (usable) Use(GetBase(static_cast<uint16_t>(i)).status());
    usable = usable && !connection_->failed;
    queues_[i].running.reset();
    queues_[i].call.Drain();
  }
  if (usable && connection_->offer.Has(ProtocolFeature::kResetDevice)) {
    Message reset;
    reset.request = static_cast<uint32_t>(Request::kResetDevice);
    Use(connection_->channel.Tell(std::move(reset)));
  }
  if (connection_ != nullptr) connection_->prepared = false;
  features_.reset();
  inflight_.reset();
  MutexLock relay_lock(relay_mu_);
  std::fill(interrupts_.begin(), interrupts_.end(), nullptr);
  host_ = nullptr;
}

bool FrontEndDevice::Packed() const {
  return features_.has_value() && features_->Has(virtio::kFeatureRingPacked);
}

bool FrontEndDevice::Usable() const {
  return connection_ != nullptr && !connection_->failed;
}

void FrontEndDevice::Use(const absl::Status& status) {
  if (status.ok()) return;
  LogLine(LogSeverity::kWarning,
          absl::StrCat("its back-end is given up: ", status.message()));
  connection_->failed = true;
  wake_.Signal();
}

// A queue that the driver stops and starts again begins anew: what an earlier
// ring had in flight there would be wrong. Of the format, only the size of an
// area is known here.
void FrontEndDevice::ForgetInflight(uint16_t index) {
  if (!inflight_.has_value()) return;
  const InflightDescription& all = inflight_->description;
  if (index >= all.num_queues) return;
  const uint64_t bytes = all.mmap_size / all.num_queues;
  constexpr std::array<uint8_t, 4096> kZeroes = {};
  for (uint64_t done = 0; done < bytes; done += kZeroes.size()) {
    const uint64_t at = all.mmap_offset + index * bytes + done;
    if (::pwrite(inflight_->fd.get(), kZeroes.data(),
                 std::min<uint64_t>(kZeroes.size(), bytes - done),
                 static_cast<off_t>(at)) < 0) {
      return;
    }
  }
}

bool FrontEndDevice::UpdateConfig(std::vector<uint8_t> config) {
  config.resize(type_->config_bytes());
  MutexLock lock(config_mu_);
  if (config == config_) return false;
  config_ = std::move(config);
  // Release: pairs with the acquire in config_generation(). The lock orders
  // the bytes.
  config_generation_.fetch_add(1, std::memory_order_release);
  return true;
}

void FrontEndDevice::LogLine(LogSeverity severity, absl::string_view line) {
  if (!log_limiter_.Allow(MonotonicNanoseconds())) return;
  log_.Log(severity, absl::StrCat(options_.name, ": ", line));
}

}  // namespace annulus::vhost_user
