#ifndef DEVICES_VHOST_USER_BACK_END_FRONT_END_TESTING_H_
#define DEVICES_VHOST_USER_BACK_END_FRONT_END_TESTING_H_

#include <poll.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/message_socket.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/queue/queue_config.h"
#include "memory/guarded_mapping.h"
#include "memory/guest_memory.h"

namespace annulus::vhost_user {

// A connected pair of sockets.
std::pair<UniqueFd, UniqueFd> SocketPair();

// Another descriptor of the same thing.
UniqueFd DuplicateFd(int fd);

// For tests: the other side of a back-end, with guest memory of its own.
//
//   TestFrontEnd front_end(std::move(socket));
//   front_end.Negotiate(features);
//   front_end.ShareMemory();
//   TestQueue queue(front_end, 0, {.packed = true});
//   queue.SetUp();
//   ... queue.driver().Chain() ..., queue.Kick(), queue.AwaitUsed()
class TestFrontEnd {
 public:
  static constexpr uint64_t kRamBytes = 16 << 20;
  // What of guest memory the front-end says that it has at address 0.
  static constexpr uint64_t kUserStart = 0x7f0000000000;

  explicit TestFrontEnd(UniqueFd socket);

  // Takes SET_OWNER, SET_PROTOCOL_FEATURES of all that is offered, and
  // SET_FEATURES of these bits and PROTOCOL_FEATURES.
  void Negotiate(uint64_t features);
  // All of its memory as one region.
  void ShareMemory();
  MemoryRegion Region() const;

  // False where the other side has closed the connection.
  bool Send(const Message& message);
  template <typename T>
  bool Send(Request request, const T& value, std::vector<int> fds = {},
            uint32_t flags = 0) {
    Message message = MakeMessage(static_cast<uint32_t>(request), flags, value);
    for (const int fd : fds) message.fds.push_back(DuplicateFd(fd));
    return Send(message);
  }
  bool Send(Request request, std::vector<int> fds = {});

  // Nothing where the other side has closed the connection.
  std::optional<Message> Receive();
  // The u64 that it answers with.
  std::optional<uint64_t> Get(Request request);
  // What REPLY_ACK says: 0 is success. Nothing: the connection was closed.
  template <typename T>
  std::optional<uint64_t> Ask(Request request, const T& value,
                              std::vector<int> fds = {}) {
    if (!Send(request, value, std::move(fds), kFlagNeedReply)) return {};
    return Answer(request);
  }
  // The answer to GET_VRING_BASE, or nothing.
  std::optional<uint32_t> StopVring(uint32_t index);
  // True once the other side has closed the connection; waits for that.
  bool AwaitHangUp();
  void HangUp() { socket_.emplace(UniqueFd()); }
  void Reconnect(UniqueFd socket) { socket_.emplace(std::move(socket)); }

  const memory::GuestMemory& memory() const { return memory_; }
  int ram_fd() const { return ram_.get(); }
  int socket() const { return socket_->fd(); }

 private:
  std::optional<uint64_t> Answer(Request request);

  const EventFd never_ = EventFd::Create().value();
  std::optional<MessageSocket> socket_;
  // Of a file that can be cut off.
  const UniqueFd ram_;
  const EventFd lost_ = EventFd::Create().value();
  const memory::GuardedMapping mapping_;
  const memory::GuestMemory memory_;
};

// One queue of it.
class TestQueue {
 public:
  TestQueue(TestFrontEnd& front_end, uint16_t index,
            virtio::FakeDriverOptions options);

  // Everything that a queue needs to run; `base` is nothing for a new one.
  void SetUp(std::optional<uint32_t> base = {});
  VringAddress Addresses() const;
  VringState State(uint32_t num) const { return {.index = index_, .num = num}; }
  // What a packed or split queue begins with.
  uint32_t FirstBase() const { return options_.packed ? 0x80008000 : 0; }

  void Kick() { kick_.Signal(); }
  // Waits for the call, if it has to.
  virtio::FakeDriver::Used AwaitUsed();
  void AwaitError();

  virtio::FakeDriver& driver() { return driver_; }
  const EventFd& kick() const { return kick_; }
  const EventFd& call() const { return call_; }
  const EventFd& error() const { return error_; }

 private:
  TestFrontEnd& front_end_;
  const uint16_t index_;
  const virtio::FakeDriverOptions options_;
  virtio::FakeDriver driver_;
  const EventFd kick_ = EventFd::Create().value();
  const EventFd call_ = EventFd::Create().value();
  const EventFd error_ = EventFd::Create().value();
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_FRONT_END_TESTING_H_
