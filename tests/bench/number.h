#ifndef TESTS_BENCH_NUMBER_H_
#define TESTS_BENCH_NUMBER_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace annulus::bench {

// A number of the command line of `program`, which ends with a complaint and 2
// where `text` is none or not within bounds.
inline uint64_t Number(const char* program, const char* text, uint64_t least,
                       uint64_t most) {
  char* end;
  const uint64_t value = std::strtoull(text, &end, 10);
  if (*end != 0 || value < least || value > most) {
    std::fprintf(stderr, "%s: %s is not a number from %llu to %llu\n", program,
                 text, static_cast<unsigned long long>(least),
                 static_cast<unsigned long long>(most));
    std::exit(2);
  }
  return value;
}

}  // namespace annulus::bench

#endif  // TESTS_BENCH_NUMBER_H_
