#ifndef CLI_ESCAPE_FILTER_H_
#define CLI_ESCAPE_FILTER_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace annulus::cli {

// Finds the escape sequences in what a person types on the guest's console:
//   Ctrl-A X         leave          Ctrl-A H or ?    help
//   Ctrl-A Ctrl-A    Ctrl-A itself  Ctrl-A A         Ctrl-A itself
// Letters of either case. Ctrl-A with anything else: both are swallowed. A
// sequence may be spread over several calls.
//
// Threads: thread-compatible.
class EscapeFilter {
 public:
  enum class Command { kNone, kLeave, kHelp };

  // Consumes `typed` up to and including the first command, or all of it, and
  // appends what the guest shall see to `guest`. `consumed` tells how far it
  // came: call again for the rest.
  Command Filter(absl::string_view typed, std::string& guest, size_t& consumed);

 private:
  bool escaped_ = false;  // The last byte was Ctrl-A.
};

}  // namespace annulus::cli

#endif  // CLI_ESCAPE_FILTER_H_
