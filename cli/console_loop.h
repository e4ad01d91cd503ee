#ifndef CLI_CONSOLE_LOOP_H_
#define CLI_CONSOLE_LOOP_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_fd.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "cli/escape_filter.h"
#include "cli/passed_signal.h"

namespace annulus::cli {

// While a guest runs: one thread that takes the process's signals, and copies
// what is typed into the pipe that is the guest's console_in.
//
// Bytes that the guest does not take are kept, up to a bound. Beyond it a
// terminal's bytes are dropped, so that Ctrl-A X is always heard; any other
// input is left unread until there is room again. End of input stops the
// copying and nothing else.
//
// Threads: Start() and the destructor on one thread; `stop` is called on the
//   loop's own.
class ConsoleLoop {
 public:
  struct Options {
    int input = -1;         // Not owned; -1: no input.
    bool terminal = false;  // `input` is typed by a person: see EscapeFilter.
    UniqueFd to_guest;      // Write end of a pipe, non-blocking; or not valid.
    std::string help;       // Written to standard error on Ctrl-A H.
    // Called for each SIGINT, SIGTERM and SIGHUP, and with SIGINT on Ctrl-A X.
    std::function<void(int signal)> stop;
  };

  // Blocks SIGINT, SIGTERM and SIGHUP on the calling thread, so that the loop
  // gets them, and SIGPIPE and SIGTTOU, so that a write or the restoring of a
  // terminal fails or works rather than end the process. Call it before
  // Start(), on a thread that every other one descends from or that is the only
  // one with signals unblocked.
  static void BlockSignals();

  static absl::StatusOr<std::unique_ptr<ConsoleLoop>> Start(Options options);

  ~ConsoleLoop();  // Ends the thread.

 private:
  ConsoleLoop(Options options, EventFd end, UniqueFd signals);

  void Run();
  bool WantsInput() const;
  void ReadInput();
  void TakeTyped(absl::string_view typed);
  void WriteToGuest();
  void ReadSignal();

  Options options_;
  const EventFd end_;
  const UniqueFd signals_;
  SignalsOnce signals_once_;
  EscapeFilter filter_;
  std::string pending_;  // For the guest, not yet written.
  Thread thread_;        // Last: runs on the fields above.
};

}  // namespace annulus::cli

#endif  // CLI_CONSOLE_LOOP_H_
