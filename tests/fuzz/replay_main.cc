// Replays corpus files through a fuzz target, without libFuzzer: what `bazel
// test` runs when the compiler is not clang or nobody asked to explore.
//
// Each argument is a file. A file that cannot be read is a failure, as is an
// empty list: a test that replays nothing could never fail.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <ios>
#include <iterator>
#include <memory>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// The copy has exactly the input's size, so that a sanitizer sees a read past
// its end.
void RunOne(const std::vector<char>& bytes) {
  const auto copy = std::make_unique<uint8_t[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.get(), bytes.data(), bytes.size());
  LLVMFuzzerTestOneInput(copy.get(), bytes.size());
}

bool Replay(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot open corpus file %s\n", path);
    return false;
  }
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file),
                                std::istreambuf_iterator<char>()};
  // Named first: if the target dies, the last line says on what.
  std::printf("%s: %zu bytes\n", path, bytes.size());
  std::fflush(stdout);
  RunOne(bytes);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "no corpus file given\n");
    return 1;
  }
  RunOne({});
  bool ok = true;
  for (int i = 1; i < argc; ++i) ok = Replay(argv[i]) && ok;
  return ok ? 0 : 1;
}
