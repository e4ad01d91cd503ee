#ifndef TESTS_EMBED_PROCESS_STATE_H_
#define TESTS_EMBED_PROCESS_STATE_H_

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace annulus {

// What a library can leave behind in a process, or change of it.
struct ProcessState {
  std::vector<std::string> descriptors;  // What each is open on.
  size_t threads = 0;
  std::vector<uint64_t> signals;  // What is done about each.
  std::string directory;
  uint32_t file_mode_mask = 0;

  bool operator==(const ProcessState&) const = default;
  friend void PrintTo(const ProcessState& state, std::ostream* out);
};

// As it is now. A thread that was joined may still be on its way out of the
// kernel: waits until there are at most `threads`, 0 for those that there are.
ProcessState StateOfProcess(size_t threads = 0);

// Bytes of the process's private memory that are resident, and those that
// malloc(3) has given out.
uint64_t PrivateBytes();
uint64_t AllocatedBytes();

}  // namespace annulus

#endif  // TESTS_EMBED_PROCESS_STATE_H_
