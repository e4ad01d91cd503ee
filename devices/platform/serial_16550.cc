#include "devices/platform/serial_16550.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/types/span.h"
#include "base/mutex.h"
#include "devices/interrupt.h"
#include "devices/platform/serial_16550_registers.h"

namespace annulus::platform {
namespace {

// Receiver FIFO trigger levels by the two top bits of FCR.
constexpr size_t kTriggerLevels[] = {1, 4, 8, 14};

// Where no modem is: ready to send, ready, carrier.
constexpr uint8_t kConnectedLines = kMsrCts | kMsrDsr | kMsrDcd;

}  // namespace

Serial16550::Serial16550(Interrupt& interrupt, SerialHost& host)
    : interrupt_(interrupt),
      host_(host),
      input_(kSerialFifoSize),
      output_(kOutputCapacity) {}

void Serial16550::Read(uint64_t offset, absl::Span<uint8_t> data) {
  Effects effects;
  {
    MutexLock lock(mu_);
    for (size_t i = 0; i < data.size(); ++i) {
      data[i] = ReadRegister(offset + i);
    }
    effects = TakeEffects();
  }
  Perform(effects);
}

void Serial16550::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  Effects effects;
  {
    MutexLock lock(mu_);
    for (size_t i = 0; i < data.size(); ++i) WriteRegister(offset + i, data[i]);
    effects = TakeEffects();
  }
  Perform(effects);
}

size_t Serial16550::Receive(absl::Span<const uint8_t> input) {
  Effects effects;
  size_t count = 0;
  {
    MutexLock lock(mu_);
    // In loopback the receiver is not connected to the line.
    if (!loopback()) count = std::min(input.size(), receiver_room());
    for (uint8_t byte : input.first(count)) input_.Push(byte);
    host_has_input_ = count < input.size();
    effects = TakeEffects();
  }
  Perform(effects);
  return count;
}

size_t Serial16550::TakeOutput(absl::Span<uint8_t> output) {
  Effects effects;
  size_t count;
  {
    MutexLock lock(mu_);
    count = output_.Pop(output);
    effects = TakeEffects();
  }
  Perform(effects);
  return count;
}

uint8_t Serial16550::ReadRegister(uint64_t offset) {
  switch (offset) {
    case kSerialData:
      return divisor_latch_selected() ? dll_ : ReadData();
    case kSerialIer:
      return divisor_latch_selected() ? dlm_ : ier_;
    case kSerialIirFcr:
      return ReadIir();
    case kSerialLcr:
      return lcr_;
    case kSerialMcr:
      return mcr_;
    case kSerialLsr:
      return ReadLsr();
    case kSerialMsr:
      return ReadMsr();
    case kSerialScr:
      return scr_;
    default:
      return 0xff;  // The rest of an access that is wider than the device.
  }
}

uint8_t Serial16550::ReadData() {
  uint8_t byte = 0;
  input_.Pop(absl::MakeSpan(&byte, 1));
  // A read restarts the character timeout, which here is over at once: the
  // line falls and rises for a driver that reads one byte per interrupt.
  if (!input_.empty()) DropLine(Cause::kReceivedData);
  return byte;
}

uint8_t Serial16550::ReadIir() {
  const uint8_t fifos = fifos_enabled() ? kIirFifosEnabled : uint8_t{0};
  switch (PendingCause()) {
    case Cause::kLineStatus:
      return fifos | kIirLineStatus;
    case Cause::kReceivedData: {
      const bool timeout =
          fifos_enabled() &&
          input_.size() < kTriggerLevels[fcr_ >> kFcrTriggerShift];
      return fifos | (timeout ? kIirCharacterTimeout : kIirReceivedData);
    }
    case Cause::kTransmitterEmpty:
      // Of all causes only this one is cleared by being identified.
      transmitter_empty_pending_ = false;
      return fifos | kIirTransmitterEmpty;
    case Cause::kModemStatus:
      return fifos | kIirModemStatus;
    case Cause::kNone:
      break;
  }
  return fifos | kIirNone;
}

uint8_t Serial16550::ReadLsr() {
  uint8_t value = 0;
  if (!input_.empty()) value |= kLsrDataReady;
  if (std::exchange(overrun_, false)) value |= kLsrOverrun;
  if (transmitter_has_room()) {
    transmitter_observed_ = true;
    value |= kLsrTransmitterHolding | kLsrTransmitterEmpty;
  }
  return value;
}

uint8_t Serial16550::ReadMsr() {
  return ModemLines() | std::exchange(modem_deltas_, uint8_t{0});
}

void Serial16550::WriteRegister(uint64_t offset, uint8_t value) {
  switch (offset) {
    case kSerialData:
      if (divisor_latch_selected()) {
        dll_ = value;
      } else {
        WriteData(value);
      }
      break;
    case kSerialIer:
      if (divisor_latch_selected()) {
        dlm_ = value;
      } else {
        WriteIer(value);
      }
      break;
    case kSerialIirFcr:
      WriteFcr(value);
      break;
    case kSerialLcr:
      lcr_ = value;
      break;
    case kSerialMcr:
      WriteMcr(value);
      break;
    case kSerialScr:
      scr_ = value;
      break;
    default:
      break;  // LSR and MSR are read-only.
  }
}

void Serial16550::WriteData(uint8_t value) {
  if (loopback()) {
    if (receiver_room() > 0) {
      input_.Push(value);
    } else {
      overrun_ = true;
    }
  } else if (output_.room() > 0) {
    if (output_.empty()) output_became_ready_ = true;
    output_.Push(value);
  }
  // Loading the transmitter clears the cause; it is empty again at once. A
  // driver that looks at LSR, not IIR, gets an edge for it; within a burst of
  // characters one edge is enough.
  transmitter_empty_pending_ = transmitter_has_room();
  if (std::exchange(transmitter_observed_, false)) {
    DropLine(Cause::kTransmitterEmpty);
  }
}

void Serial16550::WriteIer(uint8_t value) {
  const bool enables_transmitter = (value & ~ier_ & kIerTransmitterEmpty) != 0;
  if (enables_transmitter && transmitter_has_room()) {
    transmitter_empty_pending_ = true;
  }
  ier_ = value & kIerMask;
}

void Serial16550::WriteFcr(uint8_t value) {
  const bool toggles = ((value ^ fcr_) & kFcrEnable) != 0;
  // With the enable bit low the other bits are not programmed.
  fcr_ = (value & kFcrEnable) != 0 ? value : 0;
  if (toggles || (fcr_ & kFcrClearReceiver) != 0) input_.Clear();
  // The transmitter FIFO is always empty: output_ has left the UART.
}

void Serial16550::WriteMcr(uint8_t value) {
  const uint8_t before = ModemLines();
  mcr_ = value & kMcrMask;
  const uint8_t after = ModemLines();
  const uint8_t changed = before ^ after;
  if ((changed & kMsrCts) != 0) modem_deltas_ |= kMsrDeltaCts;
  if ((changed & kMsrDsr) != 0) modem_deltas_ |= kMsrDeltaDsr;
  if ((changed & kMsrDcd) != 0) modem_deltas_ |= kMsrDeltaDcd;
  if ((before & ~after & kMsrRing) != 0) modem_deltas_ |= kMsrTrailingEdgeRing;
}

bool Serial16550::divisor_latch_selected() const {
  return (lcr_ & kLcrDlab) != 0;
}

bool Serial16550::loopback() const { return (mcr_ & kMcrLoop) != 0; }

bool Serial16550::fifos_enabled() const { return (fcr_ & kFcrEnable) != 0; }

size_t Serial16550::receiver_room() const {
  if (fifos_enabled()) return input_.room();
  return input_.empty() ? 1 : 0;
}

bool Serial16550::transmitter_has_room() const {
  // A driver that sees THRE writes a whole FIFO without looking again.
  return loopback() || output_.room() >= kSerialFifoSize;
}

Serial16550::Cause Serial16550::PendingCause() const {
  if ((ier_ & kIerLineStatus) != 0 && overrun_) return Cause::kLineStatus;
  if ((ier_ & kIerReceivedData) != 0 && !input_.empty()) {
    return Cause::kReceivedData;
  }
  if ((ier_ & kIerTransmitterEmpty) != 0 && transmitter_empty_pending_) {
    return Cause::kTransmitterEmpty;
  }
  if ((ier_ & kIerModemStatus) != 0 && modem_deltas_ != 0) {
    return Cause::kModemStatus;
  }
  return Cause::kNone;
}

uint8_t Serial16550::ModemLines() const {
  if (!loopback()) return kConnectedLines;
  uint8_t lines = 0;
  if ((mcr_ & kMcrRts) != 0) lines |= kMsrCts;
  if ((mcr_ & kMcrDtr) != 0) lines |= kMsrDsr;
  if ((mcr_ & kMcrOut1) != 0) lines |= kMsrRing;
  if ((mcr_ & kMcrOut2) != 0) lines |= kMsrDcd;
  return lines;
}

void Serial16550::DropLine(Cause cause) {
  if (signalled_cause_ == cause) signalled_cause_ = Cause::kNone;
}

Serial16550::Effects Serial16550::TakeEffects() {
  Effects effects;
  const bool has_room = transmitter_has_room();
  if (has_room && !transmitter_had_room_) transmitter_empty_pending_ = true;
  if (!has_room) transmitter_empty_pending_ = false;
  transmitter_had_room_ = has_room;

  effects.output_ready = std::exchange(output_became_ready_, false);

  // Not before the FIFO is empty: one call for each 16 characters, not 16.
  if (host_has_input_ && input_.empty() && !loopback()) {
    host_has_input_ = false;
    effects.input_space = true;
  }

  const Cause cause = PendingCause();
  effects.interrupt = cause != Cause::kNone && cause != signalled_cause_;
  signalled_cause_ = cause;
  return effects;
}

void Serial16550::Perform(const Effects& effects) {
  if (effects.interrupt) interrupt_.Trigger();
  if (effects.output_ready) host_.OutputReady();
  if (effects.input_space) host_.InputSpaceAvailable();
}

}  // namespace annulus::platform
