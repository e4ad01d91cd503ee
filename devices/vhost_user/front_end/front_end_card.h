#ifndef DEVICES_VHOST_USER_FRONT_END_FRONT_END_CARD_H_
#define DEVICES_VHOST_USER_FRONT_END_FRONT_END_CARD_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "devices/vhost_user/front_end/back_end_offer.h"
#include "devices/virtio/spec/features.h"

namespace annulus::vhost_user {

// What the driver is to see of a device that a back-end serves.
struct FrontEndCard {
  virtio::FeatureSet offered;
  uint16_t queues = 0;
  // What the configuration space is; from the back-end, if it keeps one.
  std::vector<uint8_t> config;
};

// The part of a card that depends on the device type, and is not the
// back-end's.
//
// Threads: immutable.
class FrontEndType {
 public:
  virtual ~FrontEndType() = default;

  virtual uint32_t device_id() const = 0;
  virtual uint32_t config_bytes() const = 0;
  // Made of what a back-end offers; fails where the card cannot be made of it.
  virtual absl::StatusOr<FrontEndCard> Card(
      const BackEndOffer& offer) const = 0;
  // As VirtioDevice::AcceptFeatures().
  virtual bool AcceptFeatures(const virtio::FeatureSet& features) const = 0;
};

// An entropy device, of whose features the driver may see `may_offer`.
class FrontEndRng final : public FrontEndType {
 public:
  explicit FrontEndRng(const virtio::FeatureSet& may_offer)
      : may_offer_(may_offer) {}
  uint32_t device_id() const override;
  uint32_t config_bytes() const override { return 0; }
  absl::StatusOr<FrontEndCard> Card(const BackEndOffer& offer) const override;
  bool AcceptFeatures(const virtio::FeatureSet&) const override { return true; }

 private:
  const virtio::FeatureSet may_offer_;
};

// A socket device with three queues, of whose features the driver may see
// `may_offer`. The guest's CID is what the back-end says. `cid` is for one that
// does not; another has to say the same. 0: not known.
class FrontEndVsock final : public FrontEndType {
 public:
  FrontEndVsock(uint64_t cid, const virtio::FeatureSet& may_offer)
      : cid_(cid), may_offer_(may_offer) {}
  uint32_t device_id() const override;
  uint32_t config_bytes() const override;
  absl::StatusOr<FrontEndCard> Card(const BackEndOffer& offer) const override;
  bool AcceptFeatures(const virtio::FeatureSet&) const override { return true; }

 private:
  const uint64_t cid_;
  const virtio::FeatureSet may_offer_;
};

// A network card. A back-end that keeps the configuration space is taken to
// serve the control queue as well, behind its last queue pair, as ours does.
// One that does not (DPDK's) leaves both to its front-end: then the card has
// one queue pair, no control queue, and this address and MTU. Where these are
// given, another has to say the same.
class FrontEndNet final : public FrontEndType {
 public:
  struct Options {
    std::array<uint8_t, 6> mac = {};
    bool mac_given = false;  // Not made up.
    uint16_t mtu = 0;        // 0: the driver is told of none.
    // What the driver may see of AllNetFeatures().
    virtio::FeatureSet may_offer;
  };

  explicit FrontEndNet(const Options& options) : options_(options) {}
  uint32_t device_id() const override;
  uint32_t config_bytes() const override;
  absl::StatusOr<FrontEndCard> Card(const BackEndOffer& offer) const override;
  bool AcceptFeatures(const virtio::FeatureSet& features) const override;

 private:
  absl::Status CheckSame(const FrontEndCard& card) const;
  FrontEndCard CardOfOurs(const BackEndOffer& offer) const;
  virtio::FeatureSet Offerable(const virtio::FeatureSet& features) const;

  const Options options_;
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_FRONT_END_FRONT_END_CARD_H_
