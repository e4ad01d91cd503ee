#ifndef TOOLS_CONFIG_DOCS_CONFIG_REFERENCE_H_
#define TOOLS_CONFIG_DOCS_CONFIG_REFERENCE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace annulus {

// In docs/configuration.md everything from this line on is made from the
// schemas; what stands above is written by hand.
inline constexpr absl::string_view kReferenceMarker =
    "<!-- From here on made from proto/vm_config.proto and "
    "proto/device_config.proto by "
    "`bazel run //tools/config_docs:write_docs`: edit those files. -->\n";

// A field's comment taken apart: what it says, and the X of its last sentence
// "Default: X.". Both empty without a comment.
struct FieldComment {
  std::string meaning;        // One line.
  std::string default_value;  // Empty: not stated.
};
FieldComment CommentOf(const google::protobuf::FieldDescriptor& field);

// One section for each message of `files`, in their order, with a table of the
// fields and a list of the values of each enum. They must have source
// locations. InvalidArgument names the first element without a comment, or
// field without a default.
absl::StatusOr<std::string> ConfigReference(
    const std::vector<const google::protobuf::FileDescriptor*>& files);

}  // namespace annulus

#endif  // TOOLS_CONFIG_DOCS_CONFIG_REFERENCE_H_
