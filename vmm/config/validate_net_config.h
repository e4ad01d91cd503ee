#ifndef VMM_CONFIG_VALIDATE_NET_CONFIG_H_
#define VMM_CONFIG_VALIDATE_NET_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// The bounds of a NetConfig.
inline constexpr size_t kMaxNetPci = 16;
inline constexpr size_t kMaxTapName = 15;  // IFNAMSIZ - 1.
inline constexpr size_t kMaxSwitchName = 64;
inline constexpr uint32_t kMinGeneratedFrame = 14;  // An Ethernet header.
inline constexpr uint32_t kMinMtu = 68;             // virtio 1.4 §5.1.4.1
inline constexpr uint32_t kMaxMtu = 65535;
inline constexpr uint32_t kMaxQueuePairs = 16;
inline constexpr uint32_t kMinNetQueueSize = 2;
inline constexpr uint32_t kMaxNetQueueSize = 1024;
inline constexpr uint32_t kMaxSpeedMbps = 0x7fffffff;

// The part of ValidateVmConfig() that is about network cards: fields begin with
// "net[INDEX].".
//
// Trust: every string and number is untrusted.
absl::Status ValidateNetConfigs(const std::vector<NetConfig>& cards);

// The same of one card, whose fields begin with `at` and a dot; not whether
// another one has the same.
absl::Status ValidateNetConfig(const std::string& at, const NetConfig& net);

}  // namespace annulus

#endif  // VMM_CONFIG_VALIDATE_NET_CONFIG_H_
