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

TEST(FlagValuesTest, VirtioIsATransportAndFeatures) {
  const VirtioConfig pci = ParseVirtio("pci").value();
  EXPECT_EQ(pci.transport, TransportKind::kPci);
  EXPECT_TRUE(pci.packed && pci.event_idx && pci.indirect_desc &&
              pci.in_order && pci.ring_reset && pci.notification_data);
  const VirtioConfig mmio =
      ParseVirtio("mmio,packed=off,event_idx=off,indirect_desc=on").value();
  EXPECT_EQ(mmio.transport, TransportKind::kMmio);
  EXPECT_FALSE(mmio.packed);
  EXPECT_FALSE(mmio.event_idx);
  EXPECT_TRUE(mmio.indirect_desc);
  // Each name is that of one feature.
  for (const char* name : {"packed", "event_idx", "indirect_desc", "in_order",
                           "ring_reset", "notification_data"}) {
    const VirtioConfig one =
        ParseVirtio(absl::StrCat("pci,", name, "=off")).value();
    EXPECT_EQ(one.packed + one.event_idx + one.indirect_desc + one.in_order +
                  one.ring_reset + one.notification_data,
              5)
        << name;
  }
  EXPECT_FALSE(ParseVirtio("pci,in_order=off").value().in_order);
  EXPECT_FALSE(ParseVirtio("pci,ring_reset=off").value().ring_reset);
  EXPECT_FALSE(
      ParseVirtio("pci,notification_data=off").value().notification_data);
  for (const char* text : {"", "isa", "pci,", "pci,packed", "pci,packed=",
                           "pci,packed=no", "pci,x=off", "packed=off"}) {
    EXPECT_FALSE(ParseVirtio(text).ok()) << text;
  }
}

}  // namespace
}  // namespace annulus::cli
