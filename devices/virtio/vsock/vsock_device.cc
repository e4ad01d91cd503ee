#include "devices/virtio/vsock/vsock_device.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "base/thread_setup.h"
#include "devices/virtio/vsock/vsock_features.h"

namespace annulus::virtio {
namespace {

constexpr size_t kQueues = 3;
constexpr size_t kQueuesWithDgram = 5;

}  // namespace

absl::StatusOr<std::unique_ptr<VsockDevice>> VsockDevice::Create(
    const VsockOptions& options, std::unique_ptr<VsockBackend> backend,
    std::unique_ptr<SwitchPort> port, LogSink& log) {
  ANNULUS_RETURN_IF_ERROR(CheckVsockOptions(options));
  if (options.dgram && backend->datagrams() == nullptr && port == nullptr) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: dgram, but neither its sockets nor a switch take datagrams",
        options.name));
  }
  std::unique_ptr<VsockDevice> device(
      new VsockDevice(options, std::move(backend), std::move(port), log));
  ANNULUS_RETURN_IF_ERROR(device->CreateWorkers());
  return device;
}

VsockDevice::VsockDevice(const VsockOptions& options,
                         std::unique_ptr<VsockBackend> backend,
                         std::unique_ptr<SwitchPort> port, LogSink& log)
    : options_(options),
      backend_(std::move(backend)),
      port_(std::move(port)),
      log_(log),
      offered_(OfferedVsockFeatures(options)),
      // All the same: without DGRAM, the event virtqueue has the index of the
      // datagrams' first one.
      queue_sizes_(options.dgram ? kQueuesWithDgram : kQueues,
                   options.queue_size),
      guest_cid_(options.guest_cid) {}

absl::Status VsockDevice::CreateWorkers() {
  ANNULUS_ASSIGN_OR_RETURN(
      muxer_,
      Muxer::Create(options_, *backend_, rx_counters_, tx_counters_, log_));
  ANNULUS_ASSIGN_OR_RETURN(
      host_loop_, IdleHostLoop::Create(absl::StrCat(options_.name, "/host"),
                                       *muxer_, host_turn_));
  CreateHandlers();
  ANNULUS_ASSIGN_OR_RETURN(rx_worker_, CreateWorker("rx", 0, *receive_));
  ANNULUS_ASSIGN_OR_RETURN(tx_worker_, CreateWorker("tx", 1, *transmit_));
  if (options_.dgram) ANNULUS_RETURN_IF_ERROR(CreateDgramWorkers());
  ANNULUS_ASSIGN_OR_RETURN(
      event_worker_, CreateWorker("event", options_.dgram ? 4 : 2, *event_));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<QueueWorker>> VsockDevice::CreateWorker(
    absl::string_view name, size_t index, QueueHandler& handler) const {
  return QueueWorker::Create({.name = absl::StrCat(options_.name, "/", name),
                              .policy = options_.workers,
                              .index = index,
                              .kind = ThreadKind::kSocketQueue},
                             handler, log_);
}

void VsockDevice::CreateHandlers() {
  receive_ = std::make_unique<VsockReceiveQueue>(
      options_.queue_size,
      VsockReceiveQueue::Surroundings{.muxer = *muxer_,
                                      .port = port_.get(),
                                      .host_loop = *host_loop_,
                                      .gate = gate_,
                                      .turn = host_turn_,
                                      .counters = rx_counters_});
  transmit_ = std::make_unique<VsockTransmitQueue>(
      options_.queue_size,
      VsockTransmitQueue::Surroundings{.muxer = *muxer_,
                                       .port = port_.get(),
                                       .guest_cid = guest_cid_,
                                       .turn = tx_turn_,
                                       .counters = tx_counters_});
  event_ = std::make_unique<EventQueue>(options_.queue_size, gate_, [this] {
    rx_worker_->Wake();
    if (dgram_rx_worker_ != nullptr) dgram_rx_worker_->Wake();
  });
}

absl::Status VsockDevice::CreateDgramWorkers() {
  dgram_receive_ = std::make_unique<DatagramReceiveQueue>(
      options_.queue_size,
      DatagramReceiveQueue::Surroundings{.host = backend_->datagrams(),
                                         .port = port_.get(),
                                         .guest_cid = guest_cid_,
                                         .gate = gate_,
                                         .turn = dgram_rx_turn_,
                                         .counters = dgram_rx_counters_});
  dgram_transmit_ = std::make_unique<DatagramTransmitQueue>(
      options_.queue_size,
      DatagramTransmitQueue::Surroundings{.host = backend_->datagrams(),
                                          .port = port_.get(),
                                          .guest_cid = guest_cid_,
                                          .turn = dgram_tx_turn_,
                                          .counters = dgram_tx_counters_});
  ANNULUS_ASSIGN_OR_RETURN(dgram_rx_worker_,
                           CreateWorker("dgram-rx", 2, *dgram_receive_));
  ANNULUS_ASSIGN_OR_RETURN(dgram_tx_worker_,
                           CreateWorker("dgram-tx", 3, *dgram_transmit_));
  return absl::OkStatus();
}

VsockDevice::~VsockDevice() {
  if (event_worker_ == nullptr) return;  // Create() failed.
  Reset();
  LogCounters("rx", rx_counters_);
  LogCounters("tx", tx_counters_);
  if (dgram_rx_worker_ != nullptr) {
    LogCounters("dgram-rx", dgram_rx_counters_);
    LogCounters("dgram-tx", dgram_tx_counters_);
  }
  log_.Log(LogSeverity::kDebug,
           absl::StrCat(options_.name, "/event: events=", event_->events(),
                        event_->malformed() != 0
                            ? absl::StrCat(" malformed=", event_->malformed())
                            : ""));
}

void VsockDevice::LogCounters(absl::string_view queue,
                              const VsockCounters& counters) {
  log_.Log(LogSeverity::kDebug, absl::StrCat(options_.name, "/", queue, ": ",
                                             DescribeCounters(counters)));
}

void VsockDevice::ReadConfig(uint32_t offset, absl::Span<uint8_t> data) const {
  std::array<uint8_t, kVsockConfigBytes> config;
  const uint64_t guest_cid = guest_cid_.load(std::memory_order_relaxed);
  for (size_t i = 0; i < config.size(); ++i) {
    config[i] = static_cast<uint8_t>(guest_cid >> 8 * i);
  }
  std::copy_n(config.begin() + offset, data.size(), data.begin());
}

template <typename Function>
void VsockDevice::Interrupt(Function change) {
  const Turn::Interruption host(host_turn_);
  const Turn::Interruption tx(tx_turn_);
  const Turn::Interruption dgram_rx(dgram_rx_turn_);
  const Turn::Interruption dgram_tx(dgram_tx_turn_);
  change();
}

void VsockDevice::Start(const FeatureSet& features) {
  const bool mergeable =
      options_.mrg_rxbuf && features.Has(options_.numbers.mrg_rxbuf_feature);
  const size_t header_bytes =
      mergeable ? kVsockMergeableHeaderBytes : kVsockHeaderBytes;
  receive_->SetMergeable(mergeable);
  transmit_->SetHeaderBytes(header_bytes);
  dgram_ = options_.dgram && features.Has(options_.numbers.dgram_feature);
  if (dgram_) {
    dgram_receive_->SetMergeable(mergeable);
    dgram_transmit_->SetHeaderBytes(header_bytes);
  }
  {
    MutexLock lock(control_mu_);
    Interrupt([this, &features] {
      muxer_->Start(features);
      if (port_ != nullptr) port_->Start();
    });
    started_ = true;
  }
  host_loop_->Wake();
}

// "0 rx, 1 tx, 2 event" (§5.10.2 "Virtqueues"); with DGRAM, a pair for
// datagrams before event.
QueueWorker* VsockDevice::WorkerOf(uint16_t index) const {
  const std::array<QueueWorker*, kQueues> workers = {
      rx_worker_.get(), tx_worker_.get(), event_worker_.get()};
  const std::array<QueueWorker*, kQueuesWithDgram> with_dgram = {
      rx_worker_.get(), tx_worker_.get(), dgram_rx_worker_.get(),
      dgram_tx_worker_.get(), event_worker_.get()};
  const absl::Span<QueueWorker* const> all =
      dgram_ ? absl::MakeConstSpan(with_dgram) : absl::MakeConstSpan(workers);
  return index < all.size() ? all[index] : nullptr;
}

void VsockDevice::StartQueue(uint16_t index, const QueueResources& resources) {
  QueueWorker* const worker = WorkerOf(index);
  if (worker != nullptr) worker->Start(resources);
}

std::optional<QueueState> VsockDevice::StopQueue(uint16_t index) {
  QueueWorker* const worker = WorkerOf(index);
  return worker != nullptr ? worker->Stop() : std::nullopt;
}

void VsockDevice::Reset() {
  for (size_t i = 0; i < queue_sizes_.size(); ++i) {
    StopQueue(static_cast<uint16_t>(i));
  }
  dgram_ = false;
  {
    MutexLock lock(control_mu_);
    Interrupt([this] {
      muxer_->Reset();
      if (port_ != nullptr) port_->Reset();
      // The driver that comes next has nothing to forget.
      gate_.Reset();
    });
    started_ = false;
  }
  host_loop_->Wake();
}

absl::Status VsockDevice::ResetTransport(uint64_t guest_cid) {
  if (guest_cid < kVsockFirstGuestCid || guest_cid > kVsockLastGuestCid) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: CID %u, where %u to %u are possible", options_.name, guest_cid,
        kVsockFirstGuestCid, kVsockLastGuestCid));
  }
  if (port_ != nullptr && guest_cid != this->guest_cid()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s: CID %u, but other guests reach it by CID %u",
                        options_.name, guest_cid, this->guest_cid()));
  }
  {
    MutexLock lock(control_mu_);
    const bool started = started_;
    Interrupt([this, guest_cid, started] {
      muxer_->ResetTransport(guest_cid);
      SetGuestCid(guest_cid);
      if (!started) return;  // There is nobody to be told.
      if (port_ != nullptr) {
        port_->Reset();
        port_->Start();
      }
      gate_.Close();
    });
  }
  host_loop_->Wake();
  rx_worker_->Wake();
  event_worker_->Wake();
  return absl::OkStatus();
}

// The generation after it. Release: pairs with the acquire in
// config_generation().
void VsockDevice::SetGuestCid(uint64_t guest_cid) {
  guest_cid_.store(guest_cid, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
}

}  // namespace annulus::virtio
