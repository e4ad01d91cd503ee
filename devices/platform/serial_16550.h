#ifndef DEVICES_PLATFORM_SERIAL_16550_H_
#define DEVICES_PLATFORM_SERIAL_16550_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "devices/bus_device.h"
#include "devices/interrupt.h"
#include "devices/platform/byte_ring.h"

namespace annulus::platform {

// The thread that moves bytes between a serial port and the outside world, as
// the port sees it.
//
// Threads: thread-safe; called on vCPU threads with no lock held, also just
//   after the condition has passed. Implementations signal and return.
class SerialHost {
 public:
  virtual ~SerialHost() = default;

  // Output has appeared where there was none. Not repeated: TakeOutput() until
  // it returns 0, or come back without being asked.
  virtual void OutputReady() = 0;

  // A Receive() that could not take everything may be repeated now.
  virtual void InputSpaceAvailable() = 0;
};

// A PC16550D UART: receiver FIFO, interrupt priorities, divisor latch, modem
// loopback, scratch register. Its line is infinitely fast, so characters take
// no time, a receiver FIFO below its trigger level times out at once, and baud
// rate and parity are only remembered.
//
// Flow control replaces the speed of a wire. Output goes to a bounded queue;
// when less than one FIFO of room is left, THRE and TEMT go low, and when room
// returns they rise with their interrupt. Input waits in the host until the
// guest has emptied the FIFO. A driver that obeys THRE loses nothing; one that
// writes against it loses those bytes, as it would on hardware.
//
// The interrupt is an edge, given each time that IIR begins to show another
// cause, also where an earlier one is cleared while a second one waits; and
// when a cause was cleared by a read or write of data and is there again at
// once. Interrupts do not depend on OUT2: guests exist that leave it low.
//
// Threads: thread-safe. Register accesses on any vCPU thread, Receive() and
//   TakeOutput() on any other thread.
// Trust: registers are bytes; a wider access is one access to each byte.
// Allocation: none after construction.
class Serial16550 : public BusDevice {
 public:
  static constexpr size_t kOutputCapacity = size_t{64} << 10;

  // `interrupt` and `host` outlive the device.
  Serial16550(Interrupt& interrupt, SerialHost& host);

  void Read(uint64_t offset, absl::Span<uint8_t> data) override;
  void Write(uint64_t offset, absl::Span<const uint8_t> data) override;

  // Offers input to the guest; returns how many bytes it took from the front.
  // Where that is not all, SerialHost::InputSpaceAvailable() follows.
  size_t Receive(absl::Span<const uint8_t> input);

  // Moves up to output.size() bytes that the guest wrote; returns how many.
  size_t TakeOutput(absl::Span<uint8_t> output);

 private:
  // What to do once the lock is released.
  struct Effects {
    bool interrupt = false;
    bool output_ready = false;
    bool input_space = false;
  };
  enum class Cause : uint8_t {
    kNone,
    kLineStatus,
    kReceivedData,
    kTransmitterEmpty,
    kModemStatus,
  };

  uint8_t ReadRegister(uint64_t offset) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint8_t ReadData() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint8_t ReadIir() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint8_t ReadLsr() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint8_t ReadMsr() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void WriteRegister(uint64_t offset, uint8_t value)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteData(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteIer(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteFcr(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteMcr(uint8_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  bool divisor_latch_selected() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool loopback() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool fifos_enabled() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // How many characters the receiver can hold now.
  size_t receiver_room() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool transmitter_has_room() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The enabled cause of the highest priority.
  Cause PendingCause() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The four modem lines as they stand.
  uint8_t ModemLines() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // The line was low for a moment: if `cause` is still pending, that is an
  // edge.
  void DropLine(Cause cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Closes every locked section: what changed that others must hear of.
  Effects TakeEffects() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Perform(const Effects& effects);

  Interrupt& interrupt_;
  SerialHost& host_;

  Mutex mu_;
  ByteRing input_ ABSL_GUARDED_BY(mu_);
  ByteRing output_ ABSL_GUARDED_BY(mu_);
  uint8_t ier_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t fcr_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t lcr_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t mcr_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t scr_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t dll_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t dlm_ ABSL_GUARDED_BY(mu_) = 0;
  uint8_t modem_deltas_ ABSL_GUARDED_BY(mu_) = 0;
  bool overrun_ ABSL_GUARDED_BY(mu_) = false;
  // The latch behind the THRE interrupt: it stays cleared by a read of IIR
  // although THRE itself stays high.
  bool transmitter_empty_pending_ ABSL_GUARDED_BY(mu_) = false;
  bool transmitter_had_room_ ABSL_GUARDED_BY(mu_) = true;
  // LSR said THRE since the transmitter was last loaded.
  bool transmitter_observed_ ABSL_GUARDED_BY(mu_) = false;
  bool host_has_input_ ABSL_GUARDED_BY(mu_) = false;
  bool output_became_ready_ ABSL_GUARDED_BY(mu_) = false;
  // The cause that the last edge stood for, as long as it lasts.
  Cause signalled_cause_ ABSL_GUARDED_BY(mu_) = Cause::kNone;
};

}  // namespace annulus::platform

#endif  // DEVICES_PLATFORM_SERIAL_16550_H_
