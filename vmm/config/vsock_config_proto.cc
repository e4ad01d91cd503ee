#include "vmm/config/vsock_config_proto.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "vmm/config/vhost_user_config_proto.h"
#include "vmm/config/virtio_config_proto.h"
#include "vmm/config/workers_config_proto.h"

namespace annulus {
namespace {

using Direction = VsockPortConfig::Direction;
using Type = VsockPortConfig::Type;

absl::Status ReadDirection(const proto::VsockPortConfig& message,
                           VsockPortConfig& port) {
  switch (message.direction()) {
    case proto::VsockPortConfig::NONE:
      port.direction = Direction::kNone;
      return absl::OkStatus();
    case proto::VsockPortConfig::TO_GUEST:
      port.direction = Direction::kToGuest;
      return absl::OkStatus();
    case proto::VsockPortConfig::TO_HOST:
      port.direction = Direction::kToHost;
      return absl::OkStatus();
    default:  // proto3 enums are open: any number may come.
      return absl::InvalidArgumentError(
          absl::StrCat("direction: ", static_cast<int>(message.direction()),
                       " is not one of TO_GUEST, TO_HOST"));
  }
}

absl::Status ReadType(const proto::VsockPortConfig& message,
                      VsockPortConfig& port) {
  switch (message.type()) {
    case proto::VsockPortConfig::STREAM:
      port.type = Type::kStream;
      return absl::OkStatus();
    case proto::VsockPortConfig::SEQPACKET:
      port.type = Type::kSeqpacket;
      return absl::OkStatus();
    default:  // As above.
      return absl::InvalidArgumentError(
          absl::StrCat("type: ", static_cast<int>(message.type()),
                       " is not one of STREAM, SEQPACKET"));
  }
}

absl::Status ReadPort(const proto::VsockPortConfig& message,
                      VsockPortConfig& port) {
  if (message.has_port()) port.port = message.port();
  if (message.has_direction()) {
    ANNULUS_RETURN_IF_ERROR(ReadDirection(message, port));
  }
  if (message.has_type()) ANNULUS_RETURN_IF_ERROR(ReadType(message, port));
  if (message.has_path()) port.path = message.path();
  if (message.has_fd()) port.fd = message.fd();
  return absl::OkStatus();
}

proto::VsockPortConfig::Direction ToProto(Direction direction) {
  switch (direction) {
    case Direction::kNone:
      return proto::VsockPortConfig::NONE;
    case Direction::kToGuest:
      return proto::VsockPortConfig::TO_GUEST;
    case Direction::kToHost:
      return proto::VsockPortConfig::TO_HOST;
  }
  return proto::VsockPortConfig::NONE;
}

proto::VsockPortConfig::Type ToProto(Type type) {
  switch (type) {
    case Type::kStream:
      return proto::VsockPortConfig::STREAM;
    case Type::kSeqpacket:
      return proto::VsockPortConfig::SEQPACKET;
  }
  return proto::VsockPortConfig::STREAM;
}

}  // namespace

absl::Status ReadVsock(const proto::VsockConfig& message, VsockConfig& vsock) {
  ANNULUS_RETURN_IF_ERROR(ReadVirtio(message.virtio(), vsock.virtio));
  ReadVhostUser(message.vhost_user(), vsock.vhost_user);
  for (const proto::VsockPortConfig& port : message.ports()) {
    const absl::Status status = ReadPort(port, vsock.ports.emplace_back());
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "ports[", vsock.ports.size() - 1, "].", status.message()));
    }
  }
  if (message.has_cid()) vsock.cid = message.cid();
  if (message.has_socket()) vsock.socket = message.socket();
  if (message.has_socket_fd()) vsock.socket_fd = message.socket_fd();
  if (message.has_host_fd()) vsock.host_fd = message.host_fd();
  if (message.has_switch_directory()) {
    vsock.switch_directory = message.switch_directory();
  }
  if (message.has_buf_alloc()) vsock.buf_alloc = message.buf_alloc();
  if (message.has_max_connections()) {
    vsock.max_connections = message.max_connections();
  }
  if (message.has_queue_size()) vsock.queue_size = message.queue_size();
  if (message.has_connect_wait_milliseconds()) {
    vsock.connect_wait_milliseconds = message.connect_wait_milliseconds();
  }
  if (message.has_listen_wait_milliseconds()) {
    vsock.listen_wait_milliseconds = message.listen_wait_milliseconds();
  }
  if (message.has_close_wait_milliseconds()) {
    vsock.close_wait_milliseconds = message.close_wait_milliseconds();
  }
  ANNULUS_RETURN_IF_ERROR(ReadWorkers(message, vsock));
  if (message.has_seqpacket()) vsock.seqpacket = message.seqpacket();
  if (message.has_mrg_rxbuf()) vsock.mrg_rxbuf = message.mrg_rxbuf();
  if (message.has_dgram()) vsock.dgram = message.dgram();
  if (message.has_mrg_rxbuf_feature()) {
    vsock.mrg_rxbuf_feature = message.mrg_rxbuf_feature();
  }
  if (message.has_dgram_feature()) {
    vsock.dgram_feature = message.dgram_feature();
  }
  return absl::OkStatus();
}

void WriteVsock(const VsockConfig& vsock, proto::VsockConfig& message) {
  WriteVirtio(vsock.virtio, *message.mutable_virtio());
  WriteVhostUser(vsock.vhost_user, *message.mutable_vhost_user());
  for (const VsockPortConfig& port : vsock.ports) {
    proto::VsockPortConfig& added = *message.add_ports();
    added.set_port(port.port);
    added.set_direction(ToProto(port.direction));
    added.set_type(ToProto(port.type));
    added.set_path(port.path);
    added.set_fd(port.fd);
  }
  message.set_cid(vsock.cid);
  message.set_socket(vsock.socket);
  message.set_socket_fd(vsock.socket_fd);
  message.set_host_fd(vsock.host_fd);
  message.set_switch_directory(vsock.switch_directory);
  message.set_buf_alloc(vsock.buf_alloc);
  message.set_max_connections(vsock.max_connections);
  message.set_queue_size(vsock.queue_size);
  message.set_connect_wait_milliseconds(vsock.connect_wait_milliseconds);
  message.set_listen_wait_milliseconds(vsock.listen_wait_milliseconds);
  message.set_close_wait_milliseconds(vsock.close_wait_milliseconds);
  WriteWorkers(vsock, message);
  message.set_seqpacket(vsock.seqpacket);
  message.set_mrg_rxbuf(vsock.mrg_rxbuf);
  message.set_dgram(vsock.dgram);
  message.set_mrg_rxbuf_feature(vsock.mrg_rxbuf_feature);
  message.set_dgram_feature(vsock.dgram_feature);
}

}  // namespace annulus
