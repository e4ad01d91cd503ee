#ifndef TOOLS_CONFIG_DOCS_SCHEMA_SET_H_
#define TOOLS_CONFIG_DOCS_SCHEMA_SET_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"

namespace annulus {

// Descriptors as `protoc --include_source_info --descriptor_set_out` writes
// them. Unlike those that are compiled into a program, they have the comments.
class SchemaSet {
 public:
  static absl::StatusOr<std::unique_ptr<SchemaSet>> Load(
      const std::string& path);
  static absl::StatusOr<std::unique_ptr<SchemaSet>> Build(
      const google::protobuf::FileDescriptorProto& file);

  const google::protobuf::FileDescriptor& file() const { return *file_; }

 private:
  SchemaSet() = default;

  google::protobuf::DescriptorPool pool_;
  const google::protobuf::FileDescriptor* file_ = nullptr;  // Of pool_.
};

}  // namespace annulus

#endif  // TOOLS_CONFIG_DOCS_SCHEMA_SET_H_
