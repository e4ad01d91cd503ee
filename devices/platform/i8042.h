#ifndef DEVICES_PLATFORM_I8042_H_
#define DEVICES_PLATFORM_I8042_H_

#include <cstdint>

#include "absl/types/span.h"
#include "devices/bus_device.h"
#include "devices/platform/platform_control.h"

namespace annulus::platform {

// The one part of the PC keyboard controller that an operating system without
// a keyboard uses: the command that resets the machine.
//
// Its status says for ever "input buffer empty" and "output buffer full". The
// first lets a guest that wants a reset proceed at once; the second makes a
// driver that looks for a controller flush it, find it stuck, and give up
// within a millisecond instead of waiting half a second for each answer.
//
// Threads: thread-safe; stateless.
// Trust: registers are bytes; a wider access is one access to each byte.
class I8042 : public BusDevice {
 public:
  // `control` outlives the device.
  explicit I8042(PlatformControl& control) : control_(control) {}

  void Read(uint64_t offset, absl::Span<uint8_t> data) override;
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override;

 private:
  PlatformControl& control_;
};

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_I8042_H_
