#include "devices/virtio/vsock/backend/unix_datagrams.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/counting_allocator.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "devices/virtio/vsock/backend/unix_address.h"
#include "devices/virtio/vsock/backend/unix_backend.h"
#include "devices/virtio/vsock/backend/unix_sockets.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

using Ports = HostDatagrams::Ports;

class UnixDatagramsTest : public testing::Test {
 protected:
  void SetUp() override { Start(path_); }

  void Start(const std::string& path) {
    backend_.reset();
    UnixSocketOptions options;
    options.path = path;
    options.dgram = true;
    auto sockets = UnixSockets::Open(std::move(options));
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    auto backend = UnixBackend::Create({}, *std::move(sockets), NullLogSink());
    ASSERT_TRUE(backend.ok()) << backend.status();
    backend_ = *std::move(backend);
    datagrams_ = backend_->datagrams();
    ASSERT_NE(datagrams_, nullptr);
  }

  std::string HostPath(uint32_t port) const {
    return absl::StrCat(path_, "_dgram_", port);
  }

  // From a program of the host, which has a name or not.
  void FromHost(int fd, absl::string_view datagram,
                const std::string& path = "") {
    const auto to =
        UnixAddress::Create((path.empty() ? path_ : path) + "_dgram");
    ASSERT_EQ(::sendto(fd, datagram.data(), datagram.size(), 0, to->get(),
                       to->size()),
              static_cast<ssize_t>(datagram.size()))
        << std::strerror(errno);
  }

  bool ToHost(uint32_t guest, uint32_t host, std::string payload) {
    const iovec vector = {payload.data(), payload.size()};
    return datagrams_->Send({guest, host}, {&vector, 1});
  }

  // Empty: nothing came.
  std::string Receive(size_t room = 70'000) {
    std::string payload(room, '\0');
    // In two vectors, as a guest would have it.
    const iovec vectors[] = {
        {payload.data(), room / 2},
        {payload.data() + room / 2, room - room / 2},
    };
    ports_ = {};
    const std::optional<size_t> size = datagrams_->Receive(vectors, ports_);
    size_ = size.value_or(0);
    payload.resize(std::min(size_, room));
    return payload;
  }

  static UniqueFd Unnamed() {
    return UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  }

  const SocketDirectory directory_;
  const std::string path_ = directory_.Path("vm");
  std::unique_ptr<UnixBackend> backend_;
  HostDatagrams* datagrams_ = nullptr;
  Ports ports_;
  size_t size_ = 0;
};

TEST_F(UnixDatagramsTest, BothDirections) {
  const UniqueFd program = BindTo(HostPath(7), SOCK_DGRAM);
  EXPECT_FALSE(Readable(datagrams_->fd()));
  FromHost(program.get(), "PORT 1234\nquestion");
  EXPECT_TRUE(Readable(datagrams_->fd()));
  EXPECT_EQ(Receive(), "question");
  EXPECT_EQ(ports_.guest, 1234u);
  EXPECT_EQ(ports_.host, 7u);
  EXPECT_FALSE(Readable(datagrams_->fd()));
  EXPECT_TRUE(ToHost(1234, 7, "answer"));
  EXPECT_EQ(ReceiveText(program.get()), "PORT 1234\nanswer");
}

TEST_F(UnixDatagramsTest, EmptyAndSplitPayload) {
  const UniqueFd program = BindTo(HostPath(7), SOCK_DGRAM);
  FromHost(program.get(), "PORT 1\n");
  std::string room(8, '\0');
  const iovec vector = {room.data(), room.size()};
  EXPECT_EQ(datagrams_->Receive({&vector, 1}, ports_), 0u);
  EXPECT_TRUE(datagrams_->Send({1, 7}, {}));
  EXPECT_EQ(ReceiveText(program.get()), "PORT 1\n");
  FromHost(program.get(), "PORT 1\nabcdef");
  EXPECT_EQ(Receive(/*room=*/7), "abcdef");
}

TEST_F(UnixDatagramsTest, LargestPayloadPassesWhole) {
  const UniqueFd program = BindTo(HostPath(7), SOCK_DGRAM);
  const std::string payload(65'536, 'p');
  FromHost(program.get(), "PORT 1\n" + payload);
  EXPECT_EQ(Receive(), payload);
  EXPECT_TRUE(ToHost(1, 7, payload));
  std::string received(payload.size() + 8, '\0');
  EXPECT_EQ(::recv(program.get(), received.data(), received.size(), 0),
            static_cast<ssize_t>(payload.size() + 7));
}

TEST_F(UnixDatagramsTest, SizeTellsOfADatagramThatWasCutOff) {
  const UniqueFd program = BindTo(HostPath(7), SOCK_DGRAM);
  FromHost(program.get(), "PORT 1\nabcdef");
  EXPECT_EQ(Receive(/*room=*/4), "abcd");
  EXPECT_EQ(size_, 6u);
  // Also where there were more vectors than the host takes.
  FromHost(program.get(), "PORT 1\n" + std::string(2000, 'x'));
  std::string room(2000, '\0');
  std::vector<iovec> vectors;
  for (size_t i = 0; i < room.size(); ++i) vectors.push_back({&room[i], 1});
  EXPECT_GT(datagrams_->Receive(vectors, ports_), room.size());
  EXPECT_FALSE(datagrams_->Send({1, 7}, vectors));
  FromHost(program.get(), "PORT 1\n" + std::string(1023, 'x'));
  EXPECT_EQ(datagrams_->Receive(vectors, ports_), 1023u);
}

TEST_F(UnixDatagramsTest, SendersWithoutAPortArePortZero) {
  const UniqueFd unnamed = Unnamed();
  FromHost(unnamed.get(), "PORT 1\na");
  EXPECT_EQ(Receive(), "a");
  EXPECT_EQ(ports_.host, 0u);
  for (const char* name : {"other", "vm_dgram_", "vm_dgram_x", "vm_dgram_7x",
                           "vm_dgram_4294967296", "vm_dgram_-1"}) {
    const UniqueFd program = BindTo(directory_.Path(name), SOCK_DGRAM);
    FromHost(program.get(), "PORT 1\nb");
    EXPECT_EQ(Receive(), "b");
    EXPECT_EQ(ports_.host, 0u) << name;
  }
  const UniqueFd zero = BindTo(HostPath(0), SOCK_DGRAM);
  EXPECT_FALSE(ToHost(1, 0, "nobody"));
}

TEST_F(UnixDatagramsTest, WhatHasNoPortIsSkipped) {
  const UniqueFd program = BindTo(HostPath(7), SOCK_DGRAM);
  for (const absl::string_view datagram :
       {"", "\n", "hello", "PORT\nx", "PORT 4294967296\nx", "PORT 1 2\nx",
        "PORT 1", "PORT 1                           \nx"}) {
    FromHost(program.get(), datagram);
  }
  FromHost(program.get(), "port 4294967295\r\ngood");
  EXPECT_EQ(Receive(), "good");
  EXPECT_EQ(ports_.guest, 4294967295u);
  EXPECT_FALSE(Readable(datagrams_->fd()));
  EXPECT_EQ(Receive(), "");
}

TEST_F(UnixDatagramsTest, SkippingIsBounded) {
  const UniqueFd program = Unnamed();
  int sent = 0;
  // As many as the host's queue has room for, again and again.
  for (int round = 0; round < 10; ++round) {
    const auto to = UnixAddress::Create(path_ + "_dgram");
    while (::sendto(program.get(), "x", 1, MSG_DONTWAIT, to->get(),
                    to->size()) == 1) {
      ++sent;
    }
    EXPECT_EQ(Receive(), "");
  }
  // Each call takes at most 64.
  while (Readable(datagrams_->fd())) {
    EXPECT_EQ(Receive(), "");
  }
  EXPECT_GE(sent, 10);
}

TEST_F(UnixDatagramsTest, NobodyThereLosesIt) {
  EXPECT_FALSE(ToHost(1, 7, "missing"));
  BindTo(HostPath(8), SOCK_DGRAM).reset();
  EXPECT_FALSE(ToHost(1, 8, "stale"));
  const UniqueFd stream = ListenAt(HostPath(9), SOCK_STREAM, 1);
  EXPECT_FALSE(ToHost(1, 9, "other type"));
}

// Never blocks: this test would hang.
TEST_F(UnixDatagramsTest, ProgramThatDoesNotReadLosesIt) {
  const UniqueFd program = BindTo(HostPath(7), SOCK_DGRAM);
  int sent = 0;
  while (ToHost(1, 7, std::string(10'000, 'x'))) ++sent;
  EXPECT_GE(sent, 1);
  const UniqueFd other = BindTo(HostPath(8), SOCK_DGRAM);
  for (int i = 0; i < sent; ++i) {
    EXPECT_EQ(ReceiveText(program.get()).size(), 10'007u);
  }
  EXPECT_TRUE(ToHost(1, 7, "again"));
  EXPECT_TRUE(ToHost(1, 8, "other"));
}

TEST_F(UnixDatagramsTest, AbstractNames) {
  const std::string name = absl::StrCat("@annulus-dgram-", ::getpid());
  Start(name);
  const UniqueFd program = BindTo(name + "_dgram_7", SOCK_DGRAM);
  FromHost(program.get(), "PORT 1\nquestion", name);
  EXPECT_EQ(Receive(), "question");
  EXPECT_EQ(ports_.host, 7u);
  EXPECT_TRUE(ToHost(1, 7, "answer"));
  EXPECT_EQ(ReceiveText(program.get()), "PORT 1\nanswer");
}

// A descriptor that comes along is nobody's, and must not stay open.
TEST_F(UnixDatagramsTest, PassedDescriptorsAreDropped) {
  const UniqueFd program = BindTo(HostPath(7), SOCK_DGRAM);
  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  const UniqueFd read_end(pipe_ends[0]);
  UniqueFd write_end(pipe_ends[1]);
  const auto to = UnixAddress::Create(path_ + "_dgram");
  std::string text = "PORT 1\nx";
  iovec vector = {text.data(), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_name = const_cast<sockaddr*>(to->get());
  message.msg_namelen = to->size();
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int passed = write_end.get();
  std::memcpy(CMSG_DATA(header), &passed, sizeof(passed));
  ASSERT_GT(::sendmsg(program.get(), &message, 0), 0);
  write_end.reset();
  EXPECT_EQ(Receive(), "x");
  // All ends to write to are closed.
  char byte;
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 0);
}

TEST_F(UnixDatagramsTest, NothingIsAllocatedPerDatagram) {
  const UniqueFd program = BindTo(HostPath(7), SOCK_DGRAM);
  std::string room(100, '\0');
  const iovec vector = {room.data(), room.size()};
  FromHost(program.get(), "PORT 1\nabc");
  const int before = AllocationCount();
  Ports ports;
  const auto size = datagrams_->Receive({&vector, 1}, ports);
  const bool sent = datagrams_->Send(ports, {&vector, 1});
  EXPECT_EQ(AllocationCount(), before);
  EXPECT_EQ(size, 3u);
  EXPECT_TRUE(sent);
}

}  // namespace
}  // namespace annulus::virtio
