#include "cli/run_flags.h"

#include <initializer_list>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "base/log_sink.h"
#include "cli/flag_set.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {
namespace {

VmConfig Apply(std::initializer_list<absl::string_view> arguments,
               VmConfig config = {}) {
  RunFlags values;
  FlagSet flags("u", "d");
  AddRunFlags(values, flags);
  const auto rest = flags.Parse(Arguments(arguments.begin(), arguments.size()));
  EXPECT_TRUE(rest.ok()) << rest.status();
  ApplyRunFlags(values, config);
  return config;
}

TEST(RunFlagsTest, EachFlagOverridesItsField) {
  const VmConfig config = Apply({"--name",
                                 "n",
                                 "--kernel",
                                 "k",
                                 "--initrd",
                                 "i",
                                 "--cmdline",
                                 "c",
                                 "--cpus",
                                 "2",
                                 "--pin",
                                 "4,5",
                                 "--memory",
                                 "64M",
                                 "--hugepages",
                                 "--prefault",
                                 "--shared-memory",
                                 "--console",
                                 "file:f",
                                 "--rng",
                                 "pci",
                                 "--rng",
                                 "mmio,packed=off",
                                 "--net",
                                 "tap=tap0,queues=4",
                                 "--net",
                                 "loopback,mmio",
                                 "--vsock",
                                 "cid=3,socket=s",
                                 "--debug-exit"});
  EXPECT_EQ(config.name, "n");
  EXPECT_EQ(config.boot.kernel, "k");
  EXPECT_EQ(config.boot.initrd, "i");
  EXPECT_EQ(config.boot.cmdline, "c");
  EXPECT_EQ(config.cpu.count, 2u);
  EXPECT_EQ(config.cpu.pinning, (std::vector<uint32_t>{4, 5}));
  EXPECT_EQ(config.memory.size_bytes, uint64_t{64} << 20);
  EXPECT_TRUE(config.memory.hugepages);
  EXPECT_TRUE(config.memory.prefault);
  EXPECT_TRUE(config.memory.shared);
  EXPECT_EQ(config.console.kind, ConsoleConfig::Kind::kFile);
  EXPECT_EQ(config.console.path, "f");
  ASSERT_EQ(config.rng.size(), 2u);
  EXPECT_EQ(config.rng[0].virtio.transport, TransportKind::kPci);
  EXPECT_FALSE(config.rng[1].virtio.packed);
  ASSERT_EQ(config.net.size(), 2u);
  EXPECT_EQ(config.net[0].tap, "tap0");
  EXPECT_EQ(config.net[0].queue_pairs, 4u);
  EXPECT_EQ(config.net[1].backend, NetConfig::Backend::kLoopback);
  EXPECT_EQ(config.net[1].virtio.transport, TransportKind::kMmio);
  ASSERT_TRUE(config.vsock.has_value());
  EXPECT_EQ(config.vsock->cid, 3u);
  EXPECT_TRUE(config.debug_exit);
}

TEST(RunFlagsTest, WithoutFlagsTheConfigurationStays) {
  VmConfig config;
  config.name = "n";
  config.boot = {"k", "i", "c"};
  config.cpu = {2, {4, 5}};
  config.memory = {uint64_t{64} << 20, true, true, true};
  config.console = {ConsoleConfig::Kind::kFile, "f"};
  config.rng.resize(3);
  config.net.resize(2);
  config.vsock.emplace().cid = 4;
  config.debug_exit = true;
  const VmConfig same = Apply({}, config);
  EXPECT_EQ(same.name, "n");
  EXPECT_EQ(same.boot.kernel, "k");
  EXPECT_EQ(same.boot.initrd, "i");
  EXPECT_EQ(same.boot.cmdline, "c");
  EXPECT_EQ(same.cpu.count, 2u);
  EXPECT_EQ(same.cpu.pinning.size(), 2u);
  EXPECT_EQ(same.memory.size_bytes, uint64_t{64} << 20);
  EXPECT_TRUE(same.memory.hugepages && same.memory.prefault &&
              same.memory.shared);
  EXPECT_EQ(same.console.path, "f");
  EXPECT_EQ(same.rng.size(), 3u);
  EXPECT_EQ(same.net.size(), 2u);
  ASSERT_TRUE(same.vsock.has_value());
  EXPECT_EQ(same.vsock->cid, 4u);
  EXPECT_TRUE(same.debug_exit);
}

TEST(RunFlagsTest, SwitchesCanBeTurnedOffAgain) {
  VmConfig config;
  config.memory.hugepages = config.memory.prefault = true;
  config.memory.shared = true;
  config =
      Apply({"--no-hugepages", "--no-prefault", "--no-shared-memory"}, config);
  EXPECT_FALSE(config.memory.hugepages);
  EXPECT_FALSE(config.memory.prefault);
  EXPECT_FALSE(config.memory.shared);
}

TEST(RunFlagsTest, ConsoleFlagReplacesThePathToo) {
  VmConfig config;
  config.console = {ConsoleConfig::Kind::kFile, "f"};
  EXPECT_EQ(Apply({"--console", "null"}, config).console.path, "");
}

TEST(RunFlagsTest, RngFlagsReplaceTheList) {
  VmConfig config;
  config.rng.resize(3);
  EXPECT_EQ(Apply({"--rng", "mmio"}, config).rng.size(), 1u);
}

TEST(RunFlagsTest, NetFlagsReplaceTheList) {
  VmConfig config;
  config.net.resize(3);
  EXPECT_EQ(Apply({"--net", "null"}, config).net.size(), 1u);
}

TEST(RunFlagsTest, AVsockFlagReplacesTheWholeDevice) {
  VmConfig config;
  config.vsock.emplace().socket = "s";
  config.vsock->ports.resize(1);
  config = Apply({"--vsock", "cid=3,switch=d"}, config);
  EXPECT_EQ(config.vsock->cid, 3u);
  EXPECT_EQ(config.vsock->socket, "");
  EXPECT_TRUE(config.vsock->ports.empty());
}

TEST(RunFlagsTest, CommandLineHasADefaultUnlessAFlagSaysEmpty) {
  EXPECT_EQ(Apply({}).boot.cmdline, kDefaultCmdline);
  EXPECT_EQ(Apply({"--cmdline", ""}).boot.cmdline, "");
}

TEST(RunFlagsTest, HelpQuotesTheDefaultCommandLine) {
  RunFlags values;
  FlagSet flags("u", "d");
  AddRunFlags(values, flags);
  const std::string help =
      absl::StrReplaceAll(flags.Help(), {{"\n      ", " "}});
  EXPECT_TRUE(absl::StrContains(help, kDefaultCmdline)) << help;
}

TEST(RunFlagsTest, QuietAndVerboseChooseTheLog) {
  EXPECT_EQ(LeastSeverity({}), LogSeverity::kWarning);
  RunFlags quiet;
  quiet.quiet = true;
  EXPECT_EQ(LeastSeverity(quiet), LogSeverity::kError);
  RunFlags verbose;
  verbose.verbose = true;
  EXPECT_EQ(LeastSeverity(verbose), LogSeverity::kDebug);
}

}  // namespace
}  // namespace annulus::cli
