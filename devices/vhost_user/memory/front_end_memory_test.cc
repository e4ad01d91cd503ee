#include "devices/vhost_user/memory/front_end_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/event_fd.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"
#include "memory/bus_errors.h"
#include "memory/dirty_log.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::vhost_user {
namespace {

using memory::GuestAddress;

constexpr uint64_t kPage = 4096;
constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

UniqueFd Memfd(uint64_t size) {
  UniqueFd fd(::memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  return fd;
}

size_t OpenDescriptors() {
  size_t count = 0;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

MemoryRegion Region(uint64_t guest, uint64_t user, uint64_t size = kPage,
                    uint64_t offset = 0) {
  return {.guest_address = guest,
          .size = size,
          .user_address = user,
          .mmap_offset = offset};
}

class FrontEndMemoryTest : public ::testing::Test {
 protected:
  FrontEndMemoryTest() : lost_(*EventFd::Create()), memory_(lost_) {}

  // Each with a file of its own, of 64 KiB.
  absl::Status SetTable(const std::vector<MemoryRegion>& regions) {
    std::vector<UniqueFd> fds;
    for (size_t i = 0; i < regions.size(); ++i) fds.push_back(Memfd(0x10000));
    return memory_.SetTable(regions, fds);
  }
  absl::StatusCode SetTableCode(const std::vector<MemoryRegion>& regions) {
    return SetTable(regions).code();
  }

  std::optional<uint8_t> Byte(uint64_t address) {
    const std::optional<memory::GuestSpan> span =
        memory_.memory()->Map(GuestAddress(address), 1);
    if (!span.has_value()) return std::nullopt;
    return span->Load<uint8_t>(0, std::memory_order_relaxed);
  }

  EventFd lost_;
  FrontEndMemory memory_;
};

TEST_F(FrontEndMemoryTest, NoMemoryAtFirst) {
  EXPECT_EQ(memory_.memory(), nullptr);
  EXPECT_EQ(memory_.ToGuest(0), std::nullopt);
  EXPECT_FALSE(memory_.lost());
}

TEST_F(FrontEndMemoryTest, GuestAndFrontEndSeeTheSameBytes) {
  std::vector<UniqueFd> fds;
  fds.push_back(Memfd(4 * kPage));
  fds.push_back(Memfd(kPage));
  const std::array<uint8_t, 2> bytes = {1, 2};
  ASSERT_EQ(::pwrite(fds[0].get(), &bytes[0], 1, 3 * kPage + 5), 1);
  ASSERT_EQ(::pwrite(fds[1].get(), &bytes[1], 1, 0), 1);
  const std::vector<MemoryRegion> regions = {
      Region(0x100000, 0x7f0000000000, 3 * kPage, kPage),
      Region(0, 0x5000, kPage)};
  ASSERT_TRUE(memory_.SetTable(regions, fds).ok());
  EXPECT_EQ(Byte(0x100000 + 2 * kPage + 5), 1);
  EXPECT_EQ(Byte(0), 2);
  EXPECT_EQ(Byte(kPage), std::nullopt);
  EXPECT_EQ(memory_.ToGuest(0x7f0000000000 + 17), GuestAddress(0x100011));
  EXPECT_EQ(memory_.ToGuest(0x7f0000000000 - 1), std::nullopt);
  EXPECT_EQ(memory_.ToGuest(0x7f0000000000 + 3 * kPage), std::nullopt);
  EXPECT_EQ(memory_.ToGuest(0x5fff), GuestAddress(0xfff));
  EXPECT_EQ(memory_.ToGuest(0x100000), std::nullopt);
}

TEST_F(FrontEndMemoryTest, PlaceInFileIsThatOfTheBytes) {
  const UniqueFd fd = Memfd(4 * kPage);
  struct stat file;
  ASSERT_EQ(::fstat(fd.get(), &file), 0);
  ASSERT_TRUE(memory_.Add(Region(0x8000, 0, 2 * kPage, kPage), fd).ok());
  const FilePlace place = {
      .device = file.st_dev, .inode = file.st_ino, .offset = kPage + 7};
  EXPECT_EQ(memory_.ToFile(GuestAddress(0x8007)), place);
  EXPECT_EQ(memory_.ToFile(GuestAddress(0x7fff)), std::nullopt);
  EXPECT_EQ(memory_.ToFile(GuestAddress(0x8000 + 2 * kPage)), std::nullopt);
}

TEST_F(FrontEndMemoryTest, OverlapInEitherAddressSpaceIsRefused) {
  EXPECT_TRUE(SetTable({Region(0, 0), Region(kPage, kPage)}).ok());
  EXPECT_EQ(SetTableCode({Region(0, 0), Region(kPage - 1, kPage)}), kInvalid);
  EXPECT_EQ(SetTableCode({Region(0, 0), Region(kPage, kPage - 1)}), kInvalid);
  EXPECT_EQ(SetTableCode({Region(0, 0), Region(0, 0)}), kInvalid);
  EXPECT_EQ(SetTableCode({Region(0x3000, 0), Region(0, 0x8000, 0x4000)}),
            kInvalid);
}

// Of a file that has as many bytes, and none of them: other devices of the
// process need addresses, too.
TEST_F(FrontEndMemoryTest, RegionsThatTakeAllAddressesAreRefused) {
  constexpr uint64_t kSome = uint64_t{1} << 30;
  constexpr uint64_t kTooMany = FrontEndMemory::kMaxBytes - kSome + kPage;
  const UniqueFd fd =
      Memfd(static_cast<off_t>(FrontEndMemory::kMaxBytes + kPage));
  EXPECT_EQ(
      memory_.Add(Region(0, 0, FrontEndMemory::kMaxBytes + kPage), fd).code(),
      kInvalid);
  EXPECT_TRUE(memory_.Add(Region(0, 0, kSome), fd).ok());
  EXPECT_EQ(memory_.Add(Region(kSome, kSome, kTooMany), fd).code(), kInvalid);
  EXPECT_TRUE(memory_.Add(Region(kSome, kSome, kSome), fd).ok());
}

TEST_F(FrontEndMemoryTest, WrappingRegionIsRefused) {
  EXPECT_TRUE(SetTable({Region(UINT64_MAX - kPage, 0)}).ok());
  EXPECT_EQ(SetTableCode({Region(UINT64_MAX - kPage + 1, 0)}), kInvalid);
  EXPECT_EQ(SetTableCode({Region(0, UINT64_MAX - kPage + 1)}), kInvalid);
  EXPECT_EQ(SetTableCode({Region(0, 0, UINT64_MAX)}), kInvalid);
  EXPECT_EQ(SetTableCode({Region(0, 0, kPage, UINT64_MAX)}), kInvalid);
}

TEST_F(FrontEndMemoryTest, EmptyRegionIsRefused) {
  EXPECT_EQ(SetTableCode({Region(0, 0, 0)}), kInvalid);
  EXPECT_EQ(SetTableCode({Region(0, 0), Region(kPage, kPage, 0)}), kInvalid);
}

TEST_F(FrontEndMemoryTest, FileThatIsTooShortIsRefused) {
  EXPECT_TRUE(SetTable({Region(0, 0, 0x10000)}).ok());
  EXPECT_EQ(SetTableCode({Region(0, 0, 0x10001)}), kInvalid);
  EXPECT_EQ(SetTableCode({Region(0, 0, kPage, 0xf001)}), kInvalid);
}

TEST_F(FrontEndMemoryTest, WrongNumberOfDescriptorsIsRefused) {
  std::vector<UniqueFd> fds;
  fds.push_back(Memfd(kPage));
  const std::vector<MemoryRegion> regions = {Region(0, 0),
                                             Region(kPage, kPage)};
  EXPECT_EQ(memory_.SetTable(regions, fds).code(), kInvalid);
  EXPECT_EQ(memory_.SetTable({}, fds).code(), kInvalid);
}

TEST_F(FrontEndMemoryTest, WhatIsRefusedChangesNothing) {
  const UniqueFd fd = Memfd(kPage);
  ASSERT_TRUE(memory_.Add(Region(0x1000, 0x9000), fd).ok());
  ASSERT_TRUE(
      memory_.memory()->Write(GuestAddress(0x1000), std::array<uint8_t, 1>{7}));
  const memory::GuestMemory* const before = memory_.memory();
  // The first of each is right, the second is not.
  EXPECT_FALSE(SetTable({Region(0, 0), Region(0x2000, 0x2000, 0)}).ok());
  EXPECT_FALSE(SetTable({Region(0, 0), Region(0x2000, 0x2000, 1 << 20)}).ok());
  EXPECT_FALSE(memory_.Add(Region(0x1fff, 0), fd).ok());
  EXPECT_FALSE(memory_.Add(Region(0x3000, 0x9fff), fd).ok());
  EXPECT_FALSE(memory_.Add(Region(0x3000, 0, 2 * kPage), fd).ok());
  EXPECT_FALSE(memory_.Remove(Region(0x1000, 0x9001)).ok());
  EXPECT_EQ(memory_.memory(), before);
  EXPECT_EQ(Byte(0x1000), 7);
  EXPECT_EQ(memory_.ToGuest(0x9000), GuestAddress(0x1000));
}

TEST_F(FrontEndMemoryTest, SameRegionGoesWhenItWasRemovedAsOftenAsAdded) {
  const UniqueFd fd = Memfd(2 * kPage);
  const UniqueFd other = Memfd(2 * kPage);
  const MemoryRegion region = Region(0, 0x8000, kPage, 0);
  ASSERT_TRUE(memory_.Add(region, fd).ok());
  const memory::GuestMemory* const before = memory_.memory();
  EXPECT_TRUE(memory_.Add(region, fd).ok());
  EXPECT_EQ(memory_.memory(), before);
  EXPECT_EQ(memory_.Add(region, other).code(), kInvalid);
  EXPECT_EQ(memory_.Add(Region(0, 0x8000, kPage, kPage), fd).code(), kInvalid);
  EXPECT_TRUE(memory_.Remove(region).ok());
  EXPECT_EQ(memory_.memory(), before);
  EXPECT_TRUE(memory_.Remove(region).ok());
  EXPECT_EQ(memory_.memory(), nullptr);
  EXPECT_FALSE(memory_.Remove(region).ok());
}

TEST_F(FrontEndMemoryTest, RegionsComeAndGo) {
  const UniqueFd fd = Memfd(2 * kPage);
  ASSERT_TRUE(memory_.Add(Region(0, 0x8000), fd).ok());
  ASSERT_TRUE(memory_.Add(Region(kPage, 0x9000, kPage, kPage), fd).ok());
  EXPECT_EQ(memory_.memory()->regions().size(), 2u);
  EXPECT_EQ(memory_.Remove(Region(0, 0x8000, 1)).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(memory_.Remove(Region(0, 0x9000)).code(),
            absl::StatusCode::kNotFound);
  // The offset does not matter.
  EXPECT_TRUE(memory_.Remove(Region(0, 0x8000, kPage, 77)).ok());
  EXPECT_EQ(Byte(0), std::nullopt);
  EXPECT_EQ(Byte(kPage), 0);
  EXPECT_TRUE(memory_.Remove(Region(kPage, 0x9000)).ok());
  EXPECT_EQ(memory_.memory(), nullptr);
  EXPECT_EQ(memory_.Remove(Region(kPage, 0x9000)).code(),
            absl::StatusCode::kNotFound);
  ASSERT_TRUE(memory_.Add(Region(0, 0x8000), fd).ok());
  memory_.Clear();
  EXPECT_EQ(memory_.memory(), nullptr);
}

TEST_F(FrontEndMemoryTest, EmptyTableIsNoMemory) {
  ASSERT_TRUE(SetTable({Region(0, 0)}).ok());
  EXPECT_TRUE(SetTable({}).ok());
  EXPECT_EQ(memory_.memory(), nullptr);
}

TEST_F(FrontEndMemoryTest, AsManyRegionsAsItSaysAndNoMore) {
  const UniqueFd fd = Memfd(kPage);
  const size_t before = OpenDescriptors();
  for (uint64_t i = 0; i < FrontEndMemory::kMaxRegions; ++i) {
    ASSERT_TRUE(memory_.Add(Region(i * kPage, i * kPage), fd).ok());
  }
  const uint64_t next = FrontEndMemory::kMaxRegions * kPage;
  EXPECT_EQ(memory_.Add(Region(next, next), fd).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(OpenDescriptors(), before) << "descriptors are not kept";
  EXPECT_EQ(memory_.ToGuest(next - 1), GuestAddress(next - 1));
}

TEST_F(FrontEndMemoryTest, DirtyLogIsOfEveryLaterMap) {
  memory::DirtyLog log(0x10000);
  ASSERT_TRUE(SetTable({Region(0x4000, 0)}).ok());
  EXPECT_FALSE(memory_.memory()->logs_writes());
  memory_.SetDirtyLog(&log);
  ASSERT_TRUE(memory_.memory()->logs_writes());
  memory_.memory()->MarkDirty(GuestAddress(0x4000), 1);
  ASSERT_TRUE(SetTable({Region(0x5000, 0)}).ok());
  memory_.memory()->MarkDirty(GuestAddress(0x5000), 1);
  EXPECT_EQ(log.Collect(), (std::vector<uint64_t>{4, 5}));
  memory_.SetDirtyLog(nullptr);
  EXPECT_FALSE(memory_.memory()->logs_writes());
}

TEST_F(FrontEndMemoryTest, FileThatIsCutOffCostsItsOwnDeviceAlone) {
  ASSERT_TRUE(memory::HandleBusErrors().ok());
  EventFd other_lost = *EventFd::Create();
  FrontEndMemory other(other_lost);
  const UniqueFd fd = Memfd(16 * kPage);
  const UniqueFd other_fd = Memfd(16 * kPage);
  ASSERT_TRUE(memory_.Add(Region(0, 0, 16 * kPage), fd).ok());
  ASSERT_TRUE(other.Add(Region(0, 0, 16 * kPage), other_fd).ok());
  const std::array<uint8_t, 1> byte = {7};
  absl::StatusOr<Thread> worker = Thread::Start("worker", [&] {
    for (uint64_t i = 0; !memory_.lost(); ++i) {
      const GuestAddress page(i % 16 * kPage);
      ASSERT_TRUE(memory_.memory()->Write(page, byte));
      ASSERT_TRUE(other.memory()->Write(page, byte));
    }
    for (uint64_t i = 0; i < 16; ++i) {
      ASSERT_TRUE(other.memory()->Write(GuestAddress(i * kPage), byte));
    }
  });
  ASSERT_TRUE(worker.ok());
  ASSERT_EQ(::ftruncate(fd.get(), 0), 0);
  pollfd wait = {lost_.fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&wait, 1, -1), 1);
  worker->Join();
  EXPECT_TRUE(memory_.lost());
  EXPECT_FALSE(other.lost());
  EXPECT_EQ(other_lost.Drain(), 0u);
  for (uint64_t i = 0; i < 16; ++i) {
    uint8_t read = 0;
    ASSERT_EQ(::pread(other_fd.get(), &read, 1, static_cast<off_t>(i * kPage)),
              1);
    EXPECT_EQ(read, 7);
  }
}

// More devices than one table of 4096 was enough for, with front-ends that
// share all they can.
TEST(FrontEndMemoryShareTest, FrontEndsTakeNoMappingsFromEachOther) {
  const EventFd lost = EventFd::Create().value();
  const UniqueFd file = Memfd(kPage);
  std::vector<std::unique_ptr<FrontEndMemory>> devices;
  for (int device = 0; device < 12; ++device) {
    devices.push_back(std::make_unique<FrontEndMemory>(lost));
    for (uint64_t i = 0; i < FrontEndMemory::kMaxRegions; ++i) {
      const absl::Status added =
          devices.back()->Add(Region(i * kPage, i * kPage), file);
      ASSERT_TRUE(added.ok()) << device << " " << i << " " << added;
    }
  }
}

}  // namespace
}  // namespace annulus::vhost_user
