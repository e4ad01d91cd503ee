#include "cli/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace annulus::cli {
namespace {

constexpr int kPatienceMs = 60'000;

[[noreturn]] void Exec(const std::vector<std::string>& arguments,
                       const ProcessOptions& options) {
  if (!options.directory.empty() && ::chdir(options.directory.c_str()) != 0) {
    ::_exit(126);
  }
  if (options.prepare) options.prepare();
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

void MakePipe(UniqueFd& read_end, UniqueFd& write_end) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
  read_end.reset(ends[0]);
  write_end.reset(ends[1]);
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, Streams streams,
                 const ProcessOptions& options) {
  if (streams == Streams::kTerminal) {
    int terminal = -1;
    pid_ = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    if (pid_ == 0) Exec(arguments, options);
    input_.reset(terminal);
    out_.reset(::fcntl(terminal, F_DUPFD_CLOEXEC, 3));
    return;
  }
  UniqueFd child_in;
  UniqueFd child_out;
  UniqueFd child_err;
  MakePipe(child_in, input_);
  MakePipe(out_, child_out);
  MakePipe(err_, child_err);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(child_in.get(), STDIN_FILENO);
    ::dup2(child_out.get(), STDOUT_FILENO);
    ::dup2(child_err.get(), STDERR_FILENO);
    Exec(arguments, options);
  }
}

Process::~Process() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Process::Write(const std::string& text) {
  // Less than a pipe holds, so never partial.
  if (::write(input_.get(), text.data(), text.size()) < 0 && errno != EPIPE) {
    std::abort();
  }
}

void Process::CloseInput() { input_.reset(); }

bool Process::ReadSome() {
  pollfd fds[] = {{out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}};
  if (!out_.valid() && !err_.valid()) return false;
  if (::poll(fds, 2, kPatienceMs) <= 0) {
    Kill(SIGKILL);
    return false;
  }
  char buffer[4096];
  for (int i = 0; i < 2; ++i) {
    if (fds[i].revents == 0) continue;
    const ssize_t size = ::read(fds[i].fd, buffer, sizeof(buffer));
    if (size > 0) {
      (i == 0 ? result_.out : result_.err)
          .append(buffer, static_cast<size_t>(size));
    } else {  // A terminal's end is EIO.
      (i == 0 ? out_ : err_).reset();
    }
  }
  return true;
}

bool Process::Await(const std::string& text) {
  for (;;) {
    if (result_.out.find(text) != std::string::npos) return true;
    if (result_.err.find(text) != std::string::npos) return true;
    if (!ReadSome()) return false;
  }
}

void Process::Kill(int signal) {
  // -1 would be every process that there is.
  if (pid_ > 0) ::kill(pid_, signal);
}

bool HavePseudoTerminals() {
  const UniqueFd ours(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!ours.valid() || ::unlockpt(ours.get()) != 0) return false;
  const char* const name = ::ptsname(ours.get());
  if (name == nullptr) return false;
  return UniqueFd(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)).valid();
}

ProcessResult Process::Wait() {
  if (pid_ <= 0) return {.exit_code = -1, .out = "", .err = "not started"};
  while (ReadSome()) {
  }
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  result_.exit_code =
      WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return result_;
}

termios Process::Mode() const {
  termios mode = {};
  ::tcgetattr(input_.get(), &mode);
  return mode;
}

ProcessResult RunProcess(const std::vector<std::string>& arguments,
                         const ProcessOptions& options) {
  Process process(arguments, Process::Streams::kPipes, options);
  process.Write(options.input);
  process.CloseInput();
  return process.Wait();
}

}  // namespace annulus::cli
