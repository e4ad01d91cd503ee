#include "cli/device_flags.h"

#include <fstream>
#include <iterator>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "cli/flag_set.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {
namespace {

absl::StatusOr<DevicesConfig> Parse(
    absl::string_view kind, const std::vector<absl::string_view>& arguments) {
  DeviceFlags values;
  FlagSet flags("", "");
  AddDeviceFlags(kind, values, flags);
  const auto positional = flags.Parse(arguments);
  if (!positional.ok()) return positional.status();
  return DeviceOfFlags(kind, values);
}

std::string ErrorOf(absl::string_view kind,
                    const std::vector<absl::string_view>& arguments) {
  return std::string(Parse(kind, arguments).status().message());
}

TEST(DeviceFlagsTest, NetIsASocketAndABackend) {
  const auto config =
      Parse("net", {"--socket", "/run/n.sock", "--backend",
                    "tap=tap0,queues=2,mtu=9000", "--state-file", "/run/state",
                    "--name", "uplink"});
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->device.size(), 1u);
  const DeviceConfig& device = config->device[0];
  EXPECT_EQ(device.socket, "/run/n.sock");
  EXPECT_EQ(device.state_file, "/run/state");
  EXPECT_EQ(device.name, "uplink");
  const NetConfig& net = std::get<NetConfig>(device.kind);
  EXPECT_EQ(net.backend, NetConfig::Backend::kTap);
  EXPECT_EQ(net.tap, "tap0");
  EXPECT_EQ(net.queue_pairs, 2u);
  EXPECT_EQ(net.mtu, 9000u);
}

TEST(DeviceFlagsTest, NamesOfOtherVhostUserProgramsAreKnown) {
  const auto config =
      Parse("net", {"--socket-path=/run/n.sock", "--backend=null"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->device[0].socket, "/run/n.sock");
}

TEST(DeviceFlagsTest, QueuesOverrideThoseOfTheBackend) {
  for (const bool first : {true, false}) {
    const std::vector<absl::string_view> arguments =
        first ? std::vector<absl::string_view>{"--queues=4",
                                               "--backend=null,queues=2"}
              : std::vector<absl::string_view>{"--backend=null,queues=2",
                                               "--queues=4"};
    std::vector<absl::string_view> all = arguments;
    all.push_back("--fd=5");
    const auto config = Parse("net", all);
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->device[0].fd, 5u);
    EXPECT_EQ(std::get<NetConfig>(config->device[0].kind).queue_pairs, 4u);
  }
  EXPECT_EQ(ErrorOf("net", {"--fd=5", "--backend=null", "--queues=17"}),
            "--queues: 17 is not in 1..16");
}

TEST(DeviceFlagsTest, VsockAndRng) {
  auto config = Parse("vsock", {"--connect", "/run/q.sock", "--backend",
                                "cid=7,socket=/run/v"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->device[0].connect, "/run/q.sock");
  EXPECT_EQ(std::get<VsockConfig>(config->device[0].kind).cid, 7u);
  config = Parse("rng", {"--socket", "/run/r.sock"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(std::get<RngConfig>(config->device[0].kind).virtio.packed);
  config = Parse("rng", {"--socket", "/run/r.sock", "--backend",
                         "packed=off,poll=always"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(std::get<RngConfig>(config->device[0].kind).poll,
            PollKind::kAlways);
  EXPECT_FALSE(std::get<RngConfig>(config->device[0].kind).virtio.packed);
}

TEST(DeviceFlagsTest, OneEndpointMustBeGiven) {
  constexpr absl::string_view kOne =
      "give one of --socket PATH, --fd N and --connect PATH";
  EXPECT_EQ(ErrorOf("net", {"--backend=null"}), kOne);
  EXPECT_EQ(ErrorOf("net", {"--backend=null", "--fd=3", "--socket=/a"}), kOne);
  EXPECT_EQ(ErrorOf("net", {"--backend=null", "--connect=/b", "--socket=/a"}),
            kOne);
  EXPECT_EQ(ErrorOf("net", {"--socket=/a"}), "--backend: is not given");
  EXPECT_EQ(ErrorOf("vsock", {"--socket=/a"}), "--backend: is not given");
}

TEST(DeviceFlagsTest, ErrorsNameTheFlag) {
  EXPECT_EQ(ErrorOf("net", {"--fd=x"}), "--fd: \"x\" is not a number");
  EXPECT_EQ(ErrorOf("net", {"--fd=0"}),
            "--fd: \"0\" is not a descriptor from 3 on");
  EXPECT_EQ(ErrorOf("net", {"--fd=2", "--backend=null"}),
            "--fd: 2 is not in 3..1048576");
  EXPECT_EQ(ErrorOf("net", {"--socket="}), "--socket: \"\" is not a value");
  EXPECT_TRUE(absl::StartsWith(ErrorOf("net", {"--backend=tap"}),
                               "--backend: \"tap\" is not "));
  EXPECT_EQ(ErrorOf("net", {"--socket=/a", "--backend=null,mtu=1"}),
            "--backend: mtu: 1 is not in 68..65535");
  EXPECT_EQ(ErrorOf("vsock", {"--socket=/a", "--backend=cid=1,socket=/b"}),
            "--backend: cid: 1 means the guest itself everywhere; a guest's "
            "is 3 to 4294967294");
  EXPECT_EQ(ErrorOf("net", {"--socket=/a", "--backend=null", "--name=a b"}),
            "--name: may only contain A-Z, a-z, 0-9, '-', '_' and '.'");
  EXPECT_TRUE(absl::StartsWith(ErrorOf("vsock", {"--queues=2"}),
                               "unknown flag --queues"));
}

TEST(DeviceFlagsTest, TransportIsNoneOfItsBusiness) {
  for (const absl::string_view spec : {"null,pci", "mmio,null"}) {
    EXPECT_TRUE(
        absl::StrContains(ErrorOf("net", {"--socket=/a", "--backend", spec}),
                          "is not possible: the transport is the front-end's"))
        << spec;
  }
  EXPECT_TRUE(absl::StrContains(ErrorOf("rng", {"--backend=pci"}),
                                "the transport is the front-end's"));
}

TEST(DeviceFlagsTest, FieldsOfTheLibraryBecomeFlags) {
  EXPECT_EQ(FieldToFlag("device[0].net.tap: tap0: No such device"),
            "--backend: tap: tap0: No such device");
  EXPECT_EQ(FieldToFlag("device[0].socket: \"/a\": in use"),
            "--socket: \"/a\": in use");
  EXPECT_EQ(FieldToFlag("device[0].state_file: /a: Is a directory"),
            "--state-file: /a: Is a directory");
  EXPECT_EQ(FieldToFlag("device[0].vsock: cannot"), "--backend: cannot");
  EXPECT_EQ(FieldToFlag("creating a thread"), "creating a thread");
}

TEST(DeviceFlagsTest, EveryFlagIsInTheDocumentation) {
  std::ifstream in("docs/vhost_user.md");
  const std::string docs((std::istreambuf_iterator<char>(in)), {});
  int seen = 0;
  for (const absl::string_view kind : {"", "net", "vsock", "rng"}) {
    DeviceFlags values;
    FlagSet flags("", "");
    AddDeviceFlags(kind, values, flags);
    const std::string help = flags.Help();
    for (absl::string_view line : absl::StrSplit(help, '\n')) {
      if (!absl::ConsumePrefix(&line, "  --")) continue;
      ++seen;
      const absl::string_view name = line.substr(0, line.find_first_of(" ,"));
      EXPECT_TRUE(absl::StrContains(docs, absl::StrCat("`--", name))) << name;
    }
  }
  EXPECT_GT(seen, 30);
}

TEST(DeviceFlagsTest, OfSeveralDevicesThereIsAFile) {
  DeviceFlags values;
  FlagSet flags("", "");
  AddDeviceFlags("", values, flags);
  const std::vector<absl::string_view> arguments = {"--config", "d.textproto",
                                                    "-v"};
  ASSERT_TRUE(flags.Parse(arguments).ok());
  EXPECT_EQ(values.config_file, "d.textproto");
  EXPECT_EQ(LeastSeverity(values), LogSeverity::kDebug);
}

}  // namespace
}  // namespace annulus::cli
