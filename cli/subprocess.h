#ifndef CLI_SUBPROCESS_H_
#define CLI_SUBPROCESS_H_

#include <sys/types.h>
#include <termios.h>

#include <functional>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace annulus::cli {

// Test helpers that run a program and look at what comes out. A program that
// does not end, or not say what is awaited, within a minute is killed and the
// test fails.

// False where there is no /dev/pts, as in some containers: tests skip.
bool HavePseudoTerminals();

struct ProcessResult {
  int exit_code = -1;  // -N: killed by signal N.
  std::string out;
  std::string err;
};

struct ProcessOptions {
  std::string input;      // Standard input.
  std::string directory;  // Working directory; empty: ours.
  // Run in the child just before the program starts.
  std::function<void()> prepare;
};

ProcessResult RunProcess(const std::vector<std::string>& arguments,
                         const ProcessOptions& options = {});

// A program whose standard streams are pipes or a terminal, fed step by step.
class Process {
 public:
  enum class Streams { kPipes, kTerminal };

  Process(const std::vector<std::string>& arguments, Streams streams,
          const ProcessOptions& options = {});
  ~Process();  // Kills what still runs.

  void Write(const std::string& text);
  void CloseInput();
  // Reads until `text` has come out on either stream. False on end or timeout.
  bool Await(const std::string& text);
  void Kill(int signal);
  pid_t pid() const { return pid_; }  // -1: it has been waited for.
  // Reads to the end and waits.
  ProcessResult Wait();

  // The terminal's mode now.
  termios Mode() const;

 private:
  // Reads once, at most until the deadline. False: end or timeout.
  bool ReadSome();

  pid_t pid_ = -1;
  UniqueFd input_;  // The terminal's other side for kTerminal.
  UniqueFd out_;    // Likewise.
  UniqueFd err_;
  ProcessResult result_;
};

}  // namespace annulus::cli

#endif  // CLI_SUBPROCESS_H_
