#include "tests/guest_user/vsock_client.h"

#include <stdlib.h>
#include <sys/socket.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/thread.h"
#include "gtest/gtest.h"
#include "tests/guest_user/vsock_server.h"

namespace annulus::guest_user {
namespace {

// Both programs in this process, connected by sockets of the host: what they
// check is there, and what is wrong is found.
class VsockClientTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    // Short: the path of a socket is.
    directory_ = "/tmp/vsockXXXXXX";
    ASSERT_NE(::mkdtemp(directory_.data()), nullptr);
    options_.address.path = absl::StrCat(directory_, "/s");
    options_.socket.seqpacket = GetParam();
    options_.socket.timeout = absl::Seconds(20);
    options_.bytes = 300'000;
    options_.count = 50;
  }

  // What the accepting end of each connection does.
  void Accept(std::function<void(UniqueFd)> serve) {
    auto listener = ListenSocket(options_.address, options_.socket);
    ASSERT_TRUE(listener.ok()) << listener.status();
    fd_ = listener->get();
    auto thread = Thread::Start(
        "accept", [listener = std::make_shared<UniqueFd>(*std::move(listener)),
                   serve = std::move(serve)] {
          while (true) {
            UniqueFd fd(::accept(listener->get(), nullptr, nullptr));
            if (!fd.valid()) return;
            serve(std::move(fd));
          }
        });
    ASSERT_TRUE(thread.ok());
    thread_ = *std::move(thread);
  }

  void Serve() {
    auto listener = ListenSocket(options_.address, options_.socket);
    ASSERT_TRUE(listener.ok()) << listener.status();
    fd_ = listener->get();
    server_ =
        std::make_unique<TransferServer>(*std::move(listener), options_.socket);
    auto thread =
        Thread::Start("serve", [this] { EXPECT_FALSE(server_->Run().ok()); });
    ASSERT_TRUE(thread.ok());
    thread_ = *std::move(thread);
  }

  void Stop() {
    if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
    thread_.Join();
  }
  void TearDown() override {
    Stop();
    std::filesystem::remove_all(directory_);
  }

  std::string directory_;
  ClientOptions options_;
  int fd_ = -1;
  std::unique_ptr<TransferServer> server_;
  Thread thread_;
};

INSTANTIATE_TEST_SUITE_P(Types, VsockClientTest, testing::Bool());

TEST_P(VsockClientTest, EveryCommandSucceeds) {
  Serve();
  for (const bool receive : {false, true}) {
    options_.receive = receive;
    EXPECT_TRUE(Transfer(options_).ok()) << Transfer(options_).status();
    EXPECT_TRUE(HalfClose(options_).ok()) << HalfClose(options_).status();
  }
  EXPECT_TRUE(EchoStream(options_).ok()) << EchoStream(options_).status();
  EXPECT_TRUE(Churn(options_).ok()) << Churn(options_).status();
  EXPECT_TRUE(Hold(options_).ok()) << Hold(options_).status();
  EXPECT_EQ(Failures(options_).status(), absl::OkStatus());
  options_.bytes = 64;
  EXPECT_TRUE(Ping(options_).ok()) << Ping(options_).status();
  // Of streams, what was sent at once need not come at once.
  if (options_.socket.seqpacket) {
    EXPECT_TRUE(Messages(options_).ok()) << Messages(options_).status();
  }
}

TEST_P(VsockClientTest, AFailureOfTheServerIsSeen) {
  Serve();
  {
    TransferRequest request = RequestFor(options_, TransferRequest::kSink);
    const auto fd = OpenTransfer(options_, request);
    ASSERT_TRUE(fd.ok());
    // Other bytes than those of the pattern.
    ASSERT_TRUE(SendAll(fd->get(), std::vector<char>(1000, 'x')).ok());
    char byte = 0;
    EXPECT_NE(::recv(fd->get(), &byte, 1, 0), 1);
  }
  EXPECT_TRUE(absl::IsDataLoss(Failures(options_).status()));
}

// The accepting end passes bytes on as they came, but for what `spoil` does.
void EchoSpoiled(UniqueFd fd,
                 const std::function<void(std::vector<char>&)>& spoil) {
  TransferRequest request;
  if (!ReceiveStruct(fd.get(), request).ok()) return;
  while (true) {
    std::vector<char> bytes(65536);
    const auto got = ReceiveSome(fd.get(), absl::MakeSpan(bytes));
    if (!got.ok() || *got == 0) return;
    bytes.resize(*got);
    spoil(bytes);
    if (!SendAll(fd.get(), bytes).ok()) return;
  }
}

TEST_P(VsockClientTest, FindsAByteThatIsAnother) {
  Accept([](UniqueFd fd) {
    EchoSpoiled(std::move(fd), [](std::vector<char>& b) { b.back() ^= 1; });
  });
  EXPECT_TRUE(absl::IsDataLoss(EchoStream(options_).status()));
  EXPECT_TRUE(absl::IsDataLoss(Hold(options_).status()));
  EXPECT_TRUE(absl::IsDataLoss(Churn(options_).status()));
  options_.bytes = 64;
  EXPECT_TRUE(absl::IsDataLoss(Ping(options_).status()));
}

TEST_P(VsockClientTest, FindsAByteThatIsLost) {
  Accept([](UniqueFd fd) {
    EchoSpoiled(std::move(fd), [](std::vector<char>& b) {
      if (b.size() > 1) b.erase(b.begin());
    });
  });
  EXPECT_TRUE(absl::IsDataLoss(EchoStream(options_).status()));
  if (options_.socket.seqpacket) {
    EXPECT_TRUE(absl::IsDataLoss(Messages(options_).status()));
  }
}

TEST_P(VsockClientTest, FindsAConnectionThatEndsEarly) {
  Accept([](UniqueFd fd) {
    TransferRequest request;
    (void)ReceiveStruct(fd.get(), request);
  });
  options_.receive = true;
  EXPECT_TRUE(absl::IsDataLoss(Transfer(options_).status()));
  EXPECT_FALSE(HalfClose(options_).ok());
  EXPECT_FALSE(Hold(options_).ok());
  EXPECT_FALSE(Failures(options_).ok());
}

TEST_P(VsockClientTest, NobodyThereIsUnavailable) {
  EXPECT_TRUE(absl::IsUnavailable(Transfer(options_).status()));
}

TEST_P(VsockClientTest, AnEndlessTransferEndsWithItsServer) {
  for (const bool receive : {false, true}) {
    options_.receive = receive;
    options_.chunk_bytes = 1 << 16;
    uint64_t moved = 0;
    Accept([&moved, receive](UniqueFd fd) {
      TransferRequest request;
      std::vector<char> bytes(1 << 16);
      if (!ReceiveStruct(fd.get(), request).ok()) return;
      for (moved = 0; moved < 4 << 20; moved += bytes.size()) {
        if (receive) {
          if (!SendAll(fd.get(), bytes).ok()) return;
        } else {
          if (!ReceiveAll(fd.get(), absl::MakeSpan(bytes)).ok()) return;
        }
      }
    });
    EXPECT_TRUE(Endless(options_).ok()) << Endless(options_).status();
    Stop();
  }
}

TEST(VsockAddressTest, Parses) {
  const auto guest = ParseSocketAddress("vsock:3:5000");
  ASSERT_TRUE(guest.ok());
  EXPECT_EQ(guest->kind, SocketAddress::Kind::kVsock);
  EXPECT_EQ(guest->cid, 3u);
  EXPECT_EQ(guest->port, 5000u);
  EXPECT_EQ(ParseSocketAddress("vsock:any:1")->cid, 0xffffffffu);
  const auto device = ParseSocketAddress("device:/a:b/c:7");
  ASSERT_TRUE(device.ok());
  EXPECT_EQ(device->path, "/a:b/c");
  EXPECT_EQ(device->port, 7u);
  EXPECT_EQ(ParseSocketAddress("unix:/x:1")->path, "/x:1");
  for (const char* wrong :
       {"", "vsock:3", "vsock:x:1", "device:/x", "/x", "vsock:3:99999999999"}) {
    EXPECT_FALSE(ParseSocketAddress(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace annulus::guest_user
