#ifndef TESTS_GUEST_USER_VSOCK_TRANSFER_H_
#define TESTS_GUEST_USER_VSOCK_TRANSFER_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace annulus::guest_user {

// What the client of a connection says first; in a SEQPACKET socket a message
// of its own.
struct TransferRequest {
  enum Operation : uint32_t {
    kEcho = 1,  // Returns what comes until there is no more.
    kSink,      // Takes `bytes`, and answers with a TransferResult.
    kSource,    // Sends `bytes`, then closes.
    kAnswer,    // Takes all until the client has shut its half down, then
                // sends as many bytes of the next seed, then closes.
    kQuestion,  // Sends `bytes` and shuts its half down; takes as many.
    kFailures,  // Answers with a TransferResult: how many connections failed.
  };

  uint32_t magic = kMagic;
  uint32_t operation = kEcho;
  uint64_t bytes = 0;
  uint64_t seed = 0;
  uint32_t chunk_bytes = 65536;  // Of each system call, or of each message.
  uint32_t delay_ms = 0;         // kSink, kSource: before the first byte.
  uint32_t unchecked = 0;        // 1: any bytes do, for measurements.
  uint32_t reserved = 0;

  static constexpr uint32_t kMagic = 0x766b6370;
  static constexpr uint32_t kMaxChunkBytes = 1 << 20;
};

struct TransferResult {
  uint64_t value = 0;
};

// Both of them, and all that follow: DeadlineExceeded when the socket's timeout
// is over, Aborted if the connection is gone, DataLoss for bytes that are not
// those of the pattern, or too few.
absl::Status SendAll(int fd, absl::Span<const char> bytes);

// What there is, at least a byte; 0 at the end.
absl::StatusOr<size_t> ReceiveSome(int fd, absl::Span<char> bytes);

// All of `bytes`. Returns 0 if there is nothing but the end.
absl::StatusOr<size_t> ReceiveAll(int fd, absl::Span<char> bytes);

template <typename T>
absl::Status SendStruct(int fd, const T& value) {
  return SendAll(fd, absl::MakeConstSpan(reinterpret_cast<const char*>(&value),
                                         sizeof(T)));
}

template <typename T>
absl::StatusOr<size_t> ReceiveStruct(int fd, T& value) {
  return ReceiveAll(fd,
                    absl::MakeSpan(reinterpret_cast<char*>(&value), sizeof(T)));
}

// The first `bytes` of the request's pattern, in chunks. `progress`, if not
// null, is kept at how many were sent.
absl::Status SendPattern(int fd, const TransferRequest& request, uint64_t bytes,
                         uint64_t* progress = nullptr);

// Up to `bytes` of the request's pattern, or less if they end earlier; how many
// they were.
absl::StatusOr<uint64_t> ReceivePattern(int fd, const TransferRequest& request,
                                        uint64_t bytes);

// The same, but DataLoss if they end earlier.
absl::Status ReceiveWholePattern(int fd, const TransferRequest& request);

// No byte follows.
absl::Status ExpectEnd(int fd);

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_VSOCK_TRANSFER_H_
