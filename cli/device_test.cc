// `annulus device` as front-ends and management software meet it: the real
// program, with the test as the front-end.

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "cli/subprocess.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/message_socket.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

using vhost_user::Message;
using vhost_user::MessageSocket;
using vhost_user::ProtocolFeature;
using vhost_user::Request;
using virtio::ConnectTo;
using virtio::ListenAt;
using virtio::SocketDirectory;

constexpr int kSuccess = 0;
constexpr int kHostError = 1;
constexpr int kUsage = 2;

// A number that nothing else has in the program that is started.
constexpr int kPassedFd = 20;

std::string Binary() { return std::filesystem::absolute("cli/annulus"); }

// The front-end's end of a connection.
class FrontEnd {
 public:
  explicit FrontEnd(UniqueFd fd)
      : stop_(*EventFd::Create()), socket_(std::move(fd)) {}

  // Asks for a number; nothing where there is no answer.
  std::optional<uint64_t> Get(Request request) {
    Message message;
    message.request = static_cast<uint32_t>(request);
    if (!socket_.Send(message, stop_, absl::Minutes(1)).ok()) {
      return std::nullopt;
    }
    const absl::StatusOr<Message> reply =
        socket_.Receive(stop_, absl::Minutes(1));
    if (!reply.ok() || reply->request != message.request) return std::nullopt;
    return reply->Payload<uint64_t>();
  }

  // Tells a number, to which there is no answer.
  void Set(Request request, uint64_t value) {
    EXPECT_TRUE(socket_
                    .Send(vhost_user::MakeMessage(
                              static_cast<uint32_t>(request), 0, value),
                          stop_, absl::Minutes(1))
                    .ok());
  }

  // Sends what is no message, and waits for the end.
  absl::Status Offend() {
    const char garbage[32] = {'\x7f', '\x7f', '\x7f', '\x7f', '\x7f'};
    EXPECT_EQ(::send(socket_.fd(), garbage, sizeof(garbage), MSG_NOSIGNAL),
              static_cast<ssize_t>(sizeof(garbage)));
    return socket_.Receive(stop_, absl::Minutes(1)).status();
  }

 private:
  EventFd stop_;
  MessageSocket socket_;
};

void ExpectServed(FrontEnd& front_end) {
  const std::optional<uint64_t> features = front_end.Get(Request::kGetFeatures);
  ASSERT_TRUE(features.has_value());
  for (const uint32_t bit :
       {virtio::kFeatureVersion1, virtio::kFeatureRingPacked,
        vhost_user::kFeatureProtocolFeatures}) {
    EXPECT_NE(*features & uint64_t{1} << bit, 0u) << bit;
  }
}

class DeviceTest : public testing::Test {
 protected:
  static std::vector<std::string> Command(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {Binary(), "device"});
    return arguments;
  }

  // Keeps `passed`, if it is one, as kPassedFd.
  static std::unique_ptr<Process> Start(std::vector<std::string> arguments,
                                        int passed = -1) {
    ProcessOptions options;
    if (passed >= 0) {
      options.prepare = [passed] { ::dup2(passed, kPassedFd); };
    }
    return std::make_unique<Process>(Command(std::move(arguments)),
                                     Process::Streams::kPipes, options);
  }

  static ProcessResult Run(std::vector<std::string> arguments) {
    return RunProcess(Command(std::move(arguments)));
  }

  static void ExpectRefused(std::vector<std::string> arguments,
                            const std::string& part) {
    const ProcessResult result = Run(std::move(arguments));
    EXPECT_EQ(result.exit_code, kUsage) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(absl::StrContains(result.err, part)) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1)
        << result.err;
  }

  static void ExpectEndsWell(Process& process, int signal) {
    process.Kill(signal);
    const ProcessResult result = process.Wait();
    EXPECT_EQ(result.exit_code, kSuccess) << result.err;
    EXPECT_EQ(result.out, "");
  }

  SocketDirectory directory_;
};

TEST_F(DeviceTest, EachKindAnswersAFrontEndAndEndsBySignal) {
  const struct {
    std::string kind;
    std::vector<std::string> flags;
    uint64_t queue_num;
    int signal;
  } kKinds[] = {
      {"net", {"--backend", "null", "--queues", "2"}, 2, SIGTERM},
      {"vsock",
       {"--backend", "cid=3,socket=" + directory_.Path("v")},
       3,
       SIGINT},
      {"rng", {}, 1, SIGHUP},
  };
  for (const auto& kind : kKinds) {
    const std::string path = directory_.Path("s");
    std::vector<std::string> arguments = {kind.kind, "-v", "--socket", path};
    arguments.insert(arguments.end(), kind.flags.begin(), kind.flags.end());
    const auto process = Start(arguments);
    ASSERT_TRUE(process->Await("waits for front-ends at"));
    // One after the other.
    for (int i = 0; i < 2; ++i) {
      FrontEnd front_end(ConnectTo(path, SOCK_STREAM));
      ExpectServed(front_end);
      const auto protocol = front_end.Get(Request::kGetProtocolFeatures);
      ASSERT_TRUE(protocol.has_value());
      EXPECT_NE(*protocol & Bit(ProtocolFeature::kMq), 0u);
      EXPECT_EQ(*protocol & Bit(ProtocolFeature::kRarp),
                kind.kind == "net" ? Bit(ProtocolFeature::kRarp) : 0);
      front_end.Set(Request::kSetProtocolFeatures, Bit(ProtocolFeature::kMq));
      EXPECT_EQ(front_end.Get(Request::kGetQueueNum), kind.queue_num);
    }
    ExpectEndsWell(*process, kind.signal);
    EXPECT_TRUE(directory_.Files().empty()) << kind.kind;
  }
}

TEST_F(DeviceTest, SignalEndsASessionThatRuns) {
  const std::string path = directory_.Path("s");
  const auto process =
      Start({"net", "-v", "--socket-path", path, "--backend=null"});
  ASSERT_TRUE(process->Await("waits for front-ends at"));
  FrontEnd front_end(ConnectTo(path, SOCK_STREAM));
  ExpectServed(front_end);
  ExpectEndsWell(*process, SIGTERM);
  EXPECT_EQ(front_end.Get(Request::kGetFeatures), std::nullopt);
}

TEST_F(DeviceTest, QueuesAreCountedAtTheEnd) {
  const std::string path = directory_.Path("s");
  const auto process = Start(
      {"net", "-v", "--name", "uplink", "--socket", path, "--backend=null"});
  ASSERT_TRUE(process->Await("uplink: waits for front-ends at"));
  process->Kill(SIGTERM);
  const ProcessResult result = process->Wait();
  EXPECT_TRUE(absl::StrContains(result.err, "uplink/rx0: ")) << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "uplink/tx0: ")) << result.err;
}

TEST_F(DeviceTest, QuietProgramSaysNothing) {
  const UniqueFd listener = ListenAt(directory_.Path("s"), SOCK_STREAM, 1);
  const auto process =
      Start({"rng", "--fd", absl::StrCat(kPassedFd)}, listener.get());
  {
    FrontEnd front_end(ConnectTo(directory_.Path("s"), SOCK_STREAM));
    ExpectServed(front_end);
  }
  process->Kill(SIGTERM);
  const ProcessResult result = process->Wait();
  EXPECT_EQ(result.exit_code, kSuccess);
  EXPECT_EQ(result.err, "");
}

TEST_F(DeviceTest, ListeningSocketIsTakenOver) {
  const UniqueFd listener = ListenAt(directory_.Path("s"), SOCK_STREAM, 1);
  const auto process =
      Start({"net", "--backend=loopback", "--fd", absl::StrCat(kPassedFd)},
            listener.get());
  for (int i = 0; i < 2; ++i) {
    FrontEnd front_end(ConnectTo(directory_.Path("s"), SOCK_STREAM));
    ExpectServed(front_end);
  }
  ExpectEndsWell(*process, SIGTERM);
  // Whoever made it removes it.
  EXPECT_EQ(directory_.Files(), std::vector<std::string>{"s"});
}

TEST_F(DeviceTest, EndOfAPassedConnectionIsTheEnd) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  FrontEnd front_end{UniqueFd(ends[0])};
  UniqueFd theirs(ends[1]);
  const auto process = Start(
      {"net", "--backend=null", "--fd", absl::StrCat(kPassedFd)}, theirs.get());
  theirs.reset();
  ExpectServed(front_end);
  // It closes a connection on which it is offended, and has no other.
  EXPECT_TRUE(absl::IsOutOfRange(front_end.Offend()));
  EXPECT_EQ(process->Wait().exit_code, kSuccess);
}

TEST_F(DeviceTest, SocketThatIsGoneIsAnError) {
  const std::string path = directory_.Path("s");
  const UniqueFd listener = ListenAt(path, SOCK_STREAM, 1);
  const auto process =
      Start({"rng", "-q", "--fd", absl::StrCat(kPassedFd)}, listener.get());
  {
    FrontEnd front_end(ConnectTo(path, SOCK_STREAM));
    ExpectServed(front_end);
  }
  ASSERT_EQ(::shutdown(listener.get(), SHUT_RDWR), 0);
  const ProcessResult result = process->Wait();
  EXPECT_EQ(result.exit_code, kHostError);
  EXPECT_TRUE(absl::StrContains(result.err, absl::StrCat("\"", path, "\": ")))
      << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1)
      << result.err;
}

// The others are not taken from their guests for that; who looks at the exit
// code in the end learns of it all the same.
TEST_F(DeviceTest, SocketThatIsGoneIsAnErrorInTheEndWhereOthersGoOn) {
  const std::string file = directory_.Path("d.textproto");
  std::ofstream(file) << absl::StrCat("device { fd: ", kPassedFd,
                                      " rng {} }\ndevice { socket: \"",
                                      directory_.Path("b"), "\" rng {} }");
  const UniqueFd listener = ListenAt(directory_.Path("a"), SOCK_STREAM, 1);
  const auto process = Start({"--config", file}, listener.get());
  {
    FrontEnd front_end(ConnectTo(directory_.Path("a"), SOCK_STREAM));
    ExpectServed(front_end);
  }
  ASSERT_EQ(::shutdown(listener.get(), SHUT_RDWR), 0);
  ASSERT_TRUE(process->Await(directory_.Path("a")));
  FrontEnd other(ConnectTo(directory_.Path("b"), SOCK_STREAM));
  ExpectServed(other);
  process->Kill(SIGTERM);
  EXPECT_EQ(process->Wait().exit_code, kHostError);
}

TEST_F(DeviceTest, FrontEndThatListensIsConnectedToAgain) {
  const std::string paths[] = {
      directory_.Path("q"), absl::StrCat("@annulus-device-test.", ::getpid())};
  for (const std::string& path : paths) {
    const UniqueFd listener = ListenAt(path, SOCK_STREAM, 1);
    const auto process = Start({"net", "--backend=null", "--connect", path});
    for (int i = 0; i < 2; ++i) {
      UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      ASSERT_TRUE(fd.valid());
      FrontEnd front_end(std::move(fd));
      ExpectServed(front_end);
    }
    ExpectEndsWell(*process, SIGTERM);
  }
}

TEST_F(DeviceTest, SeveralDevicesOfOneFile) {
  const std::string file = directory_.Path("d.textproto");
  std::ofstream(file) << absl::StrCat(
      "device { socket: \"", directory_.Path("a"),
      "\" net { backend: NULL } }\ndevice { socket: \"", directory_.Path("b"),
      "\" rng {} }");
  const auto process = Start({"--config", file, "-v"});
  ASSERT_TRUE(process->Await("net0: waits for front-ends at"));
  ASSERT_TRUE(process->Await("rng0: waits for front-ends at"));
  FrontEnd net(ConnectTo(directory_.Path("a"), SOCK_STREAM));
  FrontEnd rng(ConnectTo(directory_.Path("b"), SOCK_STREAM));
  ExpectServed(net);
  ExpectServed(rng);
  // What one does wrong costs the other nothing.
  EXPECT_TRUE(absl::IsOutOfRange(net.Offend()));
  ExpectServed(rng);
  FrontEnd next(ConnectTo(directory_.Path("a"), SOCK_STREAM));
  ExpectServed(next);
  ExpectEndsWell(*process, SIGTERM);
  EXPECT_EQ(directory_.Files(), std::vector<std::string>{"d.textproto"});
}

TEST_F(DeviceTest, SocketThatAKilledProgramLeftIsReplaced) {
  const std::string path = directory_.Path("s");
  for (int i = 0; i < 2; ++i) {
    const auto process = Start({"rng", "-v", "--socket", path});
    ASSERT_TRUE(process->Await("waits for front-ends at"));
    FrontEnd front_end(ConnectTo(path, SOCK_STREAM));
    ExpectServed(front_end);
    // In use: another one leaves it alone.
    ExpectRefused({"rng", "--socket", path}, "--socket: ");
    process->Kill(SIGKILL);
    EXPECT_EQ(process->Wait().exit_code, -SIGKILL);
    EXPECT_EQ(directory_.Files(), std::vector<std::string>{"s"});
  }
}

TEST_F(DeviceTest, StateFileBelongsToOneDevice) {
  const std::string state = directory_.Path("state");
  const auto process = Start(
      {"rng", "-v", "--socket", directory_.Path("s"), "--state-file", state});
  ASSERT_TRUE(process->Await("waits for front-ends at"));
  ExpectRefused(
      {"rng", "--socket", directory_.Path("t"), "--state-file", state},
      "--state-file: " + state + ": is in use by another device");
  ExpectEndsWell(*process, SIGTERM);
  // It is there for the next one.
  EXPECT_EQ(directory_.Files(), std::vector<std::string>{"state"});
}

TEST_F(DeviceTest, WhatIsWrongIsSaidInOneLineAndLeavesNothing) {
  ExpectRefused({}, "which device?");
  ExpectRefused({"blk"}, "\"blk\" is not net, vsock or rng");
  ExpectRefused({"net"}, "--backend: is not given");
  ExpectRefused({"net", "--backend=null"}, "give one of --socket PATH");
  ExpectRefused({"net", "--socket", directory_.Path("s"), "--backend",
                 "tap=annulus-no-tap"},
                "--backend: tap: ");
  ExpectRefused({"rng", "--fd", "99"}, "--fd: 99: Bad file descriptor");
  ExpectRefused({"rng", "--socket", directory_.Path("no/s")}, "--socket: ");
  std::ofstream(directory_.Path("f")) << "mine";
  ExpectRefused({"rng", "--socket", directory_.Path("f")}, "--socket: ");
  std::ofstream(directory_.Path("d.json"))
      << R"({"device": [{"socket": "/run/a", "rng": {}},
                        {"fd": 1, "rng": {}}]})";
  ExpectRefused({"--config", directory_.Path("d.json")},
                "d.json: device[1].fd: 1 is not in 3..1048576");
  EXPECT_EQ(directory_.Files(), (std::vector<std::string>{"d.json", "f"}));
}

TEST_F(DeviceTest, DescriptorThatIsNoSuchSocketIsRefused) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  const auto process =
      Start({"rng", "--fd", absl::StrCat(kPassedFd)}, theirs.get());
  const ProcessResult result = process->Wait();
  EXPECT_EQ(result.exit_code, kUsage);
  EXPECT_TRUE(
      absl::StrContains(result.err, "--fd: 20 is not a unix stream socket"))
      << result.err;
}

TEST_F(DeviceTest, CheckValidatesTheSameFiles) {
  const std::string file = directory_.Path("d.textproto");
  std::ofstream(file) << "device { fd: 3 net { backend: NULL } }";
  const ProcessResult good = RunProcess({Binary(), "check", "--devices", file});
  EXPECT_EQ(good.exit_code, kSuccess) << good.err;
  EXPECT_TRUE(absl::StrContains(good.out, "queue_pairs: 1")) << good.out;
  std::ofstream(file) << "device { fd: 3 net {} }";
  const ProcessResult bad = RunProcess({Binary(), "check", "--devices", file});
  EXPECT_EQ(bad.exit_code, kUsage);
  EXPECT_TRUE(absl::StrContains(bad.err, "device[0].net.backend: is not given"))
      << bad.err;
}

// The value of a member of a JSON object of strings.
std::string Member(const std::string& json, const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(json, '"');
  for (size_t i = 0; i + 2 < parts.size(); ++i) {
    if (parts[i] == name) return parts[i + 2];
  }
  return "";
}

// "Backend program conventions" and VhostUserBackend of QEMU: a file says where
// a program is and what it is, and the program says the same.
TEST_F(DeviceTest, DescriptorFilesAreOfProgramsThatSayTheSame) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("cli/vhost_user")) {
    if (entry.path().extension() != ".json") continue;
    ++files;
    std::ifstream in(entry.path());
    const std::string json((std::istreambuf_iterator<char>(in)), {});
    const std::string type = Member(json, "type");
    EXPECT_EQ(entry.path().filename(),
              absl::StrCat("50-annulus-", type, ".json"));
    EXPECT_NE(Member(json, "description"), "");
    const std::filesystem::path binary = Member(json, "binary");
    ASSERT_TRUE(binary.is_absolute()) << json;
    // As it would be installed.
    const std::string link = directory_.Path(binary.filename().string());
    std::filesystem::create_symlink(Binary(), link);
    const ProcessResult result =
        RunProcess({link, "--no-such-flag", "--print-capabilities", "--fd=x"});
    EXPECT_EQ(result.exit_code, kSuccess) << result.err;
    EXPECT_EQ(result.out, absl::StrCat("{\"type\": \"", type, "\"}\n"));
    EXPECT_EQ(RunProcess({link, "--print-descriptor", binary}).out, json);
    EXPECT_EQ(Run({type, "--print-capabilities"}).out, result.out);
    EXPECT_TRUE(absl::StrContains(RunProcess({link, "--help"}).out,
                                  absl::StrCat("annulus device ", type)));
  }
  EXPECT_EQ(files, 3);
}

TEST_F(DeviceTest, LinkOfThatNameServes) {
  const std::string link = directory_.Path("annulus-device-rng");
  std::filesystem::create_symlink(Binary(), link);
  Process process({link, "-v", "--socket-path=" + directory_.Path("s")},
                  Process::Streams::kPipes);
  ASSERT_TRUE(process.Await("waits for front-ends at"));
  FrontEnd front_end(ConnectTo(directory_.Path("s"), SOCK_STREAM));
  ExpectServed(front_end);
  ExpectEndsWell(process, SIGTERM);
}

}  // namespace
}  // namespace annulus::cli
