#ifndef DEVICES_VIRTIO_SPEC_MMIO_REGISTERS_H_
#define DEVICES_VIRTIO_SPEC_MMIO_REGISTERS_H_

#include <cstdint>

namespace annulus::virtio {

// Offsets of virtio 1.4 §4.2.2 "MMIO Device Register Layout". R: for reading,
// W: for writing; each is 32 bits wide.
enum MmioRegister : uint32_t {
  kMmioMagicValue = 0x000,         // R
  kMmioVersion = 0x004,            // R
  kMmioDeviceId = 0x008,           // R
  kMmioVendorId = 0x00c,           // R
  kMmioDeviceFeatures = 0x010,     // R
  kMmioDeviceFeaturesSel = 0x014,  // W
  kMmioDriverFeatures = 0x020,     // W
  kMmioDriverFeaturesSel = 0x024,  // W
  kMmioQueueSel = 0x030,           // W
  kMmioQueueSizeMax = 0x034,       // R
  kMmioQueueSize = 0x038,          // W
  kMmioQueueReady = 0x044,         // RW
  kMmioQueueNotify = 0x050,        // W
  kMmioInterruptStatus = 0x060,    // R
  kMmioInterruptAck = 0x064,       // W
  kMmioStatus = 0x070,             // RW
  kMmioQueueDescLow = 0x080,       // W
  kMmioQueueDescHigh = 0x084,      // W
  kMmioQueueDriverLow = 0x090,     // W
  kMmioQueueDriverHigh = 0x094,    // W
  kMmioQueueDeviceLow = 0x0a0,     // W
  kMmioQueueDeviceHigh = 0x0a4,    // W
  kMmioShmSel = 0x0ac,             // W
  kMmioShmLenLow = 0x0b0,          // R
  kMmioShmLenHigh = 0x0b4,         // R
  kMmioShmBaseLow = 0x0b8,         // R
  kMmioShmBaseHigh = 0x0bc,        // R
  kMmioQueueReset = 0x0c0,         // RW, with VIRTIO_F_RING_RESET
  kMmioConfigGeneration = 0x0fc,   // R
  kMmioConfig = 0x100,             // RW, any width
};

inline constexpr uint32_t kMmioMagic = 0x74726976;  // "virt"
inline constexpr uint32_t kMmioVersion2 = 2;

// Bits of InterruptStatus and InterruptACK.
inline constexpr uint32_t kMmioInterruptUsedBuffer = 1;
inline constexpr uint32_t kMmioInterruptConfigurationChange = 2;

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_SPEC_MMIO_REGISTERS_H_
