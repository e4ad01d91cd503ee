#include "cli/raw_terminal.h"

#include <unistd.h>

namespace annulus::cli {

RawTerminal::RawTerminal(int fd) : fd_(fd) {
  termios mode;
  if (::tcgetattr(fd, &mode) != 0 || ::tcgetpgrp(fd) != ::getpgrp()) return;
  termios raw = mode;
  ::cfmakeraw(&raw);
  raw.c_oflag |= mode.c_oflag & OPOST;
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  if (::tcsetattr(fd, TCSANOW, &raw) == 0) saved_ = mode;
}

void RawTerminal::Restore() {
  if (!saved_.has_value()) return;
  // Not TCSAFLUSH: what was typed ahead belongs to the shell.
  ::tcsetattr(fd_, TCSANOW, &*saved_);
  saved_.reset();
}

}  // namespace annulus::cli
