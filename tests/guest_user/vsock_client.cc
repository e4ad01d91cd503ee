#include "tests/guest_user/vsock_client.h"

#include <sys/socket.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "tests/guest_user/vsock_pattern.h"

namespace annulus::guest_user {
namespace {

using Request = TransferRequest;

constexpr uint64_t kMaxPingBytes = 65536;

class Stopwatch {
 public:
  double seconds() const {
    return static_cast<double>(MonotonicNanoseconds() - start_) / 1e9;
  }

 private:
  const int64_t start_ = MonotonicNanoseconds();
};

std::string Rate(uint64_t bytes, double seconds) {
  return absl::StrFormat("bytes=%d seconds=%.4f mb_per_s=%.2f", bytes, seconds,
                         static_cast<double>(bytes) / seconds / 1e6);
}

absl::Status ExpectResult(int fd, uint64_t value) {
  TransferResult result;
  ANNULUS_ASSIGN_OR_RETURN(const size_t got, ReceiveStruct(fd, result));
  if (got == 0) return absl::DataLossError("the server failed");
  if (result.value == value) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the server says ", result.value, ", not ", value));
}

// The first connection to the address.
absl::StatusOr<UniqueFd> AcceptOne(const ClientOptions& options) {
  ANNULUS_ASSIGN_OR_RETURN(const UniqueFd listener,
                           ListenSocket(options.address, options.socket));
  UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd.valid()) return ConnectionError("accept");
  ANNULUS_RETURN_IF_ERROR(SetTimeouts(fd.get(), options.socket));
  return fd;
}

}  // namespace

Request RequestFor(const ClientOptions& options, Request::Operation operation) {
  Request request;
  request.operation = operation;
  request.bytes = options.bytes;
  request.seed = options.seed;
  request.chunk_bytes = options.chunk_bytes;
  request.unchecked = options.unchecked ? 1 : 0;
  return request;
}

absl::StatusOr<UniqueFd> OpenTransfer(const ClientOptions& options,
                                      const Request& request) {
  ANNULUS_ASSIGN_OR_RETURN(UniqueFd fd,
                           ConnectSocket(options.address, options.socket));
  ANNULUS_RETURN_IF_ERROR(SendStruct(fd.get(), request));
  return fd;
}

absl::StatusOr<std::string> Transfer(const ClientOptions& options) {
  const Request request =
      RequestFor(options, options.receive ? Request::kSource : Request::kSink);
  ANNULUS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenTransfer(options, request));
  const Stopwatch watch;
  if (options.receive) {
    ANNULUS_RETURN_IF_ERROR(ReceiveWholePattern(fd.get(), request));
  } else {
    ANNULUS_RETURN_IF_ERROR(SendPattern(fd.get(), request, request.bytes));
    ANNULUS_RETURN_IF_ERROR(ExpectResult(fd.get(), request.bytes));
  }
  const double seconds = watch.seconds();
  if (options.receive) ANNULUS_RETURN_IF_ERROR(ExpectEnd(fd.get()));
  return Rate(request.bytes, seconds);
}

absl::StatusOr<std::string> EchoStream(const ClientOptions& options) {
  const Request request = RequestFor(options, Request::kEcho);
  ANNULUS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenTransfer(options, request));
  const Stopwatch watch;
  absl::Status sent;
  ANNULUS_ASSIGN_OR_RETURN(
      Thread sender, Thread::Start("sender", [&fd, &request, &sent] {
        sent = SendPattern(fd.get(), request, request.bytes);
        if (sent.ok() && ::shutdown(fd.get(), SHUT_WR) != 0) {
          sent = ConnectionError("shutdown");
        }
      }));
  absl::Status received = ReceiveWholePattern(fd.get(), request);
  // So that the sender ends if this half has failed.
  if (!received.ok()) ::shutdown(fd.get(), SHUT_RDWR);
  sender.Join();
  ANNULUS_RETURN_IF_ERROR(received);
  ANNULUS_RETURN_IF_ERROR(sent);
  ANNULUS_RETURN_IF_ERROR(ExpectEnd(fd.get()));
  return Rate(request.bytes, watch.seconds());
}

absl::StatusOr<std::string> HalfClose(const ClientOptions& options) {
  Request request = RequestFor(
      options, options.receive ? Request::kQuestion : Request::kAnswer);
  ANNULUS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenTransfer(options, request));
  const Stopwatch watch;
  if (options.receive) {
    ANNULUS_RETURN_IF_ERROR(ReceiveWholePattern(fd.get(), request));
    ANNULUS_RETURN_IF_ERROR(ExpectEnd(fd.get()));
    ++request.seed;
    ANNULUS_RETURN_IF_ERROR(SendPattern(fd.get(), request, request.bytes));
    return Rate(request.bytes, watch.seconds());
  }
  ANNULUS_RETURN_IF_ERROR(SendPattern(fd.get(), request, request.bytes));
  if (::shutdown(fd.get(), SHUT_WR) != 0) return ConnectionError("shutdown");
  ++request.seed;
  ANNULUS_RETURN_IF_ERROR(ReceiveWholePattern(fd.get(), request));
  ANNULUS_RETURN_IF_ERROR(ExpectEnd(fd.get()));
  return Rate(request.bytes, watch.seconds());
}

absl::StatusOr<std::string> Messages(const ClientOptions& options) {
  ANNULUS_ASSIGN_OR_RETURN(
      const UniqueFd fd,
      OpenTransfer(options, RequestFor(options, Request::kEcho)));
  std::vector<char> sent(options.chunk_bytes);
  std::vector<char> received(options.chunk_bytes);
  for (uint64_t i = 0; i < options.count; ++i) {
    // Small ones, the largest one, and those between.
    const size_t size = i == 1 ? sent.size() : 1 + i * 7919 % sent.size();
    const Pattern pattern(options.seed + i);
    pattern.Fill(absl::MakeSpan(sent).first(size), 0);
    ANNULUS_RETURN_IF_ERROR(
        SendAll(fd.get(), absl::MakeConstSpan(sent).first(size)));
    ANNULUS_ASSIGN_OR_RETURN(const size_t got,
                             ReceiveSome(fd.get(), absl::MakeSpan(received)));
    if (got != size ||
        pattern.FindDifference(absl::MakeConstSpan(received).first(got), 0)) {
      return absl::DataLossError(absl::StrCat(
          "message ", i, " of ", size, " bytes came back as another of ", got));
    }
  }
  if (::shutdown(fd.get(), SHUT_WR) != 0) return ConnectionError("shutdown");
  ANNULUS_RETURN_IF_ERROR(ExpectEnd(fd.get()));
  return absl::StrCat("messages=", options.count);
}

absl::StatusOr<std::string> Ping(const ClientOptions& options) {
  // More might fill the way there and back, and stand still for good.
  if (options.bytes == 0 || options.bytes > kMaxPingBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a ping has 1 to ", kMaxPingBytes, " bytes"));
  }
  ANNULUS_ASSIGN_OR_RETURN(
      const UniqueFd fd,
      OpenTransfer(options, RequestFor(options, Request::kEcho)));
  std::vector<char> bytes(options.bytes);
  std::vector<double> times;
  for (uint64_t i = 0; i < options.count; ++i) {
    const Pattern pattern(options.seed + i);
    pattern.Fill(absl::MakeSpan(bytes), 0);
    const Stopwatch watch;
    ANNULUS_RETURN_IF_ERROR(SendAll(fd.get(), bytes));
    ANNULUS_RETURN_IF_ERROR(
        ReceiveAll(fd.get(), absl::MakeSpan(bytes)).status());
    times.push_back(watch.seconds() * 1e6);
    if (pattern.FindDifference(bytes, 0)) {
      return absl::DataLossError(absl::StrCat("ping ", i, " has other bytes"));
    }
  }
  if (times.empty()) return std::string("pings=0");
  std::sort(times.begin(), times.end());
  return absl::StrFormat("pings=%d median_us=%.0f min_us=%.0f max_us=%.0f",
                         times.size(), times[times.size() / 2], times.front(),
                         times.back());
}

absl::StatusOr<std::string> Failures(const ClientOptions& options) {
  ANNULUS_ASSIGN_OR_RETURN(
      const UniqueFd fd,
      OpenTransfer(options, RequestFor(options, Request::kFailures)));
  ANNULUS_RETURN_IF_ERROR(ExpectResult(fd.get(), 0));
  return std::string("failures=0");
}

absl::StatusOr<std::string> Notify(const ClientOptions& options,
                                   const std::vector<std::string>& words) {
  ANNULUS_ASSIGN_OR_RETURN(const UniqueFd fd,
                           ConnectSocket(options.address, options.socket));
  for (const std::string& word : words) {
    ANNULUS_RETURN_IF_ERROR(SendAll(fd.get(), absl::StrCat(word, "\n")));
  }
  if (::shutdown(fd.get(), SHUT_WR) != 0) return ConnectionError("shutdown");
  ANNULUS_RETURN_IF_ERROR(ExpectEnd(fd.get()));
  return absl::StrCat("notified=", words.size());
}

absl::StatusOr<std::string> ReturnAll(const ClientOptions& options) {
  ANNULUS_ASSIGN_OR_RETURN(const UniqueFd fd, AcceptOne(options));
  std::vector<char> buffer(options.chunk_bytes);
  uint64_t bytes = 0;
  while (true) {
    ANNULUS_ASSIGN_OR_RETURN(const size_t got,
                             ReceiveSome(fd.get(), absl::MakeSpan(buffer)));
    if (got == 0) return absl::StrCat("bytes=", bytes);
    ANNULUS_RETURN_IF_ERROR(
        SendAll(fd.get(), absl::MakeConstSpan(buffer).first(got)));
    bytes += got;
  }
}

absl::StatusOr<std::string> AwaitNotification(const ClientOptions& options) {
  ANNULUS_ASSIGN_OR_RETURN(const UniqueFd fd, AcceptOne(options));
  std::vector<char> buffer(options.chunk_bytes);
  std::vector<std::string> messages;
  while (true) {
    ANNULUS_ASSIGN_OR_RETURN(const size_t got,
                             ReceiveSome(fd.get(), absl::MakeSpan(buffer)));
    if (got == 0) break;
    std::string message(buffer.data(), got);
    std::replace(message.begin(), message.end(), '\n', ';');
    messages.push_back(std::move(message));
  }
  return absl::StrCat("messages=", absl::StrJoin(messages, "|"));
}

}  // namespace annulus::guest_user
