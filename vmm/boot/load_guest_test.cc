#include "vmm/boot/load_guest.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "vmm/boot/kernel_image_builder.h"
#include "vmm/boot/layout.h"
#include "vmm/boot/small_guest.h"

namespace annulus::boot {
namespace {

using memory::GuestAddress;

constexpr uint64_t kMiB = 1 << 20;

class LoadGuestTest : public testing::Test {
 protected:
  SmallGuest guest_{16};
  const UniqueFd bzimage_ =
      FileOf(BuildBzImage(DebianLikeSetupHeader(), Pattern(4096)));
  const UniqueFd pvh_ = FileOf(ElfBuilder(kMiB)
                                   .Segment(kMiB, Pattern(64))
                                   .Notes(PvhNote(kMiB + 4))
                                   .Build());
  const UniqueFd elf_ =
      FileOf(ElfBuilder(kMiB + 8).Segment(kMiB, Pattern(64)).Build());
  const UniqueFd initrd_ = FileOf(Pattern(3000, 9));
};

TEST_F(LoadGuestTest, BzImageIsReadyForTheLinuxProtocol) {
  const std::vector<AddressRange> reserved = {{GuestAddress(0xe0000000), kMiB}};
  const auto state = LoadGuest(guest_.memory(), {.kernel_fd = bzimage_.get(),
                                                 .initrd_fd = initrd_.get(),
                                                 .cmdline = "quiet",
                                                 .rsdp = GuestAddress(0xe0000),
                                                 .reserved = reserved});
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->protocol, BootProtocol::kLinux64);
  EXPECT_EQ(state->rip, 2 * kMiB + 0x200);
  EXPECT_EQ(state->rsi, 0x7000u);
  EXPECT_EQ(guest_.Number(0x7070, 8), 0xe0000u);
  EXPECT_EQ(guest_.Number(0x71e8, 1), 4u);  // E820 entries.
  EXPECT_EQ(guest_.Number(0x72d0 + 3 * 20, 8), 0xe0000000u);
  EXPECT_EQ(guest_.Number(state->cr3, 8), 0xa003u);
  EXPECT_EQ(guest_.Number(0x510, 8), 0x00af9b000000ffffu);
  const uint64_t initrd = guest_.Number(0x7218, 4);
  EXPECT_EQ(initrd, 16 * kMiB - 4096);
  EXPECT_EQ(guest_.Read(initrd, 3000), Pattern(3000, 9));
  const uint64_t cmdline = guest_.Number(0x7228, 4);
  EXPECT_EQ(guest_.Read(cmdline, 6), (Bytes{'q', 'u', 'i', 'e', 't', 0}));
}

TEST_F(LoadGuestTest, ElfWithPvhNoteIsReadyForPvh) {
  const auto state =
      LoadGuest(guest_.memory(), {.kernel_fd = pvh_.get(),
                                  .initrd_fd = initrd_.get(),
                                  .cmdline = "quiet",
                                  .rsdp = GuestAddress(0xe0000)});
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->protocol, BootProtocol::kPvh32);
  EXPECT_EQ(state->rip, kMiB + 4);
  EXPECT_EQ(state->rbx, 0x6000u);
  EXPECT_EQ(guest_.Number(0x6000, 4), 0x336ec578u);
  EXPECT_EQ(guest_.Number(0x6020, 8), 0xe0000u);
  EXPECT_EQ(guest_.Number(0x6040, 8), 16 * kMiB - 4096);
}

TEST_F(LoadGuestTest, PlainElfIsReadyForTheLinuxProtocol) {
  const auto state =
      LoadGuest(guest_.memory(), {.kernel_fd = elf_.get(), .cmdline = "a"});
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->protocol, BootProtocol::kLinux64);
  EXPECT_EQ(state->rip, kMiB + 8);
  EXPECT_EQ(guest_.Number(0x7218, 4), 0u);  // No initrd.
}

TEST_F(LoadGuestTest, FilesThatAreNoneAreRefusedByName) {
  EXPECT_EQ(LoadGuest(guest_.memory(), {.kernel_fd = FileOf({}).get()})
                .status()
                .message(),
            "kernel: file is empty");
  EXPECT_FALSE(LoadGuest(guest_.memory(), {}).ok());
  EXPECT_EQ(LoadGuest(guest_.memory(),
                      {.kernel_fd = pvh_.get(), .initrd_fd = FileOf({}).get()})
                .status()
                .message(),
            "initrd: file is empty");
}

TEST_F(LoadGuestTest, CommandLineLimitIsTheKernels) {
  const std::string cmdline(2048, 'x');
  for (const int fd : {bzimage_.get(), pvh_.get(), elf_.get()}) {
    EXPECT_EQ(LoadGuest(guest_.memory(), {.kernel_fd = fd, .cmdline = cmdline})
                  .status()
                  .message(),
              "command line: 2048 bytes are more than the kernel's limit of "
              "2047");
    EXPECT_TRUE(LoadGuest(guest_.memory(),
                          {.kernel_fd = fd,
                           .cmdline = absl::string_view(cmdline).substr(1)})
                    .ok());
  }
}

TEST_F(LoadGuestTest, MemoryMapOfTooManyEntriesIsRefused) {
  std::vector<AddressRange> reserved(
      126, AddressRange{GuestAddress(0xe0000000), kMiB});
  EXPECT_EQ(LoadGuest(guest_.memory(),
                      {.kernel_fd = pvh_.get(), .reserved = reserved})
                .status()
                .message(),
            "memory map: 129 entries are more than 128");
  reserved.pop_back();
  for (const int fd : {pvh_.get(), elf_.get()}) {
    EXPECT_TRUE(
        LoadGuest(guest_.memory(), {.kernel_fd = fd, .reserved = reserved})
            .ok());
  }
}

TEST(LoadGuestTinyTest, GuestWithoutRoomForTheBootStructuresIsRefused) {
  Bytes host(4096);
  const auto memory = memory::GuestMemory::Create({{.start = GuestAddress(kMiB),
                                                    .size = host.size(),
                                                    .host = host.data()}})
                          .value();
  const UniqueFd kernel =
      FileOf(ElfBuilder(kMiB).Segment(kMiB, Pattern(64)).Build());
  EXPECT_EQ(LoadGuest(memory, {.kernel_fd = kernel.get()}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace annulus::boot
