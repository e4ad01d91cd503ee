// What a front-end can share wrong: memory, logs and inflight buffers.

#include <unistd.h>

#include <array>
#include <cstdint>
#include <vector>

#include "devices/vhost_user/back_end/front_end_testing.h"
#include "devices/vhost_user/back_end/hostile_front_end_fixture.h"
#include "devices/vhost_user/back_end/rng_server_testing.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/protocol.h"
#include "gtest/gtest.h"
#include "memory/bus_errors.h"

namespace annulus::vhost_user {
namespace {

struct Single {
  uint64_t padding = 0;
  MemoryRegion region;
};

struct Table {
  uint32_t regions;
  uint32_t padding;
  std::array<MemoryRegion, 2> region;
};

std::vector<RefusedRequest> Cases() {
  return {
    REFUSED("TableTruncated", return MessageOf(R::kSetMemTable, 7);),
        REFUSED("TableWithoutRegions",
                return MessageWith(R::kSetMemTable, uint64_t{1});),
        REFUSED("TableOfTooMany",
                return MessageWith(R::kSetMemTable, uint64_t{9});),
        REFUSED("TableOfFourBillion",
                return MessageWith(R::kSetMemTable, uint64_t{UINT32_MAX});),
        REFUSED("TableWithoutDescriptors",
                return MessageWith(
                    R::kSetMemTable,
                    Table{2, 0, {front_end.Region(), front_end.Region()}});),
        REFUSED("TableOfOverlappingRegions",
                return MessageWith(
                    R::kSetMemTable,
                    Table{2, 0, {front_end.Region(), front_end.Region()}},
                    {front_end.ram_fd(), front_end.ram_fd()});),
        REFUSED("TableBeyondTheFile",
                Table table = {2, 0, {front_end.Region(), front_end.Region()}};
                table.region[1].guest_address = uint64_t{1} << 40;
                table.region[1].user_address = uint64_t{1} << 40;
                table.region[1].mmap_offset = 4096;
                return MessageWith(R::kSetMemTable, table,
                                   {front_end.ram_fd(), front_end.ram_fd()});),
        REFUSED("TableOfAnEventfd",
                Table table = {2, 0, {front_end.Region(), front_end.Region()}};
                table.region[1].guest_address = uint64_t{1} << 40;
                table.region[1].user_address = uint64_t{1} << 40;
                return MessageWith(R::kSetMemTable, table,
                                   {front_end.ram_fd(), queue.kick().fd()});),
        REFUSED("RegionTruncated",
                return MessageOf(R::kAddMemReg, 39, {front_end.ram_fd()});),
        REFUSED(
            "RegionWithoutDescriptor",
            return MessageWith(R::kAddMemReg, Single{0, front_end.Region()});),
        REFUSED("RegionWhereAnotherIs", Single region = {0, front_end.Region()};
                region.region.mmap_offset += 4096; return MessageWith(
                    R::kAddMemReg, region, {front_end.ram_fd()});),
        REFUSED("RegionThatWraps", Single region = {0, front_end.Region()};
                region.region.guest_address = UINT64_MAX - 4095;
                region.region.user_address = 0; return MessageWith(
                    R::kAddMemReg, region, {front_end.ram_fd()});),
        REFUSED(
            "RegionOfNothing", Single region = {0, front_end.Region()};
            region.region.size = 0; region.region.guest_address = 1ull << 40;
            region.region.user_address = 0;
            return MessageWith(R::kAddMemReg, region, {front_end.ram_fd()});),
        REFUSED("RemovedRegionIsNotThere",
                Single region = {0, front_end.Region()};
                region.region.guest_address = uint64_t{1} << 40;
                return MessageWith(R::kRemMemReg, region);),
        REFUSED("RemovedRegionTruncated", return MessageOf(R::kRemMemReg, 8);),
        REFUSED("LogFdIsMemory",
                return MessageOf(R::kSetLogFd, 0, {front_end.ram_fd()});),
        REFUSED("LogFdMissing", return MessageOf(R::kSetLogFd, 0);),
        REFUSED("InflightTruncated",
                return MessageOf(R::kSetInflightFd, 8, {front_end.ram_fd()});),
        REFUSED("InflightWithoutDescriptor",
                return MessageWith(R::kSetInflightFd,
                                   InflightDescription{4096, 0, 1, 16});),
        REFUSED("InflightTooSmall",
                return MessageWith(R::kSetInflightFd,
                                   InflightDescription{16, 0, 1, 16},
                                   {front_end.ram_fd()});),
        REFUSED("InflightBeyondTheFile",
                return MessageWith(
                    R::kSetInflightFd,
                    InflightDescription{UINT64_MAX, 1ull << 62, 1, 16},
                    {front_end.ram_fd()});),
        REFUSED(
            "InflightOfTooMany",
            return MessageWith(R::kSetInflightFd,
                               InflightDescription{1ull << 20, 0, 65535, 65535},
                               {front_end.ram_fd()});),
  };
}

INSTANTIATE_TEST_SUITE_P(Memory, HostileFrontEndTest,
                         ::testing::ValuesIn(Cases()), NameOfRefused);

TEST(HostileMemoryTest, CutOffMemoryLosesItsOwnDeviceAlone) {
  ASSERT_TRUE(memory::HandleBusErrors().ok());
  ServedFrontEnd victim;
  ServedFrontEnd other;
  for (ServedFrontEnd* const served : {&victim, &other}) {
    served->front_end->Negotiate(FeaturesOf(true));
    served->front_end->ShareMemory();
  }
  TestQueue others(*other.front_end, 0, {});
  others.SetUp();
  ExpectServed(others);
  TestQueue queue(*victim.front_end, 0, {});
  queue.SetUp();
  ExpectServed(queue);
  ASSERT_TRUE(queue.driver().Chain().Writable(4096).Offer().has_value());
  ASSERT_EQ(::ftruncate(victim.front_end->ram_fd(), 0), 0);
  queue.Kick();
  EXPECT_TRUE(victim.front_end->AwaitHangUp());
  for (int i = 0; i < 10; ++i) ExpectServed(others);
}

}  // namespace
}  // namespace annulus::vhost_user
