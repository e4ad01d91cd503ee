#include "vmm/config/validate_vsock_config.h"

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus {
namespace {

using Direction = VsockPortConfig::Direction;
using Type = VsockPortConfig::Type;

VsockConfig Valid() {
  VsockConfig vsock;
  vsock.cid = 3;
  vsock.socket = "/run/vm.vsock";
  return vsock;
}

// The one line about a valid device after `spoil`; "" if still valid.
std::string ErrorAfter(const std::function<void(VsockConfig&)>& spoil) {
  VsockConfig vsock = Valid();
  spoil(vsock);
  const absl::Status status = ValidateVsockConfig(vsock);
  if (status.ok()) return "";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

VsockPortConfig ToGuest(uint32_t port, const std::string& path) {
  return {.port = port, .direction = Direction::kToGuest, .path = path};
}

VsockPortConfig ToHost(uint32_t port, const std::string& path) {
  return {.port = port, .direction = Direction::kToHost, .path = path};
}

std::string ErrorOfPorts(const std::vector<VsockPortConfig>& ports) {
  return ErrorAfter([&](VsockConfig& v) { v.ports = ports; });
}

TEST(ValidateVsockConfigTest, ReservedCidsAreRefusedWithTheReason) {
  const auto error = [](uint64_t cid) {
    return ErrorAfter([=](VsockConfig& v) { v.cid = cid; });
  };
  EXPECT_EQ(error(0),
            "vsock.cid: is not given, or 0, which means the hypervisor; a "
            "guest's is 3 to 4294967294");
  EXPECT_EQ(error(1),
            "vsock.cid: 1 means the guest itself everywhere; a guest's is 3 to "
            "4294967294");
  EXPECT_EQ(error(2), "vsock.cid: 2 is the host; a guest's is 3 to 4294967294");
  EXPECT_EQ(error(3), "");
  EXPECT_EQ(error(4294967294), "");
  EXPECT_EQ(error(4294967295),
            "vsock.cid: 4294967295 means any address; a guest's is 3 to "
            "4294967294");
  EXPECT_EQ(error(uint64_t{1} << 32),
            "vsock.cid: 4294967296 is not in 3..4294967294");
  EXPECT_EQ(error(UINT64_MAX),
            "vsock.cid: 18446744073709551615 is not in 3..4294967294");
}

TEST(ValidateVsockConfigTest, SomebodyMustBeReachable) {
  const auto only = [](const std::function<void(VsockConfig&)>& give) {
    return ErrorAfter([&](VsockConfig& v) {
      v.socket = "";
      give(v);
    });
  };
  EXPECT_EQ(
      only([](VsockConfig&) {}),
      "vsock.socket: is not given, nor is one of socket_fd, host_fd, ports and "
      "switch_directory: nobody could be reached");
  EXPECT_EQ(only([](VsockConfig& v) { v.socket_fd = 7; }), "");
  EXPECT_EQ(only([](VsockConfig& v) { v.host_fd = 7; }), "");
  EXPECT_EQ(only([](VsockConfig& v) { v.ports = {ToHost(1, "p")}; }), "");
  EXPECT_EQ(only([](VsockConfig& v) { v.switch_directory = "d"; }), "");
  // Datagrams go neither through ports nor through a descriptor.
  const std::string datagrams =
      "vsock.dgram: is given, but neither socket nor switch_directory: nobody "
      "could be reached";
  EXPECT_EQ(only([](VsockConfig& v) {
              v.dgram = true;
              v.socket_fd = 7;
              v.ports = {ToHost(1, "p")};
            }),
            datagrams);
  EXPECT_EQ(only([](VsockConfig& v) {
              v.dgram = true;
              v.switch_directory = "d";
            }),
            "");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.dgram = true; }), "");
}

TEST(ValidateVsockConfigTest, PathsLeaveRoomForWhatIsAppended) {
  const auto error = [](size_t length, bool dgram) {
    return ErrorAfter([=](VsockConfig& v) {
      v.socket = std::string(length, 's');
      v.dgram = dgram;
    });
  };
  EXPECT_EQ(error(96, false), "");
  EXPECT_EQ(error(97, false), "vsock.socket: 97 bytes are more than 96");
  EXPECT_EQ(error(90, true), "");
  EXPECT_EQ(error(91, true), "vsock.socket: 91 bytes are more than 90");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) {
              v.switch_directory = std::string(96, 'd');
            }),
            "");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) {
              v.switch_directory = std::string(97, 'd');
            }),
            "vsock.switch_directory: 97 bytes are more than 96");
  EXPECT_EQ(ErrorOfPorts({ToGuest(1, std::string(107, 'p'))}), "");
  EXPECT_EQ(ErrorOfPorts({ToGuest(1, std::string(108, 'p'))}),
            "vsock.ports[0].path: 108 bytes are more than 107");
  EXPECT_EQ(ErrorOfPorts({ToHost(1, std::string(108, 'p'))}),
            "vsock.ports[0].path: 108 bytes are more than 107");
}

TEST(ValidateVsockConfigTest, PathsAreWhatTheKernelTakesAsTheyAre) {
  const std::string nul("s\0", 2);
  EXPECT_EQ(ErrorAfter([&](VsockConfig& v) { v.socket = nul; }),
            "vsock.socket: contains a NUL byte");
  EXPECT_EQ(ErrorAfter([&](VsockConfig& v) { v.switch_directory = nul; }),
            "vsock.switch_directory: contains a NUL byte");
  EXPECT_EQ(ErrorOfPorts({ToHost(1, nul)}),
            "vsock.ports[0].path: contains a NUL byte");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.socket = "@vm"; }), "");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.socket = "@"; }),
            "vsock.socket: \"@\" alone is not a name");
  EXPECT_EQ(ErrorOfPorts({ToGuest(1, "@")}),
            "vsock.ports[0].path: \"@\" alone is not a name");
}

TEST(ValidateVsockConfigTest, DescriptorsAreNotTheStandardStreams) {
  const auto error = [](uint32_t fd) {
    return ErrorAfter([=](VsockConfig& v) { v.socket_fd = fd; });
  };
  EXPECT_EQ(error(3), "");
  EXPECT_EQ(error(2), "vsock.socket_fd: 2 is not in 3..1048576");
  EXPECT_EQ(error(UINT32_MAX),
            "vsock.socket_fd: 4294967295 is not in 3..1048576");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.host_fd = 2; }),
            "vsock.host_fd: 2 is not in 3..1048576");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.socket_fd = v.host_fd = 7; }),
            "vsock.host_fd: 7 belongs to vsock.socket_fd");
  VsockPortConfig port = ToGuest(1, "");
  port.fd = 2;
  EXPECT_EQ(ErrorOfPorts({port}), "vsock.ports[0].fd: 2 is not in 3..1048576");
}

TEST(ValidateVsockConfigTest, APortHasANumberADirectionAndASocket) {
  EXPECT_EQ(ErrorOfPorts({ToGuest(1, "a"), ToHost(4294967294, "b")}), "");
  EXPECT_EQ(ErrorOfPorts({ToGuest(0, "a")}),
            "vsock.ports[0].port: is not given: 1 to 4294967294");
  EXPECT_EQ(ErrorOfPorts({ToGuest(1, "a"), ToHost(UINT32_MAX, "b")}),
            "vsock.ports[1].port: 4294967295 means any port");
  EXPECT_EQ(ErrorOfPorts({{.port = 1, .path = "a"}}),
            "vsock.ports[0].direction: is not given: TO_GUEST or TO_HOST");
  EXPECT_EQ(ErrorOfPorts({ToGuest(1, "")}),
            "vsock.ports[0].path: is not given, nor is fd");
  EXPECT_EQ(ErrorOfPorts({ToHost(1, "")}),
            "vsock.ports[0].path: is not given, nor is fd");
}

TEST(ValidateVsockConfigTest, ADescriptorIsInPlaceOfAPath) {
  VsockPortConfig port = ToGuest(1, "");
  port.fd = 7;
  EXPECT_EQ(ErrorOfPorts({port}), "");
  port.path = "a";
  EXPECT_EQ(ErrorOfPorts({port}),
            "vsock.ports[0].fd: is given, but path is, too");
  port.direction = Direction::kToHost;
  EXPECT_EQ(ErrorOfPorts({port}),
            "vsock.ports[0].fd: is given, but path is, too");
  port.path = "";
  VsockPortConfig another = port;
  another.port = 2;
  EXPECT_EQ(ErrorOfPorts({port, another}), "");
}

TEST(ValidateVsockConfigTest, APortOfATypeIsMappedOnce) {
  VsockPortConfig seqpacket = ToHost(1, "b");
  seqpacket.type = Type::kSeqpacket;
  EXPECT_EQ(ErrorOfPorts({ToHost(1, "a"), ToGuest(1, "c"), seqpacket}), "");
  EXPECT_EQ(ErrorOfPorts({ToHost(1, "a"), ToHost(2, "a"), ToHost(1, "b")}),
            "vsock.ports[2].port: 1 belongs to vsock.ports[0]");
  EXPECT_EQ(ErrorOfPorts({ToGuest(1, "a"), ToGuest(1, "b")}),
            "vsock.ports[1].port: 1 belongs to vsock.ports[0]");
}

TEST(ValidateVsockConfigTest, ASocketListensForOnePort) {
  EXPECT_EQ(ErrorOfPorts({ToGuest(1, "a"), ToGuest(2, "a")}),
            "vsock.ports[1].path: \"a\" belongs to vsock.ports[0]");
  VsockPortConfig seven = ToGuest(1, "");
  seven.fd = 7;
  VsockPortConfig again = seven;
  again.port = 2;
  EXPECT_EQ(ErrorOfPorts({seven, again}),
            "vsock.ports[1].fd: 7 belongs to vsock.ports[0]");
  EXPECT_EQ(ErrorAfter([&](VsockConfig& v) {
              v.socket_fd = 7;
              v.ports = {seven};
            }),
            "vsock.ports[0].fd: 7 belongs to vsock.socket_fd");
  for (const char* suffix : {"", "_seqpacket", "_dgram"}) {
    const auto error = ErrorAfter([&](VsockConfig& v) {
      v.dgram = true;
      v.ports = {ToGuest(1, v.socket + suffix)};
    });
    const std::string own = *suffix == '\0' ? "socket" : suffix + 1;
    EXPECT_EQ(error, "vsock.ports[0].path: \"/run/vm.vsock" +
                         std::string(suffix) + "\" belongs to vsock." + own);
  }
  // Where the device has none of that name, or the guest connects.
  EXPECT_EQ(ErrorOfPorts({ToGuest(1, "/run/vm.vsock_dgram")}), "");
  EXPECT_EQ(ErrorOfPorts({ToHost(1, "/run/vm.vsock")}), "");
}

TEST(ValidateVsockConfigTest, SeqpacketPortsNeedSeqpacket) {
  VsockPortConfig port = ToGuest(1, "a");
  port.type = Type::kSeqpacket;
  EXPECT_EQ(ErrorOfPorts({port}), "");
  EXPECT_EQ(ErrorAfter([&](VsockConfig& v) {
              v.seqpacket = false;
              v.ports = {port};
            }),
            "vsock.ports[0].type: is SEQPACKET, but vsock.seqpacket is false");
}

TEST(ValidateVsockConfigTest, PortsAreBounded) {
  std::vector<VsockPortConfig> ports;
  for (uint32_t i = 1; i <= 256; ++i) ports.push_back(ToHost(i, "p"));
  EXPECT_EQ(ErrorOfPorts(ports), "");
  ports.push_back(ToHost(257, "p"));
  EXPECT_EQ(ErrorOfPorts(ports), "vsock.ports: 257 ports are more than 256");
}

TEST(ValidateVsockConfigTest, NumbersHaveRanges) {
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.buf_alloc = 4095; }),
            "vsock.buf_alloc: 4095 is not in 4096..67108864");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.buf_alloc = 4096; }), "");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.buf_alloc = 64 << 20; }), "");
  EXPECT_EQ(
      ErrorAfter([](VsockConfig& v) { v.buf_alloc = (uint64_t{1} << 32) + 1; }),
      "vsock.buf_alloc: 4294967297 is not in 4096..67108864");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.max_connections = 0; }),
            "vsock.max_connections: 0 is not in 1..1048576");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.max_connections = 1048577; }),
            "vsock.max_connections: 1048577 is not in 1..1048576");
  for (const uint32_t size : {0u, 3u, 255u, UINT32_MAX}) {
    EXPECT_EQ(
        ErrorAfter([=](VsockConfig& v) { v.queue_size = size; }),
        "vsock.queue_size: " + std::to_string(size) + " is not a power of two");
  }
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.queue_size = 1; }),
            "vsock.queue_size: 1 is not in 2..1024");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.queue_size = 2048; }),
            "vsock.queue_size: 2048 is not in 2..1024");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.connect_wait_milliseconds = 0; }),
            "vsock.connect_wait_milliseconds: 0 is not in 1..3600000");
  EXPECT_EQ(
      ErrorAfter([](VsockConfig& v) { v.listen_wait_milliseconds = 3600001; }),
      "vsock.listen_wait_milliseconds: 3600001 is not in 0..3600000");
  EXPECT_EQ(
      ErrorAfter([](VsockConfig& v) { v.close_wait_milliseconds = 3600001; }),
      "vsock.close_wait_milliseconds: 3600001 is not in 0..3600000");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.poll_microseconds = 1000001; }),
            "vsock.poll_microseconds: 1000001 is not in 0..1000000");
}

TEST(ValidateVsockConfigTest, NobodyIsWaitedForLongerThanForTheGuest) {
  EXPECT_EQ(
      ErrorAfter([](VsockConfig& v) { v.listen_wait_milliseconds = 10'000; }),
      "");
  EXPECT_EQ(
      ErrorAfter([](VsockConfig& v) { v.listen_wait_milliseconds = 10'001; }),
      "vsock.listen_wait_milliseconds: 10001 is more than "
      "connect_wait_milliseconds: 10000");
}

TEST(ValidateVsockConfigTest, FeatureNumbersAreNobodyElses) {
  const auto error = [](uint32_t bit) {
    return ErrorAfter([=](VsockConfig& v) { v.mrg_rxbuf_feature = bit; });
  };
  const std::string free = "; 3 to 23 and 50 to 63 are free";
  EXPECT_EQ(error(0), "vsock.mrg_rxbuf_feature: 0 belongs to STREAM" + free);
  EXPECT_EQ(error(1), "vsock.mrg_rxbuf_feature: 1 belongs to SEQPACKET" + free);
  EXPECT_EQ(error(2),
            "vsock.mrg_rxbuf_feature: 2 belongs to NO_IMPLIED_STREAM" + free);
  for (const uint32_t bit : {24u, 28u, 40u, 49u}) {
    EXPECT_EQ(error(bit), "vsock.mrg_rxbuf_feature: " + std::to_string(bit) +
                              " belongs to virtio 1.4" + free);
  }
  for (const uint32_t bit : {3u, 23u, 50u, 63u}) {
    EXPECT_EQ(error(bit), "") << bit;
  }
  EXPECT_EQ(error(64), "vsock.mrg_rxbuf_feature: 64 is not below 64");
  EXPECT_EQ(ErrorAfter([](VsockConfig& v) { v.dgram_feature = 29; }),
            "vsock.dgram_feature: 29 belongs to virtio 1.4" + free);
}

TEST(ValidateVsockConfigTest, FeaturesThatAreBothOfferedHaveTwoNumbers) {
  const auto error = [](bool mrg_rxbuf, bool dgram) {
    return ErrorAfter([=](VsockConfig& v) {
      v.mrg_rxbuf = mrg_rxbuf;
      v.dgram = dgram;
      v.dgram_feature = 3;  // As some guests have it.
    });
  };
  EXPECT_EQ(error(false, true), "");
  EXPECT_EQ(error(true, false), "");
  EXPECT_EQ(error(true, true),
            "vsock.dgram_feature: 3 is mrg_rxbuf_feature, too");
}

}  // namespace
}  // namespace annulus
