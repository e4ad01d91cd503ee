#include "vmm/config/validate_control_config.h"

#include <string>

#include "gtest/gtest.h"

namespace annulus {
namespace {

std::string ErrorOf(const ControlConfig& control) {
  return std::string(ValidateControlConfig(control).message());
}

TEST(ValidateControlConfigTest, DefaultsAndUsualOnesAreValid) {
  EXPECT_EQ(ErrorOf({}), "");
  EXPECT_EQ(ErrorOf({.socket = "/run/vm.ctl"}), "");
  EXPECT_EQ(ErrorOf({.socket = "@vm", .allowed_uids = {0, 4294967295}}), "");
  EXPECT_EQ(ErrorOf({.fd = 3, .mode = "0660"}), "");
}

TEST(ValidateControlConfigTest, PathIsOneThatASocketCanHave) {
  EXPECT_EQ(ErrorOf({.socket = std::string(107, 'x')}), "");
  EXPECT_NE(ErrorOf({.socket = std::string(108, 'x')}), "");
  EXPECT_EQ(ErrorOf({.socket = "@"}),
            "control.socket: \"@\" alone is not a name");
}

TEST(ValidateControlConfigTest, DescriptorIsNoStandardStreamAndExcludesAPath) {
  EXPECT_NE(ErrorOf({.fd = 2}), "");
  EXPECT_EQ(ErrorOf({.socket = "a", .fd = 3}),
            "control.fd: is given, but socket is, too");
}

TEST(ValidateControlConfigTest, ModeIsOctal) {
  EXPECT_EQ(ParseFileMode("600"), 0600u);
  EXPECT_EQ(ParseFileMode("0660"), 0660u);
  for (const char* mode : {"", "6", "888", "4755", "rw-", "06600", "-60"}) {
    EXPECT_EQ(ParseFileMode(mode), std::nullopt) << mode;
    EXPECT_NE(ErrorOf({.mode = mode}), "") << mode;
  }
}

}  // namespace
}  // namespace annulus
