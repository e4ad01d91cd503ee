#include "cli/raw_terminal.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "cli/subprocess.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

constexpr tcflag_t kCooked = ICANON | ECHO | ISIG;

// In a child whose controlling terminal is a new one: 0 if all went well.
int CheckOnTerminal() {
  termios before;
  termios during;
  termios after;
  if (::tcgetattr(STDIN_FILENO, &before) != 0) return 1;
  if ((before.c_lflag & kCooked) != kCooked) return 2;
  {
    RawTerminal terminal(STDIN_FILENO);
    if (!terminal.active()) return 3;
    ::tcgetattr(STDIN_FILENO, &during);
    if ((during.c_lflag & kCooked) != 0) return 4;
    if ((during.c_oflag & OPOST) == 0) return 5;
    terminal.Restore();
    if (terminal.active()) return 6;
    RawTerminal again(STDIN_FILENO);
    if (!again.active()) return 7;
  }
  ::tcgetattr(STDIN_FILENO, &after);
  // Not memcmp() of it all: the structure has padding.
  const bool restored =
      before.c_iflag == after.c_iflag && before.c_oflag == after.c_oflag &&
      before.c_cflag == after.c_cflag && before.c_lflag == after.c_lflag &&
      std::memcmp(before.c_cc, after.c_cc, NCCS) == 0;
  return restored ? 0 : 8;
}

TEST(RawTerminalTest, TerminalIsRawUntilTheEnd) {
  if (!HavePseudoTerminals()) GTEST_SKIP() << "no pseudo-terminals here";
  int other_side = -1;
  const pid_t child = ::forkpty(&other_side, nullptr, nullptr, nullptr);
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(CheckOnTerminal());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ::close(other_side);
}

TEST(RawTerminalTest, NoTerminalIsLeftAlone) {
  const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  EXPECT_FALSE(RawTerminal(fd).active());
  EXPECT_FALSE(RawTerminal(-1).active());
  ::close(fd);
}

TEST(RawTerminalTest, TerminalThatIsNotOursIsLeftAlone) {
  if (!HavePseudoTerminals()) GTEST_SKIP() << "no pseudo-terminals here";
  int ours = -1;
  int theirs = -1;
  ASSERT_EQ(::openpty(&ours, &theirs, nullptr, nullptr, nullptr), 0);
  EXPECT_FALSE(RawTerminal(theirs).active());
  termios mode;
  ASSERT_EQ(::tcgetattr(theirs, &mode), 0);
  EXPECT_EQ(mode.c_lflag & kCooked, kCooked);
  ::close(ours);
  ::close(theirs);
}

}  // namespace
}  // namespace annulus::cli
