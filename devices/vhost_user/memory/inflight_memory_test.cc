#include "devices/vhost_user/memory/inflight_memory.h"

#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"
#include "memory/guest_span.h"

namespace annulus::vhost_user {
namespace {

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

class InflightMemoryTest : public ::testing::Test {
 protected:
  InflightMemoryTest() : lost_(*EventFd::Create()) {}

  absl::StatusOr<InflightMemory> Map(const InflightMemory::Buffer& buffer,
                                     uint64_t queue_bytes) {
    return InflightMemory::Map(buffer.description, buffer.fd, queue_bytes,
                               lost_);
  }

  const EventFd lost_;
};

TEST_F(InflightMemoryTest, OutlivesItsMapping) {
  const absl::StatusOr<InflightMemory::Buffer> buffer =
      InflightMemory::Create(3, 256, 100);
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  EXPECT_EQ(buffer->description.mmap_size, 3 * 128u);
  EXPECT_EQ(buffer->description.num_queues, 3);
  EXPECT_EQ(buffer->description.queue_size, 256);
  {
    absl::StatusOr<InflightMemory> memory = Map(*buffer, 100);
    ASSERT_TRUE(memory.ok()) << memory.status();
    for (uint8_t i = 0; i < 3; ++i) memory->queue(i).Fill(0, 100, i + 1);
  }
  absl::StatusOr<InflightMemory> memory = Map(*buffer, 100);
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(memory->num_queues(), 3);
  EXPECT_EQ(memory->queue_size(), 256);
  for (uint8_t i = 0; i < 3; ++i) {
    ASSERT_EQ(memory->queue(i).size(), 100u);
    EXPECT_EQ(memory->queue(i).Load<uint8_t>(0, std::memory_order_relaxed),
              i + 1);
    EXPECT_EQ(memory->queue(i).Load<uint8_t>(99, std::memory_order_relaxed),
              i + 1);
  }
  EXPECT_TRUE(memory->queue(3).empty());
  EXPECT_TRUE(memory->queue(SIZE_MAX).empty());
}

TEST_F(InflightMemoryTest, NobodyCanCutItOff) {
  const absl::StatusOr<InflightMemory::Buffer> buffer =
      InflightMemory::Create(1, 256, 100);
  ASSERT_TRUE(buffer.ok());
  EXPECT_EQ(::ftruncate(buffer->fd.get(), 0), -1);
  EXPECT_EQ(::ftruncate(buffer->fd.get(), 1 << 20), -1);
}

TEST_F(InflightMemoryTest, SizesWithoutBoundsAreRefused) {
  EXPECT_EQ(InflightMemory::Create(0, 256, 100).status().code(), kInvalid);
  EXPECT_EQ(InflightMemory::Create(1, 256, 0).status().code(), kInvalid);
  EXPECT_EQ(InflightMemory::Create(2, 256, UINT64_MAX).status().code(),
            kInvalid);
  EXPECT_EQ(InflightMemory::Create(2, 256, uint64_t{1} << 63).status().code(),
            kInvalid);
  EXPECT_EQ(InflightMemory::Create(65535, 32768, 1 << 20).status().code(),
            kInvalid);
}

TEST_F(InflightMemoryTest, BufferThatIsTooSmallIsRefused) {
  absl::StatusOr<InflightMemory::Buffer> buffer =
      InflightMemory::Create(2, 256, 128);
  ASSERT_TRUE(buffer.ok());
  EXPECT_TRUE(Map(*buffer, 128).ok());
  EXPECT_EQ(Map(*buffer, 129).status().code(), kInvalid);
  EXPECT_EQ(Map(*buffer, UINT64_MAX).status().code(), kInvalid);
  buffer->description.num_queues = 3;
  EXPECT_EQ(Map(*buffer, 128).status().code(), kInvalid) << "by what it says";
  buffer->description.mmap_size = UINT64_MAX;
  EXPECT_EQ(Map(*buffer, 128).status().code(), kInvalid) << "by its file";
  buffer->description = {.mmap_size = 64, .mmap_offset = 128, .num_queues = 1};
  EXPECT_TRUE(Map(*buffer, 64).ok());
  buffer->description.mmap_offset = 8;
  EXPECT_EQ(Map(*buffer, 64).status().code(), kInvalid);
  buffer->description.mmap_offset = UINT64_MAX - 63;
  EXPECT_EQ(Map(*buffer, 64).status().code(), kInvalid);
  buffer->description = {.mmap_size = 64, .num_queues = 0};
  EXPECT_EQ(Map(*buffer, 64).status().code(), kInvalid);
}

}  // namespace
}  // namespace annulus::vhost_user
