#include "tools/config_docs/schema_set.h"

#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace annulus {

absl::StatusOr<std::unique_ptr<SchemaSet>> SchemaSet::Load(
    const std::string& path) {
  google::protobuf::FileDescriptorSet set;
  std::ifstream in(path, std::ios::binary);
  if (!set.ParseFromIstream(&in) || set.file_size() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": does not hold the descriptors of files"));
  }
  return Build(set);
}

absl::StatusOr<std::unique_ptr<SchemaSet>> SchemaSet::Build(
    const google::protobuf::FileDescriptorSet& set) {
  std::unique_ptr<SchemaSet> schema(new SchemaSet());
  for (const google::protobuf::FileDescriptorProto& file : set.file()) {
    schema->files_.push_back(schema->pool_.BuildFile(file));
    if (schema->files_.back() == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.name(), ": does not build"));
    }
  }
  return schema;
}

}  // namespace annulus
