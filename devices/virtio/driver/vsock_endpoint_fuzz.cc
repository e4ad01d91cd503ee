// A device that does what it likes to the rings and buffers of an endpoint,
// which must not touch what is not its own, and gets all of it back in the end.
//
// Input: 1 byte: bits 0 and 1 the ring, bit 2 MRG_RXBUF; then operations of 1
// byte, whose two low bits are
//   0  the endpoint polls; bit 2: consumes what is unread; bit 3: connects
//   1  the device uses buffers, (bits 2 to 4) + 1 of them: a header of 46 bytes
//      follows here, then for each the used length, 2 bytes, of which 0xffff is
//      no limit at all
//   2  the device sends a packet that is well-formed: op (bits 2 to 4), then 1
//      byte: low half the port, high half in units of 16 bytes the payload, 1
//      byte of flags, 2 bytes of buf_alloc, 2 of fwd_cnt
//   3  the device takes what was sent; bit 2: the endpoint sends data, bit 3:
//      shuts down what bits 4 and 5 say, bit 6: aborts

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/driver/vsock_connection.h"
#include "devices/virtio/driver/vsock_driver_fixture.h"
#include "devices/virtio/driver/vsock_packet.h"
#include "devices/virtio/spec/vsock.h"

namespace annulus::virtio {
namespace {

// What is left of the input; zeros behind its end.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(data, size) {}
  bool empty() const { return rest_.empty(); }
  uint8_t Byte() {
    if (rest_.empty()) return 0;
    const uint8_t byte = rest_.front();
    rest_.remove_prefix(1);
    return byte;
  }
  uint16_t Word() {
    const uint8_t low = Byte();
    return static_cast<uint16_t>(low | Byte() << 8);
  }

 private:
  absl::Span<const uint8_t> rest_;
};

constexpr uint64_t kGuest = 3;
constexpr uint32_t kWindow = 1024;

struct Program {
  bool Accepts(const VsockHeader& request) { return request.dst_port != 0; }
  void Connected(VsockConnection& connection) {
    ANNULUS_CHECK(live.insert(&connection).second);
  }
  void Data(VsockConnection& connection, const uint8_t* data, uint32_t bytes) {
    ANNULUS_CHECK(live.count(&connection) == 1);
    ANNULUS_CHECK(connection.receive.unread() <= kWindow);
    for (uint32_t i = 0; i < bytes; ++i) sum += data[i];
  }
  void Received(VsockConnection&, const VsockHeader&) {}
  void Credit(VsockConnection& connection) {
    ANNULUS_CHECK(connection.send.Free() != 0);
  }
  void Shutdown(VsockConnection&) {}
  void Closed(VsockConnection& connection) { live.erase(&connection); }

  std::set<VsockConnection*> live;
  uint64_t sum = 0;
};

template <typename Kind>
class Fuzz {
 public:
  explicit Fuzz(bool mergeable)
      : guest_(kGuest, {.mergeable = mergeable, .buffer_bytes = 128}, kWindow,
               program_) {}

  void Run(Input& input) {
    while (!input.empty()) {
      const uint8_t op = input.Byte();
      switch (op & 3) {
        case 0:
          Poll(op);
          break;
        case 1:
          UseBuffers(op, input);
          break;
        case 2:
          SendPacket(op, input);
          break;
        case 3:
          while (guest_.TakeSent().has_value()) continue;
          Act(op);
          break;
      }
    }
    guest_.receiver().Restart();
    ANNULUS_CHECK(guest_.receive_pool().free_count() ==
                  guest_.receive_pool().count());
    guest_.transmitter().Reclaim();
    guest_.transmitter().Restart();
    ANNULUS_CHECK(guest_.transmit_pool().free_count() ==
                  guest_.transmit_pool().count());
  }

 private:
  void Poll(uint8_t op) {
    guest_.endpoint().Poll(16);
    if ((op & 4) != 0) {
      for (VsockConnection* connection : program_.live) {
        guest_.endpoint().Consumed(*connection, connection->receive.unread());
      }
    }
    if ((op & 8) != 0) {
      guest_.endpoint().Connect(kVsockTypeStream, kVsockHostCid, 1);
    }
  }

  void UseBuffers(uint8_t op, Input& input) {
    VsockHeader header;
    alignas(4) std::array<uint8_t, 48> bytes = {};
    for (size_t i = 0; i < kVsockMergeableHeaderBytes; ++i) {
      bytes[i] = input.Byte();
    }
    header = ReadVsockHeader(bytes.data(), true);
    std::vector<uint32_t> lengths;
    for (uint32_t i = 0; i < (op >> 2 & 7) + 1u; ++i) {
      const uint16_t len = input.Word();
      lengths.push_back(len == 0xffff ? 0xffffffff : len);
    }
    guest_.PlaySome(header, lengths);
  }

  void SendPacket(uint8_t op, Input& input) {
    const uint8_t what = input.Byte();
    VsockHeader header = {.src_cid = kVsockHostCid,
                          .dst_cid = kGuest,
                          .src_port = 1,
                          .dst_port = what & 15u,
                          .type = kVsockTypeStream,
                          .op = static_cast<uint16_t>(op >> 2 & 7),
                          .flags = input.Byte()};
    if (header.dst_port >= 8) header.dst_port += 0xc0000000 - 8;
    if ((op & 0x20) != 0) header.type = kVsockTypeSeqpacket;
    header.buf_alloc = input.Word();
    header.fwd_cnt = input.Word();
    const std::vector<uint8_t> payload((what >> 4) * 5);
    guest_.Deliver(header, payload);
  }

  void Act(uint8_t op) {
    if (program_.live.empty()) return;
    VsockConnection& connection = **program_.live.begin();
    uint32_t bytes = 0;
    if ((op & 4) != 0) {
      uint8_t* const room = guest_.endpoint().Room(connection, 200, &bytes);
      if (room != nullptr) {
        std::memset(room, 1, bytes);
        guest_.endpoint().Send(connection, bytes);
      }
    }
    if ((op & 8) != 0) guest_.endpoint().Shutdown(connection, op >> 4 & 3);
    if ((op & 0x40) != 0 && guest_.endpoint().Abort(connection)) {
      program_.live.erase(&connection);
    }
  }

  Program program_;
  VsockTestGuest<Kind, Program> guest_;
};

template <typename Kind>
void RunOn(bool mergeable, Input& input) {
  Fuzz<Kind>(mergeable).Run(input);
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace annulus::virtio;  // NOLINT(google-build-using-namespace)
  Input input(data, size);
  const uint8_t kind = input.Byte();
  const bool mergeable = (kind & 4) != 0;
  switch (kind & 3) {
    case 0:
      RunOn<VsockPacked>(mergeable, input);
      break;
    case 1:
      RunOn<VsockPackedInOrder>(mergeable, input);
      break;
    case 2:
      RunOn<VsockSplit>(mergeable, input);
      break;
    default:
      RunOn<VsockSplitInOrder>(mergeable, input);
      break;
  }
  return 0;
}
