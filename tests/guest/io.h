#ifndef TESTS_GUEST_IO_H_
#define TESTS_GUEST_IO_H_

#include <cstdint>

// Ports, memory-mapped registers, and model-specific registers. Each function
// is one instruction of exactly the width that its type has.

namespace guest {

inline void Out8(uint16_t port, uint8_t value) {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
inline void Out16(uint16_t port, uint16_t value) {
  asm volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
inline void Out32(uint16_t port, uint32_t value) {
  asm volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
inline uint8_t In8(uint16_t port) {
  uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
inline uint16_t In16(uint16_t port) {
  uint16_t value;
  asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}
inline uint32_t In32(uint16_t port) {
  uint32_t value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}

// Plain moves between a register and memory: what KVM's emulator decodes best.
template <typename T>
inline T MmioRead(uint64_t address) {
  T value;
  asm volatile("mov %1, %0"
               : "=r"(value)
               : "m"(*reinterpret_cast<const volatile T*>(address))
               : "memory");
  return value;
}
template <typename T>
inline void MmioWrite(uint64_t address, T value) {
  asm volatile("mov %1, %0"
               : "=m"(*reinterpret_cast<volatile T*>(address))
               : "r"(value)
               : "memory");
}

inline uint64_t ReadMsr(uint32_t msr) {
  uint32_t low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
  return uint64_t{high} << 32 | low;
}
inline void WriteMsr(uint32_t msr, uint64_t value) {
  asm volatile("wrmsr"
               :
               : "c"(msr), "a"(static_cast<uint32_t>(value)),
                 "d"(static_cast<uint32_t>(value >> 32))
               : "memory");
}

inline void Pause() { asm volatile("pause" ::: "memory"); }

}  // namespace guest

#endif  // TESTS_GUEST_IO_H_
