#include "cli/device_discovery.h"

#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

TEST(DeviceDiscoveryTest, CapabilitiesAreOneLineOfJson) {
  EXPECT_EQ(DeviceCapabilities("net"), "{\"type\": \"net\"}\n");
  EXPECT_EQ(DeviceCapabilities("vsock"), "{\"type\": \"vsock\"}\n");
}

// Those that are installed are what the program says.
TEST(DeviceDiscoveryTest, FilesOfTheTreeAreThoseThatAreMade) {
  for (const absl::string_view kind : {"net", "vsock", "rng"}) {
    std::ifstream in(absl::StrCat("cli/vhost_user/50-annulus-", kind, ".json"));
    const std::string file((std::istreambuf_iterator<char>(in)), {});
    const auto made =
        DeviceDescriptor(kind, absl::StrCat("/usr/bin/annulus-device-", kind));
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(file, *made);
  }
}

TEST(DeviceDiscoveryTest, PathIsQuoted) {
  const auto made = DeviceDescriptor("rng", "/opt/a\"b\\c");
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_NE(made->find(R"("binary": "/opt/a\"b\\c")"), std::string::npos)
      << *made;
}

TEST(DeviceDiscoveryTest, PathThatIsNoneIsRefused) {
  for (const absl::string_view path :
       {"", "annulus", "./a", "/a\nb", "/\xff"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(DeviceDescriptor("net", path).status()))
        << path;
  }
}

}  // namespace
}  // namespace annulus::cli
