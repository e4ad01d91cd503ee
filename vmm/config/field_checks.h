#ifndef VMM_CONFIG_FIELD_CHECKS_H_
#define VMM_CONFIG_FIELD_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace annulus {

// How the validation of a configuration says what is wrong: InvalidArgument,
// one line "FIELD: REASON".
//
// Trust: names of fields are ours, values may be anything.

inline constexpr size_t kMaxPathLength = 4095;  // PATH_MAX - 1.
inline constexpr size_t kMaxSocketPath = 107;   // sockaddr_un's, less the NUL.
inline constexpr uint32_t kMinFd = 3;  // Those before are standard streams.
inline constexpr uint32_t kMaxFd = 1 << 20;
inline constexpr uint32_t kMaxHostCpu = 1023;  // CPU_SETSIZE - 1.

absl::Status WrongField(absl::string_view field, absl::string_view reason);

// OK if `value` is in low..high.
absl::Status CheckRange(absl::string_view field, uint64_t value, uint64_t low,
                        uint64_t high);

// `path` may be empty. A NUL would silently cut it short in open(2).
absl::Status CheckPath(absl::string_view field, absl::string_view path,
                       size_t max_length = kMaxPathLength);

// The path or abstract name of a unix socket, to which `suffix` more bytes are
// appended.
absl::Status CheckSocketPath(absl::string_view field, absl::string_view path,
                             size_t suffix = 0);

// A descriptor that somebody passed.
absl::Status CheckFd(absl::string_view field, uint32_t fd);

// For a reason: in quotes, printable, cut after some characters.
std::string Quoted(absl::string_view untrusted);

}  // namespace annulus

#endif  // VMM_CONFIG_FIELD_CHECKS_H_
