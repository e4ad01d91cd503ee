#ifndef TOOLS_CONFIG_DOCS_CONFIG_REFERENCE_H_
#define TOOLS_CONFIG_DOCS_CONFIG_REFERENCE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace annulus {

// In docs/configuration.md everything from this line on is made from
// proto/vm_config.proto; what stands above is written by hand.
inline constexpr absl::string_view kReferenceMarker =
    "<!-- From here on made from proto/vm_config.proto by "
    "`bazel run //tools/config_docs:write_docs`: edit that file. -->\n";

// A field's comment taken apart: what it says, and the X of its last sentence
// "Default: X.". Both empty without a comment.
struct FieldComment {
  std::string meaning;        // One line.
  std::string default_value;  // Empty: not stated.
};
FieldComment CommentOf(const google::protobuf::FieldDescriptor& field);

// One section for each message of `file`, in its order, with a table of the
// fields and a list of the values of each enum. `file` must have source
// locations. InvalidArgument names the first element without a comment, or
// field without a default.
absl::StatusOr<std::string> ConfigReference(
    const google::protobuf::FileDescriptor& file);

}  // namespace annulus

#endif  // TOOLS_CONFIG_DOCS_CONFIG_REFERENCE_H_
