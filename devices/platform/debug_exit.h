#ifndef DEVICES_PLATFORM_DEBUG_EXIT_H_
#define DEVICES_PLATFORM_DEBUG_EXIT_H_

#include <cstdint>

#include "absl/types/span.h"
#include "devices/bus_device.h"
#include "devices/platform/platform_control.h"

namespace annulus::platform {

inline constexpr uint16_t kDebugExitPort = 0xf4;
inline constexpr uint16_t kDebugExitPortCount = 4;

// A port whose first write ends the VM with the value written: how test guests
// and benchmarks report a result in one instruction. Only present where a
// test asks for it; a production guest has no such port.
//
// Threads: thread-safe; stateless.
// Trust: a write at offset 0 of 1 to 8 bytes counts, by its low 32 bits; any
//   other offset is ignored.
class DebugExit : public BusDevice {
 public:
  // `control` outlives the device.
  explicit DebugExit(PlatformControl& control) : control_(control) {}

  void Read(uint64_t offset, absl::Span<uint8_t> data) override;
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override;

 private:
  PlatformControl& control_;
};

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_DEBUG_EXIT_H_
