#ifndef TESTS_GUEST_USER_CREDIT_LISTENER_H_
#define TESTS_GUEST_USER_CREDIT_LISTENER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "tests/guest_user/credit.h"

namespace annulus::guest_user {

// Hears what the receiver of a stream says at an interface.
//
// Threads: thread-compatible.
class CreditListener {
 public:
  static absl::StatusOr<CreditListener> Open(const std::string& interface,
                                             uint64_t seed);

  // Blocks until the receiver has said something about the stream of that seed.
  // An error: it is silent.
  absl::StatusOr<Credit> Await();

 private:
  CreditListener(UniqueFd socket, uint64_t seed)
      : socket_(std::move(socket)), seed_(seed) {}

  UniqueFd socket_;
  uint64_t seed_;
};

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_CREDIT_LISTENER_H_
