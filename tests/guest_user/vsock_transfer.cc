#include "tests/guest_user/vsock_transfer.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tests/guest_user/vsock_address.h"
#include "tests/guest_user/vsock_pattern.h"

namespace annulus::guest_user {

absl::Status SendAll(int fd, absl::Span<const char> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return ConnectionError("send");
    }
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> ReceiveSome(int fd, absl::Span<char> bytes) {
  while (true) {
    const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return ConnectionError("recv");
  }
}

absl::StatusOr<size_t> ReceiveAll(int fd, absl::Span<char> bytes) {
  for (size_t done = 0; done < bytes.size();) {
    ANNULUS_ASSIGN_OR_RETURN(const size_t got,
                             ReceiveSome(fd, bytes.subspan(done)));
    if (got == 0 && done == 0) return size_t{0};
    if (got == 0) {
      return absl::DataLossError(
          absl::StrCat("the end after ", done, " of ", bytes.size(), " bytes"));
    }
    done += got;
  }
  return bytes.size();
}

absl::Status SendPattern(int fd, const TransferRequest& request, uint64_t bytes,
                         uint64_t* progress) {
  const Pattern pattern(request.seed);
  std::vector<char> chunk(request.chunk_bytes);
  for (uint64_t done = 0; done < bytes;) {
    const size_t size = std::min<uint64_t>(chunk.size(), bytes - done);
    const auto part = absl::MakeSpan(chunk).first(size);
    if (request.unchecked == 0) pattern.Fill(part, done);
    ANNULUS_RETURN_IF_ERROR(SendAll(fd, part));
    done += size;
    if (progress != nullptr) *progress = done;
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> ReceivePattern(int fd, const TransferRequest& request,
                                        uint64_t bytes) {
  const Pattern pattern(request.seed);
  std::vector<char> chunk(request.chunk_bytes);
  uint64_t done = 0;
  while (done < bytes) {
    const auto part = absl::MakeSpan(chunk).first(
        std::min<uint64_t>(chunk.size(), bytes - done));
    ANNULUS_ASSIGN_OR_RETURN(const size_t got, ReceiveSome(fd, part));
    if (got == 0) break;
    if (request.unchecked == 0) {
      const auto wrong = pattern.FindDifference(part.first(got), done);
      if (wrong.has_value()) {
        return absl::DataLossError(
            absl::StrCat("byte ", *wrong, " of ", bytes, " is another one"));
      }
    }
    done += got;
  }
  return done;
}

absl::Status ReceiveWholePattern(int fd, const TransferRequest& request) {
  ANNULUS_ASSIGN_OR_RETURN(const uint64_t got,
                           ReceivePattern(fd, request, request.bytes));
  if (got == request.bytes) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the end after ", got, " of ", request.bytes, " bytes"));
}

absl::Status ExpectEnd(int fd) {
  char byte = 0;
  ANNULUS_ASSIGN_OR_RETURN(const size_t got,
                           ReceiveSome(fd, absl::MakeSpan(&byte, 1)));
  if (got == 0) return absl::OkStatus();
  return absl::DataLossError("more bytes than there should be");
}

}  // namespace annulus::guest_user
