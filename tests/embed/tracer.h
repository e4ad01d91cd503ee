#ifndef TESTS_EMBED_TRACER_H_
#define TESTS_EMBED_TRACER_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace annulus {

// One entry into the kernel, as a tracer sees it.
struct SystemCall {
  int thread = 0;
  uint64_t number = 0;
  std::array<uint64_t, 6> arguments = {};
};

// What a program asked of the kernel between the markers kStarted and kGone, in
// all of its threads and children.
struct Trace {
  bool started = false;  // kStarted was seen,
  bool gone = false;     // kGone was.
  int exit_code = -1;    // Of the program; -N: killed by signal N.
  std::string output;    // What it wrote to its standard output.
  std::map<uint64_t, uint64_t> counts;  // Of each system call.
  // Those that `keep` chose, at most a hundred.
  std::vector<SystemCall> kept;
};

// Runs a program under ptrace(2), to its end; after two minutes SIGALRM kills
// it. Each thread stops at each system call, so there is nothing that could be
// missed.
Trace TraceProgram(const std::vector<std::string>& arguments,
                   bool (*keep)(const SystemCall& call));

}  // namespace annulus

#endif  // TESTS_EMBED_TRACER_H_
