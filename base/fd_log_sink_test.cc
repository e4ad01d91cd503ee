#include "base/fd_log_sink.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

struct Ends {
  UniqueFd reader;
  UniqueFd writer;
};

Ends MakePipe() {
  int fds[2];
  EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::string ReadSome(const UniqueFd& fd) {
  std::string text(size_t{1} << 20, '\0');
  const ssize_t count = ::read(fd.get(), text.data(), text.size());
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return text;
}

TEST(FdLogSinkTest, WritesLinesOfEnoughSeverity) {
  Ends pipe = MakePipe();
  FdLogSink sink(std::move(pipe.writer), LogSeverity::kWarning);
  sink.Log(LogSeverity::kInfo, "no");
  sink.Log(LogSeverity::kWarning, "yes");
  sink.Log(LogSeverity::kError, "too");
  EXPECT_EQ(ReadSome(pipe.reader), "warning: yes\nerror: too\n");
  EXPECT_EQ(sink.lost(), 0u);
}

TEST(FdLogSinkTest, FullPipeLosesLinesAndTheNextOneSaysHowMany) {
  Ends pipe = MakePipe();
  FdLogSink sink(std::move(pipe.writer), LogSeverity::kInfo);
  const std::string line(4000, 'x');
  while (sink.lost() < 3) sink.Log(LogSeverity::kInfo, line);
  const std::string before = ReadSome(pipe.reader);
  EXPECT_FALSE(absl::StrContains(before, "lost"));
  sink.Log(LogSeverity::kInfo, "again");
  EXPECT_EQ(ReadSome(pipe.reader),
            "warning: 3 log lines were lost\ninfo: again\n");
  sink.Log(LogSeverity::kInfo, "once");
  EXPECT_EQ(ReadSome(pipe.reader), "info: once\n");
}

TEST(FdLogSinkTest, ReaderThatIsGoneRaisesNoSignal) {
  Ends pipe = MakePipe();
  FdLogSink sink(std::move(pipe.writer), LogSeverity::kInfo);
  pipe.reader.reset();
  sink.Log(LogSeverity::kInfo, "line");
  sink.Log(LogSeverity::kInfo, "line");
  EXPECT_EQ(sink.lost(), 2u);
}

TEST(FdLogSinkTest, SocketIsNeverWaitedForNorMadeNonBlocking) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  UniqueFd reader(fds[0]);
  const int writer = fds[1];
  FdLogSink sink(UniqueFd(fds[1]), LogSeverity::kInfo);
  const std::string line(4000, 'x');
  while (sink.lost() == 0) sink.Log(LogSeverity::kInfo, line);
  EXPECT_EQ(::fcntl(writer, F_GETFL) & O_NONBLOCK, 0);
  reader.reset();
  sink.Log(LogSeverity::kInfo, "nobody");
  EXPECT_EQ(sink.lost(), 2u);
}

TEST(FdLogSinkTest, LongLineIsCut) {
  Ends pipe = MakePipe();
  FdLogSink sink(std::move(pipe.writer), LogSeverity::kInfo);
  sink.Log(LogSeverity::kInfo, std::string(10'000, 'x'));
  const std::string text = ReadSome(pipe.reader);
  EXPECT_EQ(text.size(), FdLogSink::kMaxLine);
  EXPECT_EQ(text.back(), '\n');
}

}  // namespace
}  // namespace annulus
