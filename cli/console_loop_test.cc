#include "cli/console_loop.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

class ConsoleLoopTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ConsoleLoop::BlockSignals(); }

  ConsoleLoopTest() {
    Pipe(O_CLOEXEC, input_, typed_);
    Pipe(O_CLOEXEC | O_NONBLOCK, guest_, to_guest_);
  }

  static void Pipe(int flags, UniqueFd& read_end, UniqueFd& write_end) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, flags), 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }

  void Start(bool terminal) {
    ConsoleLoop::Options options;
    options.input = input_.get();
    options.terminal = terminal;
    options.to_guest = std::move(to_guest_);
    options.stop = [this](int signal) {
      stopped_by_ = signal;
      stopped_.Signal();
    };
    auto loop = ConsoleLoop::Start(std::move(options));
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
  }

  void Type(const std::string& text) {
    ASSERT_EQ(::write(typed_.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }

  static bool AwaitReadable(int fd) {
    pollfd waiting = {fd, POLLIN, 0};
    return ::poll(&waiting, 1, 30'000) == 1;
  }

  // The next `size` bytes that the guest gets.
  std::string Guest(size_t size) {
    std::string text;
    char buffer[4096];
    while (text.size() < size && AwaitReadable(guest_.get())) {
      const ssize_t got = ::read(guest_.get(), buffer, sizeof(buffer));
      if (got <= 0) break;
      text.append(buffer, static_cast<size_t>(got));
    }
    return text;
  }

  int AwaitStop() {
    EXPECT_TRUE(AwaitReadable(stopped_.fd()));
    stopped_.Drain();
    return stopped_by_;
  }

  UniqueFd input_;
  UniqueFd typed_;
  UniqueFd guest_;
  UniqueFd to_guest_;
  std::atomic<int> stopped_by_ = 0;
  EventFd stopped_ = *EventFd::Create();
  std::unique_ptr<ConsoleLoop> loop_;  // Last: uses the above.
};

TEST_F(ConsoleLoopTest, PipedInputIsCopiedAsItIs) {
  Start(/*terminal=*/false);
  Type("a\x01xb");
  EXPECT_EQ(Guest(4), "a\x01xb");
  EXPECT_EQ(stopped_by_, 0);
}

TEST_F(ConsoleLoopTest, TypedInputIsFilteredForEscapes) {
  Start(/*terminal=*/true);
  Type("a\x01\x01z\x01xb");
  EXPECT_EQ(Guest(4), "a\x01zb");
  EXPECT_EQ(AwaitStop(), SIGINT);
}

TEST_F(ConsoleLoopTest, SignalsAreHeard) {
  Start(/*terminal=*/false);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGTERM}) {
    ::kill(::getpid(), signal);
    EXPECT_EQ(AwaitStop(), signal);
  }
}

TEST_F(ConsoleLoopTest, PipedInputOutlivesAGuestThatDoesNotRead) {
  Start(/*terminal=*/false);
  // More than the guest's pipe and our buffer hold: some stays in ours.
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += std::to_string(i);
  size_t written = 0;
  std::string got;
  ::fcntl(typed_.get(), F_SETFL, O_NONBLOCK);
  while (got.size() < text.size()) {
    const ssize_t size =
        ::write(typed_.get(), text.data() + written, text.size() - written);
    if (size > 0) {
      written += static_cast<size_t>(size);
    } else {
      const std::string more = Guest(1);  // Full: now the guest reads.
      ASSERT_FALSE(more.empty());
      got += more;
    }
    if (written == text.size()) got += Guest(text.size() - got.size());
  }
  EXPECT_EQ(got, text);
}

TEST_F(ConsoleLoopTest, CtrlAXIsHeardWhenTheGuestDoesNotRead) {
  Start(/*terminal=*/true);
  for (int i = 0; i < 300; ++i) Type(std::string(1024, 'a'));
  Type("\x01x");
  EXPECT_EQ(AwaitStop(), SIGINT);
}

TEST_F(ConsoleLoopTest, EndOfInputStopsNothing) {
  Start(/*terminal=*/false);
  Type("a");
  typed_.reset();
  EXPECT_EQ(Guest(1), "a");
  ::kill(::getpid(), SIGTERM);
  EXPECT_EQ(AwaitStop(), SIGTERM);
  // The guest's end is still open: no end of input there.
  pollfd hung_up = {guest_.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&hung_up, 1, 0), 0);
}

TEST_F(ConsoleLoopTest, GuestThatClosedItsEndStopsNothing) {
  guest_.reset();
  Start(/*terminal=*/true);
  Type("a");
  Type("\x01x");
  EXPECT_EQ(AwaitStop(), SIGINT);
}

}  // namespace
}  // namespace annulus::cli
