#include "tests/sandbox/strict_list.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/sanitizer.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

std::string Document(absl::string_view lines) {
  return absl::StrCat(
      "# A page\n\n```seccomp\nanother\n```\n\n## In your own "
      "sandbox\n\nText.\n"
      "\n```seccomp\n",
      lines, "```\n\n## More\n");
}

TEST(StrictListTest, LinesAreRules) {
  const auto rules = ParseStrictList(
      Document("# A comment\nread\n\nioctl 1 = 0xae80  # KVM_RUN\n"
               "mmap 2 & 0x4 = 0\nsocket EACCES\nioctl 1 = 2 ?  # So\n"));
  ASSERT_TRUE(rules.ok()) << rules.status();
  ASSERT_EQ(rules->size(), 5u);
  EXPECT_EQ((*rules)[0].name, "read");
  EXPECT_FALSE((*rules)[0].argument.has_value());
  EXPECT_EQ((*rules)[0].error, 0);
  EXPECT_EQ((*rules)[1].line, "ioctl 1 = 0xae80");
  EXPECT_EQ((*rules)[1].argument->index, 1u);
  EXPECT_EQ((*rules)[1].argument->mask, ~uint64_t{0});
  EXPECT_EQ((*rules)[1].argument->value, 0xae80u);
  EXPECT_EQ((*rules)[2].argument->mask, 4u);
  EXPECT_EQ((*rules)[2].argument->value, 0u);
  EXPECT_EQ((*rules)[3].error, EACCES);
  EXPECT_FALSE((*rules)[3].sometimes);
  EXPECT_EQ((*rules)[4].line, "ioctl 1 = 2");
  EXPECT_EQ((*rules)[4].argument->value, 2u);
  EXPECT_TRUE((*rules)[4].sometimes);
}

TEST(StrictListTest, WhatIsNoRuleIsNamed) {
  for (const char* line :
       {"read write", "ioctl 6 = 1", "ioctl 1 == 1", "mmap 2 & 4",
        "mmap 2 =", "mmap 2 & x = 0", "socket EACCES EPERM"}) {
    const absl::Status status =
        ParseStrictList(Document(absl::StrCat(line, "\n"))).status();
    EXPECT_EQ(status.message(), absl::StrCat("no rule: ", line));
  }
}

TEST(StrictListTest, TheListIsThatOfItsSection) {
  EXPECT_TRUE(absl::IsInvalidArgument(ParseStrictList("").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      ParseStrictList("\n## In your own sandbox\n\n## More\n\n```seccomp\n"
                      "read\n```\n")
          .status()));
}

// The verdict is the kernel's. 200 + 256 tells a mask from none.
void TryOut(const std::vector<StrictRule>& rules, int descriptor) {
  const bool locked = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                      InstallStrictList(rules).ok();
  if (!locked) ::_exit(1);
  if (::socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EACCES) ::_exit(2);
  ::dup(descriptor);
  ::_exit(0);
}

TEST(StrictListDeathTest, RulesAreEnforced) {
  if (kSanitizer) GTEST_SKIP() << "sanitizers make system calls";
  const auto rules = ParseStrictList(
      Document("exit_group\nsocket EACCES\ndup 0 & 0xff = 200\n"));
  ASSERT_TRUE(rules.ok());
  EXPECT_EXIT(TryOut(*rules, 200 + 256), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(TryOut(*rules, 201), testing::KilledBySignal(SIGSYS), "");
}

}  // namespace
}  // namespace annulus
