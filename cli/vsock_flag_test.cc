#include "cli/vsock_flag.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/flag_values.h"
#include "gtest/gtest.h"
#include "vmm/config/validate_config.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {
namespace {

using Direction = VsockPortConfig::Direction;
using Type = VsockPortConfig::Type;

VsockConfig Parsed(absl::string_view text) {
  const absl::StatusOr<VsockConfig> vsock = ParseVsock(text);
  EXPECT_TRUE(vsock.ok()) << text << ": " << vsock.status();
  return vsock.ok() ? *vsock : VsockConfig();
}

std::string ErrorOf(absl::string_view text) {
  const absl::StatusOr<VsockConfig> vsock = ParseVsock(text);
  if (vsock.ok()) return "parsed";
  EXPECT_EQ(vsock.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(vsock.status().message());
}

absl::Status Validate(const VsockConfig& vsock) {
  VmConfig config;
  config.boot.kernel = "k";
  config.vsock = vsock;
  return ValidateVmConfig(config);
}

TEST(VsockFlagTest, ACidAndASocketAreEnough) {
  const VsockConfig vsock = Parsed("cid=3,socket=/run/a=b");
  EXPECT_EQ(vsock.cid, 3u);
  EXPECT_EQ(vsock.socket, "/run/a=b");
  EXPECT_EQ(vsock.virtio.transport, TransportKind::kPci);
  EXPECT_EQ(vsock.buf_alloc, VsockConfig().buf_alloc);
  EXPECT_TRUE(Validate(vsock).ok()) << Validate(vsock);
}

TEST(VsockFlagTest, EveryOptionSetsItsField) {
  const VsockConfig vsock = Parsed(
      "mmio,cid=4294967294,socket=@vm,fd=7,host-fd=8,switch=/run/"
      "switch,buf_alloc=1M,"
      "max_connections=100,queue_size=1024,connect_wait_ms=9,listen_wait_ms=2,"
      "close_wait_ms=3,poll_us=4,poll=always,cpus=1:0,seqpacket=off,mrg_rxbuf="
      "on,dgram=on,"
      "mrg_rxbuf_feature=50,dgram_feature=51,packed=off");
  EXPECT_EQ(vsock.virtio.transport, TransportKind::kMmio);
  EXPECT_FALSE(vsock.virtio.packed);
  EXPECT_EQ(vsock.cid, 4294967294u);
  EXPECT_EQ(vsock.socket, "@vm");
  EXPECT_EQ(vsock.socket_fd, 7u);
  EXPECT_EQ(vsock.host_fd, 8u);
  EXPECT_EQ(vsock.switch_directory, "/run/switch");
  EXPECT_EQ(vsock.buf_alloc, 1u << 20);
  EXPECT_EQ(vsock.max_connections, 100u);
  EXPECT_EQ(vsock.queue_size, 1024u);
  EXPECT_EQ(vsock.connect_wait_milliseconds, 9u);
  EXPECT_EQ(vsock.listen_wait_milliseconds, 2u);
  EXPECT_EQ(vsock.close_wait_milliseconds, 3u);
  EXPECT_EQ(vsock.poll_microseconds, 4u);
  EXPECT_EQ(vsock.poll, PollKind::kAlways);
  EXPECT_EQ(vsock.worker_cpus, (std::vector<uint32_t>{1, 0}));
  EXPECT_FALSE(vsock.seqpacket);
  EXPECT_TRUE(vsock.mrg_rxbuf);
  EXPECT_TRUE(vsock.dgram);
  EXPECT_EQ(vsock.mrg_rxbuf_feature, 50u);
  EXPECT_EQ(vsock.dgram_feature, 51u);
  EXPECT_TRUE(Validate(vsock).ok()) << Validate(vsock);
}

TEST(VsockFlagTest, EveryFeatureOfVirtioIsASwitch) {
  for (const absl::string_view name : VirtioFeatureNames()) {
    VsockConfig vsock = Parsed(absl::StrCat(name, "=off"));
    EXPECT_FALSE(*VirtioFeatureNamed(name, vsock.virtio)) << name;
    vsock = Parsed(absl::StrCat(name, "=off,", name, "=on"));
    EXPECT_TRUE(*VirtioFeatureNamed(name, vsock.virtio)) << name;
  }
}

TEST(VsockFlagTest, PortMapsAddUp) {
  const std::vector<VsockPortConfig> ports =
      Parsed(
          "port-map=to-guest:8080:/run/a:b,port-map=to-host:1:seqpacket:@x,"
          "port-map=to-guest:22:fd=7,port-map=to-guest:23:seqpacket:fd=8,"
          "port-map=to-host:2:./fd=9,port-map=to-host:3:fd=10")
          .ports;
  ASSERT_EQ(ports.size(), 6u);
  EXPECT_EQ(ports[0].direction, Direction::kToGuest);
  EXPECT_EQ(ports[0].port, 8080u);
  EXPECT_EQ(ports[0].type, Type::kStream);
  EXPECT_EQ(ports[0].path, "/run/a:b");
  EXPECT_EQ(ports[0].fd, 0u);
  EXPECT_EQ(ports[1].direction, Direction::kToHost);
  EXPECT_EQ(ports[1].type, Type::kSeqpacket);
  EXPECT_EQ(ports[1].path, "@x");
  EXPECT_EQ(ports[2].fd, 7u);
  EXPECT_EQ(ports[2].path, "");
  EXPECT_EQ(ports[3].type, Type::kSeqpacket);
  EXPECT_EQ(ports[3].fd, 8u);
  EXPECT_EQ(ports[4].path, "./fd=9");
  EXPECT_EQ(ports[5].direction, Direction::kToHost);
  EXPECT_EQ(ports[5].fd, 10u);
}

TEST(VsockFlagTest, TheLastOfTwoCounts) {
  EXPECT_EQ(Parsed("cid=3,mmio,cid=4,pci").cid, 4u);
  EXPECT_EQ(Parsed("mmio,pci").virtio.transport, TransportKind::kPci);
}

TEST(VsockFlagTest, MistakesAreNamed) {
  EXPECT_EQ(ErrorOf(""), "\"\" is not an option, see annulus run --help");
  EXPECT_EQ(ErrorOf("cid=3,"), "\"\" is not an option, see annulus run --help");
  EXPECT_EQ(ErrorOf("cid"), "\"cid\" is not all: it takes a value, cid=...");
  EXPECT_EQ(ErrorOf("packed"),
            "\"packed\" is not all: it takes a value, packed=...");
  EXPECT_EQ(ErrorOf("cid=three"), "cid: \"three\" is not a number");
  EXPECT_EQ(ErrorOf("cid=-1"), "cid: \"-1\" is not a number");
  EXPECT_EQ(ErrorOf("socket="), "socket: \"\" is not a value");
  EXPECT_EQ(ErrorOf("switch="), "switch: \"\" is not a value");
  EXPECT_EQ(ErrorOf("guest-cid=3"),
            "\"guest-cid=3\" is not an option, see annulus run --help");
  EXPECT_EQ(ErrorOf("sockets=/run/x"),
            "\"sockets=/run/x\" is not an option; did you mean socket?");
  EXPECT_EQ(ErrorOf("port_map=to-host:1:a"),
            "\"port_map=to-host:1:a\" is not an option; did you mean "
            "port-map?");
  EXPECT_EQ(ErrorOf("pcie"), "\"pcie\" is not an option; did you mean pci?");
  EXPECT_EQ(ErrorOf("dgram=yes"), "dgram: \"yes\" is not on or off");
  EXPECT_EQ(ErrorOf("packed=no"), "packed: \"no\" is not on or off");
  EXPECT_EQ(ErrorOf("buf_alloc=much"),
            "buf_alloc: \"much\" is not a size like 512M, 2G or a number of "
            "bytes");
  EXPECT_EQ(ErrorOf("max_connections=1M"),
            "max_connections: \"1M\" is not a number");
  EXPECT_EQ(ErrorOf("a\n=1"),
            "\"a\\n=1\" is not an option, see annulus run --help");
  const std::string form =
      " is not like to-guest:PORT:SOCKET or to-host:PORT:SOCKET";
  for (const std::string port : {"", "8080", "to-guest:8080", "to-guest:8080:",
                                 "in:8080:/run/x", "to-host:1:seqpacket:"}) {
    EXPECT_EQ(ErrorOf("port-map=" + port), "port-map: \"" + port + "\"" + form);
  }
  EXPECT_EQ(ErrorOf("port-map=to-guest:http:/run/x"),
            "port-map: \"http\" is not a number");
  EXPECT_EQ(ErrorOf("port-map=to-guest:1:fd=x"),
            "port-map: \"x\" is not a number");
}

TEST(VsockFlagTest, AnotherProcessMayServeIt) {
  const VsockConfig vsock = Parsed("vhost-user=/run/v.sock,listen,packed=off");
  EXPECT_EQ(vsock.vhost_user.socket, "/run/v.sock");
  EXPECT_TRUE(vsock.vhost_user.listen);
  EXPECT_TRUE(Validate(vsock).ok()) << Validate(vsock);
  EXPECT_EQ(Parsed("vhost-user-fd=7").vhost_user.fd, 7u);
  EXPECT_EQ(Validate(Parsed("vhost-user=/v,socket=/s")).message(),
            "vsock.socket: is given, but belongs to the process behind "
            "vhost_user");
}

TEST(VsockFlagTest, HelpNamesEverything) {
  const std::string help =
      absl::StrCat(" ", absl::StrReplaceAll(kVsockHelp, {{"\n", " "}}), " ");
  for (const absl::string_view name : VsockOptionNames()) {
    const auto ends_with = [&](absl::string_view end) {
      return absl::StrContains(help, absl::StrCat(" ", name, end));
    };
    EXPECT_TRUE(ends_with(",") || ends_with(".") || ends_with("=") ||
                ends_with("  "))
        << name;
  }
}

TEST(VsockFlagTest, WhatTheDocumentationGivesIsValid) {
  std::ifstream in("docs/vsock.md");
  ASSERT_TRUE(in);
  int examples = 0;
  for (std::string line; std::getline(in, line);) {
    const size_t at = line.find(" --vsock ");
    if (!absl::StartsWith(line, "annulus run ") || at == std::string::npos) {
      continue;
    }
    std::string value = line.substr(at + 9);
    value.resize(std::min(value.find(' '), value.size()));
    const absl::Status valid = Validate(Parsed(value));
    EXPECT_TRUE(valid.ok()) << line << valid;
    ++examples;
  }
  EXPECT_GE(examples, 5);
}

}  // namespace
}  // namespace annulus::cli
