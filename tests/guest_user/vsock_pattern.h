#ifndef TESTS_GUEST_USER_VSOCK_PATTERN_H_
#define TESTS_GUEST_USER_VSOCK_PATTERN_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "absl/types/span.h"

namespace annulus::guest_user {

// Bytes of which each says where it belongs: what was lost, repeated or put in
// another place or another connection is found, unlike by a sum.
//
// Eight bytes at a time, since gigabytes are checked in emulated machines.
class Pattern {
 public:
  explicit Pattern(uint64_t seed) : seed_(seed) {}

  // Those that begin at `offset`.
  void Fill(absl::Span<char> bytes, uint64_t offset) const {
    for (size_t done = 0; done < bytes.size();) {
      const Word word(*this, offset + done, bytes.size() - done);
      std::memcpy(&bytes[done], word.begin(), word.size);
      done += word.size;
    }
  }

  // The offset of the first byte that is another one.
  std::optional<uint64_t> FindDifference(absl::Span<const char> bytes,
                                         uint64_t offset) const {
    for (size_t done = 0; done < bytes.size();) {
      const Word word(*this, offset + done, bytes.size() - done);
      if (std::memcmp(&bytes[done], word.begin(), word.size) != 0) {
        size_t equal = 0;
        while (bytes[done + equal] == word.begin()[equal]) ++equal;
        return offset + done + equal;
      }
      done += word.size;
    }
    return std::nullopt;
  }

 private:
  // What of the word around `offset` begins there, up to `limit` bytes.
  struct Word {
    Word(const Pattern& pattern, uint64_t offset, size_t limit)
        : skipped(offset % sizeof(bytes)),
          size(std::min(sizeof(bytes) - skipped, limit)) {
      // Neighbours, and the same place of other seeds, share no bytes.
      uint64_t value = (offset / sizeof(bytes) + 1 + (pattern.seed_ << 40)) *
                       uint64_t{0x9e3779b97f4a7c15};
      value ^= value >> 29;
      std::memcpy(bytes, &value, sizeof(bytes));
    }
    const char* begin() const { return bytes + skipped; }

    char bytes[sizeof(uint64_t)];
    size_t skipped;
    size_t size;
  };

  uint64_t seed_;
};

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_VSOCK_PATTERN_H_
