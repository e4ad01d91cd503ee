// The beginning of a datagram of the host: what is found in it is a line that
// names a port, within bounds, and the payload behind it does not matter.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "devices/virtio/vsock/backend/unix_datagrams.h"

namespace annulus::virtio {
namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

void Check(absl::string_view datagram) {
  const std::optional<DatagramLine> line = ParseDatagramLine(datagram);
  if (!line.has_value()) return;
  Require(line->bytes <= DatagramLine::kMaxBytes);
  Require(line->bytes <= datagram.size());
  Require(datagram.find('\n') == line->bytes - 1);
  const auto alone = ParseDatagramLine(datagram.substr(0, line->bytes));
  Require(alone.has_value() && alone->port == line->port);
  Require(!ParseDatagramLine(datagram.substr(0, line->bytes - 1)));
  // It says what it was taken for.
  const auto plain = ParseDatagramLine(absl::StrCat("PORT ", line->port, "\n"));
  Require(plain.has_value() && plain->port == line->port);
  Require(datagram.find(absl::StrCat(line->port)) < line->bytes);
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  annulus::virtio::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
