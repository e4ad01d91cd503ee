#include "base/socket_option.h"

#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace annulus {
namespace {

TEST(SocketOptionTest, SaysWhatASocketIs) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  EXPECT_EQ(SocketOption(fd.get(), SO_DOMAIN), AF_UNIX);
  EXPECT_EQ(SocketOption(fd.get(), SO_TYPE), SOCK_SEQPACKET);
  EXPECT_EQ(SocketOption(fd.get(), SO_ACCEPTCONN), 0);
  EXPECT_FALSE(IsConnected(fd.get()));
}

TEST(SocketOptionTest, IsConnectedAlsoWhenTheOtherEndIsGone) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd one(ends[0]);
  UniqueFd other(ends[1]);
  EXPECT_TRUE(IsConnected(one.get()));
  other.reset();
  EXPECT_TRUE(IsConnected(one.get()));
}

TEST(SocketOptionTest, WhatIsNoSocketHasNone) {
  const UniqueFd event(::eventfd(0, EFD_CLOEXEC));
  for (const int fd : {event.get(), -1}) {
    EXPECT_EQ(SocketOption(fd, SO_TYPE), -1);
    EXPECT_FALSE(IsConnected(fd));
  }
}

}  // namespace
}  // namespace annulus
