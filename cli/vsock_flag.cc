#include "cli/vsock_flag.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "cli/device_options.h"
#include "cli/flag_values.h"
#include "cli/workers_flag.h"

namespace annulus::cli {

const absl::string_view kVsockHelp =
    "The socket device, AF_VSOCK in the guest; replaces that of the\n"
    "configuration; docs/vsock.md has examples.\n"
    "  cid=N          the guest's address, 3 to 4294967294\n"
    "  socket=PATH    where programs of the host ask for a port;\n"
    "                 PATH_PORT is whom the guest finds at CID 2;\n"
    "                 with @ in front an abstract name\n"
    "  fd=N           an inherited listening socket instead\n"
    "  host-fd=N      an inherited socket over which a program is handed\n"
    "                 the guest's connections, instead of PATH_PORT\n"
    "  port-map=to-guest:PORT:SOCKET, port-map=to-host:PORT:SOCKET\n"
    "                 a port with a socket of its own; may be repeated.\n"
    "                 SOCKET is a path, fd=N for one that is inherited,\n"
    "                 or seqpacket:SOCKET\n"
    "  switch=DIR     reach the guests that are given the same one\n"
    "  vhost-user=SOCKET, vhost-user-fd=N, listen\n"
    "                 another process serves the device (of a VM), as of\n"
    "                 --net. Here are cid=, for one that does not say it,\n"
    "                 queue_size= and what is not to be offered\n"
    "  pci, mmio      the transport. Default: pci\n"
    "  buf_alloc=SIZE what the guest may send ahead. Default: 256K\n"
    "  max_connections=N\n"
    "                 at the same time. Default: 4096\n"
    "  queue_size=N   buffers in a queue. Default: 256\n"
    "  connect_wait_ms=N\n"
    "                 how long to wait for the guest. Default: 10000\n"
    "  listen_wait_ms=N\n"
    "                 how long for one who listens there. Default: 0\n"
    "  close_wait_ms=N\n"
    "                 how long for the end. Default: 8000\n"
    "  poll=WHEN      whether queues' threads look for work by themselves:\n"
    "                 always, never, adaptive. Default: adaptive\n"
    "  poll_us=N      adaptive: for how long at most. Default: 32\n"
    "  cpus=N[:N...]  host CPUs of those threads. Default: any\n"
    "  seqpacket=off  do not offer SOCK_SEQPACKET\n"
    "  mrg_rxbuf=on, dgram=on\n"
    "                 offer what virtio does not have, as feature bits\n"
    "                 mrg_rxbuf_feature=N and dgram_feature=N.\n"
    "                 Default: off, 3 and 4\n"
    "What it offers, FEATURE=off: packed, event_idx, indirect_desc,\n"
    "in_order, ring_reset, notification_data. Default: no device.";

namespace {

using Direction = VsockPortConfig::Direction;
using Type = VsockPortConfig::Type;

absl::Status NotAPort(absl::string_view value) {
  return NotA(value, "like to-guest:PORT:SOCKET or to-host:PORT:SOCKET");
}

// "to-guest:8080:/run/x", "to-host:1:seqpacket:@x", "to-guest:22:fd=7".
absl::Status AddPort(absl::string_view value, VsockConfig& vsock) {
  VsockPortConfig port;
  const std::vector<absl::string_view> parts =
      absl::StrSplit(value, absl::MaxSplits(':', 2));
  if (parts.size() != 3) return NotAPort(value);
  if (parts[0] == "to-guest") {
    port.direction = Direction::kToGuest;
  } else if (parts[0] == "to-host") {
    port.direction = Direction::kToHost;
  } else {
    return NotAPort(value);
  }
  ANNULUS_ASSIGN_OR_RETURN(port.port, ParseCount(parts[1]));
  absl::string_view socket = parts[2];
  if (absl::ConsumePrefix(&socket, "seqpacket:")) port.type = Type::kSeqpacket;
  if (socket.empty()) return NotAPort(value);
  if (absl::ConsumePrefix(&socket, "fd=")) {
    ANNULUS_ASSIGN_OR_RETURN(port.fd, ParseCount(socket));
  } else {
    port.path = std::string(socket);
  }
  vsock.ports.push_back(std::move(port));
  return absl::OkStatus();
}

constexpr DeviceOption<VsockConfig> kOptions[] = {
    {"cid", &SetNumber<&VsockConfig::cid>},
    {"socket", &SetText<&VsockConfig::socket>},
    {"fd", &SetCount<&VsockConfig::socket_fd>},
    {"host-fd", &SetCount<&VsockConfig::host_fd>},
    {"port-map", &AddPort},
    {"switch", &SetText<&VsockConfig::switch_directory>},
    {"buf_alloc", &SetSize<&VsockConfig::buf_alloc>},
    {"max_connections", &SetCount<&VsockConfig::max_connections>},
    {"queue_size", &SetCount<&VsockConfig::queue_size>},
    {"connect_wait_ms", &SetCount<&VsockConfig::connect_wait_milliseconds>},
    {"listen_wait_ms", &SetCount<&VsockConfig::listen_wait_milliseconds>},
    {"close_wait_ms", &SetCount<&VsockConfig::close_wait_milliseconds>},
    {"poll", &SetPoll<VsockConfig>},
    {"poll_us", &SetPollMicroseconds<VsockConfig>},
    {"cpus", &SetWorkerCpus<VsockConfig>},
    {"seqpacket", &SetSwitch<&VsockConfig::seqpacket>},
    {"mrg_rxbuf", &SetSwitch<&VsockConfig::mrg_rxbuf>},
    {"dgram", &SetSwitch<&VsockConfig::dgram>},
    {"mrg_rxbuf_feature", &SetCount<&VsockConfig::mrg_rxbuf_feature>},
    {"dgram_feature", &SetCount<&VsockConfig::dgram_feature>},
};

}  // namespace

absl::StatusOr<VsockConfig> ParseVsock(absl::string_view text) {
  return ParseOptions<VsockConfig>(text, kOptions);
}

std::vector<absl::string_view> VsockOptionNames() {
  return OptionNames<VsockConfig>(kOptions);
}

}  // namespace annulus::cli
