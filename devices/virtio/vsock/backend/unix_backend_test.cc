// The host's programs are real sockets here, and the test plays the device.

#include "devices/virtio/vsock/backend/unix_backend.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/hand_over.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "devices/virtio/vsock/backend/unix_sockets.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr int64_t kForever = std::numeric_limits<int64_t>::max();
constexpr int64_t kTimeoutNs = 10'000'000'000;
constexpr uint64_t kGuestCid = 1234;

class RecordingLog : public LogSink {
 public:
  void Log(LogSeverity /*severity*/, absl::string_view line) override {
    lines.emplace_back(line);
  }
  std::vector<std::string> lines;
};

class UnixBackendTest : public testing::Test {
 protected:
  void Start(UnixSocketOptions options, uint32_t max_callers = 256) {
    auto sockets = UnixSockets::Open(std::move(options));
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    UnixBackendOptions backend;
    backend.max_callers = max_callers;
    backend.guest_cid = kGuestCid;
    backend.handshake_timeout = absl::Nanoseconds(kTimeoutNs);
    auto created = UnixBackend::Create(backend, *std::move(sockets), log_);
    ASSERT_TRUE(created.ok()) << created.status();
    backend_ = *std::move(created);
  }

  void Start(uint32_t max_callers = 256) {
    UnixSocketOptions options;
    options.path = path_;
    options.seqpacket = true;
    Start(std::move(options), max_callers);
  }

  std::optional<HostCall> Next() { return backend_->NextCall(now_ns_); }

  // Serves until nothing is left to do; expects no call to come of it.
  void Settle() {
    while (Readable(backend_->fd())) {
      EXPECT_FALSE(Next().has_value());
    }
  }

  // A caller was closed, with nothing said to it.
  static void ExpectClosed(const UniqueFd& caller) {
    char byte;
    const ssize_t received = ::recv(caller.get(), &byte, 1, MSG_DONTWAIT);
    EXPECT_TRUE(received == 0 || (received < 0 && errno == ECONNRESET))
        << received << " " << std::strerror(errno);
  }

  const SocketDirectory directory_;
  const std::string path_ = directory_.Path("vm");
  RecordingLog log_;
  std::unique_ptr<UnixBackend> backend_;
  int64_t now_ns_ = 1'000'000'000;
};

TEST_F(UnixBackendTest, OptionsThatMakeNoSense) {
  UnixBackendOptions options;
  options.max_callers = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(
      UnixBackend::Create(options, *UnixSockets::Open({}), log_).status()));
  options.max_callers = 1;
  options.handshake_timeout = absl::ZeroDuration();
  EXPECT_TRUE(absl::IsInvalidArgument(
      UnixBackend::Create(options, *UnixSockets::Open({}), log_).status()));
}

TEST_F(UnixBackendTest, CallerSaysThePortAndGetsAnAnswer) {
  Start();
  EXPECT_FALSE(Readable(backend_->fd()));
  EXPECT_EQ(backend_->deadline_ns(), kForever);
  const UniqueFd caller = ConnectTo(path_, SOCK_STREAM);
  SendText(caller.get(), "CONNECT 1234\n");
  EXPECT_TRUE(Readable(backend_->fd()));
  auto call = Next();
  ASSERT_TRUE(call.has_value());
  EXPECT_EQ(call->type, kVsockTypeStream);
  EXPECT_EQ(call->guest_port, 1234u);
  EXPECT_EQ(call->greeting, "OK %\n");
  EXPECT_NE(::fcntl(call->socket.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(call->socket.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(backend_->callers(), 0u);
  // What the socket does from now on is not the backend's.
  SendText(caller.get(), "hello");
  EXPECT_FALSE(Readable(backend_->fd()));
  EXPECT_EQ(ReceiveText(call->socket.get()), "hello");
  EXPECT_FALSE(Next().has_value());
}

TEST_F(UnixBackendTest, DataBehindTheLineStaysInTheSocket) {
  Start();
  const UniqueFd caller = ConnectTo(path_, SOCK_STREAM);
  SendText(caller.get(), "CONNECT 5\nCONNECT 6\n");
  const auto call = Next();
  ASSERT_TRUE(call.has_value());
  EXPECT_EQ(call->guest_port, 5u);
  EXPECT_EQ(ReceiveText(call->socket.get()), "CONNECT 6\n");
}

// Lesson 16: a line in several writes was a dropped caller, or lost its
// beginning.
TEST_F(UnixBackendTest, LineInAnyTwoPieces) {
  Start();
  const absl::string_view text = "connect 77\r\ndata";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    const UniqueFd caller = ConnectTo(path_, SOCK_STREAM);
    std::optional<HostCall> call;
    if (cut > 0) SendText(caller.get(), text.substr(0, cut));
    for (int i = 0; i < 3 && !call.has_value(); ++i) call = Next();
    // A caller that says nothing more does not keep the loop busy.
    EXPECT_FALSE(Readable(backend_->fd())) << cut;
    EXPECT_EQ(call.has_value(), cut >= 12) << cut;
    if (cut < text.size()) SendText(caller.get(), text.substr(cut));
    if (!call.has_value()) {
      EXPECT_TRUE(Readable(backend_->fd())) << cut;
      call = Next();
    }
    ASSERT_TRUE(call.has_value()) << cut;
    EXPECT_EQ(call->guest_port, 77u);
    std::string data;
    while (data.size() < 4) data += ReceiveText(call->socket.get());
    EXPECT_EQ(data, "data");
  }
}

TEST_F(UnixBackendTest, LineByteByByte) {
  Start();
  const UniqueFd caller = ConnectTo(path_, SOCK_STREAM);
  for (const char byte : absl::string_view("CONNECT 4294967295")) {
    SendText(caller.get(), {&byte, 1});
    EXPECT_FALSE(Next().has_value());
    EXPECT_FALSE(Readable(backend_->fd()));
  }
  SendText(caller.get(), "\n");
  const auto call = Next();
  ASSERT_TRUE(call.has_value());
  EXPECT_EQ(call->guest_port, 4294967295u);
  // It was watched, and is not any more.
  SendText(caller.get(), "data");
  EXPECT_FALSE(Readable(backend_->fd()));
}

// Lesson 16, bad inputs 36: closing at any point of the line crashed the VMM.
TEST_F(UnixBackendTest, CallersThatCloseEarlyAreForgotten) {
  Start();
  const absl::string_view text = "CONNECT 5";
  for (size_t bytes = 0; bytes <= text.size(); ++bytes) {
    for (const bool seen : {false, true}) {
      UniqueFd caller = ConnectTo(path_, SOCK_STREAM);
      if (bytes > 0) SendText(caller.get(), text.substr(0, bytes));
      if (seen) {
        EXPECT_FALSE(Next().has_value());
      }
      caller.reset();
      Settle();
      EXPECT_EQ(backend_->callers(), 0u) << bytes;
    }
  }
  EXPECT_TRUE(log_.lines.empty()) << log_.lines[0];
}

TEST_F(UnixBackendTest, EndOfTheStreamBeforeTheLineEndsTheCaller) {
  Start();
  const UniqueFd caller = ConnectTo(path_, SOCK_STREAM);
  SendText(caller.get(), "CONNECT 5");
  ASSERT_EQ(::shutdown(caller.get(), SHUT_WR), 0);
  Settle();
  ExpectClosed(caller);
}

// Bad inputs 36: no line feed, a long line.
TEST_F(UnixBackendTest, WrongAndEndlessLinesCloseTheCaller) {
  Start();
  for (const std::string& text :
       {std::string("CONNECT\n"), std::string("\n"),
        std::string("GET / HTTP/1.1\r\n"), std::string(32, 'C'),
        std::string(100'000, '\0'), std::string("CONNECT 4294967296\nOK\n")}) {
    const UniqueFd caller = ConnectTo(path_, SOCK_STREAM);
    SendText(caller.get(), text);
    Settle();
    ExpectClosed(caller);
    EXPECT_EQ(backend_->callers(), 0u);
  }
  ASSERT_EQ(log_.lines.size(), 6u);
  EXPECT_EQ(log_.lines[0], "vsock0: a caller did not say \"CONNECT <port>\"");
}

TEST_F(UnixBackendTest, LogLinesOfCallersAreFew) {
  Start();
  for (int i = 0; i < 100; ++i) {
    const UniqueFd caller = ConnectTo(path_, SOCK_STREAM);
    SendText(caller.get(), "nonsense\n");
    Settle();
  }
  EXPECT_EQ(log_.lines.size(), 10u);
}

// Lesson 17: a client that only writes (socat -u) is gone before its OK, and
// its data was lost.
TEST_F(UnixBackendTest, CallerThatClosesBehindItsDataIsACall) {
  Start();
  UniqueFd caller = ConnectTo(path_, SOCK_STREAM);
  SendText(caller.get(), "CONNECT 5\nlast words");
  caller.reset();
  const auto call = Next();
  ASSERT_TRUE(call.has_value());
  EXPECT_EQ(ReceiveAll(call->socket.get()), "last words");
  // Lesson 18: and answering it is an error, no signal.
  EXPECT_EQ(::send(call->socket.get(), "OK", 2, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
}

TEST_F(UnixBackendTest, SilentCallersAreGivenUpInTime) {
  Start();
  const UniqueFd first = ConnectTo(path_, SOCK_STREAM);
  EXPECT_FALSE(Next().has_value());
  const int64_t first_deadline = now_ns_ + kTimeoutNs;
  EXPECT_EQ(backend_->deadline_ns(), first_deadline);
  now_ns_ += 5;
  const UniqueFd second = ConnectTo(path_, SOCK_STREAM);
  SendText(second.get(), "CONN");
  EXPECT_FALSE(Next().has_value());
  EXPECT_FALSE(Readable(backend_->fd()));
  EXPECT_EQ(backend_->deadline_ns(), first_deadline);
  now_ns_ = first_deadline - 1;
  EXPECT_FALSE(Next().has_value());
  EXPECT_EQ(backend_->callers(), 2u);
  now_ns_ = first_deadline;
  EXPECT_FALSE(Next().has_value());
  ExpectClosed(first);
  EXPECT_EQ(backend_->deadline_ns(), first_deadline + 5);
  // One more byte gives no more time.
  SendText(second.get(), "E");
  EXPECT_FALSE(Next().has_value());
  now_ns_ = first_deadline + 5;
  EXPECT_FALSE(Next().has_value());
  ExpectClosed(second);
  EXPECT_EQ(backend_->deadline_ns(), kForever);
}

// Without MSG_OOB being data like any other such a socket is readable forever,
// and nothing can be read.
TEST_F(UnixBackendTest, OutOfBandByteDoesNotKeepTheLoopBusy) {
  Start();
  const UniqueFd caller = ConnectTo(path_, SOCK_STREAM);
  EXPECT_FALSE(Next().has_value());
  if (::send(caller.get(), "C", 1, MSG_OOB) != 1) {
    EXPECT_EQ(errno, EOPNOTSUPP);  // Older kernels.
    return;
  }
  EXPECT_FALSE(Next().has_value());
  EXPECT_FALSE(Readable(backend_->fd()));
  SendText(caller.get(), "ONNECT 5\n");
  const auto call = Next();
  ASSERT_TRUE(call.has_value());
  EXPECT_EQ(call->guest_port, 5u);
}

TEST_F(UnixBackendTest, CallersBeyondTheLimitWaitForTheirTurn) {
  Start(/*max_callers=*/2);
  std::vector<UniqueFd> callers;
  for (int i = 0; i < 4; ++i) callers.push_back(ConnectTo(path_, SOCK_STREAM));
  EXPECT_FALSE(Next().has_value());
  EXPECT_EQ(backend_->callers(), 2u);
  EXPECT_FALSE(Readable(backend_->fd()));
  SendText(callers[3].get(), "CONNECT 3\n");
  EXPECT_FALSE(Readable(backend_->fd()));
  // One that goes makes room for one.
  callers[0].reset();
  EXPECT_FALSE(Next().has_value());
  EXPECT_EQ(backend_->callers(), 2u);
  // One that says what it wants as well.
  SendText(callers[1].get(), "CONNECT 1\n");
  auto call = Next();
  ASSERT_TRUE(call.has_value());
  EXPECT_EQ(call->guest_port, 1u);
  EXPECT_TRUE(Readable(backend_->fd()));
  call = Next();
  ASSERT_TRUE(call.has_value());
  EXPECT_EQ(call->guest_port, 3u);
  // And so does one that is given up.
  EXPECT_EQ(backend_->callers(), 1u);
}

TEST_F(UnixBackendTest, LimitOfCallersIsNotThatOfMappedPorts) {
  UnixSocketOptions options;
  options.path = path_;
  options.ports.push_back(
      {80, true, kVsockTypeStream, directory_.Path("http"), UniqueFd()});
  Start(std::move(options), /*max_callers=*/1);
  const UniqueFd silent = ConnectTo(path_, SOCK_STREAM);
  EXPECT_FALSE(Next().has_value());
  const UniqueFd caller = ConnectTo(directory_.Path("http"), SOCK_STREAM);
  SendText(caller.get(), "GET /");
  const auto call = Next();
  ASSERT_TRUE(call.has_value());
  EXPECT_EQ(call->guest_port, 80u);
  EXPECT_EQ(call->greeting, "");
  EXPECT_EQ(ReceiveText(call->socket.get()), "GET /");
}

// Lesson 29: more than select() can name.
TEST_F(UnixBackendTest, FloodOfCallersIsServedToTheLast) {
  constexpr int kCallers = 2000;
  rlimit limit;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 3 * kCallers);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_GE(limit.rlim_cur, 3u * kCallers);
  Start(/*max_callers=*/100);
  std::vector<UniqueFd> callers;
  std::vector<HostCall> calls;
  for (int i = 0; i < kCallers; ++i) {
    callers.push_back(ConnectTo(path_, SOCK_STREAM));
    SendText(callers.back().get(), absl::StrCat("CONNECT ", i, "\n"));
  }
  while (calls.size() < kCallers) {
    ASSERT_TRUE(Readable(backend_->fd()));
    auto call = Next();
    if (call.has_value()) calls.push_back(*std::move(call));
  }
  for (uint32_t i = 0; i < kCallers; ++i) EXPECT_EQ(calls[i].guest_port, i);
  EXPECT_GT(calls.back().socket.get(), 1024);
}

TEST_F(UnixBackendTest, OneLookAtTheCallersIsBounded) {
  Start();
  std::vector<UniqueFd> callers;
  for (int i = 0; i < 200; ++i) {
    callers.push_back(ConnectTo(path_, SOCK_STREAM));
    SendText(callers.back().get(), "nonsense\n");
  }
  EXPECT_FALSE(Next().has_value());
  EXPECT_TRUE(Readable(backend_->fd()));
  Settle();
  for (const UniqueFd& caller : callers) ExpectClosed(caller);
}

// No descriptor is left to accept with: the listener stays readable, and must
// not be asked again and again.
TEST_F(UnixBackendTest, ExhaustedDescriptorsDoNotKeepTheLoopBusy) {
  Start();
  const UniqueFd caller = ConnectTo(path_, SOCK_STREAM);
  SendText(caller.get(), "CONNECT 5\n");
  std::vector<UniqueFd> all;
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few = {static_cast<rlim_t>(caller.get()) + 1, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  for (;;) {
    UniqueFd fd(::dup(caller.get()));
    if (!fd.valid()) break;
    all.push_back(std::move(fd));
  }
  EXPECT_EQ(errno, EMFILE);
  EXPECT_FALSE(Next().has_value());
  EXPECT_FALSE(Readable(backend_->fd()));
  const int64_t deadline = backend_->deadline_ns();
  EXPECT_GT(deadline, now_ns_);
  EXPECT_LT(deadline, kForever);
  EXPECT_TRUE(absl::IsResourceExhausted(
      backend_->Connect(kVsockTypeStream, 1).status()));
  all.clear();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(Next().has_value());
  now_ns_ = deadline;
  const auto call = Next();
  ASSERT_TRUE(call.has_value());
  EXPECT_EQ(call->guest_port, 5u);
  EXPECT_EQ(backend_->deadline_ns(), kForever);
  ASSERT_EQ(log_.lines.size(), 1u);
  EXPECT_EQ(log_.lines[0],
            absl::StrCat("vsock0: accepting at \"", path_,
                         "\": Too many open files; callers have to wait"));
}

TEST_F(UnixBackendTest, SeqpacketCallerSaysThePortInItsFirstMessage) {
  Start();
  for (const absl::string_view text : {"CONNECT 9\n", "connect 9"}) {
    const UniqueFd caller = ConnectTo(path_ + "_seqpacket", SOCK_SEQPACKET);
    SendText(caller.get(), text);
    SendText(caller.get(), "first");
    SendText(caller.get(), "second");
    const auto call = Next();
    ASSERT_TRUE(call.has_value());
    EXPECT_EQ(call->type, kVsockTypeSeqpacket);
    EXPECT_EQ(call->guest_port, 9u);
    EXPECT_EQ(call->greeting, "OK %\n");
    EXPECT_EQ(ReceiveText(call->socket.get()), "first");
    EXPECT_EQ(ReceiveText(call->socket.get()), "second");
  }
}

TEST_F(UnixBackendTest, SeqpacketCallersThatSaySomethingElseAreClosed) {
  Start();
  for (const std::string& text :
       {std::string("CONNECT 9\nhello"), std::string("CONN"), std::string(),
        std::string("\n"), "CONNECT 9" + std::string(24, ' '),
        std::string(10'000, 'a')}) {
    const UniqueFd caller = ConnectTo(path_ + "_seqpacket", SOCK_SEQPACKET);
    SendText(caller.get(), text);
    Settle();
    ExpectClosed(caller);
    EXPECT_EQ(backend_->callers(), 0u);
  }
}

TEST_F(UnixBackendTest, PassedBlockingListenerNeverBlocks) {
  UnixSocketOptions options;
  options.path = path_;
  options.listener = ListenAt(path_, SOCK_STREAM, 10);
  Start(std::move(options));
  EXPECT_FALSE(Next().has_value());
  const UniqueFd caller = ConnectTo(path_, SOCK_STREAM);
  SendText(caller.get(), "CONNECT 5\n");
  const auto call = Next();
  ASSERT_TRUE(call.has_value());
  EXPECT_NE(::fcntl(call->socket.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_FALSE(Next().has_value());
}

TEST_F(UnixBackendTest, PassedListenerThatOthersShutDownIsLeftAlone) {
  UnixSocketOptions options;
  options.path = path_;
  options.listener = ListenAt(path_, SOCK_STREAM, 10);
  const UniqueFd other(::dup(options.listener.get()));
  Start(std::move(options));
  ASSERT_EQ(::shutdown(other.get(), SHUT_RDWR), 0);
  Settle();
  EXPECT_FALSE(Readable(backend_->fd()));
  ASSERT_EQ(log_.lines.size(), 1u);
  EXPECT_TRUE(absl::StrContains(log_.lines[0], "nobody can call there"));
}

TEST_F(UnixBackendTest, ConnectionsAreHandedOverWhereThereIsASocketForThem) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd program(ends[1]);
  UnixSocketOptions options;
  options.path = path_;
  options.host = UniqueFd(ends[0]);
  options.ports.push_back(
      {80, false, kVsockTypeStream, directory_.Path("http"), UniqueFd()});
  Start(std::move(options));
  const UniqueFd listener = ListenAt(directory_.Path("http"), SOCK_STREAM, 1);
  EXPECT_TRUE(backend_->Connect(kVsockTypeStream, 80).ok());
  EXPECT_FALSE(Readable(program.get()));
  const auto connection = backend_->Connect(kVsockTypeSeqpacket, 80);
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_FALSE(connection->connecting);
  HandOverMessage message;
  // Without room for it, the descriptor is dropped.
  ASSERT_EQ(::recv(program.get(), &message, sizeof(message), 0),
            static_cast<ssize_t>(sizeof(message)));
  EXPECT_EQ(message.guest_cid, kGuestCid);
  EXPECT_EQ(message.port, 80u);
  EXPECT_EQ(message.type, kVsockTypeSeqpacket);
  EXPECT_EQ(ReceiveText(connection->socket.get()), "");
  program.reset();
  EXPECT_FALSE(backend_->Connect(kVsockTypeStream, 81).ok());
  EXPECT_FALSE(backend_->Connect(kVsockTypeDgram, 81).ok());
}

TEST_F(UnixBackendTest, MappedPortsOfBothTypesAndPassedOnes) {
  UnixSocketOptions options;
  options.ports.push_back(
      {1, true, kVsockTypeSeqpacket, directory_.Path("one"), UniqueFd()});
  options.ports.push_back({2, true, kVsockTypeStream, "",
                           ListenAt(directory_.Path("two"), SOCK_STREAM, 1)});
  Start(std::move(options));
  const UniqueFd one = ConnectTo(directory_.Path("one"), SOCK_SEQPACKET);
  auto call = Next();
  ASSERT_TRUE(call.has_value());
  EXPECT_EQ(call->guest_port, 1u);
  EXPECT_EQ(call->type, kVsockTypeSeqpacket);
  const UniqueFd two = ConnectTo(directory_.Path("two"), SOCK_STREAM);
  call = Next();
  ASSERT_TRUE(call.has_value());
  EXPECT_EQ(call->guest_port, 2u);
  EXPECT_EQ(call->type, kVsockTypeStream);
  EXPECT_EQ(call->greeting, "");
}

TEST_F(UnixBackendTest, GuestReachesPathAndPort) {
  Start();
  for (const auto& [type, host_type] :
       {std::pair(kVsockTypeStream, SOCK_STREAM),
        std::pair(kVsockTypeSeqpacket, SOCK_SEQPACKET)}) {
    const uint32_t port = 100 + type;
    const UniqueFd listener =
        ListenAt(absl::StrCat(path_, "_", port), host_type, 1);
    auto connection = backend_->Connect(type, port);
    ASSERT_TRUE(connection.ok()) << connection.status();
    EXPECT_FALSE(connection->connecting);
    EXPECT_NE(::fcntl(connection->socket.get(), F_GETFL) & O_NONBLOCK, 0);
    const UniqueFd program(::accept(listener.get(), nullptr, nullptr));
    SendText(connection->socket.get(), "from the guest");
    EXPECT_EQ(ReceiveText(program.get()), "from the guest");
  }
}

TEST_F(UnixBackendTest, GuestReachesMappedPortsAndAbstractNames) {
  UnixSocketOptions options;
  options.path = absl::StrCat("@annulus-", ::getpid());
  options.ports.push_back(
      {80, false, kVsockTypeStream, directory_.Path("http"), UniqueFd()});
  const std::string name = options.path;
  Start(std::move(options));
  const UniqueFd http = ListenAt(directory_.Path("http"), SOCK_STREAM, 1);
  const UniqueFd other = ListenAt(name + "_81", SOCK_STREAM, 1);
  EXPECT_TRUE(backend_->Connect(kVsockTypeStream, 80).ok());
  EXPECT_TRUE(backend_->Connect(kVsockTypeStream, 81).ok());
}

TEST_F(UnixBackendTest, NobodyThereIsAnErrorThatSaysWhere) {
  Start();
  const auto missing = backend_->Connect(kVsockTypeStream, 5);
  EXPECT_TRUE(absl::IsNotFound(missing.status())) << missing.status();
  EXPECT_TRUE(absl::StrContains(missing.status().message(), path_ + "_5\""));
  // Bound but not listening, of another type, and stale.
  const UniqueFd bound = BindTo(path_ + "_6", SOCK_STREAM);
  EXPECT_FALSE(backend_->Connect(kVsockTypeStream, 6).ok());
  const UniqueFd seqpacket = ListenAt(path_ + "_7", SOCK_SEQPACKET, 1);
  EXPECT_FALSE(backend_->Connect(kVsockTypeStream, 7).ok());
  ListenAt(path_ + "_8", SOCK_STREAM, 1).reset();
  EXPECT_FALSE(backend_->Connect(kVsockTypeStream, 8).ok());
  EXPECT_FALSE(backend_->Connect(kVsockTypeDgram, 5).ok());
}

TEST_F(UnixBackendTest, WithoutAPathTheGuestReachesNobody) {
  Start(UnixSocketOptions{});
  EXPECT_TRUE(
      absl::IsNotFound(backend_->Connect(kVsockTypeStream, 5).status()));
  EXPECT_FALSE(Next().has_value());
}

// Lesson 12: a blocking connect() to a full backlog stalled the VMM. This test
// would hang.
TEST_F(UnixBackendTest, FullBacklogIsRefusedAtOnce) {
  Start();
  const UniqueFd listener = ListenAt(path_ + "_5", SOCK_STREAM, 0);
  std::vector<VsockBackend::Connection> accepted;
  for (;;) {
    auto connection = backend_->Connect(kVsockTypeStream, 5);
    if (!connection.ok()) {
      EXPECT_TRUE(absl::IsUnavailable(connection.status()))
          << connection.status();
      break;
    }
    accepted.push_back(*std::move(connection));
    ASSERT_LT(accepted.size(), 10u);
  }
  // As soon as there is room again it works.
  const UniqueFd program(::accept(listener.get(), nullptr, nullptr));
  EXPECT_TRUE(backend_->Connect(kVsockTypeStream, 5).ok());
}

TEST_F(UnixBackendTest, SeqpacketSocketTakesTheLargestMessage) {
  Start();
  const UniqueFd listener = ListenAt(path_ + "_5", SOCK_SEQPACKET, 1);
  auto connection = backend_->Connect(kVsockTypeSeqpacket, 5);
  ASSERT_TRUE(connection.ok());
  const UniqueFd program(::accept(listener.get(), nullptr, nullptr));
  const std::string message(256 * 1024, 'm');
  SendText(connection->socket.get(), message);
  std::string received(message.size() + 1, '\0');
  EXPECT_EQ(::recv(program.get(), received.data(), received.size(), 0),
            static_cast<ssize_t>(message.size()));
}

}  // namespace
}  // namespace annulus::virtio
