#include "vmm/sandbox/syscall_lists.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "vmm/sandbox/syscall_names.h"

namespace annulus {
namespace {

std::vector<std::pair<SandboxRole, const SyscallRule*>> AllRules() {
  std::vector<std::pair<SandboxRole, const SyscallRule*>> all;
  for (int role = 0; role < kSandboxRoles; ++role) {
    for (const SyscallRule* rule : SyscallsOf(static_cast<SandboxRole>(role))) {
      all.emplace_back(static_cast<SandboxRole>(role), rule);
    }
  }
  return all;
}

TEST(SyscallListsTest, EachRuleIsCalledWhatItIs) {
  for (const auto& [role, rule] : AllRules()) {
    const std::string name = SyscallName(rule->number);
    EXPECT_TRUE(rule->name == name ||
                absl::StartsWith(rule->name, absl::StrCat(name, "(")))
        << rule->name << " is " << name;
    EXPECT_NE(std::string(rule->why), "") << rule->name;
  }
}

TEST(SyscallListsTest, NoListHasARuleTwice) {
  std::vector<std::string> seen;
  for (const auto& [role, rule] : AllRules()) {
    const std::string line = absl::StrCat(NameOf(role), ": ", rule->name);
    EXPECT_EQ(std::count(seen.begin(), seen.end(), line), 0) << line;
    seen.push_back(line);
  }
}

// With more arguments than numbers tell them apart.
TEST(SyscallListsTest, WhatHasManyUsesIsNarrowedDown) {
  for (const char* name :
       {"ioctl", "fcntl", "socket", "mmap", "mprotect", "madvise", "tgkill",
        "setsockopt", "getsockopt", "openat"}) {
    for (const auto& [role, rule] : AllRules()) {
      EXPECT_NE(std::string(rule->name), name) << NameOf(role);
    }
  }
}

TEST(SyscallRuleTest, ArgumentsAreComparedWhereTheMaskSays) {
  SyscallRule rule;
  rule.number = 16;
  rule.checks[0] = {.index = 1, .mask = 0xffffffff, .value = 0xae80};
  EXPECT_TRUE(Matches(rule, 16, {0, 0xae80, 0}, 1));
  // Which the kernel does not see either.
  EXPECT_TRUE(Matches(rule, 16, {0, 0xffffffff0000ae80, 0}, 1));
  EXPECT_FALSE(Matches(rule, 16, {0, 0xae81, 0}, 1));
  EXPECT_FALSE(Matches(rule, 16, {0xae80, 0, 0}, 1));
  EXPECT_FALSE(Matches(rule, 17, {0, 0xae80, 0}, 1));
  rule.checks[1] = {.index = 0, .mask = 0xffffffff, .own_process = true};
  EXPECT_TRUE(Matches(rule, 16, {7, 0xae80, 0}, 7));
  EXPECT_FALSE(Matches(rule, 16, {8, 0xae80, 0}, 7));
}

}  // namespace
}  // namespace annulus
