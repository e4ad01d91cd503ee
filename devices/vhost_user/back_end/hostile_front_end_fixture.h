#ifndef DEVICES_VHOST_USER_BACK_END_HOSTILE_FRONT_END_FIXTURE_H_
#define DEVICES_VHOST_USER_BACK_END_HOSTILE_FRONT_END_FIXTURE_H_

#include <cstddef>
#include <cstring>
#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "devices/vhost_user/back_end/front_end_testing.h"
#include "devices/vhost_user/back_end/rng_server_testing.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"

// For tests of what a front-end can do wrong: requests that a device which runs
// has to refuse, a list of them for each group.

namespace annulus::vhost_user {

// So that cases fit on a line.
using R = Request;

inline Message MessageOf(R request, size_t bytes, std::vector<int> fds = {}) {
  Message message;
  message.request = static_cast<uint32_t>(request);
  message.flags = kVersion | kFlagNeedReply;
  message.size = static_cast<uint32_t>(bytes);
  for (const int fd : fds) message.fds.push_back(DuplicateFd(fd));
  return message;
}

template <typename T>
Message MessageWith(R request, const T& value, std::vector<int> fds = {}) {
  Message message = MessageOf(request, sizeof(value), std::move(fds));
  std::memcpy(message.payload.data(), &value, sizeof(value));
  return message;
}

// One that is refused, made for a front-end and its queue that runs.
struct RefusedRequest {
  const char* name;
  std::function<Message(TestFrontEnd&, TestQueue&)> message;
};

inline void PrintTo(const RefusedRequest& refused, std::ostream* out) {
  *out << refused.name;
}

// A RefusedRequest, by statements that return its message.
#define REFUSED(name, ...)                                           \
  RefusedRequest {                                                   \
    name, [](TestFrontEnd& front_end, TestQueue& queue) -> Message { \
      (void)front_end;                                               \
      (void)queue;                                                   \
      __VA_ARGS__                                                    \
    }                                                                \
  }

// Its tests are in hostile_request_test.cc.
class HostileFrontEndTest : public ::testing::TestWithParam<RefusedRequest> {};

inline std::string NameOfRefused(
    const ::testing::TestParamInfo<RefusedRequest>& info) {
  return info.param.name;
}

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_HOSTILE_FRONT_END_FIXTURE_H_
