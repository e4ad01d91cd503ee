#include "devices/vhost_user/memory/log_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"
#include "memory/bus_errors.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"

namespace annulus::vhost_user {
namespace {

constexpr uint64_t kPage = memory::DirtyLog::kPageSize;

class LogMemoryTest : public ::testing::Test {
 protected:
  LogMemoryTest()
      : fd_(::memfd_create("log", MFD_CLOEXEC)), lost_(*EventFd::Create()) {
    EXPECT_EQ(::ftruncate(fd_.get(), 2 * kPage), 0);
  }

  absl::StatusOr<std::unique_ptr<LogMemory>> Map(uint64_t size,
                                                 uint64_t offset) {
    return LogMemory::Map({.size = size, .offset = offset}, fd_, lost_);
  }

  const UniqueFd fd_;
  const EventFd lost_;
};

TEST_F(LogMemoryTest, PageIsBitOfByte) {
  absl::StatusOr<std::unique_ptr<LogMemory>> log = Map(16, 64);
  ASSERT_TRUE(log.ok()) << log.status();
  (*log)->log().Mark(memory::GuestAddress(9 * kPage + 4095), 2);
  (*log)->log().Mark(memory::GuestAddress(127 * kPage), 2 * kPage);
  std::array<uint8_t, 32> bytes;
  ASSERT_EQ(::pread(fd_.get(), bytes.data(), bytes.size(), 64 - 8), 32);
  std::array<uint8_t, 32> expected = {};
  expected[8 + 1] = 6;
  expected[8 + 15] = 0x80;
  EXPECT_EQ(bytes, expected);
  EXPECT_FALSE((*log)->lost());
}

TEST_F(LogMemoryTest, WhatIsNotInTheFileIsRefused) {
  EXPECT_TRUE(Map(2 * kPage, 0).ok());
  for (const auto& [size, offset] : {std::pair<uint64_t, uint64_t>{0, 0},
                                     {2 * kPage + 8, 0},
                                     {8, 2 * kPage},
                                     {16, UINT64_MAX - 7},
                                     {12, 0},
                                     {8, 4}}) {
    EXPECT_EQ(Map(size, offset).status().code(),
              absl::StatusCode::kInvalidArgument)
        << size << " at " << offset;
  }
}

// Of a file that has as many bytes, and none of them.
TEST_F(LogMemoryTest, LogThatTakesAllAddressesIsRefused) {
  ASSERT_EQ(::ftruncate(fd_.get(), off_t{1} << 46), 0);
  EXPECT_TRUE(Map(LogMemory::kMaxBytes, 0).ok());
  EXPECT_EQ(Map(LogMemory::kMaxBytes + 8, 0).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// The fault is in an atomic access, which ThreadSanitizer makes within its own
// runtime: a handler that has atomics, too, then waits for itself.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ANNULUS_THREAD_SANITIZER
#endif
#endif

#ifndef ANNULUS_THREAD_SANITIZER
TEST_F(LogMemoryTest, LogThatIsCutOffIsLost) {
  ASSERT_TRUE(memory::HandleBusErrors().ok());
  absl::StatusOr<std::unique_ptr<LogMemory>> log = Map(2 * kPage, 0);
  ASSERT_TRUE(log.ok());
  ASSERT_EQ(::ftruncate(fd_.get(), 0), 0);
  (*log)->log().Mark(memory::GuestAddress(5), 1);
  EXPECT_TRUE((*log)->lost());
  EXPECT_EQ(lost_.Drain(), 1u);
}
#endif

}  // namespace
}  // namespace annulus::vhost_user
