#ifndef CLI_RAW_TERMINAL_H_
#define CLI_RAW_TERMINAL_H_

#include <termios.h>

#include <optional>

namespace annulus::cli {

// Puts a terminal into raw mode for its lifetime: each key goes to the guest at
// once, also Ctrl-C and Ctrl-Z, and is not echoed. Output keeps its line
// breaks, so that our own messages look right in between.
//
// Does nothing where `fd` is no terminal, or one that we are in the background
// of: changing it would stop the process with SIGTTOU.
//
// Threads: thread-compatible. The destructor, or Restore(), must run on every
//   way out: fatal signals are therefore turned into an orderly stop, see
//   console_loop.h.
class RawTerminal {
 public:
  explicit RawTerminal(int fd);
  ~RawTerminal() { Restore(); }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  // Idempotent.
  void Restore();

  bool active() const { return saved_.has_value(); }

 private:
  const int fd_;
  std::optional<termios> saved_;
};

}  // namespace annulus::cli

#endif  // CLI_RAW_TERMINAL_H_
