// FrontEndDevice: what the guest has set up, told to the back-end.

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "devices/vhost_user/front_end/front_end_device.h"
#include "devices/virtio/spec/features.h"
#include "memory/guest_address.h"
#include "memory/guest_region.h"

namespace annulus::vhost_user {
namespace {

// What the protocol calls user addresses need not be any: they are the guest's,
// moved, so that no address of this process is given away.
constexpr uint64_t kUserAddresses = uint64_t{1} << 44;

uint64_t UserAddress(memory::GuestAddress address) {
  return address.value() + kUserAddresses;
}

// More than any device has in flight.
constexpr uint64_t kMaxInflightBytes = uint64_t{64} << 20;

// A file of pages that nobody has to bring: writing to it ends.
absl::Status CheckInflight(const UniqueFd& fd,
                           const InflightDescription& description) {
  struct statfs filesystem;
  struct stat file;
  if (::fstatfs(fd.get(), &filesystem) != 0 || ::fstat(fd.get(), &file) != 0) {
    return absl::ErrnoToStatus(errno, "looking at an inflight buffer");
  }
  if (filesystem.f_type != TMPFS_MAGIC || !S_ISREG(file.st_mode) ||
      description.num_queues == 0 ||
      description.mmap_size > kMaxInflightBytes ||
      !RangeFits<uint64_t>(description.mmap_offset, description.mmap_size,
                           static_cast<uint64_t>(file.st_size))) {
    return absl::InvalidArgumentError("the inflight buffer is none");
  }
  return absl::OkStatus();
}

}  // namespace

// Bit 30 says that rings begin disabled.
absl::Status FrontEndDevice::SendFeatures() {
  const uint64_t bits = features_->Page(0) | uint64_t{features_->Page(1)} << 32;
  return connection_->channel.Set(Request::kSetFeatures,
                                  (bits & connection_->offer.features) |
                                      uint64_t{1} << kFeatureProtocolFeatures);
}

absl::Status FrontEndDevice::Prepare(const memory::GuestMemory& memory) {
  if (connection_->prepared) return absl::OkStatus();
  ANNULUS_RETURN_IF_ERROR(SendMemory(memory));
  ANNULUS_RETURN_IF_ERROR(SendInflight());
  connection_->prepared = true;
  return absl::OkStatus();
}

absl::Status FrontEndDevice::SendMemory(const memory::GuestMemory& memory) {
  Message table;
  table.request = static_cast<uint32_t>(Request::kSetMemTable);
  std::vector<int> fds;
  const auto put = [&table](const auto& value) {
    std::memcpy(table.payload.data() + table.size, &value, sizeof(value));
    table.size += sizeof(value);
  };
  if (memory.regions().size() > kMaxTableRegions) {
    return absl::FailedPreconditionError("the guest has too many regions");
  }
  put(static_cast<uint64_t>(memory.regions().size()));
  for (const memory::GuestRegion& region : memory.regions()) {
    if (region.fd < 0) {
      return absl::FailedPreconditionError(
          "the guest's memory is not shared (memory.shared)");
    }
    put(MemoryRegion{.guest_address = region.start.value(),
                     .size = region.size,
                     .user_address = UserAddress(region.start),
                     .mmap_offset = region.file_offset});
    fds.push_back(region.fd);
  }
  return connection_->channel.Tell(std::move(table), fds);
}

absl::Status FrontEndDevice::SendInflight() {
  if (!connection_->offer.Has(ProtocolFeature::kInflightShmfd)) {
    return absl::OkStatus();
  }
  if (!inflight_.has_value()) {
    const InflightDescription wanted = {
        .num_queues = static_cast<uint16_t>(queues_.size()),
        .queue_size = options_.queue_size};
    ANNULUS_ASSIGN_OR_RETURN(
        Message reply,
        connection_->channel.Exchange(MakeMessage(
            static_cast<uint32_t>(Request::kGetInflightFd), 0, wanted)));
    const auto given = reply.Payload<InflightDescription>();
    if (!given.has_value() || reply.fds.size() != 1) {
      return absl::InvalidArgumentError("the back-end has no inflight buffer");
    }
    ANNULUS_RETURN_IF_ERROR(CheckInflight(reply.fds[0], *given));
    inflight_ = Inflight{.fd = std::move(reply.fds[0]), .description = *given};
  }
  return connection_->channel.Set(
      Request::kSetInflightFd, inflight_->description, {inflight_->fd.get()});
}

absl::Status FrontEndDevice::SendQueue(uint16_t index, uint32_t base) {
  BackEndChannel& channel = connection_->channel;
  Queue& queue = queues_[index];
  queue.seen = true;
  const virtio::QueueConfig& config = queue.running->config;
  const auto state = [index](uint32_t value) {
    return VringState{.index = index, .num = value};
  };
  ANNULUS_RETURN_IF_ERROR(
      channel.Set(Request::kSetVringNum, state(config.size)));
  ANNULUS_RETURN_IF_ERROR(channel.Set(Request::kSetVringBase, state(base)));
  ANNULUS_RETURN_IF_ERROR(
      channel.Set(Request::kSetVringAddr,
                  VringAddress{.index = index,
                               .descriptor = UserAddress(config.descriptor),
                               .used = UserAddress(config.device),
                               .available = UserAddress(config.driver)}));
  const uint64_t vring = index;
  ANNULUS_RETURN_IF_ERROR(
      channel.Set(Request::kSetVringErr, vring, {error_.fd()}));
  ANNULUS_RETURN_IF_ERROR(
      channel.Set(Request::kSetVringCall, vring, {queue.call.fd()}));
  ANNULUS_RETURN_IF_ERROR(channel.Set(Request::kSetVringKick, vring,
                                      {queue.running->notification->fd()}));
  ANNULUS_RETURN_IF_ERROR(channel.Set(Request::kSetVringEnable, state(1)));
  // What the driver made available before the back-end had the descriptor.
  kick_.Signal(queue.running->notification->fd());
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> FrontEndDevice::GetBase(uint16_t index) {
  ANNULUS_ASSIGN_OR_RETURN(const Message reply,
                           connection_->channel.Exchange(MakeMessage(
                               static_cast<uint32_t>(Request::kGetVringBase), 0,
                               VringState{.index = index})));
  const auto state = reply.Payload<VringState>();
  if (!state.has_value() || state->index != index || !reply.fds.empty()) {
    return absl::InvalidArgumentError("the back-end does not say where it is");
  }
  return state->num;
}

// "if the back-end dies": of a split ring what is used tells what is not, since
// buffers are used in order or noted as in flight; a packed ring does not tell.
absl::StatusOr<uint32_t> FrontEndDevice::BaseAfterLoss(
    const Queue& queue) const {
  if (!queue.seen) return queue.base;
  if (Packed()) {
    if (inflight_.has_value()) return queue.base;
    return absl::DataLossError(
        "where a packed ring was, only an inflight buffer would tell");
  }
  std::array<uint8_t, 2> used = {};
  const auto at = queue.running->config.device.CheckedAdd(2);
  if (!at.has_value() ||
      !queue.running->memory->Read(*at, absl::MakeSpan(used))) {
    return absl::OutOfRangeError("the ring is not in memory");
  }
  return uint32_t{used[0]} | uint32_t{used[1]} << 8;
}

absl::Status FrontEndDevice::CheckOffer(const BackEndOffer& offer) const {
  if ((back_end_features_ & ~offer.features) != 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "its features lack %#x", back_end_features_ & ~offer.features));
  }
  ANNULUS_ASSIGN_OR_RETURN(const FrontEndCard card, type_->Card(offer));
  if (card.queues != queue_sizes_.size()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "it has %u queues in place of %u", card.queues, queue_sizes_.size()));
  }
  if (inflight_.has_value() && !offer.Has(ProtocolFeature::kInflightShmfd)) {
    return absl::FailedPreconditionError("it takes no inflight buffer");
  }
  return absl::OkStatus();
}

absl::Status FrontEndDevice::Restore() {
  if (!features_.has_value()) return absl::OkStatus();
  ANNULUS_RETURN_IF_ERROR(SendFeatures());
  for (size_t i = 0; i < queues_.size(); ++i) {
    const Queue& queue = queues_[i];
    if (!queue.running.has_value()) continue;
    ANNULUS_RETURN_IF_ERROR(Prepare(*queue.running->memory));
    ANNULUS_ASSIGN_OR_RETURN(const uint32_t base, BaseAfterLoss(queue));
    ANNULUS_RETURN_IF_ERROR(SendQueue(static_cast<uint16_t>(i), base));
  }
  return absl::OkStatus();
}

}  // namespace annulus::vhost_user
