#include "tests/bench/header_split_bench_frames.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace annulus::bench {
namespace {

constexpr uint32_t kEthernet = 14;
constexpr uint32_t kIp = 20;
constexpr uint32_t kTcp = 32;  // With timestamps.
constexpr uint32_t kHeaders = kEthernet + kIp + kTcp;
constexpr uint8_t kProtocolTcp = 6;
constexpr uint8_t kProtocolUdp = 17;

void PutBig16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}
void PutBig32(uint8_t* at, uint32_t value) {
  PutBig16(at, value >> 16);
  PutBig16(at + 2, value);
}
void PutLittle16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value);
  at[1] = static_cast<uint8_t>(value >> 8);
}

uint32_t Sum(const uint8_t* at, size_t bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes; i += 2) sum += at[i] * 256u + at[i + 1];
  return sum;
}
uint32_t Fold(uint32_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

void PutEthernet(std::vector<uint8_t>& frame, uint32_t index, uint32_t type) {
  const uint8_t destination[] = {2, 0, 0, 0, 0, 1, 2, 0};
  std::copy(std::begin(destination), std::end(destination), frame.begin());
  PutBig32(&frame[8], index);
  PutBig16(&frame[12], type);
}

void PutIpv4(std::vector<uint8_t>& frame, uint32_t fragment, uint8_t protocol) {
  uint8_t* const ip = &frame[kEthernet];
  ip[0] = 0x45;
  PutBig16(ip + 2, static_cast<uint32_t>(frame.size()) - kEthernet);
  PutBig16(ip + 6, fragment);
  ip[8] = 64;
  ip[9] = protocol;
  const uint8_t addresses[] = {10, 0, 0, 1, 10, 0, 0, 2};
  std::copy(std::begin(addresses), std::end(addresses), ip + 12);
  PutBig16(ip + 10, ~Fold(Sum(ip, kIp)));
}

}  // namespace

uint32_t BenchFrames::IndexIn(const uint8_t* frame) {
  return uint32_t{frame[8]} << 24 | uint32_t{frame[9]} << 16 |
         uint32_t{frame[10]} << 8 | frame[11];
}

BenchFrames::BenchFrames(uint32_t payload, uint32_t mtu, bool mixed,
                         size_t memory) {
  std::mt19937 random(1);  // NOLINT(*-msc51-cpp): the same in each run.
  while (frames_.size() < 64 || memory_.size() < memory) {
    const uint32_t which = mixed ? random() % 16 : 15;
    if (which == 0) {
      random() % 2 == 0 ? AddArp() : AddFragment();
    } else {
      AddSegment(which <= 4 ? 0 : payload, mtu);
    }
  }
}

void BenchFrames::Add(const std::vector<uint8_t>& frame) {
  BenchFrame added;
  added.offset = memory_.size();
  added.bytes = static_cast<uint32_t>(frame.size());
  frames_.push_back(added);
  memory_.insert(memory_.end(), frame.begin(), frame.end());
  memory_.resize((memory_.size() + 63) / 64 * 64);
}

void BenchFrames::AddSegment(uint32_t payload, uint32_t mtu) {
  const uint32_t index = count();
  std::vector<uint8_t> frame(kHeaders + payload);
  PutEthernet(frame, index, 0x0800);
  PutIpv4(frame, 0x4000, kProtocolTcp);
  uint8_t* const tcp = &frame[kEthernet + kIp];
  PutBig16(tcp, payload == 0 ? 5002 : 5001);  // ACKs are of another connection.
  PutBig16(tcp + 2, 40000);
  PutBig32(tcp + 4, index);
  tcp[12] = kTcp / 4 << 4;
  tcp[13] = 0x10;  // ACK
  PutBig16(tcp + 14, 0xffff);
  const uint8_t timestamps[] = {1, 1, 8, 10};
  std::copy(std::begin(timestamps), std::end(timestamps), tcp + 20);
  // Of the pseudo header: the rest is left to whoever needs it.
  const uint32_t tcp_bytes = kTcp + payload;
  PutBig16(tcp + 16, Fold(Sum(&frame[kEthernet + 12], 8) + kProtocolTcp +
                          (tcp_bytes & 0xffff) + (tcp_bytes >> 16)));
  uint32_t seed = index * 2654435761u + 1;
  for (uint32_t i = 0; i < payload; ++i) {
    seed = seed * 1664525 + 1013904223;
    frame[kHeaders + i] = static_cast<uint8_t>(seed >> 24);
  }
  Add(frame);
  auto& net_header = frames_.back().net_header;
  net_header[0] = virtio::kNetHeaderNeedsCsum;
  PutLittle16(&net_header[6], kEthernet + kIp);
  PutLittle16(&net_header[8], 16);
  if (kIp + kTcp + payload > mtu) {
    net_header[1] = virtio::kNetGsoTcpv4;
    PutLittle16(&net_header[2], kHeaders);
    PutLittle16(&net_header[4], 1448);
  }
}

// The first of a datagram.
void BenchFrames::AddFragment() {
  std::vector<uint8_t> frame(kEthernet + kIp + 1480, 0x5a);
  PutEthernet(frame, count(), 0x0800);
  std::fill_n(&frame[kEthernet], kIp, uint8_t{0});
  PutIpv4(frame, 0x2000, kProtocolUdp);
  Add(frame);
}

void BenchFrames::AddArp() {
  std::vector<uint8_t> frame(60);
  PutEthernet(frame, count(), 0x0806);
  const uint8_t request[] = {0, 1, 8, 0, 6, 4, 0, 1};
  std::copy(std::begin(request), std::end(request), &frame[kEthernet]);
  Add(frame);
}

}  // namespace annulus::bench
