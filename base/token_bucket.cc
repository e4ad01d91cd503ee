#include "base/token_bucket.h"

#include <algorithm>

namespace annulus {
namespace {

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr uint64_t kDefaultBurstsPerSecond = 10;

__int128 Scaled(uint64_t tokens) {
  return static_cast<__int128>(tokens) * kNanosecondsPerSecond;
}

}  // namespace

TokenBucket::TokenBucket(uint64_t rate, uint64_t burst)
    : rate_(rate),
      burst_(burst != 0
                 ? burst
                 : std::max<uint64_t>(rate / kDefaultBurstsPerSecond, 1)),
      level_(Scaled(burst_)) {}

TokenBucket::Wide TokenBucket::LevelAt(int64_t now) const {
  if (now <= last_) return level_;
  // Modulo 2^64, where the difference of any two times is right.
  const uint64_t elapsed =
      static_cast<uint64_t>(now) - static_cast<uint64_t>(last_);
  // Both sides are unsigned: the product may use all 128 bits.
  const auto gained = static_cast<unsigned __int128>(elapsed) * rate_;
  const Wide full = Scaled(burst_);
  const auto missing = static_cast<unsigned __int128>(full - level_);
  return gained >= missing ? full : level_ + static_cast<Wide>(gained);
}

TokenBucket::Wide TokenBucket::LevelNeeded(uint64_t amount) const {
  return Scaled(std::min(amount, burst_));
}

bool TokenBucket::Take(uint64_t amount, int64_t now) {
  if (!limited()) return true;
  level_ = LevelAt(now);
  last_ = std::max(last_, now);
  if (level_ < LevelNeeded(amount)) return false;
  level_ -= Scaled(amount);
  return true;
}

int64_t TokenBucket::NanosecondsUntil(uint64_t amount, int64_t now) const {
  if (!limited()) return 0;
  const Wide missing = LevelNeeded(amount) - LevelAt(now);
  if (missing <= 0) return 0;
  // A time that went backwards has to catch up before anything comes in.
  const Wide behind = now < last_ ? static_cast<Wide>(last_) - now : 0;
  const Wide wait = behind + (missing + rate_ - 1) / rate_;
  return static_cast<int64_t>(std::min<Wide>(wait, INT64_MAX));
}

}  // namespace annulus
