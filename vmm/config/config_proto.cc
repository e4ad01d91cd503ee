#include "vmm/config/config_proto.h"

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "vmm/config/vhost_user_config_proto.h"
#include "vmm/config/virtio_config_proto.h"
#include "vmm/config/vsock_config_proto.h"
#include "vmm/config/workers_config_proto.h"

namespace annulus {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// Each function overwrites only what the message has, so that a default is
// stated once, in vm_config.h.

void ReadCpu(const proto::CpuConfig& message, CpuConfig& cpu) {
  if (message.has_count()) cpu.count = message.count();
  cpu.pinning.assign(message.pinning().begin(), message.pinning().end());
}

absl::Status ReadMemory(const proto::MemoryConfig& message,
                        MemoryConfig& memory) {
  switch (message.size_case()) {
    case proto::MemoryConfig::kSizeBytes:
      memory.size_bytes = message.size_bytes();
      break;
    case proto::MemoryConfig::kSizeMib: {
      const std::optional<uint64_t> bytes =
          CheckedMultiply<uint64_t>(message.size_mib(), kMiB);
      if (!bytes.has_value()) {
        return absl::InvalidArgumentError(
            absl::StrCat("memory.size_mib: ", message.size_mib(),
                         " is more than memory can be addressed"));
      }
      memory.size_bytes = *bytes;
      break;
    }
    case proto::MemoryConfig::SIZE_NOT_SET:
      break;
  }
  if (message.has_hugepages()) memory.hugepages = message.hugepages();
  if (message.has_prefault()) memory.prefault = message.prefault();
  if (message.has_shared()) memory.shared = message.shared();
  return absl::OkStatus();
}

void ReadBoot(const proto::BootConfig& message, BootConfig& boot) {
  if (message.has_kernel()) boot.kernel = message.kernel();
  if (message.has_initrd()) boot.initrd = message.initrd();
  if (message.has_cmdline()) boot.cmdline = message.cmdline();
}

absl::Status ReadConsole(const proto::ConsoleConfig& message,
                         ConsoleConfig& console) {
  if (message.has_path()) console.path = message.path();
  if (!message.has_kind()) return absl::OkStatus();
  switch (message.kind()) {
    case proto::ConsoleConfig::STDIO:
      console.kind = ConsoleConfig::Kind::kStdio;
      return absl::OkStatus();
    case proto::ConsoleConfig::FILE:
      console.kind = ConsoleConfig::Kind::kFile;
      return absl::OkStatus();
    case proto::ConsoleConfig::NULL_:
      console.kind = ConsoleConfig::Kind::kNull;
      return absl::OkStatus();
    default:  // proto3 enums are open: any number may come.
      return absl::InvalidArgumentError(
          absl::StrCat("console.kind: ", static_cast<int>(message.kind()),
                       " is not one of STDIO, FILE, NULL"));
  }
}

absl::Status ReadBackend(const proto::NetConfig& message, NetConfig& net) {
  using Backend = NetConfig::Backend;
  if (!message.has_backend()) return absl::OkStatus();
  switch (message.backend()) {
    case proto::NetConfig::NONE:
      net.backend = Backend::kNone;
      return absl::OkStatus();
    case proto::NetConfig::TAP:
      net.backend = Backend::kTap;
      return absl::OkStatus();
    case proto::NetConfig::PASST:
      net.backend = Backend::kPasst;
      return absl::OkStatus();
    case proto::NetConfig::LOOPBACK:
      net.backend = Backend::kLoopback;
      return absl::OkStatus();
    case proto::NetConfig::NULL_:
      net.backend = Backend::kNull;
      return absl::OkStatus();
    case proto::NetConfig::SWITCH:
      net.backend = Backend::kSwitch;
      return absl::OkStatus();
    case proto::NetConfig::VHOST_USER:
      net.backend = Backend::kVhostUser;
      return absl::OkStatus();
    default:  // As above.
      return absl::InvalidArgumentError(absl::StrCat(
          "backend: ", static_cast<int>(message.backend()),
          " is not one of TAP, PASST, LOOPBACK, NULL, SWITCH, VHOST_USER"));
  }
}

void ReadRateLimit(const proto::RateLimitConfig& message,
                   RateLimitConfig& limit) {
  if (message.has_bytes_per_second()) {
    limit.bytes_per_second = message.bytes_per_second();
  }
  if (message.has_burst_bytes()) limit.burst_bytes = message.burst_bytes();
  if (message.has_frames_per_second()) {
    limit.frames_per_second = message.frames_per_second();
  }
  if (message.has_burst_frames()) limit.burst_frames = message.burst_frames();
}

void ReadHeaderSplit(const proto::HeaderSplitConfig& message,
                     HeaderSplitConfig& split) {
  if (message.has_enabled()) split.enabled = message.enabled();
  if (message.has_chain()) split.chain = message.chain();
  if (message.has_buffers()) split.buffers = message.buffers();
  if (message.has_small_buffers()) {
    split.small_buffers = message.small_buffers();
  }
  if (message.has_header_queue()) split.header_queue = message.header_queue();
  if (message.has_min_threshold()) {
    split.min_threshold = message.min_threshold();
  }
  if (message.has_max_threshold()) {
    split.max_threshold = message.max_threshold();
  }
  if (message.has_split_feature()) {
    split.split_feature = message.split_feature();
  }
  if (message.has_header_queue_feature()) {
    split.header_queue_feature = message.header_queue_feature();
  }
  if (message.has_header_flag()) split.header_flag = message.header_flag();
  if (message.has_split_class()) split.split_class = message.split_class();
  if (message.has_header_queue_class()) {
    split.header_queue_class = message.header_queue_class();
  }
}

void ReadControl(const proto::ControlConfig& message, ControlConfig& control) {
  if (message.has_socket()) control.socket = message.socket();
  if (message.has_fd()) control.fd = message.fd();
  if (message.has_mode()) control.mode = message.mode();
  control.allowed_uids.assign(message.allowed_uids().begin(),
                              message.allowed_uids().end());
}

void WriteControl(const ControlConfig& control, proto::ControlConfig& message) {
  message.set_socket(control.socket);
  message.set_fd(control.fd);
  message.set_mode(control.mode);
  message.mutable_allowed_uids()->Add(control.allowed_uids.begin(),
                                      control.allowed_uids.end());
}

void WriteMemory(const MemoryConfig& memory, proto::MemoryConfig& message) {
  if (memory.size_bytes % kMiB == 0) {
    message.set_size_mib(memory.size_bytes / kMiB);
  } else {
    message.set_size_bytes(memory.size_bytes);
  }
  message.set_hugepages(memory.hugepages);
  message.set_prefault(memory.prefault);
  message.set_shared(memory.shared);
}

proto::ConsoleConfig::Kind ToProto(ConsoleConfig::Kind kind) {
  switch (kind) {
    case ConsoleConfig::Kind::kStdio:
      return proto::ConsoleConfig::STDIO;
    case ConsoleConfig::Kind::kFile:
      return proto::ConsoleConfig::FILE;
    case ConsoleConfig::Kind::kNull:
      return proto::ConsoleConfig::NULL_;
  }
  return proto::ConsoleConfig::STDIO;
}

proto::NetConfig::Backend ToProto(NetConfig::Backend backend) {
  switch (backend) {
    case NetConfig::Backend::kNone:
      return proto::NetConfig::NONE;
    case NetConfig::Backend::kTap:
      return proto::NetConfig::TAP;
    case NetConfig::Backend::kPasst:
      return proto::NetConfig::PASST;
    case NetConfig::Backend::kLoopback:
      return proto::NetConfig::LOOPBACK;
    case NetConfig::Backend::kNull:
      return proto::NetConfig::NULL_;
    case NetConfig::Backend::kSwitch:
      return proto::NetConfig::SWITCH;
    case NetConfig::Backend::kVhostUser:
      return proto::NetConfig::VHOST_USER;
  }
  return proto::NetConfig::NONE;
}

void WriteRateLimit(const RateLimitConfig& limit,
                    proto::RateLimitConfig& message) {
  message.set_bytes_per_second(limit.bytes_per_second);
  message.set_burst_bytes(limit.burst_bytes);
  message.set_frames_per_second(limit.frames_per_second);
  message.set_burst_frames(limit.burst_frames);
}

void WriteHeaderSplit(const HeaderSplitConfig& split,
                      proto::HeaderSplitConfig& message) {
  message.set_enabled(split.enabled);
  message.set_chain(split.chain);
  message.set_buffers(split.buffers);
  message.set_small_buffers(split.small_buffers);
  message.set_header_queue(split.header_queue);
  message.set_min_threshold(split.min_threshold);
  message.set_max_threshold(split.max_threshold);
  message.set_split_feature(split.split_feature);
  message.set_header_queue_feature(split.header_queue_feature);
  message.set_header_flag(split.header_flag);
  message.set_split_class(split.split_class);
  message.set_header_queue_class(split.header_queue_class);
}

}  // namespace

absl::Status ReadRng(const proto::RngConfig& message, RngConfig& rng) {
  ANNULUS_RETURN_IF_ERROR(ReadVirtio(message.virtio(), rng.virtio));
  ReadVhostUser(message.vhost_user(), rng.vhost_user);
  return ReadWorkers(message, rng);
}

void WriteRng(const RngConfig& rng, proto::RngConfig& message) {
  WriteVirtio(rng.virtio, *message.mutable_virtio());
  WriteVhostUser(rng.vhost_user, *message.mutable_vhost_user());
  WriteWorkers(rng, message);
}

absl::Status ReadNet(const proto::NetConfig& message, NetConfig& net) {
  ANNULUS_RETURN_IF_ERROR(ReadVirtio(message.virtio(), net.virtio));
  ANNULUS_RETURN_IF_ERROR(ReadBackend(message, net));
  if (message.has_tap()) net.tap = message.tap();
  net.tap_fds.assign(message.tap_fds().begin(), message.tap_fds().end());
  if (message.has_create_tap()) net.create_tap = message.create_tap();
  if (message.has_passt()) net.passt = message.passt();
  ReadVhostUser(message.vhost_user(), net.vhost_user);
  if (message.has_switch_name()) net.switch_name = message.switch_name();
  if (message.has_generate_bytes()) {
    net.generate_bytes = message.generate_bytes();
  }
  if (message.has_pcap()) net.pcap = message.pcap();
  if (message.has_mac()) net.mac = message.mac();
  if (message.has_mtu()) net.mtu = message.mtu();
  if (message.has_queue_pairs()) net.queue_pairs = message.queue_pairs();
  if (message.has_queue_size()) net.queue_size = message.queue_size();
  if (message.has_speed_mbps()) net.speed_mbps = message.speed_mbps();
  net.disabled_features.assign(message.disabled_features().begin(),
                               message.disabled_features().end());
  ReadRateLimit(message.receive_limit(), net.receive_limit);
  ReadRateLimit(message.transmit_limit(), net.transmit_limit);
  ANNULUS_RETURN_IF_ERROR(ReadWorkers(message, net));
  ReadHeaderSplit(message.header_split(), net.header_split);
  return absl::OkStatus();
}

void WriteNet(const NetConfig& net, proto::NetConfig& message) {
  WriteVirtio(net.virtio, *message.mutable_virtio());
  message.set_backend(ToProto(net.backend));
  message.set_tap(net.tap);
  message.mutable_tap_fds()->Add(net.tap_fds.begin(), net.tap_fds.end());
  message.set_create_tap(net.create_tap);
  message.set_passt(net.passt);
  WriteVhostUser(net.vhost_user, *message.mutable_vhost_user());
  message.set_switch_name(net.switch_name);
  message.set_generate_bytes(net.generate_bytes);
  message.set_pcap(net.pcap);
  message.set_mac(net.mac);
  message.set_mtu(net.mtu);
  message.set_queue_pairs(net.queue_pairs);
  message.set_queue_size(net.queue_size);
  message.set_speed_mbps(net.speed_mbps);
  for (const std::string& feature : net.disabled_features) {
    message.add_disabled_features(feature);
  }
  WriteRateLimit(net.receive_limit, *message.mutable_receive_limit());
  WriteRateLimit(net.transmit_limit, *message.mutable_transmit_limit());
  WriteWorkers(net, message);
  WriteHeaderSplit(net.header_split, *message.mutable_header_split());
}

absl::StatusOr<VmConfig> VmConfigFromProto(const proto::VmConfig& message) {
  VmConfig config;
  if (message.has_name()) config.name = message.name();
  ReadCpu(message.cpu(), config.cpu);
  ANNULUS_RETURN_IF_ERROR(ReadMemory(message.memory(), config.memory));
  ReadBoot(message.boot(), config.boot);
  ANNULUS_RETURN_IF_ERROR(ReadConsole(message.console(), config.console));
  ReadControl(message.control(), config.control);
  if (message.has_debug_exit()) config.debug_exit = message.debug_exit();
  for (const proto::RngConfig& rng : message.rng()) {
    const absl::Status status = ReadRng(rng, config.rng.emplace_back());
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("rng[", config.rng.size() - 1, "].", status.message()));
    }
  }
  for (const proto::NetConfig& net : message.net()) {
    const absl::Status status = ReadNet(net, config.net.emplace_back());
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("net[", config.net.size() - 1, "].", status.message()));
    }
  }
  if (message.has_vsock()) {
    const absl::Status status =
        ReadVsock(message.vsock(), config.vsock.emplace());
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("vsock.", status.message()));
    }
  }
  return config;
}

proto::VmConfig VmConfigToProto(const VmConfig& config) {
  proto::VmConfig message;
  message.set_name(config.name);
  message.mutable_cpu()->set_count(config.cpu.count);
  message.mutable_cpu()->mutable_pinning()->Add(config.cpu.pinning.begin(),
                                                config.cpu.pinning.end());
  WriteMemory(config.memory, *message.mutable_memory());
  message.mutable_boot()->set_kernel(config.boot.kernel);
  message.mutable_boot()->set_initrd(config.boot.initrd);
  message.mutable_boot()->set_cmdline(config.boot.cmdline);
  WriteControl(config.control, *message.mutable_control());
  message.mutable_console()->set_kind(ToProto(config.console.kind));
  message.mutable_console()->set_path(config.console.path);
  message.set_debug_exit(config.debug_exit);
  for (const RngConfig& rng : config.rng) {
    WriteRng(rng, *message.add_rng());
  }
  for (const NetConfig& net : config.net) WriteNet(net, *message.add_net());
  if (config.vsock.has_value()) {
    WriteVsock(*config.vsock, *message.mutable_vsock());
  }
  return message;
}

}  // namespace annulus
