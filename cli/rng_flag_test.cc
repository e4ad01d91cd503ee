#include "cli/rng_flag.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {
namespace {

std::string ErrorOf(absl::string_view text) {
  return std::string(ParseRng(text).status().message());
}

TEST(RngFlagTest, OptionsOfTheThreadAndOfTheDeviceInAnyOrder) {
  const absl::StatusOr<RngConfig> rng =
      ParseRng("mmio,poll=always,packed=off,cpus=1:3,poll_us=7");
  ASSERT_TRUE(rng.ok()) << rng.status();
  EXPECT_EQ(rng->virtio.transport, TransportKind::kMmio);
  EXPECT_FALSE(rng->virtio.packed);
  EXPECT_EQ(rng->poll, PollKind::kAlways);
  EXPECT_EQ(rng->poll_microseconds, 7u);
  EXPECT_EQ(rng->worker_cpus, (std::vector<uint32_t>{1, 3}));
}

TEST(RngFlagTest, DefaultIsAdaptive) {
  const absl::StatusOr<RngConfig> rng = ParseRng("pci");
  ASSERT_TRUE(rng.ok()) << rng.status();
  EXPECT_EQ(rng->poll, PollKind::kAdaptive);
  EXPECT_EQ(rng->poll_microseconds, kDefaultPollMicroseconds);
  EXPECT_TRUE(rng->worker_cpus.empty());
}

TEST(RngFlagTest, ErrorsNameTheOption) {
  EXPECT_EQ(ErrorOf("pci,poll=on"),
            "poll: \"on\" is not adaptive, always or never");
  EXPECT_EQ(ErrorOf("pci,poll"), "poll: \"\" is not adaptive, always or never");
  EXPECT_EQ(ErrorOf("pci,poll_us=x"), "poll_us: \"x\" is not a number");
  EXPECT_EQ(ErrorOf("pci,cpus=0,1"), ParseRng("pci,1").status().message());
  EXPECT_EQ(ErrorOf("pci,cpus=0:"),
            "cpus: \"0:\" is not a list of CPUs like 0:1");
  EXPECT_EQ(ErrorOf("poll=always"), "\"\" is not pci or mmio");
}

}  // namespace
}  // namespace annulus::cli
