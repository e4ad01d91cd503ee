#ifndef VMM_SANDBOX_FORKED_CHILD_H_
#define VMM_SANDBOX_FORKED_CHILD_H_

#include <functional>
#include <string>

namespace annulus {

// How a child process ended.
struct ChildEnd {
  int exit_code = -1;
  int signal = 0;      // That killed it; 0: none did.
  std::string output;  // What it wrote to its standard error.
};

// Runs `body` in a child of this process and waits for its end: a sandbox is
// for good. The exit code is what it returns.
ChildEnd InChild(const std::function<int()>& body);

}  // namespace annulus

#endif  // VMM_SANDBOX_FORKED_CHILD_H_
