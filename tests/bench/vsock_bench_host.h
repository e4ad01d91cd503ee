#ifndef TESTS_BENCH_VSOCK_BENCH_HOST_H_
#define TESTS_BENCH_VSOCK_BENCH_HOST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tests/bench/vsock_bench_stream.h"

// Programs of the host, on sockets that are connected.

namespace annulus::bench {

// Calls a port of the guest at the abstract name of its device.
UniqueFd CallGuest(const std::string& name, uint32_t port);

// Writes `bytes` at a time to all sockets in turn, to who can take it, until
// the transfer is stopped; then the tail, and the end of file.
void WriteStreams(const std::vector<UniqueFd>& sockets, const Pattern& pattern,
                  uint32_t bytes, const Transfer& transfer);

// Reads all sockets until their ends.
void ReadStreams(const std::vector<UniqueFd>& sockets, const Pattern& pattern,
                 Transfer& transfer);

// Sends a byte and waits for it to come back, until the transfer is stopped.
// Returns how long each took, in nanoseconds.
std::vector<uint32_t> PingPong(const UniqueFd& socket,
                               const Transfer& transfer);
// The other end of it, until the end of file.
void Echo(const UniqueFd& socket);

}  // namespace annulus::bench

#endif  // TESTS_BENCH_VSOCK_BENCH_HOST_H_
