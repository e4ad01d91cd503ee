#ifndef TESTS_GUEST_USER_SYSFS_FILE_H_
#define TESTS_GUEST_USER_SYSFS_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace annulus::guest_user {

// The small text files of sysfs and /proc/sys: one value each.

absl::StatusOr<std::string> ReadText(const std::string& path);

// Decimal, or with 0x hexadecimal.
absl::StatusOr<uint64_t> ReadNumber(const std::string& path);

// In one write(2), which is what the kernel looks at.
absl::Status WriteText(const std::string& path, absl::string_view text);

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_SYSFS_FILE_H_
