#ifndef VMM_CONFIG_VALIDATE_VSOCK_CONFIG_H_
#define VMM_CONFIG_VALIDATE_VSOCK_CONFIG_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// The bounds of a VsockConfig.
inline constexpr size_t kMaxVsockPorts = 256;
inline constexpr uint64_t kMinVsockBufAlloc = 4 << 10;
inline constexpr uint64_t kMaxVsockBufAlloc = 64 << 20;
inline constexpr uint32_t kMaxVsockConnections = 1 << 20;
inline constexpr uint32_t kMinVsockQueueSize = 2;
inline constexpr uint32_t kMaxVsockQueueSize = 1024;
inline constexpr uint32_t kMaxVsockWaitMilliseconds = 3'600'000;

// The part of ValidateVmConfig() that is about the socket device: fields begin
// with "vsock.".
//
// Trust: every string and number is untrusted.
absl::Status ValidateVsockConfig(const VsockConfig& vsock);

}  // namespace annulus

#endif  // VMM_CONFIG_VALIDATE_VSOCK_CONFIG_H_
