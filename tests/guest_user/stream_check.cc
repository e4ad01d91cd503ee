#include "tests/guest_user/stream_check.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "devices/virtio/spec/net.h"

namespace annulus::guest_user {
namespace {

constexpr uint32_t kPageBytes = 4096;

// The first bytes of the frame, wherever they lie; fewer if it is shorter.
size_t CopyFront(const virtio::ReceivedPacket& packet, uint8_t* out,
                 size_t bytes) {
  size_t done = 0;
  if (packet.split) {
    done = std::min<size_t>(bytes, packet.header_bytes);
    std::memcpy(out, packet.header, done);
  }
  for (uint32_t i = 0; i < packet.part_count && done < bytes; ++i) {
    const size_t count = std::min<size_t>(bytes - done, packet.parts[i].bytes);
    std::memcpy(out + done, packet.parts[i].data, count);
    done += count;
  }
  return done;
}

std::string Hex(absl::Span<const uint8_t> bytes) {
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

bool MayBeSplit(FrameKind kind) {
  return kind == FrameKind::kData || kind == FrameKind::kGso;
}

bool BeginsPage(const virtio::PacketPart& part) {
  return reinterpret_cast<uintptr_t>(part.data) % kPageBytes == 0;
}

}  // namespace

bool StreamCheck::Fail(absl::string_view what) {
  if (error_.empty()) {
    error_ = absl::StrCat("frame ", counts_.frames, " of the stream: ", what);
  }
  return false;
}

bool StreamCheck::Check(const virtio::ReceivedPacket& packet) {
  uint8_t front[kMaxStreamHeaderBytes];
  const size_t bytes = CopyFront(packet, front, HeaderBytes(spec_));
  if (!IsOfStream(spec_, {front, bytes})) {
    ++counts_.other_frames;
    return true;
  }
  // Frames come in the order in which they were sent: so their number is known.
  const uint64_t sequence = counts_.frames;
  if (complete()) return Fail("came after the last one");
  if (!IsStreamHeader(spec_, sequence, destination_, {front, bytes})) {
    uint8_t expected[kMaxStreamHeaderBytes];
    WriteStreamHeader(spec_, sequence, destination_, expected);
    return Fail(absl::StrCat("the header is ", Hex({front, bytes}),
                             ", expected ", Hex({expected, bytes}),
                             ": another frame, or a wrong one"));
  }
  const FrameKind kind = KindOf(spec_, sequence);
  if (!CheckPlacement(packet, kind) || !CheckNetHeader(packet, kind) ||
      !CheckPayload(packet, sequence)) {
    return false;
  }
  Count(packet, sequence);
  return true;
}

bool StreamCheck::CheckPlacement(const virtio::ReceivedPacket& packet,
                                 FrameKind kind) {
  if (!packet.split) return true;
  if (!MayBeSplit(kind)) return Fail("must not be split");
  if (packet.header_bytes != HeaderBytes(spec_)) {
    return Fail(absl::StrCat("was split after ", packet.header_bytes,
                             " bytes, not ", HeaderBytes(spec_)));
  }
  return true;
}

bool StreamCheck::CheckNetHeader(const virtio::ReceivedPacket& packet,
                                 FrameKind kind) {
  const virtio::ReceivedHeader& header = packet.net_header;
  if ((header.flags & virtio::kNetHeaderNeedsCsum) != 0 &&
      (header.csum_start != TransportOffset(spec_) ||
       header.csum_offset != ChecksumOffset(spec_))) {
    return Fail("its virtio-net header has the checksum elsewhere");
  }
  const uint8_t gso = kind != FrameKind::kGso ? virtio::kNetGsoNone
                      : IsIpv4(spec_)         ? virtio::kNetGsoTcpv4
                                              : virtio::kNetGsoTcpv6;
  if (header.gso_type != gso) {
    return Fail(absl::StrCat("has gso_type ", header.gso_type));
  }
  return true;
}

bool StreamCheck::CheckPayload(const virtio::ReceivedPacket& packet,
                               uint64_t sequence) {
  const uint32_t bytes = PayloadBytes(spec_, sequence);
  // What of the parts is header.
  size_t skip = packet.split ? 0 : HeaderBytes(spec_);
  if (packet.bytes != skip + bytes) {
    return Fail(absl::StrCat("has ", packet.bytes - skip,
                             " bytes of payload, not ", bytes));
  }
  uint64_t offset = 0;
  for (uint32_t i = 0; i < packet.part_count; ++i) {
    absl::Span<const uint8_t> part(packet.parts[i].data, packet.parts[i].bytes);
    const size_t header = std::min(skip, part.size());
    part.remove_prefix(header);
    skip -= header;
    if (!IsPayload(spec_, sequence, offset, part)) {
      return Fail(absl::StrCat("the payload is wrong in part ", i, " of ",
                               packet.part_count));
    }
    offset += part.size();
  }
  return offset == bytes ? true : Fail("its parts are not all of it");
}

void StreamCheck::Count(const virtio::ReceivedPacket& packet,
                        uint64_t sequence) {
  const FrameKind kind = KindOf(spec_, sequence);
  ++counts_.frames;
  counts_.payload_bytes += PayloadBytes(spec_, sequence);
  if (kind == FrameKind::kPureAck) ++counts_.pure_acks;
  if (kind == FrameKind::kFragment) ++counts_.fragments;
  if (kind == FrameKind::kGso) ++counts_.gso;
  if (!packet.split) {
    if (MayBeSplit(kind)) ++counts_.unsplit;
    return;
  }
  ++counts_.split;
  for (uint32_t i = 0; i < packet.part_count; ++i) {
    const bool whole =
        packet.parts[i].bytes == kPageBytes ||
        (i + 1 == packet.part_count && packet.parts[i].bytes < kPageBytes);
    if (BeginsPage(packet.parts[i]) && whole) {
      ++counts_.aligned_pages;
    } else {
      ++counts_.misaligned_pieces;
    }
  }
}

}  // namespace annulus::guest_user
