#include "cli/vsock_relay.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

using virtio::ReceiveAll;
using virtio::ReceiveText;
using virtio::SendText;

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
  UniqueFd read_end;
  UniqueFd write_end;
};

std::string ReadToEnd(int fd) {
  std::string all;
  char buffer[65536];
  for (;;) {
    const ssize_t size = ::read(fd, buffer, sizeof(buffer));
    if (size <= 0) return all;
    all.append(buffer, static_cast<size_t>(size));
  }
}

void WriteText(int fd, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    ASSERT_GT(written, 0);
    text.remove_prefix(static_cast<size_t>(written));
  }
}

std::string Pattern(size_t bytes) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) {
    text[i] = static_cast<char>(i * 2654435761u >> 13);
  }
  return text;
}

// The test is the guest, and the programs at both standard streams.
class VsockRelayTest : public testing::Test {
 protected:
  VsockRelayTest() { ::signal(SIGPIPE, SIG_IGN); }

  void Start(int type = SOCK_STREAM) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    socket_.reset(ends[0]);
    guest_.reset(ends[1]);
    thread_ = std::thread([this, type] {
      RelayEnds relay;
      relay.socket = socket_.get();
      relay.input = input_.read_end.get();
      relay.output = output_.write_end.release();
      relay.messages = type == SOCK_SEQPACKET;
      relay.close_output = true;
      result_ = Relay(relay);
      // As a process that ends.
      if (!result_.status.ok()) ::close(relay.output);
      socket_.reset();
    });
  }

  RelayResult Finish() {
    thread_.join();
    return result_;
  }

  Pipe input_;
  Pipe output_;
  UniqueFd socket_;
  UniqueFd guest_;
  std::thread thread_;
  RelayResult result_;
};

TEST_F(VsockRelayTest, EndOfInputIsToldAndTheAnswerIsAwaited) {
  Start();
  WriteText(input_.write_end.get(), "request");
  input_.write_end.reset();
  EXPECT_EQ(ReceiveAll(guest_.get()), "request");
  SendText(guest_.get(), "answer");
  guest_.reset();
  EXPECT_EQ(ReadToEnd(output_.read_end.get()), "answer");
  const RelayResult result = Finish();
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_TRUE(result.input_ended);
}

TEST_F(VsockRelayTest, EndOfWhatComesLeavesTheOtherDirectionOpen) {
  Start();
  SendText(guest_.get(), "greeting");
  ASSERT_EQ(::shutdown(guest_.get(), SHUT_WR), 0);
  EXPECT_EQ(ReadToEnd(output_.read_end.get()), "greeting");
  WriteText(input_.write_end.get(), "still here");
  EXPECT_EQ(ReceiveText(guest_.get()), "still here");
  input_.write_end.reset();
  EXPECT_EQ(ReceiveAll(guest_.get()), "");
  EXPECT_TRUE(Finish().status.ok());
}

// A terminal gives no end of input; the process has to end all the same.
TEST_F(VsockRelayTest, ClosedConnectionEndsItWithInputOpen) {
  Start();
  SendText(guest_.get(), "bye");
  guest_.reset();
  EXPECT_EQ(ReadToEnd(output_.read_end.get()), "bye");
  const RelayResult result = Finish();
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_FALSE(result.input_ended);
}

TEST_F(VsockRelayTest, MuchDataBothWaysAtOnce) {
  constexpr size_t kBytes = 8 << 20;
  const std::string up = Pattern(kBytes);
  const std::string down = Pattern(kBytes + 1);
  Start();
  std::thread writer([&] {
    WriteText(input_.write_end.get(), up);
    input_.write_end.reset();
  });
  std::thread sender([&] {
    WriteText(guest_.get(), down);
    ::shutdown(guest_.get(), SHUT_WR);
  });
  std::string received;
  std::thread receiver([&] { received = ReceiveAll(guest_.get()); });
  EXPECT_TRUE(ReadToEnd(output_.read_end.get()) == down);
  writer.join();
  sender.join();
  receiver.join();
  EXPECT_TRUE(received == up);
  EXPECT_TRUE(Finish().status.ok());
}

// Neither waits for the other: nobody reads the output until all of the input
// was sent.
TEST_F(VsockRelayTest, FullOutputDoesNotStopTheInput) {
  const std::string much = Pattern(4 << 20);
  Start();
  std::thread sender([&] { WriteText(guest_.get(), much); });
  std::thread writer([&] {
    WriteText(input_.write_end.get(), much);
    input_.write_end.reset();
  });
  EXPECT_TRUE(ReceiveAll(guest_.get()) == much);
  writer.join();
  std::string out(much.size(), '\0');
  size_t read = 0;
  while (read < out.size()) {
    const ssize_t size =
        ::read(output_.read_end.get(), &out[read], out.size() - read);
    ASSERT_GT(size, 0);
    read += static_cast<size_t>(size);
  }
  EXPECT_TRUE(out == much);
  sender.join();
  guest_.reset();
  EXPECT_TRUE(Finish().status.ok());
}

TEST_F(VsockRelayTest, GuestThatStopsReadingIsAnError) {
  Start();
  ASSERT_EQ(::shutdown(guest_.get(), SHUT_RD), 0);
  WriteText(input_.write_end.get(), "lost");
  // Once it has read that it can only send it.
  int unread = 1;
  while (unread > 0) {
    ASSERT_EQ(::ioctl(input_.read_end.get(), FIONREAD, &unread), 0);
    std::this_thread::yield();
  }
  SendText(guest_.get(), "still read");
  ASSERT_EQ(::shutdown(guest_.get(), SHUT_WR), 0);
  EXPECT_EQ(ReadToEnd(output_.read_end.get()), "still read");
  const RelayResult result = Finish();
  EXPECT_EQ(result.status.message(),
            "the guest stopped reading before the end of standard input");
}

TEST_F(VsockRelayTest, ConnectionClosedWithDataUnreadIsAnError) {
  Start();
  WriteText(input_.write_end.get(), "unread");
  virtio::AwaitReadable(guest_.get());
  SendText(guest_.get(), "last");
  guest_.reset();
  EXPECT_EQ(ReadToEnd(output_.read_end.get()), "last");
  EXPECT_TRUE(absl::StrContains(Finish().status.message(),
                                "without reading all of it"));
}

TEST_F(VsockRelayTest, OutputThatNobodyReadsEndsIt) {
  Start();
  output_.read_end.reset();
  SendText(guest_.get(), "nobody reads this");
  const RelayResult result = Finish();
  EXPECT_TRUE(result.output_failed);
  EXPECT_EQ(result.status.message(), "standard output: Broken pipe");
  EXPECT_EQ(ReceiveAll(guest_.get()), "");
}

TEST_F(VsockRelayTest, InputThatEndedBeforeIsToldAtOnce) {
  input_.read_end.reset();
  Start();
  EXPECT_EQ(ReceiveAll(guest_.get()), "");
  guest_.reset();
  EXPECT_TRUE(Finish().status.ok());
}

TEST_F(VsockRelayTest, NonBlockingStreamsOfOthersWork) {
  const std::string much = Pattern(1 << 20);
  for (const int fd : {input_.read_end.get(), output_.write_end.get()}) {
    ASSERT_EQ(::fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  }
  Start();
  std::thread sender([&] {
    WriteText(guest_.get(), much);
    ::shutdown(guest_.get(), SHUT_WR);
  });
  EXPECT_TRUE(ReadToEnd(output_.read_end.get()) == much);
  sender.join();
  WriteText(input_.write_end.get(), "late");
  input_.write_end.reset();
  EXPECT_EQ(ReceiveAll(guest_.get()), "late");
  EXPECT_TRUE(Finish().status.ok());
}

TEST_F(VsockRelayTest, EachReadIsAMessageAndEmptyOnesAreNoEnd) {
  Start(SOCK_SEQPACKET);
  for (const char* text : {"one", "two"}) {
    WriteText(input_.write_end.get(), text);
    EXPECT_EQ(ReceiveText(guest_.get()), text);
  }
  SendText(guest_.get(), "a");
  SendText(guest_.get(), "");
  // Longer than any buffer that is there before.
  const std::string large = Pattern(150'000);
  std::thread sender([&] {
    SendText(guest_.get(), large);
    input_.write_end.reset();
    guest_.reset();
  });
  EXPECT_TRUE(ReadToEnd(output_.read_end.get()) == "a" + large);
  sender.join();
  EXPECT_TRUE(Finish().status.ok());
}

}  // namespace
}  // namespace annulus::cli
