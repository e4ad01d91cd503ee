#include "vmm/sandbox/forked_child.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/unique_fd.h"

namespace annulus {

ChildEnd InChild(const std::function<int()>& body) {
  int ends[2];
  if (::pipe(ends) != 0) std::abort();
  UniqueFd from_child(ends[0]);
  UniqueFd to_parent(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(to_parent.get(), STDERR_FILENO);
    to_parent.reset();
    from_child.reset();
    ::_exit(body());
  }
  to_parent.reset();
  ChildEnd end;
  char buffer[512];
  for (;;) {
    const ssize_t size = ::read(from_child.get(), buffer, sizeof(buffer));
    if (size <= 0) break;
    end.output.append(buffer, static_cast<size_t>(size));
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child) std::abort();
  if (WIFEXITED(status)) end.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  return end;
}

}  // namespace annulus
