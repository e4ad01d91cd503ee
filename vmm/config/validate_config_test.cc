#include "vmm/config/validate_config.h"

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus {
namespace {

VmConfig Valid() {
  VmConfig config;
  config.boot.kernel = "vmlinuz";
  return config;
}

// The one line about a valid configuration after `spoil`; "" if still valid.
std::string ErrorAfter(const std::function<void(VmConfig&)>& spoil) {
  VmConfig config = Valid();
  spoil(config);
  const absl::Status status = ValidateVmConfig(config);
  if (status.ok()) return "";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(ValidateConfigTest, DefaultsWithAKernelAreValid) {
  EXPECT_EQ(ErrorAfter([](VmConfig&) {}), "");
}

TEST(ValidateConfigTest, NameIsOneTo32CharactersOfTheCharset) {
  EXPECT_EQ(ErrorAfter([](VmConfig& c) { c.name = ""; }), "name: is empty");
  EXPECT_EQ(ErrorAfter([](VmConfig& c) { c.name = std::string(32, 'a'); }), "");
  EXPECT_EQ(ErrorAfter([](VmConfig& c) { c.name = std::string(33, 'a'); }),
            "name: 33 characters are more than 32");
  EXPECT_EQ(ErrorAfter([](VmConfig& c) { c.name = "A-z_0.9"; }), "");
  const std::string charset =
      "name: may only contain A-Z, a-z, 0-9, '-', '_' and '.'";
  for (const std::string& name :
       {std::string("a b"), std::string("a/b"), std::string("a\n"),
        std::string("a\0b", 3), std::string("\xc3\xa9")}) {
    EXPECT_EQ(ErrorAfter([&](VmConfig& c) { c.name = name; }), charset) << name;
  }
}

TEST(ValidateConfigTest, CpuCountIsOneTo32) {
  EXPECT_EQ(ErrorAfter([](VmConfig& c) { c.cpu.count = 0; }),
            "cpu.count: 0 is not in 1..32");
  EXPECT_EQ(ErrorAfter([](VmConfig& c) { c.cpu.count = 32; }), "");
  EXPECT_EQ(ErrorAfter([](VmConfig& c) { c.cpu.count = 33; }),
            "cpu.count: 33 is not in 1..32");
  EXPECT_EQ(ErrorAfter([](VmConfig& c) { c.cpu.count = 1000; }),
            "cpu.count: 1000 is not in 1..32");
  EXPECT_EQ(ErrorAfter([](VmConfig& c) { c.cpu.count = UINT32_MAX; }),
            "cpu.count: 4294967295 is not in 1..32");
}

TEST(ValidateConfigTest, PinningHasOneEntryForEachVcpuOrNone) {
  EXPECT_EQ(ErrorAfter([](VmConfig& c) {
              c.cpu.count = 2;
              c.cpu.pinning = {0, 1023};
            }),
            "");
  EXPECT_EQ(ErrorAfter([](VmConfig& c) {
              c.cpu.count = 2;
              c.cpu.pinning = {0};
            }),
            "cpu.pinning: has 1 entries for 2 vCPUs; give one each, or none");
  EXPECT_EQ(ErrorAfter([](VmConfig& c) {
              c.cpu.pinning = {0, 1};
            }),
            "cpu.pinning: has 2 entries for 1 vCPUs; give one each, or none");
  EXPECT_EQ(ErrorAfter([](VmConfig& c) {
              c.cpu.count = 2;
              c.cpu.pinning = {0, 1024};
            }),
            "cpu.pinning[1]: 1024 is not in 0..1023");
}

TEST(ValidateConfigTest, MemoryIs16MibTo1Tib) {
  const auto error = [](uint64_t bytes) {
    return ErrorAfter([=](VmConfig& c) { c.memory.size_bytes = bytes; });
  };
  EXPECT_EQ(error(0),
            "memory.size_bytes: 0 is not in 16777216..1099511627776 (16 MiB to "
            "1 TiB)");
  EXPECT_NE(error(kMinMemoryBytes - 4096), "");
  EXPECT_EQ(error(kMinMemoryBytes), "");
  EXPECT_EQ(error(kMaxMemoryBytes), "");
  EXPECT_NE(error(kMaxMemoryBytes + 4096), "");
  EXPECT_NE(error(UINT64_MAX), "");
}

TEST(ValidateConfigTest, MemoryIsAMultipleOfThePage) {
  const auto error = [](uint64_t bytes, bool hugepages) {
    return ErrorAfter([=](VmConfig& c) {
      c.memory.size_bytes = bytes;
      c.memory.hugepages = hugepages;
    });
  };
  EXPECT_EQ(error(16777217, false),
            "memory.size_bytes: 16777217 is not a multiple of 4096");
  EXPECT_EQ(error(16781312, false), "");
  EXPECT_EQ(error(16781312, true),
            "memory.size_bytes: 16781312 is not a multiple of 2 MiB, which "
            "memory.hugepages needs");
  EXPECT_EQ(error(18874368, true), "");
}

TEST(ValidateConfigTest, KernelMustBeGiven) {
  EXPECT_EQ(ErrorAfter([](VmConfig& c) { c.boot.kernel = ""; }),
            "boot.kernel: is not given");
}

TEST(ValidateConfigTest, PathsHaveNoNulAndFitPathMax) {
  const std::string nul("a\0b", 3);
  EXPECT_EQ(ErrorAfter([&](VmConfig& c) { c.boot.kernel = nul; }),
            "boot.kernel: contains a NUL byte");
  EXPECT_EQ(ErrorAfter([&](VmConfig& c) { c.boot.initrd = nul; }),
            "boot.initrd: contains a NUL byte");
  EXPECT_EQ(ErrorAfter([&](VmConfig& c) {
              c.console = {ConsoleConfig::Kind::kFile, nul};
            }),
            "console.path: contains a NUL byte");
  EXPECT_EQ(
      ErrorAfter([](VmConfig& c) { c.boot.kernel = std::string(4095, 'k'); }),
      "");
  EXPECT_EQ(
      ErrorAfter([](VmConfig& c) { c.boot.initrd = std::string(4096, 'k'); }),
      "boot.initrd: 4096 bytes are more than 4095");
}

TEST(ValidateConfigTest, CmdlineIsOneLineOfBoundedLength) {
  const auto error = [](const std::string& cmdline) {
    return ErrorAfter([&](VmConfig& c) { c.boot.cmdline = cmdline; });
  };
  EXPECT_EQ(error(std::string("a\0b", 3)), "boot.cmdline: contains a NUL byte");
  EXPECT_EQ(error("a\nb"), "boot.cmdline: contains a line break");
  EXPECT_EQ(error("a\rb"), "boot.cmdline: contains a line break");
  EXPECT_EQ(error(std::string(65535, 'a')), "");
  EXPECT_EQ(error(std::string(65536, 'a')),
            "boot.cmdline: 65536 bytes are more than 65535");
}

TEST(ValidateConfigTest, ConsolePathIsGivenExactlyForAFile) {
  using Kind = ConsoleConfig::Kind;
  EXPECT_EQ(ErrorAfter([](VmConfig& c) {
              c.console = {Kind::kFile, "log"};
            }),
            "");
  EXPECT_EQ(ErrorAfter([](VmConfig& c) {
              c.console = {Kind::kFile, ""};
            }),
            "console.path: is not given, but console.kind is FILE");
  for (const Kind kind : {Kind::kStdio, Kind::kNull}) {
    EXPECT_EQ(ErrorAfter([=](VmConfig& c) {
                c.console = {kind, "log"};
              }),
              "console.path: is given, but console.kind is not FILE");
  }
}

TEST(ValidateConfigTest, EightRngDevicesFitOnEachTransport) {
  const auto error = [](size_t pci, size_t mmio) {
    return ErrorAfter([=](VmConfig& c) {
      c.rng.resize(pci + mmio);
      for (size_t i = 0; i < mmio; ++i) {
        c.rng[i].virtio.transport = TransportKind::kMmio;
      }
    });
  };
  EXPECT_EQ(error(8, 8), "");
  EXPECT_EQ(error(9, 8), "rng: 9 devices on PCI are more than 8");
  EXPECT_EQ(error(0, 9), "rng: 9 devices on MMIO are more than 8");
}

TEST(ValidateConfigTest, NetworkCardsAreValidated) {
  EXPECT_EQ(ErrorAfter([](VmConfig& c) { c.net.resize(1); }),
            "net[0].backend: is not given: TAP, PASST, LOOPBACK, NULL, SWITCH "
            "or VHOST_USER");
}

TEST(ValidateConfigTest, TheSocketDeviceIsValidated) {
  EXPECT_EQ(ErrorAfter([](VmConfig& c) {
              c.vsock.emplace().cid = 3;
              c.vsock->socket = "s";
            }),
            "");
  EXPECT_EQ(ErrorAfter([](VmConfig& c) { c.vsock.emplace().cid = 2; }),
            "vsock.cid: 2 is the host; a guest's is 3 to 4294967294");
}

TEST(ValidateConfigTest, DevicesOfAllKindsShareTheWindowsOfMmio) {
  const auto error = [](size_t rng, size_t net, bool vsock = false) {
    return ErrorAfter([=](VmConfig& c) {
      if (vsock) {
        c.vsock.emplace().cid = 3;
        c.vsock->socket = "s";
        c.vsock->virtio.transport = TransportKind::kMmio;
      }
      c.rng.resize(rng);
      for (RngConfig& device : c.rng) {
        device.virtio.transport = TransportKind::kMmio;
      }
      c.net.resize(net);
      for (NetConfig& device : c.net) {
        device.backend = NetConfig::Backend::kNull;
        device.virtio.transport = TransportKind::kMmio;
      }
    });
  };
  EXPECT_EQ(error(4, 4), "");
  EXPECT_EQ(error(4, 5),
            "net: with those of rng, 9 devices on MMIO are more than 8");
  EXPECT_EQ(error(4, 3, true), "");
  EXPECT_EQ(error(4, 4, true),
            "vsock: with those of rng and net, 9 devices on MMIO are more than "
            "8");
}

}  // namespace
}  // namespace annulus
