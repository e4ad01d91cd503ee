#include <sys/socket.h>

#include <atomic>
#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "tests/guest_user/vsock_client.h"
#include "tests/guest_user/vsock_pattern.h"

// Many connections, and those that end or stand still; see vsock_client.h.

namespace annulus::guest_user {
namespace {

using Request = TransferRequest;

// Of each of many connections: enough to see that none gets another's.
constexpr size_t kProbeBytes = 16;
// What an endless transfer has to have carried before it is said to run.
constexpr uint64_t kRunningBytes = 1 << 20;
constexpr uint64_t kEndless = uint64_t{1} << 60;

absl::Status Probe(int fd, uint64_t seed) {
  char bytes[kProbeBytes];
  const Pattern pattern(seed);
  pattern.Fill(absl::MakeSpan(bytes), 0);
  ANNULUS_RETURN_IF_ERROR(SendAll(fd, bytes));
  ANNULUS_ASSIGN_OR_RETURN(const size_t got,
                           ReceiveAll(fd, absl::MakeSpan(bytes)));
  if (got == 0) return absl::AbortedError("closed before it answered");
  if (pattern.FindDifference(bytes, 0)) {
    return absl::DataLossError("another connection's bytes");
  }
  return absl::OkStatus();
}

absl::Status Numbered(const absl::Status& status, uint64_t number,
                      uint64_t count) {
  return absl::Status(status.code(),
                      absl::StrCat("connection ", number, " of ", count, ": ",
                                   status.message()));
}

std::string ConnectionRate(uint64_t count, int64_t start_ns) {
  const double seconds =
      static_cast<double>(MonotonicNanoseconds() - start_ns) / 1e9;
  return absl::StrFormat("connections=%d seconds=%.2f per_s=%.1f", count,
                         seconds, static_cast<double>(count) / seconds);
}

absl::Status OneOfMany(const ClientOptions& options, uint64_t number) {
  // Gone again before anything is said.
  if (number % 4 == 3) {
    return ConnectSocket(options.address, options.socket).status();
  }
  ANNULUS_ASSIGN_OR_RETURN(
      const UniqueFd fd,
      OpenTransfer(options, RequestFor(options, Request::kEcho)));
  return Probe(fd.get(), options.seed + number);
}

// Round trips until `over`; how many.
absl::StatusOr<uint64_t> PingUntil(const ClientOptions& options,
                                   const std::atomic<bool>& over) {
  ANNULUS_ASSIGN_OR_RETURN(
      const UniqueFd fd,
      OpenTransfer(options, RequestFor(options, Request::kEcho)));
  uint64_t pings = 0;
  for (; !over; ++pings) {
    ANNULUS_RETURN_IF_ERROR(Probe(fd.get(), pings));
    absl::SleepFor(absl::Milliseconds(10));
  }
  return pings;
}

}  // namespace

absl::StatusOr<std::string> Churn(const ClientOptions& options) {
  const int64_t start = MonotonicNanoseconds();
  for (uint64_t i = 0; i < options.count; ++i) {
    const absl::Status status = OneOfMany(options, i);
    if (!status.ok()) return Numbered(status, i, options.count);
  }
  return ConnectionRate(options.count, start);
}

absl::StatusOr<std::string> Hold(const ClientOptions& options) {
  // Small: the server has one such buffer for each.
  ClientOptions small = options;
  small.chunk_bytes = 256;
  const int64_t start = MonotonicNanoseconds();
  std::vector<UniqueFd> sockets;
  for (uint64_t i = 0; i < options.count; ++i) {
    absl::StatusOr<UniqueFd> fd =
        OpenTransfer(small, RequestFor(small, Request::kEcho));
    if (!fd.ok()) return Numbered(fd.status(), i, options.count);
    sockets.push_back(*std::move(fd));
  }
  for (int round = 0; round < 2; ++round) {
    for (uint64_t i = 0; i < options.count; ++i) {
      const absl::Status status = Probe(sockets[i].get(), options.seed + i);
      if (!status.ok()) return Numbered(status, i, options.count);
    }
  }
  sockets.clear();
  // There is room for another one.
  ANNULUS_RETURN_IF_ERROR(OneOfMany(options, 0));
  return ConnectionRate(options.count, start);
}

absl::StatusOr<std::string> Stall(const ClientOptions& options) {
  Request request =
      RequestFor(options, options.receive ? Request::kSource : Request::kSink);
  if (!options.receive) {
    request.delay_ms =
        static_cast<uint32_t>(absl::ToInt64Milliseconds(options.delay));
  }
  ClientOptions patient = options;
  patient.socket.timeout += options.delay;
  ANNULUS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenTransfer(patient, request));
  // Half of the time that one stands still is enough for any other.
  ClientOptions impatient = options;
  impatient.chunk_bytes = 256;
  impatient.socket.timeout = options.delay / 2;
  std::atomic<bool> over = false;
  absl::StatusOr<uint64_t> pings = uint64_t{0};
  ANNULUS_ASSIGN_OR_RETURN(Thread pinger,
                           Thread::Start("pinger", [&impatient, &over, &pings] {
                             pings = PingUntil(impatient, over);
                           }));
  absl::Status status;
  if (options.receive) {
    absl::SleepFor(options.delay);
    status = ReceiveWholePattern(fd.get(), request);
  } else {
    status = SendPattern(fd.get(), request, request.bytes);
    TransferResult result;
    if (status.ok()) status = ReceiveStruct(fd.get(), result).status();
    if (status.ok() && result.value != request.bytes) {
      status = absl::DataLossError("the server has not got all");
    }
  }
  over = true;
  pinger.Join();
  ANNULUS_RETURN_IF_ERROR(status);
  if (!pings.ok()) {
    return absl::Status(
        pings.status().code(),
        absl::StrCat("the second connection: ", pings.status().message()));
  }
  if (*pings == 0) return absl::DeadlineExceededError("no ping in that time");
  return absl::StrCat("bytes=", request.bytes, " pings=", *pings);
}

absl::StatusOr<std::string> Endless(const ClientOptions& options) {
  Request request =
      RequestFor(options, options.receive ? Request::kSource : Request::kSink);
  request.bytes = kEndless;
  ANNULUS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenTransfer(options, request));
  std::vector<char> chunk(options.chunk_bytes);
  bool started = false;
  const Pattern pattern(options.seed);
  uint64_t done = 0;
  while (true) {
    absl::StatusOr<size_t> moved = chunk.size();
    if (options.receive) {
      moved = ReceiveSome(fd.get(), absl::MakeSpan(chunk));
    } else {
      pattern.Fill(absl::MakeSpan(chunk), done);
      const absl::Status sent = SendAll(fd.get(), chunk);
      if (!sent.ok()) moved = sent;
    }
    if (moved.ok() && *moved == 0) moved = absl::AbortedError("the end");
    if (absl::IsAborted(moved.status()) && started) {
      return absl::StrCat("ended_after=", done, " reason=\"",
                          moved.status().message(), "\"");
    }
    if (!moved.ok()) return moved.status();
    done += *moved;
    if (done >= kRunningBytes && !started) {
      started = true;
      std::puts("started");
      std::fflush(stdout);
    }
  }
}

}  // namespace annulus::guest_user
