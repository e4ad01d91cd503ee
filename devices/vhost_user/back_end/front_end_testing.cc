#include "devices/vhost_user/back_end/front_end_testing.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "memory/guest_address.h"
#include "memory/guest_region.h"

namespace annulus::vhost_user {
namespace {

struct MemoryTable {
  uint32_t regions = 1;
  uint32_t padding = 0;
  MemoryRegion region;
};

UniqueFd NewRam(uint64_t bytes) {
  UniqueFd fd(::memfd_create("front-end", MFD_CLOEXEC));
  ANNULUS_CHECK(::ftruncate(fd.get(), static_cast<off_t>(bytes)) == 0);
  return fd;
}

void AwaitReadable(int fd) {
  pollfd ready = {.fd = fd, .events = POLLIN, .revents = 0};
  ANNULUS_CHECK(::poll(&ready, 1, -1) == 1);
}

}  // namespace

std::pair<UniqueFd, UniqueFd> SocketPair() {
  std::array<int, 2> fds = {};
  ANNULUS_CHECK(
      ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

UniqueFd DuplicateFd(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  ANNULUS_CHECK(copy.valid());
  return copy;
}

TestFrontEnd::TestFrontEnd(UniqueFd socket)
    : ram_(NewRam(kRamBytes)),
      mapping_(
          memory::GuardedMapping::Map(ram_.get(), 0, kRamBytes, lost_).value()),
      memory_(memory::GuestMemory::Create({{.start = memory::GuestAddress(0),
                                            .size = kRamBytes,
                                            .host = mapping_.data()}})
                  .value()) {
  socket_.emplace(std::move(socket));
}

void TestFrontEnd::Negotiate(uint64_t features) {
  ANNULUS_CHECK(Send(Request::kSetOwner));
  const std::optional<uint64_t> protocol = Get(Request::kGetProtocolFeatures);
  ANNULUS_CHECK(protocol.has_value());
  ANNULUS_CHECK(Send(Request::kSetProtocolFeatures, *protocol));
  ANNULUS_CHECK(Ask(Request::kSetFeatures,
                    features | uint64_t{1} << kFeatureProtocolFeatures) == 0u);
}

MemoryRegion TestFrontEnd::Region() const {
  return {.guest_address = 0,
          .size = kRamBytes,
          .user_address = kUserStart,
          .mmap_offset = 0};
}

void TestFrontEnd::ShareMemory() {
  const MemoryTable table = {.region = Region()};
  ANNULUS_CHECK(Ask(Request::kSetMemTable, table, {ram_.get()}) == 0u);
}

bool TestFrontEnd::Send(const Message& message) {
  return socket_->Send(message, never_, absl::InfiniteDuration()).ok();
}

bool TestFrontEnd::Send(Request request, std::vector<int> fds) {
  Message message;
  message.request = static_cast<uint32_t>(request);
  for (const int fd : fds) message.fds.push_back(DuplicateFd(fd));
  return Send(message);
}

std::optional<Message> TestFrontEnd::Receive() {
  absl::StatusOr<Message> message =
      socket_->Receive(never_, absl::InfiniteDuration());
  if (!message.ok()) return std::nullopt;
  return *std::move(message);
}

std::optional<uint64_t> TestFrontEnd::Get(Request request) {
  if (!Send(request)) return std::nullopt;
  return Answer(request);
}

std::optional<uint64_t> TestFrontEnd::Answer(Request request) {
  const std::optional<Message> reply = Receive();
  if (!reply.has_value()) return std::nullopt;
  ANNULUS_CHECK(reply->request == static_cast<uint32_t>(request) &&
                reply->flags == (kVersion | kFlagReply));
  return reply->Payload<uint64_t>();
}

std::optional<uint32_t> TestFrontEnd::StopVring(uint32_t index) {
  if (!Send(Request::kGetVringBase, VringState{.index = index, .num = 0})) {
    return std::nullopt;
  }
  const std::optional<Message> reply = Receive();
  if (!reply.has_value()) return std::nullopt;
  const std::optional<VringState> state = reply->Payload<VringState>();
  ANNULUS_CHECK(state.has_value() && state->index == index);
  return state->num;
}

bool TestFrontEnd::AwaitHangUp() {
  while (Receive().has_value()) {
  }
  return true;
}

TestQueue::TestQueue(TestFrontEnd& front_end, uint16_t index,
                     virtio::FakeDriverOptions options)
    : front_end_(front_end),
      index_(index),
      options_(options),
      driver_(front_end.memory(), options) {}

VringAddress TestQueue::Addresses() const {
  const virtio::QueueConfig& config = driver_.config();
  const auto user = [](memory::GuestAddress address) {
    return TestFrontEnd::kUserStart + address.value();
  };
  return {.index = index_,
          .descriptor = user(config.descriptor),
          .used = user(config.device),
          .available = user(config.driver)};
}

void TestQueue::SetUp(std::optional<uint32_t> base) {
  using R = Request;
  const uint64_t index = index_;
  ANNULUS_CHECK(front_end_.Send(R::kSetVringNum, State(options_.size)));
  ANNULUS_CHECK(
      front_end_.Send(R::kSetVringBase, State(base.value_or(FirstBase()))));
  ANNULUS_CHECK(front_end_.Send(R::kSetVringAddr, Addresses()));
  ANNULUS_CHECK(front_end_.Send(R::kSetVringErr, index, {error_.fd()}));
  ANNULUS_CHECK(front_end_.Send(R::kSetVringCall, index, {call_.fd()}));
  ANNULUS_CHECK(front_end_.Send(R::kSetVringKick, index, {kick_.fd()}));
  ANNULUS_CHECK(front_end_.Ask(R::kSetVringEnable, State(1)) == 0u);
}

virtio::FakeDriver::Used TestQueue::AwaitUsed() {
  while (true) {
    if (std::optional<virtio::FakeDriver::Used> used = driver_.GetUsed()) {
      return *used;
    }
    if (!driver_.EnableCallbacks()) {
      AwaitReadable(call_.fd());
      (void)call_.Drain();
    }
    driver_.DisableCallbacks();
  }
}

void TestQueue::AwaitError() { AwaitReadable(error_.fd()); }

}  // namespace annulus::vhost_user
