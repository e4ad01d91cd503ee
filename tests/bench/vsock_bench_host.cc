#include "tests/bench/vsock_bench_host.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/unique_fd.h"
#include "tests/bench/vsock_bench_stream.h"

namespace annulus::bench {
namespace {

// Those of many sockets that are ready. One is not watched: it may block.
class Ready {
 public:
  Ready(const std::vector<UniqueFd>& sockets, uint32_t events)
      : one_(sockets.size() == 1) {
    if (one_) return;
    epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    ANNULUS_CHECK(epoll_.valid());
    for (uint32_t i = 0; i < sockets.size(); ++i) {
      epoll_event event = {.events = events, .data = {.u32 = i}};
      ANNULUS_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, sockets[i].get(),
                                &event) == 0);
    }
  }

  // Waits for some, and calls `function` with the number of each.
  template <typename Function>
  void ForEach(Function function) {
    if (one_) return function(0);
    epoll_event events[64];
    const int count = ::epoll_wait(epoll_.get(), events, 64, 1000);
    ANNULUS_CHECK(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; ++i) function(events[i].data.u32);
  }
  void Remove(const UniqueFd& socket) {
    if (one_) return;
    ANNULUS_CHECK(
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket.get(), nullptr) == 0);
  }
  int flags() const { return one_ ? 0 : MSG_DONTWAIT; }

 private:
  const bool one_;
  UniqueFd epoll_;
};

}  // namespace

UniqueFd CallGuest(const std::string& name, uint32_t port) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ANNULUS_CHECK(socket.valid());
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  ANNULUS_CHECK(name.size() < sizeof(address.sun_path));
  // An abstract name: '@' stands for 0.
  std::memcpy(address.sun_path + 1, name.data() + 1, name.size() - 1);
  ANNULUS_CHECK(
      ::connect(
          socket.get(),
          static_cast<const sockaddr*>(static_cast<const void*>(&address)),
          static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) +
                                 name.size())) == 0);
  const std::string line = "CONNECT " + std::to_string(port) + "\n";
  ANNULUS_CHECK(::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(line.size()));
  std::string answer;
  while (answer.empty() || answer.back() != '\n') {
    char c;
    ANNULUS_CHECK(::recv(socket.get(), &c, 1, 0) == 1);
    answer += c;
  }
  ANNULUS_CHECK(answer.compare(0, 3, "OK ") == 0);
  return socket;
}

void WriteStreams(const std::vector<UniqueFd>& sockets, const Pattern& pattern,
                  uint32_t bytes, const Transfer& transfer) {
  struct Stream {
    uint64_t sent = 0;
    uint64_t end = UINT64_MAX;
  };
  std::vector<Stream> streams(sockets.size());
  Ready ready(sockets, EPOLLOUT);
  const uint64_t tail =
      Transfer::TailBytes(static_cast<uint32_t>(sockets.size()));
  size_t left = sockets.size();
  while (left != 0) {
    ready.ForEach([&](uint32_t i) {
      Stream& stream = streams[i];
      if (stream.end == UINT64_MAX && transfer.stopped()) {
        stream.end = stream.sent + tail;
      }
      const size_t count = std::min<uint64_t>(bytes, stream.end - stream.sent);
      const ssize_t sent = ::send(sockets[i].get(), pattern.At(i, stream.sent),
                                  count, MSG_NOSIGNAL | ready.flags());
      if (sent < 0) {
        ANNULUS_CHECK(errno == EAGAIN || errno == EINTR);
        return;
      }
      stream.sent += static_cast<uint64_t>(sent);
      if (stream.sent != stream.end) return;
      ready.Remove(sockets[i]);
      ANNULUS_CHECK(::shutdown(sockets[i].get(), SHUT_WR) == 0);
      --left;
    });
  }
}

void ReadStreams(const std::vector<UniqueFd>& sockets, const Pattern& pattern,
                 Transfer& transfer) {
  std::vector<uint64_t> received(sockets.size());
  std::vector<uint8_t> buffer(Pattern::kMost);
  Ready ready(sockets, EPOLLIN);
  size_t left = sockets.size();
  while (left != 0) {
    ready.ForEach([&](uint32_t i) {
      const ssize_t count =
          ::recv(sockets[i].get(), buffer.data(), buffer.size(), ready.flags());
      if (count < 0) {
        ANNULUS_CHECK(errno == EAGAIN || errno == EINTR);
        return;
      }
      if (count == 0) {
        ready.Remove(sockets[i]);
        ANNULUS_CHECK(transfer.stopped());
        --left;
        return;
      }
      const auto bytes = static_cast<size_t>(count);
      pattern.Check(i, received[i], buffer.data(), bytes, transfer.stopped());
      received[i] += bytes;
      transfer.Count(bytes);
    });
  }
}

std::vector<uint32_t> PingPong(const UniqueFd& socket,
                               const Transfer& transfer) {
  std::vector<uint32_t> times;
  times.reserve(1 << 20);
  for (uint8_t byte = 0; !transfer.stopped(); ++byte) {
    const auto begin = std::chrono::steady_clock::now();
    ANNULUS_CHECK(::send(socket.get(), &byte, 1, MSG_NOSIGNAL) == 1);
    uint8_t back;
    ANNULUS_CHECK(::recv(socket.get(), &back, 1, 0) == 1 && back == byte);
    times.push_back(static_cast<uint32_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(
            std::chrono::steady_clock::now() - begin)
            .count()));
  }
  ANNULUS_CHECK(::shutdown(socket.get(), SHUT_WR) == 0);
  return times;
}

void Echo(const UniqueFd& socket) {
  uint8_t byte;
  while (::recv(socket.get(), &byte, 1, 0) == 1) {
    ANNULUS_CHECK(::send(socket.get(), &byte, 1, MSG_NOSIGNAL) == 1);
  }
}

}  // namespace annulus::bench
