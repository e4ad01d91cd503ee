#include "tests/guest_user/vsock_server.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "tests/guest_user/vsock_transfer.h"

namespace annulus::guest_user {
namespace {

absl::Status Echo(int fd, const TransferRequest& request) {
  std::vector<char> buffer(request.chunk_bytes);
  while (true) {
    ANNULUS_ASSIGN_OR_RETURN(const size_t got,
                             ReceiveSome(fd, absl::MakeSpan(buffer)));
    if (got == 0) return absl::OkStatus();
    ANNULUS_RETURN_IF_ERROR(
        SendAll(fd, absl::MakeConstSpan(buffer).first(got)));
  }
}

absl::Status Sink(int fd, const TransferRequest& request) {
  absl::SleepFor(absl::Milliseconds(request.delay_ms));
  ANNULUS_RETURN_IF_ERROR(ReceiveWholePattern(fd, request));
  ANNULUS_RETURN_IF_ERROR(SendStruct(fd, TransferResult{request.bytes}));
  return ExpectEnd(fd);
}

absl::Status Source(int fd, const TransferRequest& request) {
  absl::SleepFor(absl::Milliseconds(request.delay_ms));
  return SendPattern(fd, request, request.bytes);
}

// The client's half is shut down, and nothing of ours gets lost of that.
absl::Status AnswerQuestion(int fd, TransferRequest request) {
  ANNULUS_ASSIGN_OR_RETURN(const uint64_t got,
                           ReceivePattern(fd, request, UINT64_MAX));
  ++request.seed;
  return SendPattern(fd, request, got);
}

// Ours is.
absl::Status Question(int fd, TransferRequest request) {
  ANNULUS_RETURN_IF_ERROR(SendPattern(fd, request, request.bytes));
  if (::shutdown(fd, SHUT_WR) != 0) return ConnectionError("shutdown");
  ++request.seed;
  ANNULUS_RETURN_IF_ERROR(ReceiveWholePattern(fd, request));
  return ExpectEnd(fd);
}

}  // namespace

TransferServer::~TransferServer() {
  for (Session& session : sessions_) session.thread.Join();
}

absl::Status TransferServer::Run() {
  while (true) {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return ConnectionError("accept");
    }
    ANNULUS_RETURN_IF_ERROR(SetTimeouts(socket.get(), options_));
    sessions_.remove_if(
        [](const Session& session) -> bool { return session.done; });
    Session& session = sessions_.emplace_back();
    session.socket = std::move(socket);
    ANNULUS_ASSIGN_OR_RETURN(
        session.thread,
        Thread::Start("session", [this, &session] { Serve(session); }));
  }
}

void TransferServer::Serve(Session& session) {
  const absl::Status status = Answer(session.socket.get());
  if (!status.ok()) {
    ++failures_;
    std::printf("vsock_peer serve: a connection failed: %s\n",
                std::string(status.message()).c_str());
    std::fflush(stdout);
  }
  session.socket.reset();
  session.done = true;
}

absl::Status TransferServer::Answer(int fd) {
  TransferRequest request;
  ANNULUS_ASSIGN_OR_RETURN(const size_t got, ReceiveStruct(fd, request));
  // Who only looks whether somebody is here has no request.
  if (got == 0) return absl::OkStatus();
  if (request.magic != TransferRequest::kMagic || request.chunk_bytes == 0 ||
      request.chunk_bytes > TransferRequest::kMaxChunkBytes) {
    return absl::DataLossError("no request");
  }
  switch (request.operation) {
    case TransferRequest::kEcho:
      return Echo(fd, request);
    case TransferRequest::kSink:
      return Sink(fd, request);
    case TransferRequest::kSource:
      return Source(fd, request);
    case TransferRequest::kAnswer:
      return AnswerQuestion(fd, request);
    case TransferRequest::kQuestion:
      return Question(fd, request);
    case TransferRequest::kFailures:
      return SendStruct(fd, TransferResult{failures_});
    default:
      return absl::DataLossError("no such request");
  }
}

}  // namespace annulus::guest_user
