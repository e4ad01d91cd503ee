#ifndef DEVICES_PLATFORM_SERIAL_16550_REGISTERS_H_
#define DEVICES_PLATFORM_SERIAL_16550_REGISTERS_H_

#include <cstddef>
#include <cstdint>

// Registers and bits of the PC16550D "Universal Asynchronous Receiver/
// Transmitter with FIFOs", under the data sheet's names.

namespace annulus::platform {

// The first serial port of a PC.
inline constexpr uint16_t kSerialPort = 0x3f8;
inline constexpr uint16_t kSerialPortCount = 8;
inline constexpr uint32_t kSerialGsi = 4;

inline constexpr size_t kSerialFifoSize = 16;

// Offsets from the port.
inline constexpr uint16_t kSerialData = 0;    // RBR, THR; DLL if DLAB.
inline constexpr uint16_t kSerialIer = 1;     // DLM if DLAB.
inline constexpr uint16_t kSerialIirFcr = 2;  // IIR to read, FCR to write.
inline constexpr uint16_t kSerialLcr = 3;
inline constexpr uint16_t kSerialMcr = 4;
inline constexpr uint16_t kSerialLsr = 5;
inline constexpr uint16_t kSerialMsr = 6;
inline constexpr uint16_t kSerialScr = 7;

// Interrupt enable register.
inline constexpr uint8_t kIerReceivedData = 0x01;      // ERBFI
inline constexpr uint8_t kIerTransmitterEmpty = 0x02;  // ETBEI
inline constexpr uint8_t kIerLineStatus = 0x04;        // ELSI
inline constexpr uint8_t kIerModemStatus = 0x08;       // EDSSI
inline constexpr uint8_t kIerMask = 0x0f;

// Interrupt identification register; in the order of priority.
inline constexpr uint8_t kIirLineStatus = 0x06;
inline constexpr uint8_t kIirReceivedData = 0x04;
inline constexpr uint8_t kIirCharacterTimeout = 0x0c;
inline constexpr uint8_t kIirTransmitterEmpty = 0x02;
inline constexpr uint8_t kIirModemStatus = 0x00;
inline constexpr uint8_t kIirNone = 0x01;
inline constexpr uint8_t kIirFifosEnabled = 0xc0;

// FIFO control register.
inline constexpr uint8_t kFcrEnable = 0x01;
inline constexpr uint8_t kFcrClearReceiver = 0x02;
inline constexpr uint8_t kFcrClearTransmitter = 0x04;
inline constexpr int kFcrTriggerShift = 6;

// Line control register.
inline constexpr uint8_t kLcrDlab = 0x80;

// Modem control register.
inline constexpr uint8_t kMcrDtr = 0x01;
inline constexpr uint8_t kMcrRts = 0x02;
inline constexpr uint8_t kMcrOut1 = 0x04;
inline constexpr uint8_t kMcrOut2 = 0x08;
inline constexpr uint8_t kMcrLoop = 0x10;
inline constexpr uint8_t kMcrMask = 0x1f;

// Line status register.
inline constexpr uint8_t kLsrDataReady = 0x01;           // DR
inline constexpr uint8_t kLsrOverrun = 0x02;             // OE
inline constexpr uint8_t kLsrTransmitterHolding = 0x20;  // THRE
inline constexpr uint8_t kLsrTransmitterEmpty = 0x40;    // TEMT

// Modem status register: four lines, and what changed since it was read.
inline constexpr uint8_t kMsrDeltaCts = 0x01;
inline constexpr uint8_t kMsrDeltaDsr = 0x02;
inline constexpr uint8_t kMsrTrailingEdgeRing = 0x04;
inline constexpr uint8_t kMsrDeltaDcd = 0x08;
inline constexpr uint8_t kMsrCts = 0x10;
inline constexpr uint8_t kMsrDsr = 0x20;
inline constexpr uint8_t kMsrRing = 0x40;
inline constexpr uint8_t kMsrDcd = 0x80;

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_SERIAL_16550_REGISTERS_H_
