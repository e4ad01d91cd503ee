#ifndef DEVICES_VIRTIO_VSOCK_BACKEND_CALLER_H_
#define DEVICES_VIRTIO_VSOCK_BACKEND_CALLER_H_

#include <cstdint>
#include <utility>

#include "base/unique_fd.h"
#include "devices/virtio/vsock/backend/connect_line.h"

namespace annulus::virtio {

// A program of the host that is connected, and has not said yet to which port
// of the guest it wants: by a line of a stream, or by its first message, whose
// line feed may be left out.
//
// Threads: thread-compatible.
// Trust: it may send anything, or nothing, and go at any time.
class Caller {
 public:
  // `type` is kVsockTypeStream or kVsockTypeSeqpacket. After `deadline_ns` it
  // is to be given up.
  Caller(UniqueFd socket, uint16_t type, int64_t deadline_ns)
      : socket_(std::move(socket)), type_(type), deadline_ns_(deadline_ns) {}

  enum class Progress : uint8_t {
    kWaits,  // Until the socket becomes readable again.
    kSaid,   // port() is known; the socket's next byte is data.
    kWrong,  // It said something else.
    kGone,   // It closed, or its socket failed.
  };

  // Reads what it said, and no byte behind it. Never blocks.
  Progress Advance();

  int fd() const { return socket_.get(); }
  uint16_t type() const { return type_; }
  int64_t deadline_ns() const { return deadline_ns_; }
  uint32_t port() const { return port_; }
  UniqueFd TakeSocket() { return std::move(socket_); }

 private:
  Progress AdvanceStream();
  Progress AdvanceMessage();

  UniqueFd socket_;
  uint16_t type_;
  int64_t deadline_ns_;
  ConnectLine line_;
  uint32_t port_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_BACKEND_CALLER_H_
