#ifndef TESTS_GUEST_USER_STREAM_FLAGS_H_
#define TESTS_GUEST_USER_STREAM_FLAGS_H_

#include "absl/status/status.h"
#include "cli/flag_set.h"
#include "tests/guest_user/stream.h"

namespace annulus::guest_user {

// Both programs have these flags and are to be given the same values.
// `spec` outlives `flags`.
void AddStreamFlags(cli::FlagSet& flags, StreamSpec& spec);

// What does not go together.
absl::Status CheckStream(const StreamSpec& spec);

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_STREAM_FLAGS_H_
