// The control socket with real clients, also such as mean no good.

#include "vmm/control/control_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/thread.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/control.pb.h"
#include "vmm/control/delimited_message.h"
#include "vmm/control/fake_control_target.h"

namespace annulus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr uid_t kNobody = 65534;

std::string RequestBytes(const proto::ControlRequest& request) {
  std::string bytes;
  AppendDelimited(request, bytes);
  return bytes;
}
std::string StatusBytes(uint64_t id = 1) {
  proto::ControlRequest request;
  request.set_id(id);
  request.mutable_status();
  return RequestBytes(request);
}
std::string EventsBytes() {
  proto::ControlRequest request;
  request.mutable_events();
  return RequestBytes(request);
}

// A client that waits for what it wants.
class TestClient {
 public:
  explicit TestClient(UniqueFd socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.get(); }
  void Write(const std::string& bytes) const {
    ASSERT_EQ(::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Nothing: the connection has ended.
  std::optional<proto::ControlReply> Read() {
    for (;;) {
      if (const auto message = reader_.Next()) {
        proto::ControlReply reply;
        EXPECT_TRUE(reply.ParseFromString(std::string(*message)));
        return reply;
      }
      char bytes[4096];
      const ssize_t got = ::recv(fd(), bytes, sizeof(bytes), 0);
      if (got <= 0) return std::nullopt;
      reader_.Append({bytes, static_cast<size_t>(got)});
    }
  }
  void HalfClose() const { ::shutdown(fd(), SHUT_WR); }

 private:
  UniqueFd socket_;
  DelimitedReader reader_{kMaxControlReply};
};

class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() {
    path_ = absl::StrCat("/tmp/annulus_ctl_test.", ::getpid());
    ::unlink(path_.c_str());
    UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address_),
                     FillAddress()),
              0);
    EXPECT_EQ(::chmod(path_.c_str(), 0666), 0);
    EXPECT_EQ(::listen(listener.get(), 64), 0);
    loop_ = *EventLoop::Create();
    auto server = ControlServer::Create(std::move(listener), {allowed_uid_},
                                        target_, *loop_);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    thread_ = *Thread::Start("loop", [this] {
      loop_->Run();
      server_->Finish(absl::Seconds(1));
    });
  }
  ~ControlServerTest() override {
    Stop();
    ::unlink(path_.c_str());
  }

  void Stop() {
    loop_->Stop();
    thread_.Join();
  }

  socklen_t FillAddress() {
    address_ = {.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address_.sun_path, path_.c_str(),
                 sizeof(address_.sun_path) - 1);
    return sizeof(address_);
  }

  UniqueFd ConnectSocket() {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const socklen_t size = FillAddress();
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address_), size) !=
        0) {
      return UniqueFd();
    }
    return socket;
  }
  TestClient Connect() {
    UniqueFd socket = ConnectSocket();
    EXPECT_TRUE(socket.valid());
    return TestClient(std::move(socket));
  }
  // That the server is well.
  void ExpectServes() {
    TestClient client = Connect();
    client.Write(StatusBytes(77));
    const auto reply = client.Read();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->id(), 77u);
    EXPECT_EQ(reply->status().name(), "fake");
  }

  // What a child of another user is told.
  proto::ControlCode CodeForUser(uid_t uid) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setresuid(uid, uid, uid) != 0) ::_exit(100);
      UniqueFd socket = ConnectSocket();
      if (!socket.valid()) ::_exit(101);
      TestClient client(std::move(socket));
      const std::string status = StatusBytes();
      // It may be refused before it asks.
      [[maybe_unused]] const ssize_t sent =
          ::send(client.fd(), status.data(), status.size(), MSG_NOSIGNAL);
      const auto reply = client.Read();
      ::_exit(reply.has_value() ? static_cast<int>(reply->code()) : 102);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return static_cast<proto::ControlCode>(WEXITSTATUS(status));
  }

  static constexpr uint32_t allowed_uid_ = 65533;
  std::string path_;
  sockaddr_un address_ = {};
  FakeControlTarget target_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ControlServer> server_;
  Thread thread_;
};

TEST_F(ControlServerTest, ServesSeveralClientsAtOnce) {
  TestClient one = Connect();
  TestClient two = Connect();
  two.Write(StatusBytes(2));
  EXPECT_EQ(two.Read()->id(), 2u);
  one.Write(StatusBytes(1));
  EXPECT_EQ(one.Read()->id(), 1u);
}

TEST_F(ControlServerTest, RootAndListedUsersComeInAndOthersAreTold) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "to be another user needs root";
  }
  EXPECT_EQ(CodeForUser(0), proto::OK);
  EXPECT_EQ(CodeForUser(allowed_uid_), proto::OK);
  EXPECT_EQ(CodeForUser(kNobody), proto::PERMISSION_DENIED);
  ExpectServes();
}

TEST_F(ControlServerTest, EventsReachSubscribersInOrderAndTheEndBeforeTheEof) {
  TestClient client = Connect();
  client.Write(EventsBytes());
  EXPECT_EQ(client.Read()->code(), proto::OK);
  VmEventSink& events = server_->events();
  events.OnEvent({.kind = VmEvent::Kind::kPaused});
  events.OnEvent({.kind = VmEvent::Kind::kDriverReady, .device = "rng0"});
  events.OnEvent({.kind = VmEvent::Kind::kStopped, .exit = VmExit()});
  Stop();
  EXPECT_EQ(client.Read()->event().kind(), proto::ControlEvent::PAUSED);
  EXPECT_EQ(client.Read()->event().kind(), proto::ControlEvent::DRIVER_READY);
  EXPECT_EQ(client.Read()->event().kind(), proto::ControlEvent::STOPPED);
  EXPECT_FALSE(client.Read().has_value());
}

TEST_F(ControlServerTest, ReplyToStopIsSentBeforeTheSocketCloses) {
  TestClient client = Connect();
  target_.on_stop = [this] { loop_->Stop(); };
  proto::ControlRequest request;
  request.mutable_stop();
  client.Write(RequestBytes(request));
  EXPECT_EQ(client.Read()->code(), proto::OK);
  EXPECT_FALSE(client.Read().has_value());
}

TEST_F(ControlServerTest, StopComesWhenTheGracePeriodIsOver) {
  TestClient client = Connect();
  target_.on_stop = [this] { loop_->Stop(); };
  proto::ControlRequest request;
  request.mutable_stop()->set_graceful_ms(1000000);
  client.Write(RequestBytes(request));
  EXPECT_EQ(client.Read()->code(), proto::OK);
  // A shorter one counts.
  request.mutable_stop()->set_graceful_ms(1);
  client.Write(RequestBytes(request));
  EXPECT_EQ(client.Read()->code(), proto::OK);
  EXPECT_FALSE(client.Read().has_value());
  EXPECT_THAT(target_.TakeCalls(), ElementsAre("button", "button", "stop"));
}

TEST_F(ControlServerTest, SlowReaderOfEventsHoldsNobodyUp) {
  TestClient slow = Connect();
  slow.Write(EventsBytes());
  EXPECT_EQ(slow.Read()->code(), proto::OK);
  VmEventSink& events = server_->events();
  for (int i = 0; i < 100000; ++i) {
    events.OnEvent({.kind = VmEvent::Kind::kResumed});
  }
  ExpectServes();
  events.OnEvent({.kind = VmEvent::Kind::kStopped, .exit = VmExit()});
  // It begins to read only now.
  std::thread stopper([this] { Stop(); });
  uint64_t heard = 0;
  proto::ControlEvent last;
  while (const auto reply = slow.Read()) {
    last = reply->event();
    heard += 1 + last.lost();
  }
  stopper.join();
  EXPECT_EQ(last.kind(), proto::ControlEvent::STOPPED);
  EXPECT_EQ(heard, 100001u);
}

TEST_F(ControlServerTest, SubscriberThatNeverReadsDelaysTheEndBoundedly) {
  TestClient dead = Connect();
  dead.Write(EventsBytes());
  EXPECT_EQ(dead.Read()->code(), proto::OK);
  for (int i = 0; i < 100000; ++i) {
    server_->events().OnEvent({.kind = VmEvent::Kind::kResumed});
    if (i % 100 == 0) ExpectServes();
  }
  Stop();
}

TEST_F(ControlServerTest, MoreClientsThanAllowedAreToldSoAndOthersServed) {
  std::vector<TestClient> clients;
  for (size_t i = 0; i < ControlServer::kMaxClients; ++i) {
    clients.push_back(Connect());
    clients.back().Write(StatusBytes(i + 1));
    EXPECT_EQ(clients.back().Read()->id(), i + 1);
  }
  for (int i = 0; i < 100; ++i) {
    TestClient refused = Connect();
    EXPECT_EQ(refused.Read()->code(), proto::RESOURCE_EXHAUSTED);
    EXPECT_FALSE(refused.Read().has_value());
  }
  clients[3].Write(StatusBytes(1000));
  EXPECT_EQ(clients[3].Read()->id(), 1000u);
  clients.clear();
  // Their ends are noticed by and by.
  for (;;) {
    TestClient client = Connect();
    const std::string status = StatusBytes();
    ::send(client.fd(), status.data(), status.size(), MSG_NOSIGNAL);
    if (client.Read()->code() == proto::OK) break;
  }
}

TEST_F(ControlServerTest, OthersLeaveRoomForRoot) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "to be another user needs root";
  }
  std::vector<TestClient> clients;
  ASSERT_EQ(::seteuid(allowed_uid_), 0);
  for (size_t i = 0; i <= ControlServer::kMaxClients; ++i) {
    clients.push_back(Connect());
  }
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(clients.back().Read()->code(), proto::RESOURCE_EXHAUSTED);
  ExpectServes();
}

TEST_F(ControlServerTest, GarbageOversizedAndTruncatedEndTheirClientAlone) {
  TestClient good = Connect();
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string("\xff\xff\x7f", 3),
        std::string(5, '\x80'), std::string("\x02\xff\xff", 3)}) {
    TestClient bad = Connect();
    bad.Write(bytes);
    bad.HalfClose();
    const auto reply = bad.Read();
    // Of the length of a request that did not come, nothing can be said.
    EXPECT_TRUE(!reply.has_value() || reply->code() != proto::OK);
    EXPECT_FALSE(bad.Read().has_value());
  }
  TestClient cut = Connect();
  cut.Write(StatusBytes().substr(0, 2));
  cut.HalfClose();
  EXPECT_FALSE(cut.Read().has_value());
  good.Write(StatusBytes(3));
  EXPECT_EQ(good.Read()->id(), 3u);
}

TEST_F(ControlServerTest, ClientThatTricklesBytesIsServedInTheEnd) {
  TestClient client = Connect();
  for (const char c : StatusBytes(5)) {
    client.Write(std::string(1, c));
    ExpectServes();
  }
  EXPECT_EQ(client.Read()->id(), 5u);
}

TEST_F(ControlServerTest, HalfClosedClientGetsItsRepliesAndEvents) {
  TestClient asks = Connect();
  asks.Write(StatusBytes(1) + StatusBytes(2));
  asks.HalfClose();
  EXPECT_EQ(asks.Read()->id(), 1u);
  EXPECT_EQ(asks.Read()->id(), 2u);
  EXPECT_FALSE(asks.Read().has_value());
  TestClient listens = Connect();
  listens.Write(EventsBytes());
  listens.HalfClose();
  EXPECT_EQ(listens.Read()->code(), proto::OK);
  server_->events().OnEvent({.kind = VmEvent::Kind::kPaused});
  EXPECT_EQ(listens.Read()->event().kind(), proto::ControlEvent::PAUSED);
}

TEST_F(ControlServerTest, RequestOfAClientThatWentAtOnceIsServed) {
  proto::ControlRequest request;
  request.mutable_pause();
  { Connect().Write(RequestBytes(request)); }
  for (;;) {
    TestClient client = Connect();
    client.Write(StatusBytes());
    if (client.Read()->status().state() == proto::ControlStatus::PAUSED) break;
  }
}

TEST_F(ControlServerTest, DescriptorsThatComeAlongAreNotKept) {
  TestClient client = Connect();
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd read_end(ends[0]);
  {
    const UniqueFd write_end(ends[1]);
    std::string bytes = StatusBytes(6);
    iovec piece = {bytes.data(), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int sent_fd = write_end.get();
    std::memcpy(CMSG_DATA(header), &sent_fd, sizeof(int));
    ASSERT_GT(::sendmsg(client.fd(), &message, 0), 0);
  }
  EXPECT_EQ(client.Read()->id(), 6u);
  // Nobody has the other end: end of file.
  char byte;
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 0);
}

TEST_F(ControlServerTest, OutOfDescriptorsItWaitsAndServesLater) {
  ExpectServes();
  UniqueFd waiting = ConnectSocket();  // Before there are no more.
  ASSERT_TRUE(waiting.valid());
  TestClient early(std::move(waiting));
  early.Write(StatusBytes(1));
  EXPECT_EQ(early.Read()->id(), 1u);
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  UniqueFd late(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const socklen_t size = FillAddress();
  const rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  ASSERT_EQ(::connect(late.get(), reinterpret_cast<sockaddr*>(&address_), size),
            0);
  // It serves those that it has.
  for (uint64_t i = 2; i < 50; ++i) {
    early.Write(StatusBytes(i));
    EXPECT_EQ(early.Read()->id(), i);
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  TestClient client(std::move(late));
  client.Write(StatusBytes(100));
  EXPECT_EQ(client.Read()->id(), 100u);
}

TEST(ControlServerCreateTest, WhatIsNoListeningSocketIsRefused) {
  FakeControlTarget target;
  auto loop = *EventLoop::Create();
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const UniqueFd other(pair[1]);
  EXPECT_TRUE(absl::IsInvalidArgument(
      ControlServer::Create(UniqueFd(pair[0]), {}, target, *loop).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      ControlServer::Create(UniqueFd(::open("/dev/null", O_RDONLY)), {}, target,
                            *loop)
          .status()));
}

}  // namespace
}  // namespace annulus
