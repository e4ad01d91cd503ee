#ifndef TESTS_BENCH_VSOCK_BENCH_THREADS_H_
#define TESTS_BENCH_VSOCK_BENCH_THREADS_H_

#include <map>
#include <string>

namespace annulus::bench {

// The calling thread.
void NameThread(const char* name);

// How long each of this process's threads has been on a CPU, in seconds, by
// their names.
std::map<std::string, double> ThreadSeconds();

}  // namespace annulus::bench

#endif  // TESTS_BENCH_VSOCK_BENCH_THREADS_H_
