#ifndef VMM_MACHINE_CONSOLE_H_
#define VMM_MACHINE_CONSOLE_H_

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/counter.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/interrupt.h"
#include "devices/platform/serial_16550.h"
#include "vmm/control/event_loop.h"

namespace annulus {

// The guest's serial port and the pump that moves its bytes from and to file
// descriptors of the embedder.
//
// A reader that does not read holds the guest's output up, never the control
// thread: the serial port's own queue is bounded and tells the guest to wait.
// Nor does another writer of the same pipe or socket, which blocks.
// A reader that went away makes the output vanish; the guest goes on.
//
// Threads: the serial port on vCPU threads, the pump on the control thread.
// Descriptors: their flags are not changed, as others may share them.
class Console final : private platform::SerialHost {
 public:
  // Either descriptor may be invalid: no input, output dropped. `interrupt`,
  // `loop` and `log` outlive the console.
  static absl::StatusOr<std::unique_ptr<Console>> Create(UniqueFd in,
                                                         UniqueFd out,
                                                         Interrupt& interrupt,
                                                         EventLoop& loop,
                                                         LogSink& log);

  platform::Serial16550& serial() { return serial_; }

  // Writes out what the guest has printed, on the control thread after its
  // loop and all vCPUs have ended. Gives up on a reader that has taken nothing
  // for so long, the time before this call included, and on one that has not
  // taken all of it in twice that time.
  void Flush(absl::Duration patience);

  // What the guest printed, and what of it was dropped as nobody reads. Any
  // thread.
  const Counter& written_bytes() const { return written_bytes_; }
  const Counter& dropped_bytes() const { return dropped_bytes_; }

 private:
  Console(UniqueFd in, UniqueFd out, EventFd output_ready, EventFd input_space,
          Interrupt& interrupt, EventLoop& loop, LogSink& log);

  absl::Status Watch();

  // On vCPU threads.
  void OutputReady() override { output_ready_.Signal(); }
  void InputSpaceAvailable() override { input_space_.Signal(); }

  // On the control thread.
  void PumpOutput();
  void PumpInput();
  // Writes as much as the reader takes until then; false if it is not ready.
  bool WriteSome(int timeout_ms);
  ssize_t Write(const uint8_t* data, size_t size);
  bool NextOutput();
  void AwaitReader();
  // While the guest holds input up, the descriptor is not listened to.
  void ListenForInput(bool listen);
  void StopInput();

  // A terminal that can take anything takes this much without blocking.
  static constexpr size_t kChunk = 256;

  UniqueFd in_;
  UniqueFd out_;
  const EventFd output_ready_;
  const EventFd input_space_;
  EventLoop& loop_;
  LogSink& log_;
  platform::Serial16550 serial_;

  Counter written_bytes_;
  Counter dropped_bytes_;

  // Owned by the control thread.
  std::array<uint8_t, kChunk> output_ = {};
  size_t output_start_ = 0;
  size_t output_end_ = 0;
  bool awaiting_reader_ = false;
  int64_t waited_since_ns_ = 0;  // While it is awaited: of base/clock.h.
  bool out_shared_ = false;      // A pipe or a socket: others may write to it.
  std::array<uint8_t, kChunk> input_ = {};
  size_t input_start_ = 0;
  size_t input_end_ = 0;
  bool in_pollable_ = false;  // False for files, which epoll refuses.
  bool input_watched_ = false;
};

}  // namespace annulus

#endif  // VMM_MACHINE_CONSOLE_H_
