// A front-end that sends whatever it likes: its bytes and descriptors go
// through a socket, and what comes out as messages goes to the memory rooms.
//
// Input: pieces of a byte with the number of descriptors, a byte with their
// kind, a byte with a length, and as many bytes for the socket. Descriptors are
// memfds of some sizes, some of which are cut off once a message was applied,
// and what is no memory at all.

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/memory/front_end_memory.h"
#include "devices/vhost_user/memory/inflight_memory.h"
#include "devices/vhost_user/memory/log_memory.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/message_socket.h"
#include "devices/vhost_user/wire/protocol.h"
#include "memory/bus_errors.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_region.h"
#include "memory/guest_span.h"

namespace annulus::vhost_user {
namespace {

constexpr size_t kMaxSent = kMaxFds + 2;

UniqueFd Descriptor(uint8_t kind) {
  if (kind % 8 == 7) return UniqueFd(::eventfd(0, EFD_CLOEXEC));
  UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  ANNULUS_CHECK(::ftruncate(fd.get(), 4096 * (kind % 8)) == 0);
  return fd;
}

// What messages do to memory; the order of the session is not looked at.
class Target {
 public:
  explicit Target(const EventFd& lost) : lost_(lost), memory_(lost) {}

  void Apply(const Message& message) {
    switch (static_cast<Request>(message.request)) {
      case Request::kSetMemTable:
        SetTable(message);
        break;
      case Request::kAddMemReg:
        if (const auto region = Region(message);
            region.has_value() && message.fds.size() == 1) {
          memory_.Add(*region, message.fds[0]).IgnoreError();
        }
        break;
      case Request::kRemMemReg:
        if (const auto region = Region(message); region.has_value()) {
          memory_.Remove(*region).IgnoreError();
        }
        break;
      case Request::kSetLogBase:
        SetLog(message);
        break;
      case Request::kSetInflightFd:
        SetInflight(message);
        break;
      case Request::kSetVringAddr:
        if (const auto address = message.Payload<VringAddress>()) {
          const auto ring = memory_.ToGuest(address->descriptor);
          ANNULUS_CHECK(!ring.has_value() ||
                        memory_.memory()->Map(*ring, 1).has_value());
          ANNULUS_CHECK(!ring.has_value() || memory_.ToFile(*ring).has_value());
        }
        break;
      default:
        break;
    }
  }

  // The first and the last byte of each region.
  void Touch() const {
    if (memory_.memory() == nullptr) return;
    const std::array<uint8_t, 1> byte = {1};
    for (const memory::GuestRegion& region : memory_.memory()->regions()) {
      const uint64_t start = region.start.value();
      ANNULUS_CHECK(memory_.memory()->Write(memory::GuestAddress(start), byte));
      ANNULUS_CHECK(memory_.memory()->Write(
          memory::GuestAddress(start + region.size - 1), byte));
    }
  }

 private:
  static std::optional<MemoryRegion> Region(const Message& message) {
    if (message.size != 8 + sizeof(MemoryRegion)) return std::nullopt;
    MemoryRegion region;
    std::memcpy(&region, message.payload.data() + 8, sizeof(region));
    return region;
  }

  void SetTable(const Message& message) {
    std::vector<MemoryRegion> regions(
        (message.size - std::min(message.size, 8u)) / sizeof(MemoryRegion));
    if (!regions.empty()) {
      std::memcpy(regions.data(), message.payload.data() + 8,
                  regions.size() * sizeof(MemoryRegion));
    }
    memory_.SetTable(regions, message.fds).IgnoreError();
  }

  void SetLog(const Message& message) {
    const auto description = message.Payload<LogDescription>();
    if (!description.has_value() || message.fds.empty()) return;
    auto log = LogMemory::Map(*description, message.fds[0], lost_);
    memory_.SetDirtyLog(log.ok() ? &(*log)->log() : nullptr);
    log_ = log.ok() ? *std::move(log) : nullptr;
  }

  void SetInflight(const Message& message) {
    const auto description = message.Payload<InflightDescription>();
    if (!description.has_value() || message.fds.empty()) return;
    auto inflight =
        InflightMemory::Map(*description, message.fds[0], 512, lost_);
    if (!inflight.ok()) return;
    for (size_t i = 0; i <= inflight->num_queues(); ++i) {
      const memory::GuestSpan area = inflight->queue(i);
      area.Fill(0, area.size(), 0xff);
    }
  }

  const EventFd& lost_;
  std::unique_ptr<LogMemory> log_;
  FrontEndMemory memory_;
};

// One piece to the socket, which has room for all of an input.
void Write(int socket, absl::Span<const uint8_t> bytes,
           const std::vector<UniqueFd>& fds) {
  iovec from = {const_cast<uint8_t*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxSent)>
      control = {};
  msghdr header = {};
  header.msg_iov = &from;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* const item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    for (size_t i = 0; i < fds.size(); ++i) {
      const int fd = fds[i].get();
      std::memcpy(CMSG_DATA(item) + i * sizeof(int), &fd, sizeof(int));
    }
  }
  (void)::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Run(absl::Span<const uint8_t> input) {
  ANNULUS_CHECK(memory::HandleBusErrors().ok());
  std::array<int, 2> ends;
  ANNULUS_CHECK(
      ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  UniqueFd peer(ends[0]);
  MessageSocket socket((UniqueFd(ends[1])));
  const absl::StatusOr<EventFd> stop = EventFd::Create();
  const absl::StatusOr<EventFd> lost = EventFd::Create();
  ANNULUS_CHECK(stop.ok() && lost.ok());
  std::vector<UniqueFd> doomed;
  while (input.size() > 3) {
    std::vector<UniqueFd> fds;
    for (size_t i = 0; i < input[0] % kMaxSent; ++i) {
      fds.push_back(Descriptor(static_cast<uint8_t>(input[1] + i)));
    }
    const bool cut_off = (input[1] & 0x80) != 0;
    const size_t length = std::min<size_t>(input[2], input.size() - 3);
    if (length != 0) Write(peer.get(), input.subspan(3, length), fds);
    input.remove_prefix(3 + length);
    if (cut_off) std::move(fds.begin(), fds.end(), std::back_inserter(doomed));
  }
  peer.reset();

  Target target(*lost);
  for (;;) {
    const absl::StatusOr<Message> message =
        socket.Receive(*stop, absl::InfiniteDuration());
    if (!message.ok()) return;
    target.Apply(*message);
    target.Touch();
    for (const UniqueFd& fd : doomed) {
      ANNULUS_CHECK(::ftruncate(fd.get(), 0) == 0 || errno == EINVAL);
    }
    doomed.clear();
    target.Touch();
  }
}

}  // namespace
}  // namespace annulus::vhost_user

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  annulus::vhost_user::Run(absl::MakeConstSpan(data, size));
  return 0;
}
