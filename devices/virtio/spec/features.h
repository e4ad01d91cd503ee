#ifndef DEVICES_VIRTIO_SPEC_FEATURES_H_
#define DEVICES_VIRTIO_SPEC_FEATURES_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace annulus::virtio {

// Device-independent feature bits, virtio 1.4 §6 "Reserved Feature Bits".
inline constexpr uint32_t kFeatureIndirectDesc = 28;  // VIRTIO_F_INDIRECT_DESC
inline constexpr uint32_t kFeatureEventIdx = 29;      // VIRTIO_F_EVENT_IDX
inline constexpr uint32_t kFeatureVersion1 = 32;      // VIRTIO_F_VERSION_1
inline constexpr uint32_t kFeatureAccessPlatform =
    33;                                             // VIRTIO_F_ACCESS_PLATFORM
inline constexpr uint32_t kFeatureRingPacked = 34;  // VIRTIO_F_RING_PACKED
inline constexpr uint32_t kFeatureInOrder = 35;     // VIRTIO_F_IN_ORDER
inline constexpr uint32_t kFeatureOrderPlatform =
    36;                                        // VIRTIO_F_ORDER_PLATFORM
inline constexpr uint32_t kFeatureSrIov = 37;  // VIRTIO_F_SR_IOV
inline constexpr uint32_t kFeatureNotificationData =
    38;  // VIRTIO_F_NOTIFICATION_DATA
inline constexpr uint32_t kFeatureNotifConfigData =
    39;                                            // VIRTIO_F_NOTIF_CONFIG_DATA
inline constexpr uint32_t kFeatureRingReset = 40;  // VIRTIO_F_RING_RESET

// A set of feature bits 0 to 127, seen through the selectors of the transports
// as four pages of 32 bits (virtio 1.4 §2.2 "Feature Bits").
class FeatureSet {
 public:
  static constexpr size_t kPages = 4;

  constexpr FeatureSet() = default;

  template <typename... Bits>
  static constexpr FeatureSet Of(Bits... bits) {
    FeatureSet set;
    (set.Add(bits), ...);
    return set;
  }

  // REQUIRES: bit < 128.
  constexpr void Add(uint32_t bit) { pages_[bit / 32] |= 1u << (bit % 32); }
  constexpr void Remove(uint32_t bit) {
    pages_[bit / 32] &= ~(1u << (bit % 32));
  }
  constexpr bool Has(uint32_t bit) const {
    return (pages_[bit / 32] >> (bit % 32) & 1) != 0;
  }

  // `page` is guest-controlled: pages from 4 up read as 0 and ignore writes.
  constexpr uint32_t Page(uint32_t page) const {
    return page < kPages ? pages_[page] : 0;
  }
  constexpr void SetPage(uint32_t page, uint32_t bits) {
    if (page < kPages) pages_[page] = bits;
  }

  constexpr FeatureSet Union(const FeatureSet& other) const {
    FeatureSet either;
    for (size_t i = 0; i < kPages; ++i) {
      either.pages_[i] = pages_[i] | other.pages_[i];
    }
    return either;
  }
  constexpr FeatureSet Intersection(const FeatureSet& other) const {
    FeatureSet both;
    for (size_t i = 0; i < kPages; ++i) {
      both.pages_[i] = pages_[i] & other.pages_[i];
    }
    return both;
  }
  constexpr bool IsSubsetOf(const FeatureSet& other) const {
    for (size_t i = 0; i < kPages; ++i) {
      if ((pages_[i] & ~other.pages_[i]) != 0) return false;
    }
    return true;
  }

  friend constexpr bool operator==(const FeatureSet&,
                                   const FeatureSet&) = default;

 private:
  std::array<uint32_t, kPages> pages_ = {};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_SPEC_FEATURES_H_
