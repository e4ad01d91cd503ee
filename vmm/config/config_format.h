#ifndef VMM_CONFIG_CONFIG_FORMAT_H_
#define VMM_CONFIG_CONFIG_FORMAT_H_

#include <cstddef>
#include <cstdint>

namespace annulus {

// How a configuration is written down.
enum class ConfigFormat : uint8_t { kTextProto, kJson };

// A longer text is refused: no sensible configuration comes near.
inline constexpr size_t kMaxConfigBytes = size_t{1} << 20;

}  // namespace annulus

#endif  // VMM_CONFIG_CONFIG_FORMAT_H_
