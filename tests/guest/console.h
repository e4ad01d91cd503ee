#ifndef TESTS_GUEST_CONSOLE_H_
#define TESTS_GUEST_CONSOLE_H_

#include <cstdint>

// What the guest prints, on the first serial port, by polling.
//
// Threads: a call is not interleaved with those of other processors, if their
//   interrupt handlers do not print.

namespace guest {

// A number that Print() shows as 0x....
struct Hex {
  uint64_t value;
};

namespace internal {
void Lock();
void Unlock();
void Put(const char* text);
void Put(uint64_t number);
void Put(Hex number);
void Flush();
}  // namespace internal

// Prints text, numbers and Hex one after the other, and ends the line.
template <typename... Parts>
void Print(Parts... parts) {
  internal::Lock();
  (internal::Put(parts), ...);
  internal::Put("\n");
  internal::Flush();
  internal::Unlock();
}

}  // namespace guest

#endif  // TESTS_GUEST_CONSOLE_H_
