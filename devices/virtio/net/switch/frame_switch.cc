#include "devices/virtio/net/switch/frame_switch.h"

#include <sys/random.h>

#include <bit>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/event_fd.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"

namespace annulus::virtio {
namespace {

uint64_t Bits(size_t first, size_t count) {
  return ((uint64_t{1} << count) - 1) << first;
}

}  // namespace

absl::StatusOr<std::shared_ptr<FrameSwitch>> FrameSwitch::Create(
    std::string name) {
  uint64_t secret = 0;
  // Up to 256 bytes come at once; only the boot of the host makes it wait.
  if (::getrandom(&secret, sizeof(secret), 0) != sizeof(secret)) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("a random number for switch ", name));
  }
  return std::shared_ptr<FrameSwitch>(new FrameSwitch(std::move(name), secret));
}

FrameSwitch::Route FrameSwitch::Unpack(uint64_t packed) {
  return {.open = (packed & 1) != 0,
          .first_slot = static_cast<uint8_t>(packed >> 8),
          .active_pairs = static_cast<uint8_t>(packed >> 16),
          .csum = (packed & 2) != 0,
          .ecn = (packed & 4) != 0,
          .gso_types = static_cast<uint8_t>(packed >> 24)};
}

uint64_t FrameSwitch::Pack(const Route& route) {
  return uint64_t{route.open} | uint64_t{route.csum} << 1 |
         uint64_t{route.ecn} << 2 | uint64_t{route.first_slot} << 8 |
         uint64_t{route.active_pairs} << 16 | uint64_t{route.gso_types} << 24;
}

void FrameSwitch::StoreRoute(uint8_t port, const Route& route) {
  // Release: pairs with the acquire in route().
  routes_[port].store(Pack(route), std::memory_order_release);
}

absl::StatusOr<uint8_t> FrameSwitch::AddPort(uint16_t queue_pairs) {
  if (queue_pairs == 0 || queue_pairs > kNetMaxQueuePairs) {
    return absl::InvalidArgumentError(absl::StrCat(
        "switch ", name_, ": a port with ", queue_pairs, " queue pairs"));
  }
  const MutexLock lock(mu_);
  const int first = FindSlots(queue_pairs);
  if (first < 0) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "switch ", name_, ": ", std::popcount(used_slots_), " of ", kMaxSlots,
        " queue pairs are in use, and a port is to have ", queue_pairs));
  }
  // A port for each slot, at most: there is one.
  const auto port = static_cast<uint8_t>(std::countr_one(ports()));
  for (size_t i = 0; i < queue_pairs; ++i) {
    ANNULUS_RETURN_IF_ERROR(OpenSlot(static_cast<size_t>(first) + i));
  }
  used_slots_ |= Bits(static_cast<size_t>(first), queue_pairs);
  next_slot_ = (static_cast<size_t>(first) + queue_pairs) % kMaxSlots;
  pairs_[port] = static_cast<uint8_t>(queue_pairs);
  StoreRoute(port, {.open = true, .first_slot = static_cast<uint8_t>(first)});
  ports_.fetch_or(uint64_t{1} << port, std::memory_order_relaxed);
  return port;
}

// So many neighbours that are free, or -1.
int FrameSwitch::FindSlots(uint16_t count) const {
  for (size_t i = 0; i < kMaxSlots; ++i) {
    const size_t first = (next_slot_ + i) % kMaxSlots;
    if (first + count <= kMaxSlots && (used_slots_ & Bits(first, count)) == 0) {
      return static_cast<int>(first);
    }
  }
  return -1;
}

// Everyone can send to the slot afterwards, and it to everyone.
absl::Status FrameSwitch::OpenSlot(size_t slot) {
  if (inboxes_[slot] == nullptr) {
    ANNULUS_ASSIGN_OR_RETURN(EventFd readable, EventFd::Create());
    inboxes_[slot] = std::make_unique<SwitchInbox>(std::move(readable));
  }
  // What came for whoever was here before.
  inboxes_[slot]->Discard();
  inboxes_[slot]->SetPolled(false);
  for (size_t other = 0; other < kMaxSlots; ++other) {
    if ((used_slots_ >> other & 1) == 0) continue;
    inboxes_[slot]->AddRing(other);
    inboxes_[other]->AddRing(slot);
  }
  return absl::OkStatus();
}

void FrameSwitch::RemovePort(uint8_t port) {
  const MutexLock lock(mu_);
  const Route route = this->route(port);
  ports_.fetch_and(~(uint64_t{1} << port), std::memory_order_relaxed);
  StoreRoute(port, {});
  used_slots_ &= ~Bits(route.first_slot, pairs_[port]);
  addresses_.Forget(port);
}

void FrameSwitch::SetReceiveOffloads(uint8_t port, const FeatureSet& offloads) {
  const MutexLock lock(mu_);
  Route route = this->route(port);
  route.csum = offloads.Has(kNetGuestCsum);
  route.ecn = offloads.Has(kNetGuestEcn);
  route.gso_types = 1u << kNetGsoNone;
  if (offloads.Has(kNetGuestTso4)) route.gso_types |= 1u << kNetGsoTcpv4;
  if (offloads.Has(kNetGuestTso6)) route.gso_types |= 1u << kNetGsoTcpv6;
  // gso_type does not tell the IP version: the driver has to want both.
  if (offloads.Has(kNetGuestUso4) && offloads.Has(kNetGuestUso6)) {
    route.gso_types |= 1u << kNetGsoUdpL4;
  }
  StoreRoute(port, route);
}

void FrameSwitch::SetActivePairs(uint8_t port, uint16_t pairs) {
  const MutexLock lock(mu_);
  Route route = this->route(port);
  route.active_pairs = static_cast<uint8_t>(pairs);
  StoreRoute(port, route);
}

}  // namespace annulus::virtio
