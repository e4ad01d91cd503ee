#ifndef TOOLS_CONFIG_DOCS_SCHEMA_SET_H_
#define TOOLS_CONFIG_DOCS_SCHEMA_SET_H_

#include <memory>
#include <string>
#include <vector>

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
  // Files that others import come before those.
  static absl::StatusOr<std::unique_ptr<SchemaSet>> Build(
      const google::protobuf::FileDescriptorSet& set);

  const std::vector<const google::protobuf::FileDescriptor*>& files() const {
    return files_;
  }
  // Null: there is none.
  const google::protobuf::Descriptor* FindMessage(
      const std::string& full_name) const {
    return pool_.FindMessageTypeByName(full_name);
  }

 private:
  SchemaSet() = default;

  google::protobuf::DescriptorPool pool_;
  std::vector<const google::protobuf::FileDescriptor*> files_;  // Of pool_.
};

}  // namespace annulus

#endif  // TOOLS_CONFIG_DOCS_SCHEMA_SET_H_
