#include "memory/guarded_mapping.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"

namespace annulus::memory {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kHugepage = 2 << 20;

UniqueFd Memfd(uint64_t size, unsigned flags = 0) {
  UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
  EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  return fd;
}

class GuardedMappingTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(lost_.ok()); }

  absl::StatusOr<GuardedMapping> Map(const UniqueFd& fd, uint64_t offset,
                                     uint64_t size) {
    return GuardedMapping::Map(fd.get(), offset, size, *lost_);
  }
  absl::StatusCode MapCode(const UniqueFd& fd, uint64_t offset, uint64_t size) {
    return Map(fd, offset, size).status().code();
  }

  absl::StatusOr<EventFd> lost_ = EventFd::Create();
};

TEST_F(GuardedMappingTest, SharesFileFromAnyOffset) {
  const UniqueFd fd = Memfd(4 * kPage);
  absl::StatusOr<GuardedMapping> mapping = Map(fd, kPage + 5, 2 * kPage);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  EXPECT_EQ(mapping->size(), 2 * kPage);
  mapping->data()[0] = 0xa5;
  mapping->data()[2 * kPage - 1] = 0x5a;
  std::array<uint8_t, 4 * kPage> file;
  ASSERT_EQ(::pread(fd.get(), file.data(), file.size(), 0),
            static_cast<ssize_t>(file.size()));
  EXPECT_EQ(file[kPage + 5], 0xa5);
  EXPECT_EQ(file[3 * kPage + 4], 0x5a);
  EXPECT_FALSE(mapping->lost());
}

TEST_F(GuardedMappingTest, RangeBeyondFileIsRefused) {
  const UniqueFd fd = Memfd(2 * kPage);
  EXPECT_TRUE(Map(fd, 0, 2 * kPage).ok());
  EXPECT_TRUE(Map(fd, 2 * kPage - 1, 1).ok());
  EXPECT_EQ(MapCode(fd, 0, 2 * kPage + 1), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MapCode(fd, 2 * kPage, 1), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MapCode(fd, 1, UINT64_MAX), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MapCode(fd, UINT64_MAX, 1), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MapCode(fd, UINT64_MAX, 2), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MapCode(fd, 0, 0), absl::StatusCode::kInvalidArgument);
}

TEST_F(GuardedMappingTest, WhatIsNoFileIsRefused) {
  std::array<int, 2> ends;
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()),
            0);
  std::vector<UniqueFd> others;
  others.emplace_back(ends[0]);
  others.emplace_back(ends[1]);
  others.emplace_back(::eventfd(0, EFD_CLOEXEC));
  others.emplace_back(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  others.emplace_back(::open("/", O_RDONLY | O_CLOEXEC));
  for (const UniqueFd& fd : others) {
    ASSERT_TRUE(fd.valid());
    EXPECT_EQ(MapCode(fd, 0, kPage), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(GuardedMappingTest, FileThatCannotBeWrittenIsRefused) {
  const UniqueFd fd = Memfd(kPage);
  ASSERT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  EXPECT_EQ(MapCode(fd, 0, kPage), absl::StatusCode::kPermissionDenied);
}

// No page of the pool is taken, so none has to be there.
TEST_F(GuardedMappingTest, HugepagesAreMappedAsAWhole) {
  const UniqueFd fd = Memfd(2 * kHugepage, MFD_HUGETLB | MFD_HUGE_2MB);
  absl::StatusOr<GuardedMapping> mapping =
      Map(fd, kHugepage - kPage, 2 * kPage);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  EXPECT_EQ(reinterpret_cast<uint64_t>(mapping->data()) % kHugepage,
            kHugepage - kPage);
  EXPECT_EQ(mapping->size(), 2 * kPage);
}

TEST_F(GuardedMappingTest, NothingIsLeftBehind) {
  for (const unsigned flags : {0u, MFD_HUGETLB | MFD_HUGE_2MB}) {
    const UniqueFd fd = Memfd(2 * kHugepage, flags);
    void* page = nullptr;
    for (size_t i = 0; i < GuardedMapping::kMaxMappings + 1; ++i) {
      absl::StatusOr<GuardedMapping> mapping = Map(fd, kHugepage, kHugepage);
      ASSERT_TRUE(mapping.ok()) << mapping.status();
      page = mapping->data();
    }
    unsigned char resident = 0;
    EXPECT_EQ(::mincore(page, kPage, &resident), -1) << "it is still mapped";
  }
}

TEST_F(GuardedMappingTest, MovedMappingIsOneMapping) {
  const UniqueFd fd = Memfd(2 * kPage);
  absl::StatusOr<GuardedMapping> first = Map(fd, 0, kPage);
  absl::StatusOr<GuardedMapping> second = Map(fd, kPage, kPage);
  ASSERT_TRUE(first.ok() && second.ok());
  first->data()[0] = 1;
  second->data()[0] = 2;
  uint8_t* const gone = first->data();
  *first = *std::move(second);
  EXPECT_EQ(first->data()[0], 2);
  unsigned char resident = 0;
  EXPECT_EQ(::mincore(gone, kPage, &resident), -1);
  const GuardedMapping third = *std::move(first);
  EXPECT_EQ(third.data()[0], 2);
  EXPECT_FALSE(first->lost());
}

TEST_F(GuardedMappingTest, AsManyAsTheTableHas) {
  const UniqueFd fd = Memfd(kPage);
  std::vector<GuardedMapping> mappings;
  for (size_t i = 0; i < GuardedMapping::kMaxMappings; ++i) {
    absl::StatusOr<GuardedMapping> mapping = Map(fd, 0, kPage);
    ASSERT_TRUE(mapping.ok()) << mapping.status();
    mappings.push_back(*std::move(mapping));
  }
  EXPECT_EQ(MapCode(fd, 0, kPage), absl::StatusCode::kResourceExhausted);
  mappings.pop_back();
  EXPECT_TRUE(Map(fd, 0, kPage).ok());
}

}  // namespace
}  // namespace annulus::memory
