#include "devices/virtio/net/backend/tap_backend.h"

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/virtio/net/backend/tap_device.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"

namespace annulus::virtio {
namespace {

Transfer Failure(int error) {
  switch (error) {
    case EAGAIN:
      return {TransferStatus::kAgain, 0};
    case EBADFD:  // The interface was deleted.
    case EBADF:
    case ENODEV:
    case ENXIO:
      return {TransferStatus::kGone, 0};
    default:
      return {TransferStatus::kDropped, 0};
  }
}

absl::Status CheckSameInterface(const std::vector<UniqueFd>& queues,
                                const TapInterface& first) {
  if (queues.size() > kNetMaxQueuePairs) {
    return absl::InvalidArgumentError(
        absl::StrCat("tap \"", first.name, "\" with ", queues.size(),
                     " queues: virtio-net has ", kNetMaxQueuePairs));
  }
  if (queues.size() > 1 && !first.multi_queue) {
    return absl::FailedPreconditionError(
        absl::StrCat("tap \"", first.name, "\" has a single queue, but ",
                     queues.size(), " descriptors were given"));
  }
  for (const UniqueFd& queue : queues) {
    ANNULUS_ASSIGN_OR_RETURN(const TapInterface other,
                             DescribeTap(queue.get()));
    if (other.name != first.name || other.mac != first.mac) {
      return absl::InvalidArgumentError(
          absl::StrCat("descriptors of different taps: \"", first.name,
                       "\" and \"", other.name, "\""));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Transfer TapQueue::Send(absl::Span<const iovec> frame, uint32_t) {
  for (;;) {
    const ssize_t sent =
        ::writev(fd_.get(), frame.data(), static_cast<int>(frame.size()));
    // Whole or not at all: a tap takes no part of a frame.
    if (sent >= 0) return {TransferStatus::kDone, static_cast<uint32_t>(sent)};
    if (errno != EINTR) return Failure(errno);
  }
}

Transfer TapQueue::Receive(absl::Span<const iovec> room) {
  for (;;) {
    const ssize_t received =
        ::readv(fd_.get(), room.data(), static_cast<int>(room.size()));
    if (received >= 0) {
      return {TransferStatus::kDone, static_cast<uint32_t>(received)};
    }
    if (errno != EINTR) return Failure(errno);
  }
}

absl::StatusOr<std::unique_ptr<TapBackend>> TapBackend::Create(
    std::vector<UniqueFd> queues) {
  if (queues.empty()) {
    return absl::InvalidArgumentError("a tap without a descriptor");
  }
  ANNULUS_ASSIGN_OR_RETURN(const TapInterface interface,
                           DescribeTap(queues[0].get()));
  ANNULUS_RETURN_IF_ERROR(CheckSameInterface(queues, interface));
  for (const UniqueFd& queue : queues) {
    ANNULUS_RETURN_IF_ERROR(PrepareTapQueue(queue.get(), interface.name));
  }
  ANNULUS_ASSIGN_OR_RETURN(const FeatureSet offloads,
                           ProbeTapOffloads(queues[0].get(), interface.name));
  std::unique_ptr<TapBackend> backend(
      new TapBackend(interface.name, offloads, std::move(queues)));
  auto watcher =
      LinkWatcher::Create(interface.name, interface.mac, backend->link_);
  if (watcher.ok()) {
    backend->watcher_ = *std::move(watcher);
  } else {
    backend->link_.Set(true);  // Nobody would say when it is.
  }
  return backend;
}

TapBackend::TapBackend(std::string name, const FeatureSet& offloads,
                       std::vector<UniqueFd> queues)
    : name_(std::move(name)),
      offloads_(offloads),
      active_pairs_(static_cast<uint16_t>(queues.size())) {
  queues_.reserve(queues.size());
  for (UniqueFd& queue : queues) queues_.emplace_back(std::move(queue));
}

absl::Status TapBackend::SetReceiveOffloads(const FeatureSet& offloads) {
  // Any queue does: it is the interface's. The first is never detached.
  return SetTapReceiveOffloads(queues_[0].readable_fd(),
                               offloads.Intersection(offloads_), name_);
}

absl::Status TapBackend::SetActivePairs(uint16_t pairs) {
  ANNULUS_CHECK(pairs >= 1 && pairs <= queues_.size());
  while (active_pairs_ > pairs) {
    ANNULUS_RETURN_IF_ERROR(SetTapQueueAttached(
        queues_[active_pairs_ - 1].readable_fd(), false, name_));
    --active_pairs_;
  }
  while (active_pairs_ < pairs) {
    ANNULUS_RETURN_IF_ERROR(
        SetTapQueueAttached(queues_[active_pairs_].readable_fd(), true, name_));
    ++active_pairs_;
  }
  return absl::OkStatus();
}

}  // namespace annulus::virtio
