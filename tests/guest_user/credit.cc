#include "tests/guest_user/credit.h"

#include <algorithm>
#include <cstring>

#include "memory/little_endian.h"

namespace annulus::guest_user {
namespace {

constexpr size_t kAddressBytes = 6;
constexpr size_t kBody = 16;
constexpr uint8_t kMark[2] = {0xa5, 0x5a};

// Behind the Ethernet header and the mark.
struct CreditBody {
  memory::Le64 seed;
  memory::Le64 received;
  memory::Le32 window;
};

}  // namespace

CreditFrame EncodeCredit(const Credit& credit, const MacAddress& source) {
  CreditFrame frame = {};
  std::fill_n(frame.begin(), kAddressBytes, 0xff);
  std::copy(source.begin(), source.end(), frame.begin() + kAddressBytes);
  frame[12] = kCreditEthertype >> 8;
  frame[13] = kCreditEthertype & 0xff;
  frame[14] = kMark[0];
  frame[15] = kMark[1];
  CreditBody body;
  body.seed = credit.seed;
  body.received = credit.received;
  body.window = credit.window;
  std::memcpy(&frame[kBody], &body, sizeof(body));
  return frame;
}

std::optional<Credit> DecodeCredit(absl::Span<const uint8_t> frame) {
  CreditBody body;
  if (frame.size() < kBody + sizeof(body) ||
      frame[12] != kCreditEthertype >> 8 ||
      frame[13] != (kCreditEthertype & 0xff) || frame[14] != kMark[0] ||
      frame[15] != kMark[1]) {
    return std::nullopt;
  }
  std::memcpy(&body, &frame[kBody], sizeof(body));
  return Credit{
      .seed = body.seed, .received = body.received, .window = body.window};
}

}  // namespace annulus::guest_user
