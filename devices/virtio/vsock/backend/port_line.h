#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_PORT_LINE_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_PORT_LINE_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace annulus::virtio {

// Hot. A port in decimal, without sign or space. Nothing: it is none.
std::optional<uint32_t> ParsePortNumber(absl::string_view text);

// Hot. The port of a line of text "<keyword> <port>", given without its line
// feed: the keyword in upper or lower case, white space before, between and
// behind the two words. Nothing: it is another line.
std::optional<uint32_t> ParsePortLine(absl::string_view keyword,
                                      absl::string_view line);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_PORT_LINE_H_
