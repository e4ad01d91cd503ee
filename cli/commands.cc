#include "cli/commands.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "cli/exit_codes.h"
#include "cli/log.h"

namespace annulus::cli {

int UsageError(absl::string_view command, absl::string_view reason) {
  PrintError(absl::StrCat(reason, " (see annulus ", command, " --help)"));
  return static_cast<int>(ExitCode::kUsage);
}

int PrintOutput(absl::string_view text) {
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
      std::fflush(stdout) == 0;
  if (written) return static_cast<int>(ExitCode::kSuccess);
  PrintError(absl::StrCat("standard output: ", std::strerror(errno)));
  return static_cast<int>(ExitCode::kHostError);
}

}  // namespace annulus::cli
