#include "vmm/boot/bzimage_payload.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "vmm/boot/image_file.h"
#include "vmm/boot/kernel_image_builder.h"

namespace annulus::boot {
namespace {

class BzImagePayloadTest : public testing::Test {
 protected:
  absl::StatusOr<Bytes> Unpack(const Bytes& content, uint64_t max_size = 1000) {
    const UniqueFd fd = FileOf(content);
    const ImageFile file = ImageFile::Open(fd.get(), "kernel").value();
    const BzImage image = ReadBzImage(file).value();
    const auto unpacked = UnpackBzImagePayload(file, image, max_size);
    if (!unpacked.ok()) return unpacked.status();
    return Bytes(unpacked->content.begin(), unpacked->content.end());
  }

  std::string Refusal(const Bytes& content) {
    const absl::Status status = Unpack(content).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  }
};

// Offset of the first block's size in the file.
constexpr size_t kFirstBlock = 5 * 512 + kBzImagePayloadOffset + 4;

TEST_F(BzImagePayloadTest, AllBlocksAreUnpackedInOrder) {
  const auto unpacked = Unpack(BuildLz4BzImage(
      DebianLikeSetupHeader(), {Pattern(200), Pattern(300, 77)}));
  ASSERT_TRUE(unpacked.ok()) << unpacked.status();
  Bytes expected = Pattern(200);
  const Bytes second = Pattern(300, 77);
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_EQ(*unpacked, expected);
}

TEST_F(BzImagePayloadTest, OtherCompressionIsUnimplemented) {
  Bytes file = BuildLz4BzImage(DebianLikeSetupHeader(), {Pattern(200)});
  Patch<uint32_t>(file, kFirstBlock - 4, 0x088b1f);  // gzip
  EXPECT_EQ(Unpack(file).status().code(), absl::StatusCode::kUnimplemented);
}

TEST_F(BzImagePayloadTest, PayloadOutsideOfTheImageIsRefused) {
  const Bytes valid = BuildLz4BzImage(DebianLikeSetupHeader(), {Pattern(200)});
  for (const size_t field : {offsetof(SetupHeader, payload_offset),
                             offsetof(SetupHeader, payload_length)}) {
    for (const uint32_t value : {0x7fffffffu, 0xffffffffu}) {
      Bytes file = valid;
      Patch<uint32_t>(file, kSetupHeaderOffset + field, value);
      EXPECT_NE(Refusal(file).find("is not inside of it"), std::string::npos);
    }
  }
  Bytes file = valid;
  Patch<uint32_t>(
      file, kSetupHeaderOffset + offsetof(SetupHeader, payload_length), 7);
  EXPECT_NE(Refusal(file).find("of 7 bytes"), std::string::npos);
}

TEST_F(BzImagePayloadTest, BlockLargerThanThePayloadIsRefused) {
  Bytes file = BuildLz4BzImage(DebianLikeSetupHeader(), {Pattern(200)});
  Patch<uint32_t>(file, kFirstBlock, 0xffffffff);
  EXPECT_NE(Refusal(file).find("block of 4294967295 bytes"), std::string::npos);
}

TEST_F(BzImagePayloadTest, BlockThatLeavesACrumbIsRefused) {
  Bytes file = BuildLz4BzImage(DebianLikeSetupHeader(), {Pattern(200)});
  const uint32_t size = file[kFirstBlock];
  Patch<uint32_t>(file, kFirstBlock, size - 2);
  // Two bytes are left; the block itself, cut short, is malformed already.
  EXPECT_EQ(Refusal(file), "kernel: LZ4 payload is corrupt");
  Patch<uint32_t>(file,
                  kSetupHeaderOffset + offsetof(SetupHeader, payload_length),
                  4 + 2 + 4);
  Patch<uint32_t>(file, kFirstBlock + 2, 100);  // Now the unpacked size.
  EXPECT_EQ(Refusal(file), "kernel: LZ4 payload ends within a block's size");
}

TEST_F(BzImagePayloadTest, CorruptBlockIsRefused) {
  Bytes file = BuildLz4BzImage(DebianLikeSetupHeader(), {Pattern(200)});
  file[kFirstBlock + 4] = 0x00;  // No literals, so a match with nothing.
  EXPECT_EQ(Refusal(file), "kernel: LZ4 payload is corrupt");
}

TEST_F(BzImagePayloadTest, BombIsStoppedAtTheLimit) {
  const Bytes file =
      BuildLz4BzImage(DebianLikeSetupHeader(), {Bytes(600), Bytes(401)});
  EXPECT_EQ(Unpack(file, 1001)->size(), 1001u);
  EXPECT_EQ(Unpack(file, 1000).status().message(),
            "kernel: unpacks to 1001 bytes, not to 1 to 1000");
}

TEST_F(BzImagePayloadTest, PayloadThatIsNotAsLongAsItSaysIsRefused) {
  const Bytes valid = BuildLz4BzImage(DebianLikeSetupHeader(), {Pattern(200)});
  Bytes file = valid;
  const uint64_t said =
      5 * 512 + kBzImagePayloadOffset +
      ReadBzImage(ImageFile::Open(FileOf(file).get(), "kernel").value())
          .value()
          .header.payload_length -
      4;
  Patch<uint32_t>(file, said, 201);
  EXPECT_EQ(Refusal(file),
            "kernel: LZ4 payload unpacks to 1 bytes less than it says");
  Patch<uint32_t>(file, said, 199);
  EXPECT_EQ(Refusal(file), "kernel: LZ4 payload is corrupt");
}

}  // namespace
}  // namespace annulus::boot
