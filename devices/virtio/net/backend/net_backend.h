#ifndef DEVICES_VIRTIO_NET_BACKEND_NET_BACKEND_H_
#define DEVICES_VIRTIO_NET_BACKEND_NET_BACKEND_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "devices/virtio/spec/features.h"

namespace annulus::virtio {

// What became of a frame that a backend was to send or to receive.
enum class TransferStatus : uint8_t {
  kDone,     // Sent, or received.
  kAgain,    // Not now: wait for the descriptor, then the same again.
  kDropped,  // This frame is lost (ENOBUFS, EIO, ...); others may do better.
  kGone,     // The backend has vanished; nothing will come or go any more.
};

struct Transfer {
  TransferStatus status;
  uint32_t bytes;  // kDone: of the frame and its header.
};

// One pair of directions of a backend: what the receive worker and the transmit
// worker of a queue pair talk to.
//
// A frame is given as vectors, the first of which is exactly its 12-byte
// virtio_net_hdr (virtio 1.4 §5.1.6, without the hash), little-endian, in
// memory that the guest does not see; the others are never empty, as short as a
// byte, and lie in guest RAM, where their content changes at any time. Some of
// those to receive into, the second or the last, may lie in other memory
// instead. A backend without headers skips the first when sending and zeroes it
// when receiving; one with headers may leave num_buffers as it was. Frames of
// more than 1024 vectors (UIO_MAXIOV) are dropped by whoever gives them to one
// system call.
//
// Threads: Send(), SendPlain(), Flush() and writable_fd() on one thread, the
//   others on one other, concurrently.
// Trust: the header of a frame to send was checked. A received one is not
//   trusted by the caller.
// Allocation: none.
class NetBackendQueue {
 public:
  virtual ~NetBackendQueue() = default;

  // Hot. Sends the frame that `frame` consists of, `bytes` with its header,
  // whole or not at all; at the latest with the next Flush(). Never blocks.
  // After kAgain, the same frame is to be given again, in the same memory: it
  // may be under way already.
  virtual Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) = 0;

  // Hot. For a backend that keeps frames in memory: sends the next ones, each
  // whole in one of `frames`, without its header, which asks for nothing.
  // Returns how many: the one behind them, if any, is to be given to Send().
  virtual uint32_t SendPlain(absl::Span<const iovec> /*frames*/) { return 0; }

  // Hot. No further frame comes at once: those that were sent are to be on
  // their way when this returns.
  virtual void Flush() {}

  // Hot. Receives the next frame into `room`. Never blocks. What has no room is
  // cut off, and the whole frame's length returned nevertheless where the
  // backend knows it, at least the room's; the caller has room for
  // kNetMaxFrameBytes.
  virtual Transfer Receive(absl::Span<const iovec> room) = 0;

  // Hot. For a backend that has frames in memory: copies the next ones, each
  // with a header that asks for nothing (kPlainReceiveHeader) into one of
  // `rooms`, and their lengths with it into `bytes`, up to a frame that does
  // not fit into its room or is not one to be received so; returns how many.
  // They stay the next ones: whoever wants them says so by TakeCopied(), and
  // receives all of them again otherwise. Rooms behind the last frame may have
  // been written to. REQUIRES: rooms.size() <= bytes.size().
  virtual uint32_t CopyPlain(absl::Span<const iovec> /*rooms*/,
                             absl::Span<uint32_t> /*bytes*/) {
    return 0;
  }

  // Hot. The frames of the last CopyPlain() are received. REQUIRES: there were
  // some, and nothing else was called since.
  virtual void TakeCopied() {}

  // Throws away what waits to be received in memory of this process: it came
  // for a driver that is gone. REQUIRES: nobody receives.
  virtual void Discard() {}

  // What to poll for POLLIN after Receive(), for POLLOUT after Send() said
  // kAgain, and not otherwise: frames may wait where no poll sees them. Not
  // after kGone either: poll(2) would return at once for ever. -1: there is
  // nothing to wait for, ever.
  virtual int readable_fd() const = 0;
  virtual int writable_fd() const = 0;
};

// Who is told that a backend's link went up or down.
//
// Threads: called on a thread of the backend, one call at a time.
class LinkObserver {
 public:
  virtual ~LinkObserver() = default;
  virtual void LinkChanged(bool up) = 0;
};

// Where the frames of one card come from and go to: the network beyond the
// guest.
//
// Threads: all but queue() are called on one control thread at a time; queues
//   are used meanwhile.
class NetBackend {
 public:
  virtual ~NetBackend() = default;

  // Bits of virtio 1.4 §5.1.3 that this backend really does: a subset of
  // CSUM, HOST_*, GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, GUEST_ECN, GUEST_UFO,
  // GUEST_USO4 and GUEST_USO6, closed under their dependencies.
  virtual FeatureSet offloads() const = 0;

  // At least 1; constant.
  virtual uint16_t queue_pairs() const = 0;

  // REQUIRES: pair < queue_pairs(). Lives as long as the backend.
  virtual NetBackendQueue& queue(uint16_t pair) = 0;

  // Frames as the guest wants to receive them from now on: those of the
  // GUEST_* bits above that the driver acknowledged. A frame that was queued
  // before may still come otherwise.
  virtual absl::Status SetReceiveOffloads(const FeatureSet& offloads) = 0;

  // Frames go to the first `pairs` queues only. REQUIRES: 1 <= pairs <=
  // queue_pairs().
  virtual absl::Status SetActivePairs(uint16_t pairs) = 0;

  // From now on, whoever receives asks again and again, and never waits for a
  // readable_fd(); or waits again, as at first.
  virtual void SetPolled(bool /*polled*/) {}

  // Whether the link is up now; and who is told when that changes, or null to
  // end it: returns when no call is under way.
  virtual bool link_up() const = 0;
  virtual void SetLinkObserver(LinkObserver* observer) = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_NET_BACKEND_H_
