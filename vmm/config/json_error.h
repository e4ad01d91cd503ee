#ifndef VMM_CONFIG_JSON_ERROR_H_
#define VMM_CONFIG_JSON_ERROR_H_

#include <string>

#include "absl/strings/string_view.h"

namespace annulus {

// Where in a JSON text protobuf's parser stopped, and why.
struct JsonError {
  std::string place;   // ":LINE:COLUMN", ": FIELD" or empty.
  std::string reason;  // May hold bytes of the text; not yet made printable.
};

// Takes the message of a failed JsonStringToMessage(text) apart. Those messages
// come in two kinds: a syntax error quotes up to 40 bytes of the text with a
// caret below, which is turned into line and column; any other names the field
// in one of several ways, which become one. A message of neither kind is passed
// on as the reason.
//
// Trust: `text`, and so `message`, is untrusted.
JsonError ExplainJsonError(absl::string_view message, absl::string_view text);

}  // namespace annulus

#endif  // VMM_CONFIG_JSON_ERROR_H_
