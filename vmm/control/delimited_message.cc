#include "vmm/control/delimited_message.h"

#include "absl/strings/str_cat.h"

namespace annulus {
namespace {

// A length of 32 bits, seven in each byte.
constexpr size_t kMaxLengthBytes = 5;

}  // namespace

void AppendDelimited(const google::protobuf::MessageLite& message,
                     std::string& stream) {
  const std::string body = message.SerializeAsString();
  for (size_t rest = body.size();; rest >>= 7) {
    const bool last = rest < 0x80;
    stream.push_back(static_cast<char>((rest & 0x7f) | (last ? 0 : 0x80)));
    if (last) break;
  }
  stream += body;
}

void DelimitedReader::Append(absl::string_view bytes) {
  buffer_.erase(0, start_);
  start_ = 0;
  buffer_.append(bytes.data(), bytes.size());
}

std::optional<absl::string_view> DelimitedReader::Next() {
  if (!status_.ok()) return std::nullopt;
  const absl::string_view rest = absl::string_view(buffer_).substr(start_);
  uint64_t length = 0;
  size_t used = 0;
  for (bool more = true; more; ++used) {
    if (used == kMaxLengthBytes) {
      status_ = absl::InvalidArgumentError("what comes is no message");
      return std::nullopt;
    }
    if (used == rest.size()) return std::nullopt;
    const auto byte = static_cast<uint8_t>(rest[used]);
    length |= uint64_t{byte & 0x7fu} << 7 * used;
    more = (byte & 0x80) != 0;
  }
  if (length > max_message_) {
    status_ = absl::ResourceExhaustedError(
        absl::StrCat("a message of ", length, " bytes, where at most ",
                     max_message_, " are taken"));
    return std::nullopt;
  }
  if (rest.size() - used < length) return std::nullopt;
  start_ += used + length;
  return rest.substr(used, length);
}

}  // namespace annulus
