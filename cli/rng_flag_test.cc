#include "cli/rng_flag.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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

TEST(RngFlagTest, VirtioIsATransportAndFeatures) {
  const VirtioConfig pci = ParseRng("pci")->virtio;
  EXPECT_EQ(pci.transport, TransportKind::kPci);
  EXPECT_TRUE(pci.packed && pci.event_idx && pci.indirect_desc &&
              pci.in_order && pci.ring_reset && pci.notification_data);
  EXPECT_EQ(ParseRng("packed=off")->virtio.transport, TransportKind::kPci);
  const VirtioConfig mmio =
      ParseRng("mmio,packed=off,event_idx=off,indirect_desc=on")->virtio;
  EXPECT_EQ(mmio.transport, TransportKind::kMmio);
  EXPECT_FALSE(mmio.packed);
  EXPECT_FALSE(mmio.event_idx);
  EXPECT_TRUE(mmio.indirect_desc);
  // Each name is that of one feature.
  for (const char* name : {"packed", "event_idx", "indirect_desc", "in_order",
                           "ring_reset", "notification_data"}) {
    const VirtioConfig one =
        ParseRng(absl::StrCat("pci,", name, "=off"))->virtio;
    EXPECT_EQ(one.packed + one.event_idx + one.indirect_desc + one.in_order +
                  one.ring_reset + one.notification_data,
              5)
        << name;
  }
  for (const char* text : {"", "isa", "pci,", "pci,packed",
                           "pci,packed=", "pci,packed=no", "pci,x=off"}) {
    EXPECT_FALSE(ParseRng(text).ok()) << text;
  }
}

TEST(RngFlagTest, AnotherProcessMayServeIt) {
  EXPECT_EQ(ParseRng("vhost-user=/run/r.sock")->vhost_user.socket,
            "/run/r.sock");
  EXPECT_FALSE(ParseRng("vhost-user=/run/r.sock")->vhost_user.listen);
  EXPECT_TRUE(ParseRng("listen,vhost-user=/run/r.sock")->vhost_user.listen);
  EXPECT_EQ(ParseRng("vhost-user-fd=7,mmio")->vhost_user.fd, 7u);
  EXPECT_EQ(ErrorOf("vhost-user="), "vhost-user: \"\" is not a value");
  EXPECT_EQ(ErrorOf("vhost-user-fd=0"),
            "vhost-user-fd: \"0\" is not a descriptor from 3 on");
  EXPECT_EQ(ErrorOf("listen"),
            "listen: of no effect without vhost-user=SOCKET");
}

TEST(RngFlagTest, HelpNamesEverything) {
  for (const char* name :
       {"pci", "mmio", "poll=", "poll_us=", "cpus=", "vhost-user=",
        "vhost-user-fd=", "listen", "packed", "event_idx", "indirect_desc",
        "in_order", "ring_reset", "notification_data"}) {
    EXPECT_TRUE(absl::StrContains(kRngHelp, name)) << name;
  }
}

TEST(RngFlagTest, ErrorsNameTheOption) {
  EXPECT_EQ(ErrorOf("pci,poll=on"),
            "poll: \"on\" is not adaptive, always or never");
  EXPECT_EQ(ErrorOf("pci,poll"),
            "\"poll\" is not all: it takes a value, "
            "poll=...");
  EXPECT_EQ(ErrorOf("pci,poll_us=x"), "poll_us: \"x\" is not a number");
  EXPECT_EQ(ErrorOf("pci,cpus=0,1"),
            "\"1\" is not an option, see annulus run --help");
  EXPECT_EQ(ErrorOf("pci,cpus=0:"),
            "cpus: \"0:\" is not a list of CPUs like 0:1");
  EXPECT_EQ(ErrorOf("pci,pol=always"),
            "\"pol=always\" is not an option; did you mean poll?");
}

}  // namespace
}  // namespace annulus::cli
