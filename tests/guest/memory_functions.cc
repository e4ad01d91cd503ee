// What a compiler may call in a freestanding program. Words first: a software
// KVM takes about a microsecond for each instruction, and for each byte of a
// string instruction.

#include <cstddef>
#include <cstdint>

namespace {

template <typename T>
T& At(void* base, size_t offset) {
  return *reinterpret_cast<T*>(static_cast<char*>(base) + offset);
}
template <typename T>
const T& At(const void* base, size_t offset) {
  return *reinterpret_cast<const T*>(static_cast<const char*>(base) + offset);
}

}  // namespace

extern "C" {

void* memcpy(void* to, const void* from, size_t size) {
  size_t i = 0;
  for (; i + 8 <= size; i += 8) At<uint64_t>(to, i) = At<uint64_t>(from, i);
  for (; i < size; ++i) At<char>(to, i) = At<char>(from, i);
  return to;
}

void* memmove(void* to, const void* from, size_t size) {
  if (to <= from) {
    for (size_t i = 0; i < size; ++i) At<char>(to, i) = At<char>(from, i);
  } else {
    for (size_t i = size; i-- > 0;) At<char>(to, i) = At<char>(from, i);
  }
  return to;
}

void* memset(void* to, int byte, size_t size) {
  const uint64_t word = 0x0101010101010101u * static_cast<uint8_t>(byte);
  size_t i = 0;
  for (; i + 8 <= size; i += 8) At<uint64_t>(to, i) = word;
  for (; i < size; ++i) At<char>(to, i) = static_cast<char>(byte);
  return to;
}

int memcmp(const void* a, const void* b, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    const int difference = At<uint8_t>(a, i) - At<uint8_t>(b, i);
    if (difference != 0) return difference;
  }
  return 0;
}

}  // extern "C"
