#ifndef TESTS_GUEST_USER_CREDIT_H_
#define TESTS_GUEST_USER_CREDIT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "tests/guest_user/stream_frame.h"

namespace annulus::guest_user {

// How the receiver keeps the sender from filling up queues on the way, which
// would drop frames: a small frame in the other direction says how far it is,
// and how many frames beyond may be under way. It is sent again while nothing
// comes, so that neither side needs to be there first.

inline constexpr uint16_t kCreditEthertype = 0x88b5;  // For experiments.
inline constexpr size_t kCreditFrameBytes = 60;

struct Credit {
  uint64_t seed = 0;      // Of the stream: a credit of an earlier one is none.
  uint64_t received = 0;  // Frames.
  uint32_t window = 0;    // Frames.
};

using CreditFrame = std::array<uint8_t, kCreditFrameBytes>;

CreditFrame EncodeCredit(const Credit& credit, const MacAddress& source);

// nullopt: some other frame.
std::optional<Credit> DecodeCredit(absl::Span<const uint8_t> frame);

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_CREDIT_H_
