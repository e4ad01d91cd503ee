#include "vmm/boot/image_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "vmm/boot/kernel_image_builder.h"
#include "vmm/boot/small_guest.h"

namespace annulus::boot {
namespace {

using memory::GuestAddress;

std::string OpenRefusal(int fd) {
  return std::string(ImageFile::Open(fd, "initrd").status().message());
}

TEST(ImageFileTest, OnlyRegularFilesWithContentAreOpened) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const UniqueFd read_end(pipe[0]);
  const UniqueFd write_end(pipe[1]);
  EXPECT_EQ(OpenRefusal(pipe[0]), "initrd: not a regular file");
  const UniqueFd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(OpenRefusal(directory.get()), "initrd: not a regular file");
  EXPECT_EQ(OpenRefusal(FileOf({}).get()), "initrd: file is empty");
  EXPECT_TRUE(absl::StartsWith(OpenRefusal(-1), "initrd: cannot stat"));
}

TEST(ImageFileTest, ReadsAreExactOrAnError) {
  const UniqueFd fd = FileOf(Pattern(100));
  const ImageFile file = ImageFile::Open(fd.get(), "kernel").value();
  Bytes bytes(10);
  ASSERT_TRUE(file.ReadAt(90, absl::MakeSpan(bytes)).ok());
  EXPECT_EQ(bytes, Pattern(10, 91));
  EXPECT_EQ(file.ReadAt(91, absl::MakeSpan(bytes)).message(),
            "kernel: truncated: 10 bytes at 0x5b are needed, the file has 100 "
            "bytes");
  EXPECT_FALSE(file.ReadAt(UINT64_MAX - 4, absl::MakeSpan(bytes)).ok());
}

// A mapped file would raise SIGBUS here.
TEST(ImageFileTest, FileThatShrinksAfterItWasOpenedIsAnError) {
  const UniqueFd fd = FileOf(Pattern(200));
  const ImageFile file = ImageFile::Open(fd.get(), "kernel").value();
  ASSERT_EQ(::ftruncate(fd.get(), 150), 0);
  SmallGuest guest(2);
  const absl::Status status =
      file.ReadIntoGuest(100, 100, guest.memory(), GuestAddress(0x1000));
  EXPECT_EQ(status.message(), "kernel: file became shorter while it was read");
  Bytes bytes(100);
  EXPECT_EQ(file.ReadAt(100, absl::MakeSpan(bytes)).message(),
            "kernel: file became shorter while it was read");
}

TEST(ImageFileTest, ContentGoesStraightIntoGuestRam) {
  const UniqueFd fd = FileOf(Pattern(200));
  const ImageFile file = ImageFile::Open(fd.get(), "kernel").value();
  SmallGuest guest(2);
  ASSERT_TRUE(
      file.ReadIntoGuest(50, 150, guest.memory(), GuestAddress(0x1000)).ok());
  EXPECT_EQ(guest.Read(0x1000, 150), Pattern(150, 51));
  EXPECT_EQ(guest.Read(0x1000 + 150, 100), Bytes(100));
}

TEST(ImageFileTest, PlaceOutsideOfRamIsAnError) {
  const UniqueFd fd = FileOf(Pattern(200));
  const ImageFile file = ImageFile::Open(fd.get(), "kernel").value();
  SmallGuest guest(2);
  for (const uint64_t address : {uint64_t{0x1fffff}, UINT64_MAX - 3}) {
    EXPECT_EQ(file.ReadIntoGuest(0, 200, guest.memory(), GuestAddress(address))
                  .code(),
              absl::StatusCode::kResourceExhausted);
  }
}

TEST(ImageFileTest, DescriptorThatCannotBeReadIsAnError) {
  const std::string path = testing::TempDir() + "/write_only";
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(fd.get(), 100), 0);
  const ImageFile file = ImageFile::Open(fd.get(), "kernel").value();
  Bytes bytes(10);
  EXPECT_TRUE(absl::StartsWith(file.ReadAt(0, absl::MakeSpan(bytes)).message(),
                               "kernel: cannot read"));
}

TEST(ImageFileInMemoryTest, ReadsLikeAFileAndLeavesZeroPagesUntouched) {
  SmallGuest guest(2);
  const Bytes untouched(4096, 0xee);
  ASSERT_TRUE(guest.memory().Write(memory::GuestAddress(0x101000), untouched));
  Bytes content = Pattern(3 * 4096);
  std::fill_n(content.begin() + 4096, 4096, uint8_t{0});
  const ImageFile file = ImageFile::OfMemory(content, "kernel").value();
  Bytes part(100);
  ASSERT_TRUE(file.ReadAt(50, absl::MakeSpan(part)).ok());
  EXPECT_EQ(part, Bytes(content.begin() + 50, content.begin() + 150));
  ASSERT_TRUE(file.ReadIntoGuest(0, content.size(), guest.memory(),
                                 memory::GuestAddress(0x100000))
                  .ok());
  EXPECT_EQ(guest.Read(0x100000, 4096),
            Bytes(content.begin(), content.begin() + 4096));
  EXPECT_EQ(guest.Read(0x101000, 4096), untouched);
  EXPECT_EQ(guest.Read(0x102000, 4096),
            Bytes(content.begin() + 8192, content.end()));
  EXPECT_FALSE(file.ReadAt(content.size(), absl::MakeSpan(part)).ok());
  EXPECT_FALSE(ImageFile::OfMemory({}, "kernel").ok());
}

}  // namespace
}  // namespace annulus::boot
