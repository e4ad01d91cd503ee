#ifndef TESTS_INTERLEAVING_BUFFERS_H_
#define TESTS_INTERLEAVING_BUFFERS_H_

#include <cstdint>

#include "tests/interleaving/scenario.h"

// What is in the buffers, so that each side can tell that the other saw or
// wrote the right one. A buffer is known by a tag, the number of buffers before
// it modulo Tags(): as many that one from before is never taken for one of now.

namespace annulus::interleaving {

// Even, since shapes alternate; as many as a packed ring has positions, so that
// its states come back when it has wrapped twice.
constexpr uint32_t Tags(uint16_t size) { return 2 * uint32_t{size}; }

constexpr bool HasTwoElements(Shape shape, uint32_t tag) {
  return shape == Shape::kPair || shape == Shape::kIndirect ||
         (shape == Shape::kMixed && tag % 2 == 1);
}
constexpr bool HasReadable(Shape shape, uint32_t tag) {
  return HasTwoElements(shape, tag) || shape == Shape::kReadable ||
         (shape == Shape::kSingle && tag % 2 == 0);
}
constexpr bool HasWritable(Shape shape, uint32_t tag) {
  return HasTwoElements(shape, tag) || !HasReadable(shape, tag);
}

// An element's bytes: tells the tag to the device. The first 8 are written.
constexpr uint32_t ElementBytes(uint32_t tag) { return 8 + tag; }
// What the device says to have written: all in every other buffer.
constexpr uint32_t WrittenBytes(Shape shape, uint32_t tag) {
  if (!HasWritable(shape, tag)) return 0;
  return (tag / 2) % 2 == 0 ? ElementBytes(tag) : 8;
}
constexpr uint64_t ReadableWord(uint32_t tag) { return 0xd0000 + tag; }
constexpr uint64_t WritableWord(uint32_t tag) { return 0xde0000 + tag; }

}  // namespace annulus::interleaving

#endif  // TESTS_INTERLEAVING_BUFFERS_H_
