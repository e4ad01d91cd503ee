#ifndef TESTS_BENCH_HEADER_SPLIT_BENCH_APPLICATION_H_
#define TESTS_BENCH_HEADER_SPLIT_BENCH_APPLICATION_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "devices/virtio/driver/receive_pool.h"
#include "devices/virtio/driver/received_packet.h"
#include "tests/bench/header_split_bench_frames.h"

namespace annulus::bench {

// What the receiving program does with a stream.
enum class Use {
  kCopy,  // Copies the payload into pages of its own, one byte after the other.
  kHold,  // Keeps the pages that the payload came in.
  kLook,  // Looks at the headers and drops the packet.
};

// What was received.
struct Received {
  uint64_t frames = 0;
  uint64_t missing_frames = 0;  // Of those sent in between.
  uint64_t stream_frames = 0;   // Of the stream, with a payload.
  uint64_t payload_bytes = 0;   // Of those.
  uint64_t split_frames = 0;
  uint64_t copied_bytes = 0;  // By the program.
  uint64_t checked_frames = 0;
  // Memory in which there was something of a packet, until it was released.
  uint64_t consumed_bytes = 0;
  // Pieces of payload as they came, and those that are exactly a page.
  uint64_t pieces = 0;
  uint64_t whole_pages = 0;
};

// The program at the end of the stream: it holds what came last, kPages of it,
// before the memory is used again. Of every kCheckEvery frames one is compared
// with what was sent, byte for byte, when its memory is about to be given back
// (kHold) or when it was copied.
//
// `Receiver` is a HeaderSplitReceiver.
template <typename Receiver>
class Application {
 public:
  static constexpr uint32_t kPages = 1024;
  static constexpr uint32_t kPageBytes = 4096;
  static constexpr uint32_t kCheckEvery = 509;

  // `own_pages` are kPages of them for kCopy. Pages to keep come from `pages`
  // where a payload was not split off.
  Application(Use use, const BenchFrames& frames, Receiver& receiver,
              virtio::ReceivePool& pages, const virtio::ReceivePool* small,
              uint32_t slot_bytes, uint8_t* own_pages)
      : use_(use),
        frames_(frames),
        receiver_(receiver),
        pages_(pages),
        small_(small),
        slot_bytes_(slot_bytes),
        own_pages_(own_pages),
        held_(kPages) {}

  const Received& received() const { return received_; }

  // Hot. The next packet.
  void Take(const virtio::ReceivedPacket& packet) {
    const uint8_t* const head =
        packet.split ? packet.header : packet.parts[0].data;
    ANNULUS_CHECK(
        (packet.split ? packet.header_bytes : packet.parts[0].bytes) >= 54);
    const uint32_t index = BenchFrames::IndexIn(head);
    ANNULUS_CHECK(index < frames_.count());
    received_.missing_frames +=
        index - next_ + (index < next_ ? frames_.count() : 0);
    next_ = index;
    ANNULUS_CHECK(packet.header_bytes + packet.bytes ==
                  frames_.at(index).bytes);
    next_ = next_ + 1 == frames_.count() ? 0 : next_ + 1;
    const uint32_t header = StreamHeaderBytes(head);
    ANNULUS_CHECK(!packet.split || packet.header_bytes == header);
    Count(packet, header);
    check_ = ++since_check_ >= kCheckEvery && header != 0;
    if (check_) {
      since_check_ = 0;
      ++received_.checked_frames;
      ANNULUS_CHECK(std::memcmp(head, frames_.BytesOf(index).data(), header) ==
                    0);
    }
    sent_ = frames_.BytesOf(index).data() + header;
    if (header == 0 || use_ == Use::kLook) {
      if (check_) Compare(packet, header);
      receiver_.ReleaseAll(packet);
    } else if (use_ == Use::kCopy) {
      Copy(packet, header);
      receiver_.ReleaseAll(packet);
    } else if (packet.split) {
      receiver_.ReleaseHeader(packet);
      for (uint32_t i = 0; i < packet.part_count; ++i) {
        const virtio::PacketPart& part = packet.parts[i];
        Hold(part.data, part.bytes, part.piece.number());
      }
    } else {
      CopyToPages(packet, header);
      receiver_.ReleaseAll(packet);
    }
  }

  // Gives back all that is held.
  void Finish() {
    for (Held& held : held_) GiveBack(held);
  }

 private:
  struct Held {
    const uint8_t* data = nullptr;
    uint32_t bytes = 0;  // 0: nothing is held.
    uint32_t page = 0;
    const uint8_t* sent = nullptr;  // To compare with, or null.
  };

  void Count(const virtio::ReceivedPacket& packet, uint32_t header) {
    ++received_.frames;
    if (packet.split) {
      ++received_.split_frames;
      received_.consumed_bytes +=
          packet.header_in_slot ? slot_bytes_ : BytesOf(packet.header_piece);
    }
    for (uint32_t i = 0; i < packet.part_count; ++i) {
      received_.consumed_bytes += BytesOf(packet.parts[i].piece);
    }
    if (header == 0) return;
    ++received_.stream_frames;
    received_.payload_bytes += packet.header_bytes + packet.bytes - header;
    received_.pieces += packet.part_count;
    for (uint32_t i = 0; i < packet.part_count; ++i) {
      const virtio::PacketPart& part = packet.parts[i];
      received_.whole_pages += part.bytes == kPageBytes && packet.split &&
                               !part.piece.small() &&
                               part.data == pages_.HostOf(part.piece.number());
    }
  }

  uint32_t BytesOf(virtio::ReceivePiece piece) const {
    return piece.small() ? small_->stride() : kPageBytes;
  }

  void Compare(const virtio::ReceivedPacket& packet, uint32_t header) const {
    const uint8_t* sent = packet.split ? sent_ : sent_ - header;
    for (uint32_t i = 0; i < packet.part_count; ++i) {
      const virtio::PacketPart& part = packet.parts[i];
      ANNULUS_CHECK(std::memcmp(part.data, sent, part.bytes) == 0);
      sent += part.bytes;
    }
  }

  // Calls copy(from, bytes) for the payload, piece by piece.
  template <typename Function>
  void ForPayload(const virtio::ReceivedPacket& packet, uint32_t header,
                  Function copy) {
    uint32_t skip = packet.split ? 0 : header;
    for (uint32_t i = 0; i < packet.part_count; ++i) {
      const virtio::PacketPart& part = packet.parts[i];
      const uint32_t skipped = std::min(skip, part.bytes);
      skip -= skipped;
      if (skipped < part.bytes) copy(part.data + skipped, part.bytes - skipped);
    }
  }

  void Copy(const virtio::ReceivedPacket& packet, uint32_t header) {
    constexpr size_t kAll = size_t{kPages} * kPageBytes;
    ForPayload(packet, header, [&](const uint8_t* from, size_t bytes) {
      received_.copied_bytes += bytes;
      while (bytes != 0) {
        const size_t here = std::min(bytes, kAll - own_next_);
        std::memcpy(own_pages_ + own_next_, from, here);
        if (check_) {
          ANNULUS_CHECK(std::memcmp(own_pages_ + own_next_, sent_, here) == 0);
          sent_ += here;
        }
        own_next_ = own_next_ + here == kAll ? 0 : own_next_ + here;
        from += here;
        bytes -= here;
      }
    });
  }

  // A payload that was not split off, but is to lie in pages.
  void CopyToPages(const virtio::ReceivedPacket& packet, uint32_t header) {
    uint32_t page = 0;
    uint32_t filled = 0;
    ForPayload(packet, header, [&](const uint8_t* from, uint32_t bytes) {
      received_.copied_bytes += bytes;
      while (bytes != 0) {
        if (filled == 0) {
          ANNULUS_CHECK(pages_.free_count() != 0);
          page = pages_.Peek(0);
          pages_.Take(1);
        }
        const uint32_t here = std::min(bytes, kPageBytes - filled);
        std::memcpy(pages_.HostOf(page) + filled, from, here);
        filled += here;
        from += here;
        bytes -= here;
        if (filled == kPageBytes) {
          Hold(pages_.HostOf(page), filled, page);
          filled = 0;
        }
      }
    });
    if (filled != 0) Hold(pages_.HostOf(page), filled, page);
  }

  void Hold(const uint8_t* data, uint32_t bytes, uint32_t page) {
    Held& held = held_[held_next_];
    GiveBack(held);
    held = {.data = data,
            .bytes = bytes,
            .page = page,
            .sent = check_ ? sent_ : nullptr};
    sent_ += bytes;
    held_next_ = held_next_ + 1 == kPages ? 0 : held_next_ + 1;
  }

  void GiveBack(Held& held) {
    if (held.bytes == 0) return;
    if (held.sent != nullptr) {
      ANNULUS_CHECK(std::memcmp(held.data, held.sent, held.bytes) == 0);
    }
    pages_.Put(held.page);
    held.bytes = 0;
  }

  const Use use_;
  const BenchFrames& frames_;
  Receiver& receiver_;
  virtio::ReceivePool& pages_;
  const virtio::ReceivePool* const small_;
  const uint32_t slot_bytes_;
  uint8_t* const own_pages_;
  size_t own_next_ = 0;
  std::vector<Held> held_;
  uint32_t held_next_ = 0;
  uint32_t next_ = 0;
  uint32_t since_check_ = 0;
  bool check_ = false;             // The packet in hand.
  const uint8_t* sent_ = nullptr;  // What its payload was, from here on.
  Received received_;
};

}  // namespace annulus::bench

#endif  // TESTS_BENCH_HEADER_SPLIT_BENCH_APPLICATION_H_
