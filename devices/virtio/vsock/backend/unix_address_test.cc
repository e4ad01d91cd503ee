#include "devices/virtio/vsock/backend/unix_address.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

std::string Error(absl::string_view path) {
  const auto address = UnixAddress::Create(path);
  EXPECT_TRUE(absl::IsInvalidArgument(address.status())) << path;
  return std::string(address.status().message());
}

TEST(UnixAddressTest, PathIsAsItStands) {
  const auto address = UnixAddress::Create("/run/vm.vsock");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->name(), "/run/vm.vsock");
  EXPECT_FALSE(address->abstract());
  EXPECT_EQ(address->get()->sa_family, AF_UNIX);
  EXPECT_EQ(address->size(), offsetof(sockaddr_un, sun_path) + 13);
}

TEST(UnixAddressTest, AtSignMakesAnAbstractName) {
  const auto address = UnixAddress::Create("@vm");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->name(), absl::string_view("\0vm", 3));
  EXPECT_TRUE(address->abstract());
}

// "@" alone would have the kernel choose a name.
TEST(UnixAddressTest, EmptyNamesAndNullCharactersAreRefused) {
  EXPECT_TRUE(absl::StrContains(Error(""), "empty"));
  EXPECT_TRUE(absl::StrContains(Error("@"), "empty"));
  EXPECT_TRUE(absl::StrContains(Error(absl::string_view("/a\0z", 4)),
                                "null character: \"/a\\x00z\""));
}

TEST(UnixAddressTest, LongestNameIs107Bytes) {
  EXPECT_TRUE(UnixAddress::Create(std::string(107, 'a')).ok());
  EXPECT_EQ(Error(std::string(108, 'a')),
            "the path of a socket is too long: \"" + std::string(108, 'a') +
                "\" has 108 bytes, 1 more than the 107 of a socket's address");
}

TEST(UnixAddressTest, SuffixCountsForTheLength) {
  EXPECT_TRUE(CheckPathLength(std::string(96, 'a'), "_4294967295").ok());
  const absl::Status status =
      CheckPathLength(std::string(100, 'a'), "_4294967295");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_TRUE(absl::StrContains(
      status.message(), "111 bytes with the suffix _4294967295, 4 more than"))
      << status;
}

TEST(UnixAddressTest, AppendsANumberWhereItFits) {
  auto address = UnixAddress::Create("a_");
  ASSERT_TRUE(address.ok());
  EXPECT_TRUE(address->Append(4294967295));
  EXPECT_EQ(address->name(), "a_4294967295");
  address = UnixAddress::Create(std::string(98, 'a'));
  ASSERT_TRUE(address.ok());
  EXPECT_FALSE(address->Append(4294967295));
  EXPECT_EQ(address->name(), std::string(98, 'a'));
  EXPECT_TRUE(address->Append(999999999));
}

TEST(UnixAddressTest, NamesThatTheKernelGivesEndAtTheNullCharacter) {
  sockaddr_un address = {AF_UNIX, "/run/vm"};
  constexpr socklen_t kBegin = offsetof(sockaddr_un, sun_path);
  EXPECT_EQ(UnixName(address, kBegin + 8), "/run/vm");
  EXPECT_EQ(UnixName(address, kBegin + 4), "/run");
  EXPECT_EQ(UnixName(address, kBegin), "");
  EXPECT_EQ(UnixName(address, 0), "");
  EXPECT_EQ(UnixName(address, 1000), "/run/vm");
  address.sun_path[0] = '\0';
  EXPECT_EQ(UnixName(address, kBegin + 7), absl::string_view("\0run/vm", 7));
}

}  // namespace
}  // namespace annulus::virtio
