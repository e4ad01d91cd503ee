#include "cli/nearest_name.h"

#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

std::string Nearest(absl::string_view word) {
  constexpr absl::string_view kNames[] = {"memory",  "kernel", "cmdline",
                                          "console", "cpus",   "config"};
  return std::string(NearestName(word, kNames).value_or("none"));
}

TEST(NearestNameTest, TypingMistakesAreForgiven) {
  EXPECT_EQ(Nearest("memroy"), "memory");
  EXPECT_EQ(Nearest("kernal"), "kernel");
  EXPECT_EQ(Nearest("cpu"), "cpus");
  EXPECT_EQ(Nearest("psuc"), "none");
  EXPECT_EQ(Nearest("cpsu"), "cpus");
  EXPECT_EQ(Nearest("cmd-line"), "cmdline");
}

TEST(NearestNameTest, OneNameThatContinuesTheWordIsMeant) {
  EXPECT_EQ(Nearest("mem"), "memory");
  EXPECT_EQ(Nearest("kernel-image-file"), "kernel");
  EXPECT_EQ(Nearest("con"), "none");  // console or config
}

TEST(NearestNameTest, SomethingElseHasNoNearest) {
  EXPECT_EQ(Nearest("xyzzy"), "none");
  EXPECT_EQ(Nearest(""), "none");
  EXPECT_EQ(Nearest(std::string(100'000, 'm')), "none");
}

}  // namespace
}  // namespace annulus::cli
