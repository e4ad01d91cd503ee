#ifndef CLI_VERSION_H_
#define CLI_VERSION_H_

#include "absl/strings/string_view.h"

namespace annulus::cli {

// Semantic version of the whole program; CHANGELOG.md has what is in it.
inline constexpr absl::string_view kVersion = "0.1.0";

}  // namespace annulus::cli

#endif  // CLI_VERSION_H_
