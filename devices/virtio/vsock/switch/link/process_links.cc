#include "devices/virtio/vsock/switch/link/process_links.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/event_fd.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/switch/link/link_message.h"

namespace annulus::virtio {
namespace {

// What an epoll event is about; any other number is the id of a link.
constexpr uint64_t kDoorbell = 0;
constexpr uint64_t kListener = std::numeric_limits<uint64_t>::max();

// Bounds of one Poll().
constexpr int kMostEvents = 64;
constexpr int kMostAccepted = 64;
constexpr int kPacketsPerTurn = 64;

// Who has not said hello may stay until so many others came.
constexpr size_t kMostStrangers = 32;
constexpr size_t kMostInbound = 1024;

bool Watch(int epoll, int fd, uint32_t events, uint64_t id) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = id;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProcessLinks>> ProcessLinks::Create(
    const std::string& directory, const std::string& name,
    SwitchMembers& members, SwitchMember& self, LogSink& log) {
  ANNULUS_ASSIGN_OR_RETURN(CidSocket socket,
                           CidSocket::Create(directory, self.endpoint.cid()));
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  ANNULUS_ASSIGN_OR_RETURN(EventFd wake, EventFd::Create());
  const int doorbell = self.endpoint.doorbell().fd();
  UniqueFd spare(::fcntl(doorbell, F_DUPFD_CLOEXEC, 0));
  // Level-triggered: for Deliver() and Poll() to silence.
  if (!epoll.valid() || !spare.valid() ||
      !Watch(epoll.get(), doorbell, EPOLLIN, kDoorbell) ||
      !Watch(epoll.get(), wake.fd(), EPOLLIN, kDoorbell)) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat(name, ": descriptors for other processes"));
  }
  return std::unique_ptr<ProcessLinks>(
      new ProcessLinks(directory, name, members, self, log, std::move(epoll),
                       std::move(wake), std::move(socket), std::move(spare)));
}

ProcessLinks::ProcessLinks(const std::string& directory,
                           const std::string& name, SwitchMembers& members,
                           SwitchMember& self, LogSink& log, UniqueFd epoll,
                           EventFd wake, CidSocket socket, UniqueFd spare)
    : name_(name),
      log_(log),
      log_limiter_(5, absl::Seconds(10)),
      members_(members),
      self_(self),
      epoll_(std::move(epoll)),
      wake_(std::move(wake)),
      outbound_(directory, self.endpoint.cid(), self.endpoint.max_bytes(),
                epoll_.get(), members),
      socket_(std::move(socket)),
      spare_(std::move(spare)) {}

void ProcessLinks::Report(const char* what) {
  if (!log_limiter_.Allow(MonotonicNanoseconds())) return;
  log_.Log(LogSeverity::kWarning, absl::StrCat(name_, ": switch: ", what));
}

void ProcessLinks::Listen() {
  const absl::Status status = socket_.Listen();
  if (!status.ok()) {
    log_.Log(LogSeverity::kError,
             absl::StrCat(
                 name_, ": no other process can connect: ", status.ToString()));
    return;
  }
  // Edge-triggered, so that callers who cannot be accepted do not spin.
  Watch(epoll_.get(), socket_.fd(), EPOLLIN | EPOLLET, kListener);
  accept_more_ = true;
}

void ProcessLinks::StopListening() {
  accept_more_ = false;
  const absl::Status status = socket_.StopListening();
  if (!status.ok()) {  // Listen() tries again.
    log_.Log(LogSeverity::kError, absl::StrCat(name_, ": ", status.ToString()));
  }
}

void ProcessLinks::CloseAll() {
  inbound_.clear();
  inbound_by_cid_.clear();
  strangers_.clear();
  ready_.clear();
  paused_.clear();
  outbound_.CloseAll();
  MutexLock lock(mu_);
  close_soon_.clear();
}

bool ProcessLinks::Send(const PacketHeader& header,
                        const PacketPayload& payload,
                        const SwitchConnection& connection) {
  const bool reset = header.op == kVsockOpRst;
  // Twice: a link may turn out to be lost.
  for (int i = 0; i < 2; ++i) {
    const bool unbound = connection.out_link == 0;
    const std::shared_ptr<OutboundLink> link =
        unbound
            ? outbound_.FindOrConnect(header.dst_cid, MonotonicNanoseconds())
            : outbound_.Find(header.dst_cid);
    if (link == nullptr) break;
    if (unbound) {
      // A RST has removed the connection already.
      if (!reset && !self_.endpoint.BindOutLink(
                        KeyOfSender(header), connection.serial, link->id())) {
        return false;
      }
    } else if (link->id() != connection.out_link) {
      return false;  // It was lost, which the other end knows.
    }
    switch (link->Send(header, payload, connection.serial)) {
      case OutboundLink::Result::kSent:
        return true;
      case OutboundLink::Result::kFull: {
        // All that a REQUEST began is over. Of any other one the peer is told,
        // as it is by the loss of the link.
        if (header.op == kVsockOpRequest) return false;
        PacketHeader rst = header;
        rst.op = kVsockOpRst;
        rst.flags = 0;
        if (reset || link->Send(rst, PacketPayload(), connection.serial) !=
                         OutboundLink::Result::kSent) {
          link->Close();
        }
        return false;
      }
      case OutboundLink::Result::kGone:
        outbound_.Lose(*link);
        if (!unbound) return false;
        break;
    }
  }
  if (connection.in_link != 0) CloseInboundSoon(connection.in_link);
  return false;
}

bool ProcessLinks::SendDatagram(const PacketHeader& header,
                                const PacketPayload& payload) {
  for (int i = 0; i < 2; ++i) {
    const std::shared_ptr<OutboundLink> link =
        outbound_.FindOrConnect(header.dst_cid, MonotonicNanoseconds());
    if (link == nullptr) return false;
    const OutboundLink::Result result =
        link->Send(header, payload, /*serial=*/0);
    if (result != OutboundLink::Result::kGone) {
      return result == OutboundLink::Result::kSent;
    }
    outbound_.Lose(*link);
  }
  return false;
}

void ProcessLinks::CloseInboundSoon(uint64_t id) {
  {
    MutexLock lock(mu_);
    close_soon_.insert(id);
  }
  wake_.Ring();
}

void ProcessLinks::Poll() {
  wake_.Silence();
  std::array<epoll_event, kMostEvents> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), kMostEvents, 0);
  for (int i = 0; i < count; ++i) {
    const uint64_t id = events[i].data.u64;
    if (id == kDoorbell) continue;
    if (id == kListener) {
      accept_more_ = true;
      continue;
    }
    const auto inbound = inbound_.find(id);
    if (inbound != inbound_.end()) {
      MakeReady(*inbound->second);
    } else {
      OutboundEvent(id, events[i].events);
    }
  }
  if (accept_more_) Accept();
  absl::flat_hash_set<uint64_t> close_soon;
  {
    MutexLock lock(mu_);
    close_soon.swap(close_soon_);
  }
  for (const uint64_t id : close_soon) CloseInbound(id);

  turn_.clear();
  turn_.swap(ready_);
  for (const uint64_t id : turn_) {
    const auto found = inbound_.find(id);
    if (found == inbound_.end()) continue;
    found->second->ready = false;
    if (!Read(*found->second)) CloseInbound(id);
  }
  if (!ready_.empty() || accept_more_) wake_.Ring();
}

void ProcessLinks::Resume() {
  if (paused_.empty()) return;
  for (const uint64_t id : paused_) {
    const auto found = inbound_.find(id);
    if (found == inbound_.end()) continue;
    found->second->paused = false;
    MakeReady(*found->second);
  }
  paused_.clear();
  if (!ready_.empty()) wake_.Ring();
}

void ProcessLinks::MakeReady(InboundLink& link) {
  if (link.ready || link.paused) return;
  link.ready = true;
  ready_.push_back(link.id);
}

void ProcessLinks::OutboundEvent(uint64_t id, uint32_t events) {
  const std::shared_ptr<OutboundLink> link = outbound_.FindById(id);
  if (link == nullptr) return;
  if ((events & (EPOLLHUP | EPOLLERR)) == 0) {
    link->Flush();
    return;
  }
  outbound_.Remove(*link);
  link->Close();
  // The peer may have sent something before it went.
  const auto found = inbound_by_cid_.find(link->cid());
  if (found == inbound_by_cid_.end()) {
    self_.endpoint.EndLink(id);
    return;
  }
  InboundLink& inbound = *inbound_.find(found->second)->second;
  Drained(inbound);
  inbound.ends = id;
  MakeReady(inbound);
}

void ProcessLinks::Drained(InboundLink& link) {
  if (link.ends == 0) return;
  self_.endpoint.EndLink(link.ends);
  link.ends = 0;
}

void ProcessLinks::CloseInbound(uint64_t id) {
  const auto found = inbound_.find(id);
  if (found == inbound_.end()) return;
  const std::unique_ptr<InboundLink> link = std::move(found->second);
  inbound_.erase(found);
  if (link->cid == 0) {
    strangers_.erase(std::find(strangers_.begin(), strangers_.end(), id));
    return;
  }
  const auto by_cid = inbound_by_cid_.find(link->cid);
  if (by_cid != inbound_by_cid_.end() && by_cid->second == id) {
    inbound_by_cid_.erase(by_cid);
  }
  self_.endpoint.EndLink(id);
  Drained(*link);
}

void ProcessLinks::Accept() {
  for (int i = 0; i < kMostAccepted; ++i) {
    UniqueFd socket(::accept4(socket_.fd(), nullptr, nullptr,
                              SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EMFILE || errno == ENFILE) {
        // So that the caller learns that there is no room.
        spare_.reset();
        UniqueFd refused(
            ::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
        const bool accepted = refused.valid();
        refused.reset();
        TakeSpare();
        Report("no descriptors for another process");
        if (accepted) continue;
      }
      accept_more_ = false;
      break;
    }
    auto link = std::make_unique<InboundLink>();
    link->id = members_.NextSerial();
    link->socket = std::move(socket);
    if (!Watch(epoll_.get(), link->socket.get(), EPOLLIN | EPOLLRDHUP | EPOLLET,
               link->id)) {
      continue;
    }
    if (strangers_.size() >= kMostStrangers) {
      Report("a caller that said nothing was hung up on");
      CloseInbound(strangers_.front());
    }
    strangers_.push_back(link->id);
    MakeReady(*link);
    inbound_.emplace(link->id, std::move(link));
  }
  if (!spare_.valid()) TakeSpare();
}

void ProcessLinks::TakeSpare() {
  spare_ = UniqueFd(::fcntl(wake_.fd(), F_DUPFD_CLOEXEC, 0));
}

bool ProcessLinks::Read(InboundLink& link) {
  if (link.packet.cost != 0 && !Give(link)) return true;
  for (int i = 0; i < kPacketsPerTurn; ++i) {
    switch (buffer_.Receive(link.socket.get())) {
      case LinkBuffer::Received::kNone:
        Drained(link);
        return true;
      case LinkBuffer::Received::kEnd:
        return false;
      case LinkBuffer::Received::kMessage:
        break;
    }
    if (link.cid == 0) {
      if (!Hello(link)) return false;
      continue;
    }
    if (!buffer_.IsPacket(link.cid, self_.endpoint.cid())) {
      Report("a message that is no packet ended a link");
      return false;
    }
    link.packet = buffer_.ToPacket();
    if (!Give(link)) return true;
  }
  MakeReady(link);
  return true;
}

bool ProcessLinks::Hello(InboundLink& link) {
  const std::optional<uint64_t> cid = DecodeLinkHello(buffer_.start());
  // Nobody else speaks for the guests of this process.
  if (!cid.has_value() || members_.Find(*cid) != nullptr) {
    Report("a caller did not say who it is, or lied");
    return false;
  }
  const auto earlier = inbound_by_cid_.find(*cid);
  if (earlier != inbound_by_cid_.end()) {
    CloseInbound(earlier->second);  // It lost that one, and connects anew.
  } else if (inbound_by_cid_.size() >= kMostInbound) {
    Report("too many other processes");
    return false;
  }
  strangers_.erase(std::find(strangers_.begin(), strangers_.end(), link.id));
  link.cid = *cid;
  inbound_by_cid_[*cid] = link.id;
  outbound_.Heard(*cid);
  return true;
}

bool ProcessLinks::Give(InboundLink& link) {
  SwitchedPacket packet = std::exchange(link.packet, {});
  if (packet.header.type == kVsockTypeDgram) {
    self_.datagrams.Arrive(std::move(packet));  // Or it is lost.
    return true;
  }
  const PacketHeader header = packet.header;
  // There was none when it said hello.
  if (header.op == kVsockOpRequest && members_.Find(link.cid) != nullptr) {
    return true;
  }
  switch (self_.endpoint.Arrive(packet, link.id)) {
    case SwitchEndpoint::Arrival::kTaken:
    case SwitchEndpoint::Arrival::kUnknown:
      // Whoever ended an unknown connection has told the other end, which sent
      // this before it knew.
      return true;
    case SwitchEndpoint::Arrival::kFull:
      link.packet = std::move(packet);
      link.paused = true;
      paused_.push_back(link.id);
      return false;
    case SwitchEndpoint::Arrival::kLimit:
    case SwitchEndpoint::Arrival::kClosed:
      if (header.op == kVsockOpRequest) Refuse(header, packet.serial);
      return true;
  }
  return true;
}

void ProcessLinks::Refuse(const PacketHeader& request, uint64_t serial) {
  const std::shared_ptr<OutboundLink> link =
      outbound_.FindOrConnect(request.src_cid, MonotonicNanoseconds());
  if (link != nullptr && link->Send(ResetFor(request), PacketPayload(),
                                    serial) == OutboundLink::Result::kSent) {
    return;
  }
  CloseInboundSoon(inbound_by_cid_.find(request.src_cid)->second);
}

}  // namespace annulus::virtio
