// A device that does what it likes to the rings and buffers of a receiver with
// header split. Whatever comes of it lies in memory that was posted, nobody
// gets the same memory twice, and after a restart none is lost.
//
// Input: 1 byte of ring (bits 0 to 2) and receiver (bits 3 to 5), then
// operations of 1 byte
//   bits 0 and 1   0 buffers are posted, 1 the device uses some, 2 packets are
//                  taken, 3 the oldest packet is released
//   used           bits 2 to 4: how many buffers, less 1; bit 5: the first has
//                  a virtio-net header that follows here, of 28 bytes; then for
//                  each the length, 2 bytes, of which 0xffff is no limit at all

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <set>

#include "absl/types/span.h"
#include "base/check.h"
#include "devices/virtio/driver/header_split_fixture.h"
#include "devices/virtio/driver/header_split_receiver.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/received_packet.h"
#include "devices/virtio/queue/descriptor_chain.h"

namespace annulus::virtio {
namespace {

constexpr ReceiverOptions kReceivers[] = {
    {.mergeable = true},
    {.small_bytes = 12, .pages_per_buffer = 3},
    {.method = ReceiveMethod::kChain,
     .small_bytes = 128,
     .pages_per_buffer = 2},
    {.method = ReceiveMethod::kBuffers, .mergeable = true},
    {.method = ReceiveMethod::kSmallBuffers,
     .mergeable = true,
     .header = {.hash_report = true},
     .small_bytes = 256},
    {.method = ReceiveMethod::kHeaderQueue,
     .header = {.header_queue = true},
     .small_bytes = 20,
     .pages_per_buffer = 2},
    {.method = ReceiveMethod::kHeaderQueue,
     .mergeable = true,
     .header = {.header_queue = true}},
    {.method = ReceiveMethod::kHeaderQueue,
     .mergeable = true,
     .header = {.hash_report = true, .header_queue = true},
     .small_bytes = 64},
};

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

void UseSome(HeaderSplitPair& pair, uint8_t op, Input& input) {
  const uint32_t count = (op >> 2 & 7) + 1u;
  std::array<uint8_t, 28> header = {};
  const bool writes = (op & 0x20) != 0;
  if (writes) {
    for (uint8_t& byte : header) byte = input.Byte();
  }
  for (uint32_t i = 0; i < count && pair.HasAvailable(); ++i) {
    DescriptorChain& chain = pair.Pop();
    if (i == 0 && writes) HeaderSplitPair::Write(chain, 0, header);
    const uint16_t len = input.Word();
    pair.Use(chain, len == 0xffff ? 0xffffffff : len);
  }
  pair.Publish();
}

// Each piece of a packet, and that its bytes lie in there.
template <typename Function>
void ForPieces(const HeaderSplitPair& pair, const ReceivedPacket& packet,
               Function function) {
  const auto look = [&](ReceivePiece piece, const uint8_t* data,
                        uint32_t bytes) {
    const ReceivePool& pool = piece.small() ? pair.small() : pair.pages();
    ANNULUS_CHECK(piece.number() < pool.count());
    const uint8_t* const begin = pool.HostOf(piece.number());
    ANNULUS_CHECK(data >= begin && data + bytes <= begin + pool.bytes());
    ANNULUS_CHECK(bytes != 0);
    function(piece);
  };
  if (packet.split && !packet.header_in_slot) {
    look(packet.header_piece, packet.header, packet.header_bytes);
  } else if (packet.split) {
    ANNULUS_CHECK(packet.header_bytes <= HeaderSplitPair::kSlotBytes);
  }
  uint32_t bytes = 0;
  for (uint32_t i = 0; i < packet.part_count; ++i) {
    const PacketPart& part = packet.parts[i];
    look(part.piece, part.data, part.bytes);
    bytes += part.bytes;
  }
  ANNULUS_CHECK(bytes == packet.bytes && bytes != 0);
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace annulus::virtio;  // NOLINT(google-build-using-namespace)
  Input input(data, size);
  const uint8_t kind = input.Byte();
  HeaderSplitPair pair(kRingKinds[kind & 7], kReceivers[kind >> 3 & 7]);
  std::deque<ReceivedPacket> held;
  std::set<uint32_t> pages;
  std::set<uint32_t> small;
  const auto set_of = [&](ReceivePiece piece) -> std::set<uint32_t>& {
    return piece.small() ? small : pages;
  };
  while (!input.empty()) {
    const uint8_t op = input.Byte();
    ReceivedPacket packet;
    switch (op & 3) {
      case 0:
        pair.Post();
        break;
      case 1:
        UseSome(pair, op, input);
        break;
      case 2:
        while (pair.Get(packet)) {
          ANNULUS_CHECK(!pair.broken());
          ForPieces(pair, packet, [&](ReceivePiece piece) {
            ANNULUS_CHECK(set_of(piece).insert(piece.number()).second);
          });
          held.push_back(packet);
        }
        break;
      case 3:
        if (held.empty()) break;
        ForPieces(pair, held.front(), [&](ReceivePiece piece) {
          set_of(piece).erase(piece.number());
        });
        pair.ReleaseAll(held.front());
        held.pop_front();
        break;
    }
  }
  pair.Restart();
  ANNULUS_CHECK(pair.pages().free_count() + pages.size() ==
                HeaderSplitPair::kPages);
  ANNULUS_CHECK(pair.small().free_count() + small.size() ==
                HeaderSplitPair::kSmall);
  return 0;
}
