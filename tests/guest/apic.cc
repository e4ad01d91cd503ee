#include "tests/guest/apic.h"

#include <cstdint>

#include "tests/guest/io.h"

namespace guest {
namespace {

constexpr uint32_t kApicBaseMsr = 0x1b;
constexpr uint64_t kX2ApicEnabled = 1 << 10;
constexpr uint64_t kLocalApic = 0xfee00000;
constexpr uint32_t kX2ApicMsrs = 0x800;

// Offsets in xAPIC mode; in x2APIC mode the MSR is 0x800 + offset / 16.
constexpr uint32_t kId = 0x020;
constexpr uint32_t kEoi = 0x0b0;
constexpr uint32_t kSpurious = 0x0f0;
constexpr uint32_t kCommandLow = 0x300;
constexpr uint32_t kCommandHigh = 0x310;

constexpr uint32_t kSoftwareEnable = 0x100;
constexpr uint32_t kSpuriousVector = 0xff;
constexpr uint32_t kDeliveryPending = 1 << 12;

constexpr uint64_t kIoApic = 0xfec00000;
constexpr uint64_t kIoApicSelect = kIoApic;
constexpr uint64_t kIoApicWindow = kIoApic + 0x10;
constexpr uint32_t kIoApicRedirection = 0x10;

bool InX2ApicMode() { return (ReadMsr(kApicBaseMsr) & kX2ApicEnabled) != 0; }

uint32_t Read(uint32_t offset) {
  if (InX2ApicMode()) {
    return static_cast<uint32_t>(ReadMsr(kX2ApicMsrs + offset / 16));
  }
  return MmioRead<uint32_t>(kLocalApic + offset);
}

void Write(uint32_t offset, uint32_t value) {
  if (InX2ApicMode()) {
    WriteMsr(kX2ApicMsrs + offset / 16, value);
  } else {
    MmioWrite<uint32_t>(kLocalApic + offset, value);
  }
}

void WriteIoApic(uint32_t index, uint32_t value) {
  MmioWrite<uint32_t>(kIoApicSelect, index);
  MmioWrite<uint32_t>(kIoApicWindow, value);
}

}  // namespace

void EnableLocalApic() { Write(kSpurious, kSoftwareEnable | kSpuriousVector); }

uint32_t LocalApicId() { return InX2ApicMode() ? Read(kId) : Read(kId) >> 24; }

void EndOfInterrupt() { Write(kEoi, 0); }

void SendIpi(uint32_t destination, uint32_t command) {
  if (InX2ApicMode()) {
    WriteMsr(kX2ApicMsrs + kCommandLow / 16,
             uint64_t{destination} << 32 | command);
    return;
  }
  Write(kCommandHigh, destination << 24);
  Write(kCommandLow, command);
  while ((Read(kCommandLow) & kDeliveryPending) != 0) Pause();
}

void RouteEdge(uint32_t gsi, uint8_t vector) {
  const uint32_t entry = kIoApicRedirection + 2 * gsi;
  WriteIoApic(entry + 1, LocalApicId() << 24);
  WriteIoApic(entry, vector);  // Fixed, physical, active high, edge, unmasked.
}

}  // namespace guest
