#ifndef VMM_CONFIG_VHOST_USER_CONFIG_PROTO_H_
#define VMM_CONFIG_VHOST_USER_CONFIG_PROTO_H_

#include "proto/vm_config.pb.h"
#include "vmm/config/vm_config.h"

namespace annulus {

// The part of config_proto.h that devices have which another process serves.

// Overwrites what `message` has.
inline void ReadVhostUser(const proto::VhostUserConfig& message,
                          VhostUserConfig& vhost_user) {
  if (message.has_socket()) vhost_user.socket = message.socket();
  if (message.has_listen()) vhost_user.listen = message.listen();
  if (message.has_fd()) vhost_user.fd = message.fd();
}

inline void WriteVhostUser(const VhostUserConfig& vhost_user,
                           proto::VhostUserConfig& message) {
  message.set_socket(vhost_user.socket);
  message.set_listen(vhost_user.listen);
  message.set_fd(vhost_user.fd);
}

}  // namespace annulus

#endif  // VMM_CONFIG_VHOST_USER_CONFIG_PROTO_H_
