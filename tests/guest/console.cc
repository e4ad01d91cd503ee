#include "tests/guest/console.h"

#include <cstddef>
#include <cstdint>

#include "devices/platform/serial_16550_registers.h"
#include "tests/guest/io.h"

namespace guest::internal {
namespace {

using annulus::platform::kLsrTransmitterHolding;
using annulus::platform::kSerialData;
using annulus::platform::kSerialFifoSize;
using annulus::platform::kSerialLsr;
using annulus::platform::kSerialPort;

bool g_locked = false;
char g_burst[kSerialFifoSize];
size_t g_count = 0;

void PutChar(char c) {
  g_burst[g_count++] = c;
  if (g_count == kSerialFifoSize) Flush();
}

}  // namespace

void Lock() {
  while (__atomic_test_and_set(&g_locked, __ATOMIC_ACQUIRE)) Pause();
}

void Unlock() { __atomic_clear(&g_locked, __ATOMIC_RELEASE); }

void Put(const char* text) {
  for (; *text != 0; ++text) PutChar(*text);
}

void Put(uint64_t number) {
  char digits[20];
  size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  while (count > 0) PutChar(digits[--count]);
}

void Put(Hex number) {
  Put("0x");
  int shift = 60;
  while (shift > 0 && number.value >> shift == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) {
    PutChar("0123456789abcdef"[number.value >> shift & 0xf]);
  }
}

// THRE says that the whole FIFO has room, so one look is enough for a burst.
void Flush() {
  if (g_count == 0) return;
  while ((In8(kSerialPort + kSerialLsr) & kLsrTransmitterHolding) == 0) Pause();
  for (size_t i = 0; i < g_count; ++i) {
    Out8(kSerialPort + kSerialData, static_cast<uint8_t>(g_burst[i]));
  }
  g_count = 0;
}

}  // namespace guest::internal
