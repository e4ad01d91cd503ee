#include "devices/virtio/net/data_queue.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace annulus::virtio {
namespace {

std::unique_ptr<ReceiveQueue> MakeReceive(uint16_t index,
                                          const DataQueueSurroundings& around,
                                          SteeredQueue* steered,
                                          QueueCounters& counters) {
  if (index % 2 != 0) return nullptr;
  return std::make_unique<ReceiveQueue>(
      index / 2,
      steered != nullptr ? *steered : around.backend.queue(index / 2),
      around.settings, around.options, counters);
}

std::unique_ptr<TransmitQueue> MakeTransmit(uint16_t index,
                                            const DataQueueSurroundings& around,
                                            QueueCounters& counters) {
  if (index % 2 == 0) return nullptr;
  return std::make_unique<TransmitQueue>(around.backend.queue(index / 2),
                                         around.options, counters);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataQueue>> DataQueue::Create(
    uint16_t index, const DataQueueSurroundings& surroundings) {
  auto counters = std::make_unique<QueueCounters>();
  std::unique_ptr<SteeredQueue> steered;
  if (index % 2 == 0 && surroundings.inboxes != nullptr) {
    const uint16_t pair = index / 2;
    ANNULUS_ASSIGN_OR_RETURN(
        steered, SteeredQueue::Create(surroundings.backend.queue(pair), pair,
                                      surroundings.settings,
                                      *surroundings.inboxes, *counters));
  }
  std::unique_ptr<DataQueue> queue(new DataQueue(
      index, surroundings, std::move(counters), std::move(steered)));
  ANNULUS_ASSIGN_OR_RETURN(
      std::shared_ptr<PollingThread> polling,
      surroundings.polling.Of(surroundings.options.workers, index));
  ANNULUS_ASSIGN_OR_RETURN(
      queue->worker_,
      QueueWorker::Create({.name = queue->name(),
                           .policy = surroundings.options.workers,
                           .index = index,
                           .polling = std::move(polling)},
                          queue->coalesced_, surroundings.log));
  return queue;
}

DataQueue::DataQueue(uint16_t index, const DataQueueSurroundings& surroundings,
                     std::unique_ptr<QueueCounters> counters,
                     std::unique_ptr<SteeredQueue> steered)
    : name_(absl::StrCat(surroundings.options.name,
                         index % 2 == 0 ? "/rx" : "/tx", index / 2)),
      counters_(std::move(counters)),
      steered_(std::move(steered)),
      receive_(MakeReceive(index, surroundings, steered_.get(), *counters_)),
      transmit_(MakeTransmit(index, surroundings, *counters_)),
      coalesced_(receive_ != nullptr ? static_cast<QueueHandler&>(*receive_)
                                     : static_cast<QueueHandler&>(*transmit_),
                 surroundings.coalescing, index, *counters_) {}

void DataQueue::SetFeatures(const FeatureSet& negotiated) {
  if (receive_ != nullptr) receive_->SetFeatures(negotiated);
  if (transmit_ != nullptr) transmit_->SetFeatures(negotiated);
}

void DataQueue::SetLink(bool up) {
  if (receive_ != nullptr) receive_->SetLink(up);
  if (transmit_ != nullptr) transmit_->SetLink(up);
}

void DataQueue::Start(const QueueResources& resources) {
  const MutexLock lock(mu_);
  worker_->Stop();
  QueueResources own = resources;
  coalesced_.SetInterrupt(resources.interrupt);
  own.interrupt = &coalesced_;
  if (steered_ != nullptr) steered_->Start();
  worker_->Start(own);
  running_ = true;
}

std::optional<QueueState> DataQueue::Stop() {
  if (steered_ != nullptr) steered_->Stop();
  const MutexLock lock(mu_);
  const std::optional<QueueState> state = worker_->Stop();
  running_ = false;
  if (transmit_ != nullptr) transmit_->SendAnnouncement();
  return state;
}

void DataQueue::SendRarp(const MacAddress& mac) {
  // Whoever asked before has not been here yet, and does this for both.
  if (!transmit_->announcement().Ask(mac)) return;
  const MutexLock lock(mu_);
  if (running_) {
    worker_->Wake();
  } else {
    transmit_->SendAnnouncement();
  }
}

void DataQueue::ForgetRarp() { transmit_->announcement().Clear(); }

}  // namespace annulus::virtio
