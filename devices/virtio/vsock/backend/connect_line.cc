#include "devices/virtio/vsock/backend/connect_line.h"

#include <algorithm>

#include "base/check.h"
#include "devices/virtio/vsock/backend/port_line.h"

namespace annulus::virtio {

size_t ConnectLine::Take(absl::string_view bytes) {
  ANNULUS_DCHECK(state_ == State::kIncomplete);
  bytes = bytes.substr(0, room());
  const size_t line_feed = bytes.find('\n');
  const bool ends = line_feed != bytes.npos;
  if (ends) bytes = bytes.substr(0, line_feed + 1);
  std::copy(bytes.begin(), bytes.end(), bytes_.begin() + size_);
  size_ += bytes.size();
  if (ends) {
    const std::optional<uint32_t> port =
        ParseConnectLine({bytes_.data(), size_ - 1});
    state_ = port.has_value() ? State::kComplete : State::kWrong;
    port_ = port.value_or(0);
  } else if (size_ == kMaxBytes) {
    state_ = State::kWrong;
  }
  return bytes.size();
}

std::optional<uint32_t> ParseConnectLine(absl::string_view line) {
  return ParsePortLine("connect", line);
}

}  // namespace annulus::virtio
