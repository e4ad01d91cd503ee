// What a caller says, in pieces that the first byte chooses: the line that is
// found, and where it ends, do not depend on the pieces; no byte behind the
// line feed is taken; and it is what a reader of the whole line finds.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <random>

#include "absl/strings/string_view.h"
#include "devices/virtio/vsock/backend/connect_line.h"

namespace annulus::virtio {
namespace {

using State = ConnectLine::State;

void Require(bool condition) {
  if (!condition) std::abort();
}

void Check(absl::string_view text, uint8_t seed) {
  ConnectLine line;
  std::minstd_rand random(seed + 1u);
  size_t taken = 0;
  while (line.state() == State::kIncomplete && taken < text.size()) {
    Require(line.room() >= 1);
    const size_t piece =
        std::min(text.size() - taken, size_t{random() % 40 + 1});
    const size_t took = line.Take(text.substr(taken, piece));
    Require(took >= 1 && took <= piece);
    taken += took;
  }
  const absl::string_view head = text.substr(0, ConnectLine::kMaxBytes);
  const size_t line_feed = head.find('\n');
  if (line_feed == head.npos) {
    const bool full = head.size() == ConnectLine::kMaxBytes;
    Require(line.state() == (full ? State::kWrong : State::kIncomplete));
    return;
  }
  Require(taken == line_feed + 1);
  const std::optional<uint32_t> port =
      ParseConnectLine(head.substr(0, line_feed));
  Require(line.state() ==
          (port.has_value() ? State::kComplete : State::kWrong));
  Require(line.port() == port.value_or(0));
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // As bytes of our own, not of guest memory.
  annulus::virtio::Check({reinterpret_cast<const char*>(data + 1), size - 1},
                         data[0]);
  return 0;
}
