#ifndef VMM_CONTROL_DELIMITED_MESSAGE_H_
#define VMM_CONTROL_DELIMITED_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"

namespace annulus {

// What one side of a control socket sends at most, in one message.
inline constexpr size_t kMaxControlRequest = 4096;
inline constexpr size_t kMaxControlReply = size_t{4} << 20;

// Appends `message` with its length in front, as protobuf's delimited streams
// have it.
void AppendDelimited(const google::protobuf::MessageLite& message,
                     std::string& stream);

// Takes a stream of such messages apart, however it was cut.
//
//   reader.Append(bytes);
//   while (std::optional<absl::string_view> message = reader.Next()) ...
//   if (!reader.status().ok()) ...
//
// Threads: thread-compatible.
// Trust: the stream is untrusted.
// Allocation: what was appended and not taken; never because of a length that
//   is announced.
class DelimitedReader {
 public:
  explicit DelimitedReader(size_t max_message) : max_message_(max_message) {}

  void Append(absl::string_view bytes);

  // The next message, until the next call of anything; nothing, where the rest
  // is yet to come, or the stream is broken.
  std::optional<absl::string_view> Next();

  // InvalidArgument: no length comes; ResourceExhausted: too great a one. For
  // good: where the next message would begin is not known.
  const absl::Status& status() const { return status_; }

  // Bytes that were appended and not taken.
  size_t pending() const { return buffer_.size() - start_; }

 private:
  const size_t max_message_;
  std::string buffer_;
  size_t start_ = 0;
  absl::Status status_;
};

}  // namespace annulus

#endif  // VMM_CONTROL_DELIMITED_MESSAGE_H_
