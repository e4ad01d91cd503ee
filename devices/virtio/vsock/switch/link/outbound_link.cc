#include "devices/virtio/vsock/switch/link/outbound_link.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/types/span.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/switch/link/link_message.h"
#include "memory/shared_message.h"

namespace annulus::virtio {
namespace {

// Of one message, straight from guest memory; a payload in more pieces than
// that is copied first.
constexpr size_t kMostVectors = 64;

// 0, or the error. Never blocks.
int SendMessage(int fd, absl::Span<iovec> vectors) {
  msghdr message = {};
  message.msg_iov = vectors.data();
  message.msg_iovlen = vectors.size();
  for (;;) {
    if (memory::SendShared(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
      return 0;
    }
    if (errno != EINTR) return errno;
  }
}

}  // namespace

OutboundLink::OutboundLink(uint64_t id, uint64_t cid, UniqueFd socket,
                           int epoll, LinkBudget& budget)
    : id_(id),
      cid_(cid),
      socket_(std::move(socket)),
      epoll_(epoll),
      budget_(budget) {}

OutboundLink::~OutboundLink() {
  MutexLock lock(mu_);
  budget_.bytes.fetch_sub(bytes_, std::memory_order_relaxed);
}

OutboundLink::Written OutboundLink::Write(const PacketHeader& header,
                                          const PacketPayload& payload,
                                          uint64_t serial) const {
  LinkPacketStart wire = EncodeLinkPacket(header, serial);
  std::array<iovec, kMostVectors> vectors;
  vectors[0] = {wire.data(), wire.size()};
  const size_t count = 1 + payload.Vectors(absl::MakeSpan(vectors).subspan(1));
  size_t bytes = 0;
  for (size_t i = 1; i < count; ++i) bytes += vectors[i].iov_len;
  if (bytes < payload.size()) return Write(CopyPacket(header, payload, serial));
  const int error = SendMessage(fd(), absl::MakeSpan(vectors.data(), count));
  if (error == 0) return Written::kDone;
  return error == EAGAIN ? Written::kAgain : Written::kGone;
}

OutboundLink::Written OutboundLink::Write(const SwitchedPacket& packet) const {
  LinkPacketStart wire = EncodeLinkPacket(packet.header, packet.serial);
  std::array<iovec, 2> vectors = {iovec{wire.data(), wire.size()},
                                  iovec{packet.payload.get(), packet.size}};
  const int error = SendMessage(fd(), absl::MakeSpan(vectors));
  if (error == 0) return Written::kDone;
  return error == EAGAIN ? Written::kAgain : Written::kGone;
}

bool OutboundLink::Admits(const SwitchedPacket& packet) const {
  if (packet.header.op == kVsockOpRst) return resets_ < kMostResets;
  const uint64_t used = budget_.bytes.load(std::memory_order_relaxed);
  const uint64_t free = budget_.max_bytes - std::min(used, budget_.max_bytes);
  return packet.cost <= free && bytes_ + packet.cost <= free - packet.cost;
}

void OutboundLink::Count(const SwitchedPacket& packet) {
  if (packet.header.op == kVsockOpRst) {
    ++resets_;
    return;
  }
  bytes_ += packet.cost;
  budget_.bytes.fetch_add(packet.cost, std::memory_order_relaxed);
}

void OutboundLink::Uncount(const SwitchedPacket& packet) {
  if (packet.header.op == kVsockOpRst) {
    --resets_;
    return;
  }
  bytes_ -= packet.cost;
  budget_.bytes.fetch_sub(packet.cost, std::memory_order_relaxed);
}

OutboundLink::Result OutboundLink::SendOne(const PacketHeader& header,
                                           const PacketPayload& payload,
                                           uint64_t serial) {
  bool first = false;
  {
    MutexLock lock(mu_);
    if (gone_) return Result::kGone;
    first = !sending_ && waiting_.empty();
    if (first) {
      sending_ = true;
      again_ = false;
    }
  }
  if (!first) return Enqueue(CopyPacket(header, payload, serial));
  const Written written = Write(header, payload, serial);
  Result result = Result::kSent;
  if (written == Written::kGone) {
    Close();
    result = Result::kGone;
  } else if (written == Written::kAgain) {
    SwitchedPacket packet = CopyPacket(header, payload, serial);
    MutexLock lock(mu_);
    if (gone_) {
      result = Result::kGone;
    } else if (Admits(packet)) {
      Count(packet);
      waiting_.push_front(std::move(packet));  // What others sent is newer.
    } else {
      result = Result::kFull;
    }
    if (!again_) {
      sending_ = false;
      return result;
    }
  }
  SendWaiting();
  return result;
}

OutboundLink::Result OutboundLink::Enqueue(SwitchedPacket packet) {
  {
    MutexLock lock(mu_);
    if (gone_) return Result::kGone;
    if (!Admits(packet)) return Result::kFull;
    Count(packet);
    waiting_.push_back(std::move(packet));
    // Somebody sends it, or Flush() will; unless all of that was done between
    // the caller's look and now.
    if (sending_ || waiting_.size() > 1) return Result::kSent;
    sending_ = true;
  }
  SendWaiting();
  return Result::kSent;
}

// REQUIRES: `sending_` was set by this thread.
void OutboundLink::SendWaiting() {
  for (int i = 0; i < kMostOfOthers; ++i) {
    SwitchedPacket packet;
    {
      MutexLock lock(mu_);
      again_ = false;
      if (gone_ || waiting_.empty()) {
        sending_ = false;
        return;
      }
      packet = std::move(waiting_.front());
      waiting_.pop_front();
    }
    const Written written = Write(packet);
    if (written == Written::kGone) {
      Close();
      continue;
    }
    MutexLock lock(mu_);
    if (gone_) continue;  // All was uncounted.
    if (written == Written::kDone) {
      Uncount(packet);
      continue;
    }
    waiting_.push_front(std::move(packet));
    if (again_) continue;
    sending_ = false;
    return;
  }
  {
    MutexLock lock(mu_);
    sending_ = false;
    if (waiting_.empty()) return;
  }
  AskForFlush();
}

void OutboundLink::AskForFlush() const {
  // An edge-triggered entry that is modified reports anew what it is ready for.
  epoll_event event = {};
  event.events = EPOLLOUT | EPOLLET;
  event.data.u64 = id_;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd(), &event);
}

OutboundLink::Result OutboundLink::Send(const PacketHeader& header,
                                        const PacketPayload& payload,
                                        uint64_t serial) {
  PacketHeader piece = header;
  PacketPayload rest = payload;
  while (rest.size() > kLinkMaxPayload) {
    piece.len = kLinkMaxPayload;
    piece.flags = 0;  // Which go with the last one.
    const Result result = SendOne(piece, rest.First(kLinkMaxPayload), serial);
    if (result != Result::kSent) return result;
    rest = rest.Without(kLinkMaxPayload);
  }
  piece.len = static_cast<uint32_t>(rest.size());
  piece.flags = header.flags;
  return SendOne(piece, rest, serial);
}

void OutboundLink::Flush() {
  {
    MutexLock lock(mu_);
    if (sending_) {
      again_ = true;
      return;
    }
    if (gone_ || waiting_.empty()) return;
    sending_ = true;
  }
  SendWaiting();
}

void OutboundLink::Close() {
  std::deque<SwitchedPacket> dropped;  // Freed without the lock.
  {
    MutexLock lock(mu_);
    gone_ = true;
    budget_.bytes.fetch_sub(bytes_, std::memory_order_relaxed);
    bytes_ = 0;
    resets_ = 0;
    dropped.swap(waiting_);
  }
  // Also if it is the peer who closed it, but only for one direction: for fd()
  // is to hang up.
  ::shutdown(fd(), SHUT_RDWR);
}

}  // namespace annulus::virtio
