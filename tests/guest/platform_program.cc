#include <cstdint>

#include "devices/platform/acpi_pm_registers.h"
#include "devices/platform/i8042_registers.h"
#include "devices/platform/rtc_registers.h"
#include "devices/platform/serial_16550_registers.h"
#include "tests/guest/console.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/programs.h"

namespace guest {
namespace {

using namespace annulus::platform;

uint8_t ReadRtc(uint8_t index) {
  Out8(kRtcPort + kRtcIndexOffset, index);
  return In8(kRtcPort + kRtcDataOffset);
}

uint64_t FromBcd(uint8_t bcd) { return uint64_t{bcd} / 16 * 10 + bcd % 16; }

void ReadEveryWidth(uint16_t first, uint16_t count) {
  for (uint16_t port = first; port < first + count; ++port) {
    In8(port);
    In16(port);
    In32(port);
  }
}

void WriteEveryWidth(uint16_t first, uint16_t count, uint32_t value) {
  for (uint16_t port = first; port < first + count; ++port) {
    Out8(port, static_cast<uint8_t>(value));
    Out16(port, static_cast<uint16_t>(value));
    Out32(port, value);
  }
}

}  // namespace

void Clock() {
  GUEST_CHECK((ReadRtc(kRtcRegisterD) & kRtcValid) != 0);
  while ((ReadRtc(kRtcRegisterA) & kRtcUpdateInProgress) != 0) Pause();
  Print("year ",
        FromBcd(ReadRtc(kRtcCentury)) * 100 + FromBcd(ReadRtc(kRtcYear)),
        " month ", FromBcd(ReadRtc(kRtcMonth)), " day ",
        FromBcd(ReadRtc(kRtcDayOfMonth)));
}

void PortWidths() {
  ReadEveryWidth(kSerialPort, kSerialPortCount);
  ReadEveryWidth(kI8042Port, kI8042PortCount);
  ReadEveryWidth(kRtcPort, kRtcPortCount);
  ReadEveryWidth(kAcpiPmPort, kAcpiPmPortCount);
  // Values that neither reset nor power off nor print, wherever they land.
  WriteEveryWidth(kI8042Port, kI8042PortCount, 0xffffffff);
  WriteEveryWidth(kRtcPort, kRtcPortCount, 0xffffffff);
  WriteEveryWidth(kAcpiPmPort, kAcpiPmPortCount, 0);
  WriteEveryWidth(kSerialPort + kSerialIer, kSerialPortCount - 1, 0xffffffff);
  // Ports where nothing is.
  GUEST_CHECK(In8(0x2f8 + kSerialScr) == 0xff);
  WriteEveryWidth(0xfffd, 1, 0xffffffff);
  ReadEveryWidth(0xfffd, 1);

  // The serial port is a serial port again.
  Out8(kSerialPort + kSerialLcr, 3);
  Out8(kSerialPort + kSerialIer, 0);
  Out8(kSerialPort + kSerialMcr, 0);
  Out8(kSerialPort + kSerialIirFcr, kFcrEnable | kFcrClearReceiver);
}

}  // namespace guest
