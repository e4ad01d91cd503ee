#include <cstddef>
#include <cstdint>

#include "devices/platform/serial_16550_registers.h"
#include "tests/guest/apic.h"
#include "tests/guest/boot_info.h"
#include "tests/guest/console.h"
#include "tests/guest/interrupts.h"
#include "tests/guest/io.h"
#include "tests/guest/machine.h"
#include "tests/guest/programs.h"

namespace guest {
namespace {

using namespace annulus::platform;

constexpr uint8_t kIpiVector = 0x40;
constexpr uint8_t kSerialVector = 0x41;

uint8_t SerialIn(uint16_t offset) { return In8(kSerialPort + offset); }
void SerialOut(uint16_t offset, uint8_t value) {
  Out8(kSerialPort + offset, value);
}

// What the serial handler saw.
volatile uint8_t g_identified = 0;

void IdentifySerialInterrupt() { g_identified = SerialIn(kSerialIirFcr); }

// Input that waits for the program. One line fits; the host waits for its echo.
char g_line[128];
volatile size_t g_length = 0;

void TakeSerialInput() {
  while ((SerialIn(kSerialLsr) & kLsrDataReady) != 0) {
    const char c = static_cast<char>(SerialIn(kSerialData));
    const size_t length = g_length;
    if (length < sizeof(g_line)) {
      g_line[length] = c;
      g_length = length + 1;
    }
  }
}

void OpenSerial() {
  SerialOut(kSerialLcr, 3);
  SerialOut(kSerialIirFcr, kFcrEnable | kFcrClearReceiver);
  SerialOut(kSerialMcr, kMcrDtr | kMcrRts | kMcrOut2);
  EnableLocalApic();
  RouteEdge(kSerialGsi, kSerialVector);
}

}  // namespace

void SelfIpi() {
  EnableLocalApic();
  Listen(kIpiVector, nullptr);
  for (uint64_t i = 1; i <= 3; ++i) {
    SendIpi(LocalApicId(), kIpiFixed | kIpiVector);
    AwaitInterrupts(kIpiVector, i);
  }
  Print("interrupts ", InterruptCount(kIpiVector));
}

void SerialInterrupt() {
  OpenSerial();
  Listen(kSerialVector, IdentifySerialInterrupt);
  // The transmitter is empty: enabling its interrupt raises it.
  SerialOut(kSerialIer, kIerTransmitterEmpty);
  AwaitInterrupts(kSerialVector, 1);
  GUEST_CHECK(g_identified == (kIirFifosEnabled | kIirTransmitterEmpty));

  // A byte that comes back by the loop, below the trigger level.
  SerialOut(kSerialIer, kIerReceivedData);
  SerialOut(kSerialIirFcr, kFcrEnable | 3 << kFcrTriggerShift);
  SerialOut(kSerialMcr, kMcrLoop);
  SerialOut(kSerialData, 'x');
  AwaitInterrupts(kSerialVector, 2);
  GUEST_CHECK(g_identified == (kIirFifosEnabled | kIirCharacterTimeout));
  GUEST_CHECK(SerialIn(kSerialData) == 'x');

  SerialOut(kSerialIer, 0);
  SerialOut(kSerialMcr, 0);
  Print("interrupts ", InterruptCount(kSerialVector));
}

void SerialEcho() {
  OpenSerial();
  Listen(kSerialVector, TakeSerialInput);
  Print("ready");
  SerialOut(kSerialIer, kIerReceivedData);
  while (true) {
    DisableInterrupts();
    const size_t length = g_length;
    if (length == 0 || g_line[length - 1] != '\n') {
      asm volatile("sti; hlt" ::: "memory");
      continue;
    }
    g_line[length - 1] = 0;
    Print("echo: ", static_cast<const char*>(g_line));
    const bool quit = Equal(g_line, "quit");
    g_length = 0;
    if (quit) break;
  }
  SerialOut(kSerialIer, 0);
}

}  // namespace guest
