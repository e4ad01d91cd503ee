#ifndef VMM_CONFIG_MESSAGE_TEXT_H_
#define VMM_CONFIG_MESSAGE_TEXT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "vmm/config/config_format.h"

namespace annulus {

// Reads `message` from text. Errors are InvalidArgument with one line each:
// "FILE:LINE:COLUMN: REASON" for text format, "FILE: FIELD: REASON" for JSON.
//
// Trust: `text` is untrusted. Nesting and size are bounded.
absl::Status ParseMessage(absl::string_view text, ConfigFormat format,
                          absl::string_view file_name,
                          google::protobuf::Message& message);

// InvalidArgument "PLACE: REASON", of which the reason may quote the file: one
// line, printable, bounded.
absl::Status TextError(absl::string_view place, absl::string_view reason);

// As text format.
std::string FormatMessage(const google::protobuf::Message& message);

}  // namespace annulus

#endif  // VMM_CONFIG_MESSAGE_TEXT_H_
