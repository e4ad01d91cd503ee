#ifndef VMM_MACHINE_CONSOLE_H_
#define VMM_MACHINE_CONSOLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
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
  // loop and all vCPUs have ended. Gives up when the reader takes nothing for
  // a second.
  void Flush();

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
  // Writes as much as the reader takes now; false if it is not ready.
  bool WriteSome(int timeout_ms);
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

  // Owned by the control thread.
  std::array<uint8_t, kChunk> output_ = {};
  size_t output_start_ = 0;
  size_t output_end_ = 0;
  bool awaiting_reader_ = false;
  std::array<uint8_t, kChunk> input_ = {};
  size_t input_start_ = 0;
  size_t input_end_ = 0;
  bool in_pollable_ = false;  // False for files, which epoll refuses.
  bool input_watched_ = false;
};

}  // namespace annulus

#endif  // VMM_MACHINE_CONSOLE_H_
