#include "cli/flag_values.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {
namespace {

TEST(FlagValuesTest, SizeHasBinarySuffixes) {
  EXPECT_EQ(ParseSize("0").value(), 0u);
  EXPECT_EQ(ParseSize("4096").value(), 4096u);
  EXPECT_EQ(ParseSize("4K").value(), 4096u);
  EXPECT_EQ(ParseSize("512m").value(), uint64_t{512} << 20);
  EXPECT_EQ(ParseSize("512MiB").value(), uint64_t{512} << 20);
  EXPECT_EQ(ParseSize("2G").value(), uint64_t{2} << 30);
  EXPECT_EQ(ParseSize("1T").value(), uint64_t{1} << 40);
  EXPECT_EQ(ParseSize("18446744073709551615").value(), UINT64_MAX);
}

TEST(FlagValuesTest, SizeIsNothingElse) {
  for (const char* text : {"", "M", "-1", "+1", " 1", "1 M", "1.5G", "0x10",
                           "1MB", "1MM", "1Mi", "18446744073709551616", "1P"}) {
    EXPECT_EQ(ParseSize(text).status().code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
  EXPECT_EQ(ParseSize("16777216T").status().message(),
            "\"16777216T\" is not a size below 16 EiB");
}

TEST(FlagValuesTest, CountIsDigitsThatFit32Bits) {
  EXPECT_EQ(ParseCount("0").value(), 0u);
  EXPECT_EQ(ParseCount("4294967295").value(), 4294967295u);
  for (const char* text : {"", "-1", "+1", " 1", "4294967296", "1x", "0x1"}) {
    EXPECT_FALSE(ParseCount(text).ok()) << text;
  }
}

TEST(FlagValuesTest, CpuListIsSeparatedByCommas) {
  EXPECT_EQ(ParseCpuList("0,1,15").value(), (std::vector<uint32_t>{0, 1, 15}));
  for (const char* text : {"", ",", "0,", ",0", "0-3", "a"}) {
    EXPECT_FALSE(ParseCpuList(text).ok()) << text;
  }
  std::string many = "0";
  for (int i = 0; i < 1024; ++i) many += ",0";
  EXPECT_FALSE(ParseCpuList(many).ok());
}

TEST(FlagValuesTest, ConsoleIsOneOfThree) {
  EXPECT_EQ(ParseConsole("stdio")->kind, ConsoleConfig::Kind::kStdio);
  EXPECT_EQ(ParseConsole("null")->kind, ConsoleConfig::Kind::kNull);
  EXPECT_EQ(ParseConsole("file:a:b")->kind, ConsoleConfig::Kind::kFile);
  EXPECT_EQ(ParseConsole("file:a:b")->path, "a:b");
  for (const char* text : {"", "file", "file:", "STDIO", "tty"}) {
    EXPECT_FALSE(ParseConsole(text).ok()) << text;
  }
}

TEST(FlagValuesTest, SwitchIsOnOrOff) {
  bool on = false;
  EXPECT_TRUE(ParseSwitch("on", on).ok());
  EXPECT_TRUE(on);
  EXPECT_TRUE(ParseSwitch("off", on).ok());
  EXPECT_FALSE(on);
  for (const char* text : {"", "ON", "true", "1", "on "}) {
    EXPECT_FALSE(ParseSwitch(text, on).ok()) << text;
  }
}

}  // namespace
}  // namespace annulus::cli
