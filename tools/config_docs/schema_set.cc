#include "tools/config_docs/schema_set.h"

#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace annulus {

absl::StatusOr<std::unique_ptr<SchemaSet>> SchemaSet::Load(
    const std::string& path) {
  google::protobuf::FileDescriptorSet set;
  std::ifstream in(path, std::ios::binary);
  if (!set.ParseFromIstream(&in) || set.file_size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": does not hold the descriptor of one file"));
  }
  return Build(set.file(0));
}

absl::StatusOr<std::unique_ptr<SchemaSet>> SchemaSet::Build(
    const google::protobuf::FileDescriptorProto& file) {
  std::unique_ptr<SchemaSet> schema(new SchemaSet());
  schema->file_ = schema->pool_.BuildFile(file);
  if (schema->file_ == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.name(), ": does not build"));
  }
  return schema;
}

}  // namespace annulus
