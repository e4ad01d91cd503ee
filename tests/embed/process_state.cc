#include "tests/embed/process_state.h"

#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_join.h"

namespace annulus {
namespace {

size_t CountThreads() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/self/task")) {
    ++count;
  }
  return count;
}

// Their order is that of their numbers, so that the same number of something
// else is seen.
std::vector<std::string> Descriptors() {
  std::vector<std::string> all;
  for (int fd = 0; fd < 4096; ++fd) {
    char target[256];
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t size = ::readlink(path.c_str(), target, sizeof(target));
    if (size < 0) continue;
    all.push_back(std::to_string(fd) + " " +
                  std::string(target, static_cast<size_t>(size)));
  }
  return all;
}

}  // namespace

ProcessState StateOfProcess(size_t threads) {
  ProcessState state;
  do {
    state.threads = CountThreads();
    if (state.threads > threads) std::this_thread::yield();
  } while (threads != 0 && state.threads > threads);
  state.descriptors = Descriptors();
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action = {};
    ::sigaction(signal, nullptr, &action);
    state.signals.push_back(std::bit_cast<uintptr_t>(action.sa_handler));
  }
  state.directory = std::filesystem::current_path();
  state.file_mode_mask = ::umask(0);
  ::umask(state.file_mode_mask);
  return state;
}

void PrintTo(const ProcessState& state, std::ostream* out) {
  *out << state.threads << " threads, in " << state.directory << ", umask "
       << state.file_mode_mask << ", descriptors:\n  "
       << absl::StrJoin(state.descriptors, "\n  ");
}

uint64_t PrivateBytes() {
  std::ifstream file("/proc/self/smaps_rollup");
  uint64_t sum = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("Private_Dirty:", 0) == 0) {
      sum += std::stoull(line.substr(line.find(' '))) * 1024;
    }
  }
  return sum;
}

uint64_t AllocatedBytes() {
  return ::mallinfo2().uordblks + ::mallinfo2().hblkhd;
}

}  // namespace annulus
