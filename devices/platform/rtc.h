#ifndef DEVICES_PLATFORM_RTC_H_
#define DEVICES_PLATFORM_RTC_H_

#include <array>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "devices/bus_device.h"
#include "devices/platform/wall_clock.h"

namespace annulus::platform {

// The MC146818A real-time clock and its CMOS RAM behind ports 0x70 and 0x71.
//
// Time is the wall clock's, UTC, in the format that register B selects; the
// guest reads it but does not set it, so writes to the time registers have no
// effect. There is no interrupt: the enable bits in register B stay 0. Every
// other byte of the 128 is RAM.
//
// Threads: thread-safe. As on hardware, vCPUs that share the index must take
//   turns among themselves.
// Trust: registers are bytes; a wider access is one access to each byte.
class Rtc : public BusDevice {
 public:
  // `clock` outlives the device.
  explicit Rtc(const WallClock& clock);

  void Read(uint64_t offset, absl::Span<uint8_t> data) override;
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override;

 private:
  uint8_t ReadRegister(int64_t now_ns) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint8_t ReadRegisterA(int64_t now_ns) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteRegister(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const WallClock& clock_;

  Mutex mu_;
  uint8_t index_ ABSL_GUARDED_BY(mu_) = 0;
  std::array<uint8_t, 128> ram_ ABSL_GUARDED_BY(mu_) = {};
};

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_RTC_H_
