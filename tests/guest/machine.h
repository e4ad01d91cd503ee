#ifndef TESTS_GUEST_MACHINE_H_
#define TESTS_GUEST_MACHINE_H_

// The ways in which a guest can end, and the check that ends it.

namespace guest {

[[noreturn]] void Halt();      // Stops this processor for good.
[[noreturn]] void Poweroff();  // ACPI S5.

// Prints "FAIL: " with the reason, and powers off.
[[noreturn]] void Fail(const char* reason);

}  // namespace guest

// Ends the guest with the place and the text of a condition that is false.
#define GUEST_STRINGIFY_INNER(x) #x
#define GUEST_STRINGIFY(x) GUEST_STRINGIFY_INNER(x)
#define GUEST_CHECK(condition)          \
  ((condition) ? static_cast<void>(0)   \
               : ::guest::Fail(__FILE__ \
                               ":" GUEST_STRINGIFY(__LINE__) ": " #condition))

#endif  // TESTS_GUEST_MACHINE_H_
