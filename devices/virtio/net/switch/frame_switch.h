#ifndef DEVICES_VIRTIO_NET_SWITCH_FRAME_SWITCH_H_
#define DEVICES_VIRTIO_NET_SWITCH_FRAME_SWITCH_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "devices/virtio/net/switch/learned_addresses.h"
#include "devices/virtio/net/switch/switch_inbox.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// A switch of Ethernet frames between network cards of one process: what its
// ports share. A port is a FrameSwitchPort, and forwards by itself, on the
// thread that sends.
//
// Queue pairs of all ports together are numbered by slots, which are never
// freed but used again, the one that was left longest ago first: no thread can
// meet memory that is not there any more, whatever ports come and go. A frame
// that was under way to a port that left may reach one that takes its slot in
// the same moment, as on a cable that is plugged into another card.
//
// Threads: thread-safe. What is hot takes no lock.
// Allocation: when ports are added: FrameRing::kBytes of address space for each
//   two slots that ever were in use at once, of which memory is taken as frames
//   come.
class FrameSwitch {
 public:
  // Queue pairs of all ports together.
  static constexpr size_t kMaxSlots = SwitchInbox::kMaxSenders;

  // How to send to a port.
  struct Route {
    bool open = false;  // Else nothing of the rest means anything.
    uint8_t first_slot = 0;
    uint8_t active_pairs = 1;
    bool csum = false;  // Which frames its driver takes, as HeaderRules.
    bool ecn = false;
    uint8_t gso_types = 1;  // Bit n: without ECN, gso_type may be n.
  };

  // `name` is for errors. Fails where the host has no random numbers.
  static absl::StatusOr<std::shared_ptr<FrameSwitch>> Create(std::string name);

  FrameSwitch(const FrameSwitch&) = delete;
  FrameSwitch& operator=(const FrameSwitch&) = delete;

  const std::string& name() const { return name_; }

  // A new port, without a driver yet; its number. ResourceExhausted, if there
  // are not as many slots left.
  absl::StatusOr<uint8_t> AddPort(uint16_t queue_pairs);
  // REQUIRES: none of its queues is in use.
  void RemovePort(uint8_t port);
  void SetReceiveOffloads(uint8_t port, const FeatureSet& offloads);
  void SetActivePairs(uint8_t port, uint16_t pairs);

  // Hot.
  Route route(uint8_t port) const {
    // Acquire: pairs with the release in StoreRoute(): the port's inboxes are
    // there.
    return Unpack(routes_[port].load(std::memory_order_acquire));
  }
  // Hot. Bit n: there is a port n.
  uint64_t ports() const { return ports_.load(std::memory_order_relaxed); }
  SwitchInbox& inbox(size_t slot) { return *inboxes_[slot]; }
  LearnedAddresses& addresses() { return addresses_; }

 private:
  FrameSwitch(std::string name, uint64_t secret)
      : name_(std::move(name)), addresses_(secret) {}

  static Route Unpack(uint64_t packed);
  static uint64_t Pack(const Route& route);
  void StoreRoute(uint8_t port, const Route& route)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int FindSlots(uint16_t count) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status OpenSlot(size_t slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string name_;
  LearnedAddresses addresses_;

  // Written under mu_.
  std::atomic<uint64_t> ports_{0};
  std::array<std::atomic<uint64_t>, kMaxSlots> routes_ = {};
  // Those that were ever used.
  std::array<std::unique_ptr<SwitchInbox>, kMaxSlots> inboxes_;

  Mutex mu_;
  uint64_t used_slots_ ABSL_GUARDED_BY(mu_) = 0;
  size_t next_slot_ ABSL_GUARDED_BY(mu_) = 0;  // Where to look first.
  std::array<uint8_t, kMaxSlots> pairs_ ABSL_GUARDED_BY(mu_) = {};  // Of ports.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_SWITCH_FRAME_SWITCH_H_
