// Rewrites the reference in docs/configuration.md from the schemas in proto/:
// `bazel run //tools/config_docs:write_docs`.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/statusor.h"
#include "tools/config_docs/config_reference.h"
#include "tools/config_docs/schema_set.h"

namespace annulus {
namespace {

constexpr char kDocs[] = "docs/configuration.md";

int WriteDocs(const char* descriptors) {
  const auto schema = SchemaSet::Load(descriptors);
  const char* root = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  if (root == nullptr || ::chdir(root) != 0) {
    std::fprintf(stderr, "start this with bazel run\n");
    return 1;
  }
  const absl::StatusOr<std::string> reference =
      schema.ok() ? ConfigReference((*schema)->files())
                  : absl::StatusOr<std::string>(schema.status());
  if (!reference.ok()) {
    std::fprintf(stderr, "%s\n", reference.status().ToString().c_str());
    return 1;
  }
  std::ifstream in(kDocs);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const size_t marker = text.find(std::string(kReferenceMarker));
  if (marker == std::string::npos) {
    std::fprintf(stderr, "%s lacks the marker\n", kDocs);
    return 1;
  }
  text.resize(marker + kReferenceMarker.size());
  std::ofstream(kDocs, std::ios::trunc) << text << *reference;
  return 0;
}

}  // namespace
}  // namespace annulus

int main(int argc, char** argv) {
  return argc == 2 ? annulus::WriteDocs(argv[1]) : 1;
}
