#ifndef DEVICES_VIRTIO_NET_TRANSMIT_RARP_ANNOUNCEMENT_H_
#define DEVICES_VIRTIO_NET_TRANSMIT_RARP_ANNOUNCEMENT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {

// A frame that the device itself sends, so that the switches of the network
// learn where an address is now: a reverse ARP request (RFC 903) to everyone,
// which nobody answers.
//
// Threads: Ask() from any thread; the rest on whichever thread may call the
//   backend's Send().
// Allocation: none. However often one is asked for, one waits.
class RarpAnnouncement {
 public:
  // An Ethernet frame's least, without a frame check sequence.
  static constexpr size_t kFrameBytes = 60;

  RarpAnnouncement() { Clear(); }

  // `mac` is to be announced; an address that still waits is forgotten. True
  // if none did: then somebody is to be told that one does now.
  bool Ask(const MacAddress& mac);

  // Hot. Whether there is something to send.
  bool pending() const {
    // Relaxed: the address is all that there is to see.
    return under_way_ || asked_.load(std::memory_order_relaxed) != 0;
  }

  // Sends what was asked for. After kAgain, again: no other frame may be sent
  // in between. REQUIRES: pending().
  TransferStatus SendTo(NetBackendQueue& backend);

  // The frame that was under way is given up.
  void Abandon() { under_way_ = false; }

  // Nothing is asked for any more.
  void Clear() { asked_.store(0, std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kIsAsked = uint64_t{1} << 48;

  void Build(uint64_t asked);

  // The address, its first byte lowest, and kIsAsked; or 0.
  std::atomic<uint64_t> asked_;
  bool under_way_ = false;
  std::array<uint8_t, kNetHeaderBytes> header_ = {};  // Plain.
  std::array<uint8_t, kFrameBytes> frame_ = {};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_TRANSMIT_RARP_ANNOUNCEMENT_H_
