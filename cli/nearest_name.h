#ifndef CLI_NEAREST_NAME_H_
#define CLI_NEAREST_NAME_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace annulus::cli {

// The name that a mistyped `word` most likely meant: at most a third of its
// letters (but one) are wrong, missing, too many or swapped. Also a name that
// `word` begins, or that begins with it, if it is the only one.
std::optional<absl::string_view> NearestName(
    absl::string_view word, absl::Span<const absl::string_view> names);

}  // namespace annulus::cli

#endif  // CLI_NEAREST_NAME_H_
