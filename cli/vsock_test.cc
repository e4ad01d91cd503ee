// `annulus vsock` as a user meets it: the real program, and the device's side
// of the sockets, which the test plays for the guest.

#include "devices/virtio/spec/vsock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "cli/subprocess.h"
#include "cli/tiny_guest.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "devices/virtio/vsock/backend/unix_backend.h"
#include "devices/virtio/vsock/backend/unix_sockets.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

using virtio::AwaitReadable;
using virtio::HostCall;
using virtio::kVsockTypeSeqpacket;
using virtio::kVsockTypeStream;
using virtio::ReceiveText;
using virtio::SendText;
using virtio::SocketDirectory;
using virtio::UnixBackend;

constexpr int kSuccess = 0;
constexpr int kHostError = 1;
constexpr int kUsage = 2;

class VsockTest : public testing::Test {
 protected:
  std::vector<std::string> Command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(),
                     {std::filesystem::absolute("cli/annulus"), "vsock"});
    return arguments;
  }

  std::unique_ptr<Process> Start(std::vector<std::string> arguments) const {
    return std::make_unique<Process>(Command(std::move(arguments)),
                                     Process::Streams::kPipes);
  }

  // One line that has this part, and nothing on standard output.
  static void ExpectError(const ProcessResult& result, const std::string& part,
                          int exit_code) {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(absl::StartsWith(result.err, "annulus: ")) << result.err;
    EXPECT_TRUE(absl::StrContains(result.err, part)) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1)
        << result.err;
  }

  void ExpectRefused(std::vector<std::string> arguments,
                     const std::string& part, int exit_code) const {
    ExpectError(RunProcess(Command(std::move(arguments))), part, exit_code);
  }

  // The virtual machine's side.
  void StartDevice() {
    virtio::UnixSocketOptions options;
    options.path = path_;
    options.seqpacket = true;
    auto sockets = virtio::UnixSockets::Open(std::move(options));
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    virtio::UnixBackendOptions backend;
    backend.handshake_timeout = absl::Minutes(1);
    auto created =
        UnixBackend::Create(backend, *std::move(sockets), NullLogSink());
    ASSERT_TRUE(created.ok()) << created.status();
    backend_ = *std::move(created);
  }

  // Waits for a caller; its socket is blocking, as suits a test.
  HostCall AwaitCall() {
    for (;;) {
      AwaitReadable(backend_->fd());
      auto call = backend_->NextCall(MonotonicNanoseconds());
      if (!call.has_value()) continue;
      MakeBlocking(call->socket);
      return *std::move(call);
    }
  }

  HostCall AcceptCall() {
    HostCall call = AwaitCall();
    SendText(call.socket.get(), "OK 1073741824\n");
    return call;
  }

  // A guest's connection to a port of the host, as soon as there is somebody.
  UniqueFd AwaitHost(uint16_t type, uint32_t port) {
    for (;;) {
      auto connection = backend_->Connect(type, port);
      if (connection.ok()) {
        MakeBlocking(connection->socket);
        return std::move(connection->socket);
      }
      std::this_thread::yield();
    }
  }

  static void MakeBlocking(const UniqueFd& socket) {
    ASSERT_EQ(::fcntl(socket.get(), F_SETFL, 0), 0);
  }

  static std::string ReceiveAll(const UniqueFd& socket) {
    return virtio::ReceiveAll(socket.get());
  }

  const SocketDirectory directory_;
  const std::string path_ = directory_.Path("vm");
  std::unique_ptr<UnixBackend> backend_;
};

TEST_F(VsockTest, HelpTeaches) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--help"},
        {"connect", "--help"},
        {"listen", "-h"}}) {
    const ProcessResult result = RunProcess(Command(arguments));
    EXPECT_EQ(result.exit_code, kSuccess);
    EXPECT_TRUE(absl::StrContains(result.out, "Usage: annulus vsock "));
    EXPECT_TRUE(absl::StrContains(result.out, "Examples"));
    EXPECT_TRUE(absl::StrContains(result.out, "Exit codes:"));
    EXPECT_EQ(result.err, "");
  }
}

TEST_F(VsockTest, WrongArguments) {
  ExpectRefused({}, "connect or listen?", kUsage);
  ExpectRefused({"conect"}, "vsock knows no \"conect\"", kUsage);
  ExpectRefused({"connect"}, "needs a PATH and a PORT", kUsage);
  ExpectRefused({"listen", path_}, "needs a PATH and a PORT", kUsage);
  ExpectRefused({"connect", path_, "1", "2"}, "needs a PATH", kUsage);
  for (const char* port : {"", "x", "-1", "4294967296", "0x10", "1 "}) {
    ExpectRefused({"connect", "--", path_, port},
                  absl::StrCat("PORT \"", port, "\" is not a number"), kUsage);
  }
  for (const char* time : {"", "x", "5", "0s", "-1s"}) {
    ExpectRefused({"connect", absl::StrCat("--timeout=", time), path_, "1"},
                  "is no time like", kUsage);
  }
  ExpectRefused({"connect", "--keep", path_, "1"}, "unknown flag --keep",
                kUsage);
  ExpectRefused({"connect", "", "1"}, "empty", kUsage);
  ExpectRefused({"listen", "", "1"}, "empty", kUsage);
  ExpectRefused({"connect", std::string(108, 'a'), "1"}, "too long", kUsage);
  ExpectRefused({"listen", std::string(106, 'a'), "1"}, "too long", kUsage);
}

TEST_F(VsockTest, ConnectPipesBothWaysAndTellsTheEnd) {
  StartDevice();
  auto process = Start({"connect", path_, "1024"});
  const HostCall call = AcceptCall();
  EXPECT_EQ(call.guest_port, 1024u);
  EXPECT_EQ(call.type, kVsockTypeStream);
  SendText(call.socket.get(), "welcome\n");
  EXPECT_TRUE(process->Await("welcome\n"));
  process->Write("request\n");
  EXPECT_EQ(ReceiveText(call.socket.get()), "request\n");
  process->CloseInput();
  EXPECT_EQ(ReceiveAll(call.socket), "");
  SendText(call.socket.get(), "answer\n");
  ASSERT_EQ(::shutdown(call.socket.get(), SHUT_RDWR), 0);
  const ProcessResult result = process->Wait();
  EXPECT_EQ(result.exit_code, kSuccess) << result.err;
  EXPECT_EQ(result.out, "welcome\nanswer\n");
  EXPECT_EQ(result.err, "");
}

TEST_F(VsockTest, DataRightBehindTheAnswerIsNotLost) {
  StartDevice();
  auto process = Start({"connect", path_, "1"});
  HostCall call = AwaitCall();
  // As vhost-device-vsock answers: with the guest's port.
  SendText(call.socket.get(), "OK 1\nfirst words");
  call.socket.reset();
  const ProcessResult result = process->Wait();
  EXPECT_EQ(result.exit_code, kSuccess) << result.err;
  EXPECT_EQ(result.out, "first words");
}

TEST_F(VsockTest, MuchDataThroughBothEnds) {
  StartDevice();
  Process process(
      {"/bin/sh", "-c",
       absl::StrCat("head -c 20000000 /dev/zero | ",
                    std::string(std::filesystem::absolute("cli/annulus")),
                    " vsock connect ", path_, " 1 | wc -c")},
      Process::Streams::kPipes);
  const HostCall call = AcceptCall();
  size_t bytes = 0;
  std::string part;
  while (!(part = ReceiveText(call.socket.get())).empty()) {
    bytes += part.size();
    SendText(call.socket.get(), part);
  }
  EXPECT_EQ(bytes, 20'000'000u);
  ASSERT_EQ(::shutdown(call.socket.get(), SHUT_RDWR), 0);
  EXPECT_EQ(process.Wait().out, "20000000\n");
}

// Lesson 13: a caller has to know whether somebody listens.
TEST_F(VsockTest, ClosedWithoutAnAnswerIsNobody) {
  StartDevice();
  auto process = Start({"connect", path_, "5"});
  AwaitCall().socket.reset();
  ExpectError(
      process->Wait(),
      absl::StrCat("\"", path_, "\": nobody listens on port 5 of the guest"),
      kHostError);
}

TEST_F(VsockTest, NoVirtualMachineIsSaidWithThePath) {
  ExpectRefused({"connect", path_, "5"},
                absl::StrCat("\"", path_, "\": No such file or directory"),
                kHostError);
  virtio::ListenAt(path_, SOCK_STREAM, 1).reset();
  ExpectRefused({"connect", path_, "5"},
                "Connection refused; is the virtual machine running",
                kHostError);
  ExpectRefused({"connect", "--timeout", "1ms", path_, "5"}, "(tried for 1ms)",
                kHostError);
}

TEST_F(VsockTest, OtherServersAreNotTakenForADevice) {
  const UniqueFd server = virtio::ListenAt(path_, SOCK_STREAM, 1);
  auto process = Start({"connect", path_, "5"});
  UniqueFd caller(::accept(server.get(), nullptr, nullptr));
  EXPECT_EQ(ReceiveText(caller.get()), "CONNECT 5\n");
  SendText(caller.get(), "HTTP/1.1 400 Bad Request\r\n");
  ExpectError(process->Wait(), "answered \"HTTP/1.1 400 Bad Request\\r\\n\"",
              kHostError);
  caller.reset();
  // Nor is one that never ends its line.
  process = Start({"connect", path_, "5"});
  caller.reset(::accept(server.get(), nullptr, nullptr));
  SendText(caller.get(), std::string(1000, 'x'));
  ExpectError(process->Wait(), "it is not the socket of a device", kHostError);
  ExpectRefused({"connect", "--seqpacket", path_, "5"},
                "_seqpacket\": No such file", kHostError);
}

TEST_F(VsockTest, TimeoutTriesUntilTheGuestListens) {
  auto process = Start({"connect", "--timeout", "10m", path_, "5"});
  process->Write("sent once");
  StartDevice();
  // The guest is up, its program is not.
  AwaitCall().socket.reset();
  AwaitCall().socket.reset();
  HostCall call = AcceptCall();
  EXPECT_EQ(ReceiveText(call.socket.get()), "sent once");
  process->CloseInput();
  EXPECT_EQ(ReceiveAll(call.socket), "");
  call.socket.reset();
  EXPECT_EQ(process->Wait().exit_code, kSuccess);
}

TEST_F(VsockTest, TimeoutEndsAWaitForAnAnswer) {
  StartDevice();
  auto process = Start({"connect", "--timeout", "300ms", path_, "5"});
  const HostCall call = AwaitCall();
  ExpectError(process->Wait(),
              "no answer from port 5 of the guest (tried for 300ms)",
              kHostError);
}

TEST_F(VsockTest, ConnectWithMessages) {
  StartDevice();
  auto process = Start({"connect", "--seqpacket", path_, "9"});
  HostCall call = AcceptCall();
  EXPECT_EQ(call.type, kVsockTypeSeqpacket);
  EXPECT_EQ(call.guest_port, 9u);
  SendText(call.socket.get(), "one");
  SendText(call.socket.get(), "");
  SendText(call.socket.get(), "two");
  EXPECT_TRUE(process->Await("onetwo"));
  process->Write("a message");
  EXPECT_EQ(ReceiveText(call.socket.get()), "a message");
  call.socket.reset();
  EXPECT_EQ(process->Wait().exit_code, kSuccess);
}

TEST_F(VsockTest, ListenServesOneGuest) {
  StartDevice();
  auto process = Start({"listen", path_, "2000"});
  UniqueFd guest = AwaitHost(kVsockTypeStream, 2000);
  SendText(guest.get(), "from the guest\n");
  EXPECT_TRUE(process->Await("from the guest\n"));
  // By now there is room for no other.
  EXPECT_FALSE(backend_->Connect(kVsockTypeStream, 2000).ok());
  EXPECT_FALSE(std::filesystem::exists(path_ + "_2000"));
  process->Write("to the guest");
  EXPECT_EQ(ReceiveText(guest.get()), "to the guest");
  process->CloseInput();
  EXPECT_EQ(ReceiveAll(guest), "");
  SendText(guest.get(), "last words");
  guest.reset();
  const ProcessResult result = process->Wait();
  EXPECT_EQ(result.exit_code, kSuccess) << result.err;
  EXPECT_EQ(result.out, "from the guest\nlast words");
}

TEST_F(VsockTest, ListenKeepsServing) {
  StartDevice();
  auto process = Start({"listen", "--keep", path_, "514"});
  UniqueFd guest = AwaitHost(kVsockTypeStream, 514);
  SendText(guest.get(), "first\n");
  process->Write("input");
  EXPECT_EQ(ReceiveText(guest.get()), "input");
  process->CloseInput();
  EXPECT_EQ(ReceiveAll(guest), "");
  guest.reset();
  guest = AwaitHost(kVsockTypeStream, 514);
  // Nothing is left of the input.
  EXPECT_EQ(ReceiveAll(guest), "");
  SendText(guest.get(), "second\n");
  EXPECT_TRUE(process->Await("first\nsecond\n"));
  process->Kill(SIGTERM);
  const ProcessResult result = process->Wait();
  EXPECT_EQ(result.exit_code, -SIGTERM);
  EXPECT_EQ(result.err, "");
  EXPECT_FALSE(std::filesystem::exists(path_ + "_514"));
}

TEST_F(VsockTest, ListenTakesItsFileWithItOnASignal) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    auto process = Start({"listen", path_, "5"});
    // A connection that nobody accepts tells that it listens.
    while (virtio::ConnectError(path_ + "_5", SOCK_SEQPACKET) != EPROTOTYPE) {
      std::this_thread::yield();
    }
    process->Kill(signal);
    EXPECT_EQ(process->Wait().exit_code, -signal);
    EXPECT_TRUE(directory_.Files().empty());
  }
}

TEST_F(VsockTest, ListenWithMessages) {
  StartDevice();
  auto process = Start({"listen", "--seqpacket", path_, "9"});
  UniqueFd guest = AwaitHost(kVsockTypeSeqpacket, 9);
  SendText(guest.get(), "READY=1");
  EXPECT_TRUE(process->Await("READY=1"));
  guest.reset();
  EXPECT_EQ(process->Wait().exit_code, kSuccess);
}

TEST_F(VsockTest, ListenNeedsThePathForItself) {
  const UniqueFd other = virtio::ListenAt(path_ + "_5", SOCK_STREAM, 1);
  ExpectRefused({"listen", path_, "5"},
                absl::StrCat("socket \"", path_, "_5\" open"), kHostError);
  std::ofstream(path_ + "_6") << "precious";
  ExpectRefused({"listen", path_, "6"}, "is no socket", kHostError);
  EXPECT_TRUE(std::filesystem::exists(path_ + "_6"));
  ExpectRefused({"listen", directory_.Path("missing/vm"), "6"},
                "missing/vm_6\": No such file", kHostError);
}

TEST_F(VsockTest, ListenGivesUpInTime) {
  ExpectRefused({"listen", "--timeout", "1ms", path_, "5"},
                "no guest connected in 1ms", kHostError);
  EXPECT_TRUE(directory_.Files().empty());
}

// Lesson 18: SIGPIPE. The exit code is an error's, not a signal's.
TEST_F(VsockTest, OutputThatNobodyReadsIsAnErrorAndNoSignal) {
  StartDevice();
  const std::string command =
      absl::StrCat("{ ", std::string(std::filesystem::absolute("cli/annulus")),
                   " vsock connect ", path_, " 1; echo exit=$? >&2; } | true");
  Process process({"/bin/sh", "-c", command}, Process::Streams::kPipes);
  const HostCall call = AcceptCall();
  while (::send(call.socket.get(), "data", 4, MSG_NOSIGNAL) == 4) {
  }
  process.CloseInput();
  const ProcessResult result = process.Wait();
  EXPECT_TRUE(absl::StrContains(result.err, "standard output: Broken pipe"))
      << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "exit=1\n")) << result.err;
}

// The whole program at both ends: a guest that never looks at its device.
class VsockMachineTest : public VsockTest {
 protected:
  void SetUp() override {
    if (::access("/dev/kvm", R_OK | W_OK) != 0) {
      GTEST_SKIP() << "no usable /dev/kvm on this host";
    }
  }
};

TEST_F(VsockMachineTest, GuestWithoutADriverIsNobodyAndTheFileGoesWithIt) {
  const std::string kernel = directory_.Path("kernel");
  std::ofstream(kernel, std::ios::binary) << TinyGuest();
  Process machine({std::filesystem::absolute("cli/annulus"), "run", "--kernel",
                   kernel, "--memory", "16M", "--quiet", "--vsock",
                   absl::StrCat("cid=3,connect_wait_ms=10,socket=", path_)},
                  Process::Streams::kPipes);
  ASSERT_TRUE(machine.Await("R"));  // The guest runs.
  ExpectRefused({"connect", path_, "5"},
                "nobody listens on port 5 of the guest", kHostError);
  machine.Kill(SIGTERM);
  EXPECT_EQ(machine.Wait().exit_code, 128 + SIGTERM);
  EXPECT_EQ(directory_.Files(), std::vector<std::string>{"kernel"});
}

}  // namespace
}  // namespace annulus::cli
