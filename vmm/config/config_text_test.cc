#include "vmm/config/config_text.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus {
namespace {

std::string ErrorOf(absl::string_view text, ConfigFormat format) {
  const absl::StatusOr<VmConfig> config = ParseVmConfig(text, format, "F");
  if (config.ok()) return "parsed";
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(config.status().message());
}

std::string TextError(absl::string_view text) {
  return ErrorOf(text, ConfigFormat::kTextProto);
}

std::string JsonErrorOf(absl::string_view text) {
  return ErrorOf(text, ConfigFormat::kJson);
}

// What both formats of the next tests say.
void ExpectFullConfig(const absl::StatusOr<VmConfig>& config) {
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->name, "web-1");
  EXPECT_TRUE(config->debug_exit);
  EXPECT_EQ(config->cpu.count, 2u);
  EXPECT_EQ(config->cpu.pinning, (std::vector<uint32_t>{4, 5}));
  EXPECT_EQ(config->memory.size_bytes, uint64_t{64} << 20);
  EXPECT_TRUE(config->memory.hugepages);
  EXPECT_TRUE(config->memory.prefault);
  EXPECT_TRUE(config->memory.shared);
  EXPECT_EQ(config->boot.kernel, "vmlinuz");
  EXPECT_EQ(config->boot.initrd, "initrd");
  EXPECT_EQ(config->boot.cmdline, "console=ttyS0");
  EXPECT_EQ(config->console.kind, ConsoleConfig::Kind::kFile);
  EXPECT_EQ(config->console.path, "log");
  ASSERT_EQ(config->rng.size(), 2u);
  EXPECT_EQ(config->rng[0].virtio.transport, TransportKind::kPci);
  EXPECT_TRUE(config->rng[0].virtio.packed);
  EXPECT_EQ(config->rng[1].virtio.transport, TransportKind::kMmio);
  EXPECT_FALSE(config->rng[1].virtio.packed);
  EXPECT_FALSE(config->rng[1].virtio.event_idx);
  EXPECT_FALSE(config->rng[1].virtio.indirect_desc);
  EXPECT_FALSE(config->rng[1].virtio.in_order);
  EXPECT_FALSE(config->rng[1].virtio.ring_reset);
  EXPECT_FALSE(config->rng[1].virtio.notification_data);
  ASSERT_EQ(config->net.size(), 3u);
  const NetConfig& net = config->net[0];
  EXPECT_EQ(net.virtio.transport, TransportKind::kMmio);
  EXPECT_EQ(net.backend, NetConfig::Backend::kTap);
  EXPECT_EQ(net.tap, "tap0");
  EXPECT_TRUE(net.create_tap);
  EXPECT_EQ(net.pcap, "net.pcap");
  EXPECT_EQ(net.mac, "52:54:00:12:34:56");
  EXPECT_EQ(net.mtu, 9000u);
  EXPECT_EQ(net.queue_pairs, 4u);
  EXPECT_EQ(net.queue_size, 1024u);
  EXPECT_EQ(net.speed_mbps, 10000u);
  EXPECT_EQ(net.disabled_features,
            (std::vector<std::string>{"mrg_rxbuf", "guest_ecn"}));
  EXPECT_EQ(net.receive_limit.bytes_per_second, uint64_t{1} << 40);
  EXPECT_EQ(net.receive_limit.burst_bytes, 65536u);
  EXPECT_EQ(net.transmit_limit.frames_per_second, 1000u);
  EXPECT_EQ(net.transmit_limit.burst_frames, 32u);
  EXPECT_EQ(net.poll_microseconds, 50u);
  EXPECT_EQ(net.poll, PollKind::kAlways);
  EXPECT_EQ(net.worker_cpus, (std::vector<uint32_t>{1, 3}));
  const HeaderSplitConfig& split = net.header_split;
  EXPECT_TRUE(split.enabled);
  EXPECT_FALSE(split.chain);
  EXPECT_FALSE(split.buffers);
  EXPECT_FALSE(split.small_buffers);
  EXPECT_TRUE(split.header_queue);
  EXPECT_EQ(split.min_threshold, 128u);
  EXPECT_EQ(split.max_threshold, 9000u);
  EXPECT_EQ(split.split_feature, 44u);
  EXPECT_EQ(split.header_queue_feature, 45u);
  EXPECT_EQ(split.header_flag, 64u);
  EXPECT_EQ(split.split_class, 200u);
  EXPECT_EQ(split.header_queue_class, 201u);
  EXPECT_EQ(config->net[1].backend, NetConfig::Backend::kPasst);
  EXPECT_EQ(config->net[1].passt, "passt.socket");
  EXPECT_EQ(config->net[2].tap_fds, (std::vector<uint32_t>{7, 8}));
  ASSERT_TRUE(config->vsock.has_value());
  const VsockConfig& vsock = *config->vsock;
  EXPECT_EQ(vsock.virtio.transport, TransportKind::kMmio);
  EXPECT_EQ(vsock.cid, 4294967294u);
  EXPECT_EQ(vsock.socket, "vm.vsock");
  EXPECT_EQ(vsock.socket_fd, 7u);
  EXPECT_EQ(vsock.host_fd, 8u);
  EXPECT_EQ(vsock.switch_directory, "switch");
  EXPECT_EQ(vsock.buf_alloc, 1048576u);
  EXPECT_EQ(vsock.max_connections, 100u);
  EXPECT_EQ(vsock.queue_size, 1024u);
  EXPECT_EQ(vsock.connect_wait_milliseconds, 1u);
  EXPECT_EQ(vsock.listen_wait_milliseconds, 2u);
  EXPECT_EQ(vsock.close_wait_milliseconds, 3u);
  EXPECT_EQ(vsock.poll_microseconds, 4u);
  EXPECT_EQ(vsock.poll, PollKind::kNever);
  EXPECT_FALSE(vsock.seqpacket);
  EXPECT_TRUE(vsock.mrg_rxbuf);
  EXPECT_TRUE(vsock.dgram);
  EXPECT_EQ(vsock.mrg_rxbuf_feature, 50u);
  EXPECT_EQ(vsock.dgram_feature, 51u);
  ASSERT_EQ(vsock.ports.size(), 2u);
  EXPECT_EQ(vsock.ports[0].port, 8080u);
  EXPECT_EQ(vsock.ports[0].direction, VsockPortConfig::Direction::kToHost);
  EXPECT_EQ(vsock.ports[0].type, VsockPortConfig::Type::kSeqpacket);
  EXPECT_EQ(vsock.ports[0].path, "@web");
  EXPECT_EQ(vsock.ports[1].direction, VsockPortConfig::Direction::kToGuest);
  EXPECT_EQ(vsock.ports[1].type, VsockPortConfig::Type::kStream);
  EXPECT_EQ(vsock.ports[1].fd, 9u);
}

TEST(ConfigTextTest, TextFormatSetsEveryField) {
  ExpectFullConfig(ParseVmConfig(R"(
      # A comment.
      name: "web-1"
      cpu { count: 2 pinning: [4, 5] }
      debug_exit: true
      memory { size_mib: 64 hugepages: true prefault: true shared: true }
      boot { kernel: "vmlinuz" initrd: "initrd" cmdline: "console=ttyS0" }
      console { kind: FILE path: "log" }
      rng {}
      rng {
        virtio {
          transport: MMIO packed: false event_idx: false indirect_desc: false
          in_order: false ring_reset: false notification_data: false
        }
      }
      net {
        virtio { transport: MMIO }
        backend: TAP tap: "tap0" create_tap: true pcap: "net.pcap"
        mac: "52:54:00:12:34:56" mtu: 9000 queue_pairs: 4 queue_size: 1024
        speed_mbps: 10000 disabled_features: ["mrg_rxbuf", "guest_ecn"]
        receive_limit { bytes_per_second: 1099511627776 burst_bytes: 65536 }
        transmit_limit { frames_per_second: 1000 burst_frames: 32 }
        poll_microseconds: 50 poll: ALWAYS worker_cpus: [ 1, 3 ]
        header_split {
          enabled: true chain: false buffers: false small_buffers: false
          header_queue: true min_threshold: 128 max_threshold: 9000
          split_feature: 44 header_queue_feature: 45 header_flag: 64
          split_class: 200 header_queue_class: 201
        }
      }
      net { backend: PASST passt: "passt.socket" }
      net { backend: TAP tap_fds: [7, 8] }
      vsock {
        virtio { transport: MMIO }
        cid: 4294967294 socket: "vm.vsock" socket_fd: 7 host_fd: 8
        ports { port: 8080 direction: TO_HOST type: SEQPACKET path: "@web" }
        ports { port: 22 direction: TO_GUEST fd: 9 }
        switch_directory: "switch" buf_alloc: 1048576 max_connections: 100
        queue_size: 1024 connect_wait_milliseconds: 1
        listen_wait_milliseconds: 2 close_wait_milliseconds: 3
        poll_microseconds: 4 poll: NEVER seqpacket: false mrg_rxbuf: true dgram: true
        mrg_rxbuf_feature: 50 dgram_feature: 51
      })",
                                 ConfigFormat::kTextProto, "F"));
}

TEST(ConfigTextTest, JsonSetsEveryField) {
  ExpectFullConfig(ParseVmConfig(R"({
      "name": "web-1",
      "cpu": {"count": 2, "pinning": [4, 5]},
      "debug_exit": true,
      "memory": {"sizeMib": 64, "hugepages": true, "prefault": true,
                 "shared": true},
      "boot": {"kernel": "vmlinuz", "initrd": "initrd",
               "cmdline": "console=ttyS0"},
      "console": {"kind": "FILE", "path": "log"},
      "rng": [{}, {"virtio": {"transport": "MMIO", "packed": false,
                              "event_idx": false, "indirectDesc": false,
                              "inOrder": false, "ringReset": false,
                              "notificationData": false}}],
      "net": [
        {"virtio": {"transport": "MMIO"}, "backend": "TAP", "tap": "tap0",
         "createTap": true, "pcap": "net.pcap", "mac": "52:54:00:12:34:56",
         "mtu": 9000, "queuePairs": 4, "queueSize": 1024, "speedMbps": 10000,
         "disabledFeatures": ["mrg_rxbuf", "guest_ecn"],
         "receiveLimit": {"bytesPerSecond": "1099511627776",
                          "burstBytes": 65536},
         "transmitLimit": {"framesPerSecond": 1000, "burstFrames": 32},
         "pollMicroseconds": 50, "poll": "ALWAYS", "workerCpus": [1, 3],
         "headerSplit": {"enabled": true, "chain": false, "buffers": false,
                         "smallBuffers": false, "headerQueue": true,
                         "minThreshold": 128, "maxThreshold": 9000,
                         "splitFeature": 44, "headerQueueFeature": 45,
                         "headerFlag": 64, "splitClass": 200,
                         "headerQueueClass": 201}},
        {"backend": "PASST", "passt": "passt.socket"},
        {"backend": "TAP", "tap_fds": [7, 8]}],
      "vsock": {
        "virtio": {"transport": "MMIO"}, "cid": 4294967294,
        "socket": "vm.vsock", "socketFd": 7, "hostFd": 8,
        "ports": [
          {"port": 8080, "direction": "TO_HOST", "type": "SEQPACKET",
           "path": "@web"},
          {"port": 22, "direction": "TO_GUEST", "fd": 9}],
        "switchDirectory": "switch", "bufAlloc": "1048576",
        "maxConnections": 100, "queueSize": 1024,
        "connectWaitMilliseconds": 1, "listenWaitMilliseconds": 2,
        "closeWaitMilliseconds": 3, "pollMicroseconds": 4,
        "poll": "NEVER",
        "seqpacket": false, "mrgRxbuf": true, "dgram": true,
        "mrgRxbufFeature": 50, "dgramFeature": 51}
      })",
                                 ConfigFormat::kJson, "F"));
}

TEST(ConfigTextTest, EmptyTextIsTheDefaultConfiguration) {
  const auto config = ParseVmConfig("", ConfigFormat::kTextProto, "F");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(FormatVmConfig(*config), FormatVmConfig(VmConfig()));
  EXPECT_EQ(config->memory.size_bytes, VmConfig().memory.size_bytes);
}

TEST(ConfigTextTest, FormatSpellsDefaultsOut) {
  VmConfig config;
  config.rng.resize(1);
  EXPECT_EQ(FormatVmConfig(config), R"(name: "annulus"
cpu {
  count: 1
}
memory {
  size_mib: 512
  hugepages: false
  prefault: false
  shared: false
}
boot {
  kernel: ""
  initrd: ""
  cmdline: ""
}
console {
  kind: STDIO
  path: ""
}
rng {
  virtio {
    transport: PCI
    packed: true
    event_idx: true
    indirect_desc: true
    ring_reset: true
    notification_data: true
    in_order: true
  }
  poll: ADAPTIVE
  poll_microseconds: 32
  vhost_user {
    socket: ""
    listen: false
    fd: 0
  }
}
debug_exit: false
control {
  socket: ""
  fd: 0
  mode: "600"
}
)");
}

TEST(ConfigTextTest, FormatGivesASizeThatIsNotWholeMibInBytes) {
  VmConfig config;
  config.memory.size_bytes = 16781312;
  const std::string text = FormatVmConfig(config);
  EXPECT_TRUE(absl::StrContains(text, "size_bytes: 16781312")) << text;
  const auto parsed = ParseVmConfig(text, ConfigFormat::kTextProto, "F");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->memory.size_bytes, 16781312u);
}

// Bad input: one line with file, place and reason.

TEST(ConfigTextTest, TextErrorsNameLineAndColumn) {
  EXPECT_EQ(TextError("name: \"a\"\n  foo: 1"),
            "F:2:6: Message type \"annulus.proto.VmConfig\" has no field named "
            "\"foo\".");
  EXPECT_EQ(TextError("cpu { count: \"x\" }"),
            "F:1:14: Expected integer, got: \"x\"");
  EXPECT_EQ(TextError("cpu { count: -1 }"), "F:1:14: Expected integer, got: -");
  EXPECT_TRUE(absl::StartsWith(TextError("cpu { count: 4294967296 }"),
                               "F:1:14: Integer out of range"));
  EXPECT_EQ(TextError("cpu { count: 1"),
            "F:1:15: Expected identifier, got: end of file");
  EXPECT_EQ(
      TextError("console { kind: TAPE }"),
      "F:1:22: Unknown enumeration value of \"TAPE\" for field \"kind\".");
  EXPECT_EQ(TextError("name: \"a\" name: \"b\""),
            "F:1:15: Non-repeated field \"name\" is specified multiple times.");
  EXPECT_EQ(TextError("memory { size_mib: 1 size_bytes: 1 }"),
            "F:1:32: Field \"size_bytes\" is specified along with field "
            "\"size_mib\", another member of oneof \"size\".");
}

TEST(ConfigTextTest, JsonErrorsNameTheField) {
  EXPECT_EQ(JsonErrorOf(R"({"foo": 1})"), "F: foo: no such field");
  EXPECT_EQ(JsonErrorOf(R"({"rng": [{}, {"virtio": {"foo": 1}}]})"),
            "F: rng[1].virtio.foo: no such field");
  EXPECT_EQ(JsonErrorOf(R"({"cpu": {"count": "x"}})"),
            "F: cpu.count: invalid value \"x\" for type uint32");
  EXPECT_EQ(JsonErrorOf(R"({"cpu": {"count": -1}})"),
            "F: cpu.count: invalid value -1 for type uint32");
  EXPECT_EQ(JsonErrorOf(R"({"name": 5})"),
            "F: name: invalid value 5 for type string");
  EXPECT_EQ(JsonErrorOf(R"({"console": {"kind": "TAPE"}})"),
            "F: console.kind: invalid value \"TAPE\" for type "
            "ConsoleConfig.Kind");
}

TEST(ConfigTextTest, JsonSyntaxErrorsNameLineAndColumn) {
  EXPECT_EQ(JsonErrorOf("{\"cpu\":\n  {\"count\" 1}}"),
            "F:2:12: Expected : between key:value pair.");
  EXPECT_TRUE(absl::StartsWith(JsonErrorOf("{"), "F:1:2: Unexpected end"));
  EXPECT_TRUE(absl::StartsWith(JsonErrorOf(""), "F:1:1: Unexpected end"));
  EXPECT_TRUE(absl::StartsWith(JsonErrorOf("[]"), "F: ")) << JsonErrorOf("[]");
  EXPECT_EQ(JsonErrorOf("{} x"),
            "F:1:4: Parsing terminated before end of input.");
}

TEST(ConfigTextTest, EnumNumberWithoutANameIsRefused) {
  EXPECT_EQ(TextError("console { kind: 7 }"),
            "F: console.kind: 7 is not one of STDIO, FILE, NULL");
  EXPECT_EQ(JsonErrorOf(R"({"rng": [{}, {"virtio": {"transport": 9}}]})"),
            "F: rng[1].virtio.transport: 9 is not one of PCI, MMIO");
}

TEST(ConfigTextTest, SizeThatOverflowsIsRefused) {
  EXPECT_EQ(TextError("memory { size_mib: 18446744073709551615 }"),
            "F: memory.size_mib: 18446744073709551615 is more than memory can "
            "be addressed");
}

TEST(ConfigTextTest, AnotherMessageTypeIsNamedByItsHeader) {
  EXPECT_EQ(TextError("# proto-file: x.proto\n# proto-message: other.Thing\n"),
            "F: holds a other.Thing, not a annulus.proto.VmConfig");
  EXPECT_EQ(TextError("# proto-message: annulus.proto.VmConfig\n"), "parsed");
  EXPECT_EQ(TextError("# proto-message: VmConfig\n"), "parsed");
}

TEST(ConfigTextTest, AnotherMessageTypeWithoutHeaderFailsAtItsFirstField) {
  EXPECT_EQ(
      TextError("machine_config { vcpu_count: 1 }"),
      "F:1:16: Message type \"annulus.proto.VmConfig\" has no field named "
      "\"machine_config\".");
}

TEST(ConfigTextTest, BinaryOrHugeFilesAreNotParsed) {
  EXPECT_EQ(TextError(absl::string_view("\x7f"
                                        "ELF\0",
                                        5)),
            "F: contains a NUL byte: not a text file");
  EXPECT_EQ(TextError(std::string(kMaxConfigBytes + 1, '\n')),
            "F: is larger than 1048576 bytes: not a configuration");
  EXPECT_EQ(TextError(std::string(kMaxConfigBytes, '\n')), "parsed");
}

TEST(ConfigTextTest, DeepNestingFails) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "{\"rng\":";
  EXPECT_TRUE(absl::StartsWith(JsonErrorOf(text), "F")) << JsonErrorOf(text);
  std::string brackets(100'000, '[');
  EXPECT_NE(JsonErrorOf("{\"name\":" + brackets), "parsed");
  std::string messages;
  for (int i = 0; i < 100'000; ++i) messages += "rng {";
  EXPECT_NE(TextError(messages), "parsed");
}

TEST(ConfigTextTest, ErrorsAreOnePrintableLine) {
  const auto config = ParseVmConfig("{\"a\nb\x1b[31m\": 1}",
                                    ConfigFormat::kJson, "dir\n\x1b/name");
  ASSERT_FALSE(config.ok());
  for (const char c : config.status().message()) {
    EXPECT_TRUE(c >= ' ' && c <= '~') << config.status();
  }
  EXPECT_LT(JsonErrorOf("{\"" + std::string(5000, 'a') + "\": 1}").size(),
            400u);
}

}  // namespace
}  // namespace annulus
