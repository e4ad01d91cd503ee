#ifndef DEVICES_VHOST_USER_BACK_END_REQUEST_PAYLOAD_H_
#define DEVICES_VHOST_USER_BACK_END_REQUEST_PAYLOAD_H_

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "devices/vhost_user/wire/message.h"

namespace annulus::vhost_user {

// The refusal of a request whose payload is not of the size that it has to be.
inline absl::Status NotItsSize(const Message& message) {
  return absl::InvalidArgumentError(
      absl::StrFormat("its payload has %u bytes", message.size));
}

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_REQUEST_PAYLOAD_H_
