#include "cli/escape_filter.h"

namespace annulus::cli {
namespace {
constexpr char kCtrlA = 0x01;
}  // namespace

EscapeFilter::Command EscapeFilter::Filter(absl::string_view typed,
                                           std::string& guest,
                                           size_t& consumed) {
  for (consumed = 0; consumed < typed.size();) {
    const char c = typed[consumed++];
    if (!escaped_) {
      if (c == kCtrlA) {
        escaped_ = true;
      } else {
        guest.push_back(c);
      }
      continue;
    }
    escaped_ = false;
    switch (c) {
      case 'x':
      case 'X':
        return Command::kLeave;
      case 'h':
      case 'H':
      case '?':
        return Command::kHelp;
      case 'a':
      case 'A':
      case kCtrlA:
        guest.push_back(kCtrlA);
        break;
      default:
        break;
    }
  }
  return Command::kNone;
}

}  // namespace annulus::cli
