#include "vmm/machine/console.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "devices/interrupt.h"
#include "devices/platform/serial_16550_registers.h"
#include "gtest/gtest.h"
#include "vmm/control/event_loop.h"

namespace annulus {
namespace {

class NoInterrupt final : public Interrupt {
 public:
  void Trigger() override {}
};

class CountingLog final : public LogSink {
 public:
  void Log(LogSeverity, absl::string_view) override { ++lines; }
  std::atomic<int> lines{0};
};

struct Pipe {
  Pipe() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    read = UniqueFd(fds[0]);
    write = UniqueFd(fds[1]);
  }
  UniqueFd read;
  UniqueFd write;
};

// A console on its control thread; the test plays the guest.
class ConsoleTest : public testing::Test {
 protected:
  void StartConsole(UniqueFd in, UniqueFd out) {
    CreateConsole(std::move(in), std::move(out));
    RunConsole();
  }

  void CreateConsole(UniqueFd in, UniqueFd out) {
    loop_ = EventLoop::Create().value();
    console_ =
        Console::Create(std::move(in), std::move(out), interrupt_, *loop_, log_)
            .value();
  }

  void RunConsole() {
    thread_ = Thread::Start("control", [this] {
                loop_->Run();
                console_->Flush(absl::Seconds(1));
              }).value();
  }

  void StopConsole() {
    loop_->Stop();
    thread_.Join();
  }

  uint8_t Register(uint64_t offset) {
    uint8_t value = 0;
    console_->serial().Read(offset, absl::MakeSpan(&value, 1));
    return value;
  }

  // As a guest's driver does: waits for room.
  void Print(const std::string& text) {
    for (const char c : text) {
      while ((Register(platform::kSerialLsr) &
              platform::kLsrTransmitterHolding) == 0) {
      }
      const uint8_t byte = static_cast<uint8_t>(c);
      console_->serial().Write(platform::kSerialData,
                               absl::MakeConstSpan(&byte, 1));
    }
  }

  std::string Type(size_t count) {
    std::string text;
    while (text.size() < count) {
      if ((Register(platform::kSerialLsr) & platform::kLsrDataReady) != 0) {
        text.push_back(static_cast<char>(Register(platform::kSerialData)));
      }
    }
    return text;
  }

  NoInterrupt interrupt_;
  CountingLog log_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Console> console_;
  Thread thread_;
};

TEST_F(ConsoleTest, OutputLargerThanEveryBufferArrivesWhole) {
  std::string sent;
  while (sent.size() < 300'000) sent += std::to_string(sent.size()) + " ";
  Pipe pipe;
  StartConsole(UniqueFd(), std::move(pipe.write));
  std::string received;
  Thread reader = Thread::Start("reader", [&] {
                    std::vector<char> buffer(1 << 16);
                    ssize_t got;
                    while ((got = ::read(pipe.read.get(), buffer.data(),
                                         buffer.size())) > 0) {
                      received.append(buffer.data(), static_cast<size_t>(got));
                    }
                  }).value();
  Print(sent);
  StopConsole();
  console_.reset();  // Closes the pipe, which ends the reader.
  reader.Join();
  EXPECT_EQ(received, sent);
}

// A guest that prints all the time does not keep others from the loop.
TEST_F(ConsoleTest, OthersOfTheLoopHaveTheirTurnBetween) {
  const std::string sent(60'000, 'x');
  const UniqueFd file(::memfd_create("console", MFD_CLOEXEC));
  CreateConsole(UniqueFd(), UniqueFd(::dup(file.get())));
  Print(sent);
  std::atomic<off_t> written_at_turn = -1;
  const EventFd other = EventFd::Create().value();
  other.Signal();
  ASSERT_TRUE(loop_
                  ->Watch(other.fd(), EPOLLIN,
                          [&](uint32_t) {
                            other.Drain();
                            written_at_turn = ::lseek(file.get(), 0, SEEK_END);
                          })
                  .ok());
  RunConsole();
  while (written_at_turn < 0) ::sched_yield();
  StopConsole();
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_END), 60'000);
  EXPECT_LT(written_at_turn, 60'000);
}

TEST_F(ConsoleTest, InputFromAPipeReachesTheGuestInOrder) {
  std::string sent;
  while (sent.size() < 2000) sent += std::to_string(sent.size()) + " ";
  Pipe pipe;
  StartConsole(std::move(pipe.read), UniqueFd());
  ASSERT_EQ(::write(pipe.write.get(), sent.data(), sent.size()),
            static_cast<ssize_t>(sent.size()));
  EXPECT_EQ(Type(sent.size()), sent);
  StopConsole();
}

TEST_F(ConsoleTest, InputFromAFileReachesTheGuestToItsEnd) {
  std::string sent;
  while (sent.size() < 2000) sent += std::to_string(sent.size()) + " ";
  UniqueFd file(::memfd_create("input", MFD_CLOEXEC));
  ASSERT_EQ(::pwrite(file.get(), sent.data(), sent.size(), 0),
            static_cast<ssize_t>(sent.size()));
  StartConsole(std::move(file), UniqueFd());
  EXPECT_EQ(Type(sent.size()), sent);
  StopConsole();
}

TEST_F(ConsoleTest, InputThatEndsLeavesTheOutputWorking) {
  Pipe in;
  Pipe out;
  StartConsole(std::move(in.read), std::move(out.write));
  in.write.reset();
  Print("still here");
  StopConsole();
  std::string received(10, '\0');
  EXPECT_EQ(::read(out.read.get(), received.data(), received.size()), 10);
  EXPECT_EQ(received, "still here");
}

TEST_F(ConsoleTest, ReaderThatGoesAwayIsLoggedOnceAndTheGuestGoesOn) {
  Pipe pipe;
  pipe.read.reset();
  StartConsole(UniqueFd(), std::move(pipe.write));
  Print(std::string(200'000, 'x'));  // More than the port's own queue.
  StopConsole();
  EXPECT_EQ(log_.lines, 1);
}

TEST_F(ConsoleTest, ReaderThatNeverReadsDoesNotHoldUpTheEnd) {
  Pipe pipe;
  StartConsole(UniqueFd(), std::move(pipe.write));
  Print(std::string(100'000, 'x'));  // The pipe and part of the queue.
  StopConsole();
  EXPECT_EQ(log_.lines, 1);
}

// Two VMs whose output goes to one pipe: the other one is always quicker to
// take what room there is.
TEST_F(ConsoleTest, OtherWriterOfTheSamePipeDoesNotHoldUpTheControlThread) {
  Pipe pipe;
  UniqueFd ours(::fcntl(pipe.write.get(), F_DUPFD_CLOEXEC, 0));
  std::atomic<bool> over{false};
  StartConsole(UniqueFd(), std::move(ours));
  // Non-blocking would be the whole pipe's, so it writes what fits.
  Thread other =
      Thread::Start("other", [&] {
        const std::vector<char> bytes(4096, 'o');
        while (!over) {
          pollfd room = {pipe.write.get(), POLLOUT, 0};
          if (::poll(&room, 1, 0) == 1) {
            const iovec from = {const_cast<char*>(bytes.data()), bytes.size()};
            (void)::pwritev2(pipe.write.get(), &from, 1, -1, RWF_NOWAIT);
          }
        }
      }).value();
  Print(std::string(50'000, 'x'));
  // Makes room now and then, for either.
  std::vector<char> some(4096);
  for (int i = 0; i < 200; ++i) {
    ASSERT_GT(::read(pipe.read.get(), some.data(), some.size()), 0);
  }
  StopConsole();  // It would wait in write(2), for a reader that is gone.
  over = true;
  other.Join();
}

}  // namespace
}  // namespace annulus
