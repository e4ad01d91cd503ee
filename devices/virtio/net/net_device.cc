#include "devices/virtio/net/net_device.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "devices/virtio/net/header_split/header_split_options.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/net/header_split_check.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/spec/net_control.h"
#include "devices/virtio/spec/net_header_split.h"
#include "devices/virtio/worker/polling_threads.h"
#include "devices/virtio/worker/worker_policy.h"

namespace annulus::virtio {
namespace {

// One header queue may be attached to each receiveq.
static_assert(NetDevice::kMaxQueuePairs <= HeaderQueues::kMaxQueues);

constexpr uint16_t kFirstTransmit = 1;  // transmitq1, as an index.

// Log lines that drivers can cause by resets and commands.
constexpr uint32_t kLogBurst = 10;
constexpr absl::Duration kLogInterval = absl::Seconds(5);

constexpr uint16_t kLeastMtu = 68;  // §5.1.4.1

// What only a backend can do.
constexpr FeatureSet kOffloads = FeatureSet::Of(
    kNetCsum, kNetGuestCsum, kNetGuestTso4, kNetGuestTso6, kNetGuestEcn,
    kNetGuestUfo, kNetGuestUso4, kNetGuestUso6, kNetHostTso4, kNetHostTso6,
    kNetHostEcn, kNetHostUfo, kNetHostUso);

uint64_t MacToNumber(const MacAddress& mac) {
  uint64_t number = 0;
  for (size_t i = 0; i < mac.size(); ++i) number |= uint64_t{mac[i]} << 8 * i;
  return number;
}

FeatureSet Offered(const NetOptions& options, const FeatureSet& offloads) {
  FeatureSet features = options.features.Intersection(AllNetFeatures());
  for (const NetFeature& feature : NetFeatures()) {
    if (kOffloads.Has(feature.bit) && !offloads.Has(feature.bit)) {
      features.Remove(feature.bit);
    }
  }
  if (options.mtu == 0) features.Remove(kNetMtu);
  if (options.queue_pairs == 1) {
    features.Remove(kNetMq);
    features.Remove(kNetRss);
  }
  if (options.front_end_controls) {
    for (const uint32_t bit :
         {kNetRss, kNetHashReport, kNetCtrlGuestOffloads}) {
      features.Remove(bit);
    }
  }
  features.Add(kFeatureVersion1);
  features = OfferableNetFeatures(features);
  const HeaderSplitOptions& split = options.header_split;
  if (split.offered) {
    features.Add(split.numbers.split_feature);
    if (split.header_queue) features.Add(split.numbers.header_queue_feature);
  }
  return features;
}

// What header split needs to be of use: commands, and `flags` in headers, which
// "the device MUST set to zero" without GUEST_CSUM (§5.1.6.4.1).
constexpr FeatureSet kHeaderSplitNeeds =
    FeatureSet::Of(kFeatureVersion1, kNetCtrlVq, kNetGuestCsum);

absl::Status CheckHeaderSplit(const NetOptions& options,
                              const FeatureSet& offloads) {
  if (const auto fault = FindHeaderSplitFault(options.header_split)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: header split: %s: %s", options.name, fault->field, fault->reason));
  }
  if (!options.header_split.offered) return absl::OkStatus();
  for (const absl::string_view name : {"ctrl_vq", "guest_csum"}) {
    if (!options.features.Has(FindNetFeature(name)->bit)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s: header split needs %s, which is not among its features",
          options.name, name));
    }
  }
  if (!offloads.Has(kNetGuestCsum)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: header split needs guest_csum, which its backend does not have",
        options.name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<NetDevice>> NetDevice::Create(
    const NetOptions& options, std::unique_ptr<NetBackend> backend,
    LogSink& log) {
  if (options.queue_pairs == 0 || options.queue_pairs > kMaxQueuePairs) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %u queue pairs, where 1 to %u are possible",
                        options.name, options.queue_pairs, kMaxQueuePairs));
  }
  if (options.queue_size == 0 || options.queue_size > kMaxQueueSize ||
      !std::has_single_bit(options.queue_size)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: queues of %u, where powers of two up to %u are possible",
        options.name, options.queue_size, kMaxQueueSize));
  }
  if (options.queue_pairs > backend->queue_pairs()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: %u queue pairs, but its backend has %u", options.name,
        options.queue_pairs, backend->queue_pairs()));
  }
  ANNULUS_RETURN_IF_ERROR(CheckHeaderSplit(options, backend->offloads()));
  std::unique_ptr<NetDevice> device(
      new NetDevice(options, std::move(backend), log));
  ANNULUS_RETURN_IF_ERROR(device->CreateWorkers());
  device->backend_->SetLinkObserver(device.get());
  // It may have changed before anybody looked.
  device->LinkChanged(device->backend_->link_up());
  return device;
}

NetDevice::NetDevice(const NetOptions& options,
                     std::unique_ptr<NetBackend> backend, LogSink& log)
    : options_(options),
      backend_(std::move(backend)),
      log_(log),
      complaints_(kLogBurst, kLogInterval),
      offered_(Offered(options, backend_->offloads())),
      mac_(MacToNumber(options.mac)),
      status_(0),
      mtu_(options.mtu),
      control_(settings_, *this, options.header_split) {
  // All the same: without MQ, the control queue has the index of the second
  // receiveq.
  queue_sizes_.assign(size_t{2} * options.queue_pairs + 1, options.queue_size);
}

NetDevice::~NetDevice() {
  backend_->SetLinkObserver(nullptr);
  for (size_t i = 0; i < data_.size(); ++i) {
    log_.Log(LogSeverity::kDebug,
             absl::StrCat(data_[i]->name(), ": ",
                          DescribeCounters(data_[i]->counters(),
                                           data_[i]->notifications())));
  }
}

absl::Status NetDevice::CreateWorkers() {
  if (offered_.Has(kNetRss)) {
    ANNULUS_ASSIGN_OR_RETURN(inboxes_,
                             SteeringInboxes::Create(options_.queue_pairs));
  }
  const bool polled = options_.workers.poll == WorkerPolicy::Poll::kAlways;
  backend_->SetPolled(polled);
  if (inboxes_ != nullptr) inboxes_->SetPolled(polled);
  PollingThreads own(options_.name);
  PollingThreads& polling =
      options_.polling != nullptr ? *options_.polling : own;
  for (uint16_t i = 0; i < 2 * options_.queue_pairs; ++i) {
    ANNULUS_ASSIGN_OR_RETURN(std::unique_ptr<DataQueue> queue,
                             DataQueue::Create(i, {.options = options_,
                                                   .backend = *backend_,
                                                   .settings = settings_,
                                                   .coalescing = coalescing_,
                                                   .inboxes = inboxes_.get(),
                                                   .polling = polling,
                                                   .log = log_}));
    data_.push_back(std::move(queue));
  }
  ANNULUS_ASSIGN_OR_RETURN(
      control_worker_,
      QueueWorker::Create({.name = absl::StrCat(options_.name, "/ctl")},
                          control_, log_));
  return absl::OkStatus();
}

bool NetDevice::AcceptFeatures(const FeatureSet& features) const {
  const HeaderSplitNumbers& numbers = options_.header_split.numbers;
  const bool splits = features.Has(numbers.split_feature) ||
                      features.Has(numbers.header_queue_feature);
  if (splits && !kHeaderSplitNeeds.IsSubsetOf(features)) return false;
  return !FindUnmetNetFeature(features).has_value();
}

void NetDevice::ReadConfig(uint32_t offset, absl::Span<uint8_t> data) const {
  std::array<uint8_t, kNetConfigBytes> config = {};
  const auto store = [&config](uint32_t at, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) {
      config[at + i] = static_cast<uint8_t>(value >> 8 * i);
    }
  };
  store(kNetConfigMac, mac_.load(std::memory_order_relaxed), 6);
  store(kNetConfigStatus, status_.load(std::memory_order_relaxed), 2);
  store(kNetConfigMaxPairs, options_.queue_pairs, 2);
  store(kNetConfigMtu, mtu_.load(std::memory_order_relaxed), 2);
  store(kNetConfigSpeed, options_.speed_mbps, 4);
  store(kNetConfigDuplex, kNetDuplexFull, 1);
  store(kNetConfigRssMaxKeySize, kNetRssKeyBytes, 1);
  store(kNetConfigRssMaxTable, kNetRssTableEntries, 2);
  store(kNetConfigHashTypes, RssConfig::kSupportedHashTypes, 4);
  std::copy_n(config.begin() + offset, data.size(), data.begin());
}

void NetDevice::Start(const FeatureSet& features) {
  negotiated_ = features;
  unused_ = ~uint64_t{0};
  announces_.store(features.Has(kNetGuestAnnounce), std::memory_order_relaxed);
  controlled_ = !options_.front_end_controls;
  coalescing_.Reset();
  control_.SetFeatures(features);
  for (const std::unique_ptr<DataQueue>& queue : data_) {
    queue->SetFeatures(features);
  }
  Publish(controlled_ ? InitialNetSettings(features, options_.mac)
                      : UncontrolledNetSettings(features, options_.mac,
                                                options_.queue_pairs));
}

void NetDevice::Publish(const NetSettings& settings) {
  settings_.Publish(settings);
  Complain(backend_->SetReceiveOffloads(settings.receive_offloads));
  if (!controlled_) {
    SetEnabledPairs();
    return;
  }
  Complain(backend_->SetActivePairs(settings.active_pairs));
}

// Where nobody says how many pairs are active, they are those whose receiveq
// runs: by the others, frames would be lost. (A front-end enables the first
// ones.)
void NetDevice::SetEnabledPairs() {
  const uint64_t running = running_.load(std::memory_order_relaxed);
  uint16_t pairs = 1;
  while (pairs < options_.queue_pairs && (running >> 2 * pairs & 1) != 0) {
    ++pairs;
  }
  Complain(backend_->SetActivePairs(pairs));
}

// Refused by a backend that had said that it can, as by a tap that is deleted.
void NetDevice::Complain(const absl::Status& status) {
  if (status.ok() || !complaints_.Allow(MonotonicNanoseconds())) return;
  log_.Log(LogSeverity::kWarning,
           absl::StrCat(options_.name, ": ", status.message()));
}

// "N=1 if neither VIRTIO_NET_F_MQ nor VIRTIO_NET_F_RSS are negotiated,
// otherwise N is set by max_virtqueue_pairs" (§5.1.2 "Virtqueues"). A front-end
// numbers the queues as if MQ was.
uint16_t NetDevice::data_queues() const {
  const bool several = options_.front_end_controls || negotiated_.Has(kNetMq) ||
                       negotiated_.Has(kNetRss);
  return several ? static_cast<uint16_t>(data_.size()) : 2;
}

DataQueue* NetDevice::DataQueueOf(uint16_t index) const {
  return index < data_queues() ? data_[index].get() : nullptr;
}

void NetDevice::StartQueue(uint16_t index, const QueueResources& resources) {
  const bool control = negotiated_.Has(kNetCtrlVq) && index == data_queues();
  DataQueue* const data = DataQueueOf(index);
  if (!control && data == nullptr) return;  // There is no such queue.
  {
    MutexLock lock(mu_);
    host_ = resources.host;
  }
  const uint64_t bit = uint64_t{1} << index;
  running_.fetch_or(bit, std::memory_order_relaxed);
  const bool first = (std::exchange(unused_, unused_ & ~bit) & bit) != 0;
  if (control) {
    if (!controlled_) {
      controlled_ = true;
      const NetSettings settings =
          InitialNetSettings(negotiated_, options_.mac);
      Publish(settings);
      SettingsPublished(settings);
    }
    control_worker_->Start(resources);
  } else {
    coalescing_.QueueEnabled(index);
    // What the backend keeps came for another driver, or for nobody.
    if (first && index % 2 == 0) backend_->queue(index / 2).Discard();
    data->Start(resources);
    if (!controlled_ && index % 2 == 0) SetEnabledPairs();
  }
}

std::optional<QueueState> NetDevice::StopQueue(uint16_t index) {
  const uint64_t bit = uint64_t{1} << index;
  if ((running_.fetch_and(~bit, std::memory_order_relaxed) & bit) == 0) {
    return std::nullopt;
  }
  DataQueue* const data = DataQueueOf(index);
  const std::optional<QueueState> state =
      data != nullptr ? data->Stop() : control_worker_->Stop();
  if (!controlled_ && index % 2 == 0) SetEnabledPairs();
  if (running_.load(std::memory_order_relaxed) != 0) return state;
  MutexLock lock(mu_);
  host_ = nullptr;
  return state;
}

void NetDevice::Reset() {
  for (size_t i = 0; i < queue_sizes_.size(); ++i) {
    StopQueue(static_cast<uint16_t>(i));
  }
  data_[kFirstTransmit]->ForgetRarp();
  negotiated_ = {};
  announces_.store(false, std::memory_order_relaxed);
  // The driver's address is forgotten with the driver.
  mac_.store(MacToNumber(options_.mac), std::memory_order_relaxed);
  status_.fetch_and(static_cast<uint16_t>(~kNetStatusAnnounce),
                    std::memory_order_relaxed);
}

void NetDevice::Announce() {
  if (!announces_.load(std::memory_order_relaxed)) return;
  status_.fetch_or(kNetStatusAnnounce, std::memory_order_relaxed);
  ConfigChanged();
}

bool NetDevice::SetMtu(uint16_t mtu) {
  if (mtu < kLeastMtu) return false;
  StoreMtu(mtu);
  return true;
}

void NetDevice::ForgetMtu() { StoreMtu(options_.mtu); }

void NetDevice::StoreMtu(uint16_t mtu) {
  if (mtu_.exchange(mtu, std::memory_order_relaxed) != mtu) ConfigChanged();
}

bool NetDevice::SendRarp(const MacAddress& mac) {
  if ((mac[0] & 1) != 0 || mac == MacAddress()) return false;
  data_[kFirstTransmit]->SendRarp(mac);
  return true;
}

// The generation before the driver is told. Release: pairs with the acquire in
// config_generation().
void NetDevice::ConfigChanged() {
  generation_.fetch_add(1, std::memory_order_release);
  MutexLock lock(mu_);
  if (host_ != nullptr) host_->ConfigChanged();
}

const QueueCounters& NetDevice::counters(uint16_t index) const {
  return data_[index]->counters();
}

uint64_t NetDevice::notifications(uint16_t index) const {
  return data_[index]->notifications();
}

bool NetDevice::DataQueueEnabled(uint16_t vq) const {
  return vq < 64 && DataQueueOf(vq) != nullptr &&
         (running_.load(std::memory_order_relaxed) >> vq & 1) != 0;
}

bool NetDevice::SetActivePairs(uint16_t pairs) {
  const absl::Status status = backend_->SetActivePairs(pairs);
  Complain(status);
  return status.ok();
}

bool NetDevice::SetReceiveOffloads(const FeatureSet& offloads) {
  const absl::Status status = backend_->SetReceiveOffloads(offloads);
  Complain(status);
  return status.ok();
}

void NetDevice::SetMac(const MacAddress& mac) {
  mac_.store(MacToNumber(mac), std::memory_order_relaxed);
  // Release: as in ConfigChanged().
  generation_.fetch_add(1, std::memory_order_release);
}

void NetDevice::AnnounceAcknowledged() {
  status_.fetch_and(static_cast<uint16_t>(~kNetStatusAnnounce),
                    std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);  // As above.
}

void NetDevice::SetCoalescing(Direction direction,
                              const Coalescing& coalescing) {
  coalescing_.SetAll(direction, coalescing);
}

void NetDevice::SetQueueCoalescing(uint16_t vq, const Coalescing& coalescing) {
  coalescing_.Set(vq, coalescing);
}

Coalescing NetDevice::QueueCoalescing(uint16_t vq) const {
  return coalescing_.Of(vq);
}

void NetDevice::SettingsPublished(const NetSettings&) {
  for (const std::unique_ptr<DataQueue>& queue : data_) queue->Wake();
}

void NetDevice::SetLinkObserver(LinkObserver* observer) {
  const MutexLock lock(link_mu_);
  link_observer_ = observer;
}

void NetDevice::SetLink(bool plugged) {
  const MutexLock lock(link_mu_);
  plugged_ = plugged;
  for (const std::unique_ptr<DataQueue>& queue : data_) {
    queue->SetLink(plugged);
  }
  UpdateLink();
}

void NetDevice::LinkChanged(bool up) {
  const MutexLock lock(link_mu_);
  backend_up_ = up;
  UpdateLink();
}

void NetDevice::UpdateLink() {
  const bool up = plugged_ && backend_up_;
  const uint16_t before =
      up ? status_.fetch_or(kNetStatusLinkUp, std::memory_order_relaxed)
         : status_.fetch_and(static_cast<uint16_t>(~kNetStatusLinkUp),
                             std::memory_order_relaxed);
  if (((before & kNetStatusLinkUp) != 0) == up) return;
  ConfigChanged();
  if (link_observer_ != nullptr) link_observer_->LinkChanged(up);
}

}  // namespace annulus::virtio
