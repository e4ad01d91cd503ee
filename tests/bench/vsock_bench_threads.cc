#include "tests/bench/vsock_bench_threads.h"

#include <dirent.h>
#include <pthread.h>

#include <cstdio>
#include <map>
#include <string>

#include "base/check.h"

namespace annulus::bench {
namespace {

// The first line of a file; empty if there is none any more.
std::string FirstLine(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return {};
  char line[256] = {};
  if (std::fgets(line, sizeof(line), file) == nullptr) line[0] = 0;
  std::fclose(file);
  std::string text = line;
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

void NameThread(const char* name) {
  ANNULUS_CHECK(::pthread_setname_np(::pthread_self(), name) == 0);
}

std::map<std::string, double> ThreadSeconds() {
  std::map<std::string, double> seconds;
  const std::string tasks = "/proc/self/task/";
  DIR* const directory = ::opendir(tasks.c_str());
  ANNULUS_CHECK(directory != nullptr);
  while (const dirent* const entry = ::readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    const std::string task = tasks + entry->d_name;
    unsigned long long ns = 0;
    if (std::sscanf(FirstLine(task + "/schedstat").c_str(), "%llu", &ns) != 1) {
      continue;
    }
    seconds[FirstLine(task + "/comm")] += static_cast<double>(ns) / 1e9;
  }
  ::closedir(directory);
  return seconds;
}

}  // namespace annulus::bench
