#include "vmm/boot/command_line.h"

#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "vmm/boot/layout.h"
#include "vmm/boot/small_guest.h"

namespace annulus::boot {
namespace {

std::string ReadBack(const SmallGuest& guest, size_t size) {
  const Bytes bytes = guest.Read(kCommandLine.value(), size);
  return std::string(bytes.begin(), bytes.end());
}

TEST(CommandLineTest, IsWrittenWithATerminatingZero) {
  SmallGuest guest(2);
  ASSERT_TRUE(WriteCommandLine("console=ttyS0", 2047, guest.memory()).ok());
  EXPECT_EQ(ReadBack(guest, 14), std::string("console=ttyS0\0", 14));
  ASSERT_TRUE(WriteCommandLine("", 2047, guest.memory()).ok());
  EXPECT_EQ(ReadBack(guest, 1), std::string("\0", 1));
}

TEST(CommandLineTest, OfMaximumLengthIsTakenAndOneLongerIsRefused) {
  SmallGuest guest(2);
  const std::string longest(2047, 'x');
  ASSERT_TRUE(WriteCommandLine(longest, 2047, guest.memory()).ok());
  EXPECT_EQ(ReadBack(guest, 2048), longest + '\0');
  const absl::Status status =
      WriteCommandLine(longest + "y", 2047, guest.memory());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "command line: 2048 bytes are more than the kernel's limit of "
            "2047");
}

TEST(CommandLineTest, LimitOfAHostileHeaderIsCutToItsRoom) {
  SmallGuest guest(2);
  const std::string fits(kCommandLineRoom - 1, 'x');
  EXPECT_TRUE(WriteCommandLine(fits, UINT64_MAX, guest.memory()).ok());
  EXPECT_FALSE(WriteCommandLine(fits + "y", UINT64_MAX, guest.memory()).ok());
  EXPECT_FALSE(WriteCommandLine("a", 0, guest.memory()).ok());
}

TEST(CommandLineTest, ZeroByteInsideIsRefused) {
  SmallGuest guest(2);
  EXPECT_EQ(WriteCommandLine({"a\0b", 3}, 2047, guest.memory()).message(),
            "command line: has a zero byte in it");
}

}  // namespace
}  // namespace annulus::boot
