#include "devices/pci/msix.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "devices/pci/config_registers.h"
#include "devices/pci/fake_machine.h"
#include "gtest/gtest.h"

namespace annulus::pci {
namespace {

using Message = std::optional<std::pair<uint64_t, uint32_t>>;

class MsixTest : public ::testing::Test {
 protected:
  explicit MsixTest(uint32_t vectors = 3) {
    auto msix = Msix::Create(vectors, factory_);
    EXPECT_TRUE(msix.ok());
    msix_ = *std::move(msix);
  }

  FakeMsiVector& vector(size_t i) { return factory_.vector(i); }
  Msix& msix() { return *msix_; }

  void WriteWord(uint64_t offset, uint32_t value) {
    const uint8_t data[4] = {
        static_cast<uint8_t>(value), static_cast<uint8_t>(value >> 8),
        static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 24)};
    msix().WriteTable(offset, data);
  }
  uint32_t ReadWord(uint64_t offset) {
    uint8_t data[4];
    msix().ReadTable(offset, absl::MakeSpan(data));
    return data[0] | data[1] << 8 | data[2] << 16 |
           static_cast<uint32_t>(data[3]) << 24;
  }
  void Fill(uint32_t vector) {
    WriteWord(16 * vector, 0xfee01000);
    WriteWord(16 * vector + 4, 1);
    WriteWord(16 * vector + 8, 0x40 + vector);
    WriteWord(16 * vector + 12, 0);
  }
  void Mask(uint32_t vector) { WriteWord(16 * vector + 12, 1); }
  void Unmask(uint32_t vector) { WriteWord(16 * vector + 12, 0); }
  uint64_t Pending() {
    uint8_t data[8];
    msix().ReadPending(0, absl::MakeSpan(data));
    return data[0];
  }

 private:
  FakeMsiVectorFactory factory_;
  std::unique_ptr<Msix> msix_;
};

TEST_F(MsixTest, CreateRefusesNoOrTooManyVectors) {
  FakeMsiVectorFactory factory;
  EXPECT_TRUE(absl::IsInvalidArgument(Msix::Create(0, factory).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Msix::Create(2049, factory).status()));
  EXPECT_TRUE(Msix::Create(2048, factory).ok());
}

TEST_F(MsixTest, CreateFailsWhereTheHostHasNoMoreVectors) {
  FakeMsiVectorFactory factory(2);
  EXPECT_TRUE(absl::IsResourceExhausted(Msix::Create(3, factory).status()));
}

TEST_F(MsixTest, CapabilityNamesTableAndPendingBits) {
  const auto capability = msix().Capability(2, 0x8000, 0x4000);
  EXPECT_EQ(
      std::vector<uint8_t>(capability.begin(), capability.end()),
      (std::vector<uint8_t>{0x11, 0, 2, 0, 2, 0x80, 0, 0, 2, 0x40, 0, 0}));
}

TEST_F(MsixTest, TriggerSendsTheMessageOfItsVector) {
  Fill(1);
  msix().SetControl(kMsixEnable);
  msix().Trigger(1);
  EXPECT_EQ(vector(1).Take(), 1);
  EXPECT_EQ(vector(1).message(), Message({0x1fee01000, 0x41}));
  EXPECT_EQ(vector(0).Take() + vector(2).Take(), 0);
}

TEST_F(MsixTest, NothingIsSentWhileDisabled) {
  Fill(0);
  msix().Trigger(0);
  EXPECT_EQ(Pending(), 0u);
  msix().SetControl(kMsixEnable);
  EXPECT_EQ(vector(0).Take(), 0);
  msix().SetControl(0);
  EXPECT_EQ(vector(0).message(), std::nullopt);
  msix().Trigger(0);
  EXPECT_EQ(vector(0).Take(), 0);
  EXPECT_EQ(vector(0).lost(), 0);
}

TEST_F(MsixTest, VectorOutOfTableIsIgnored) {
  msix().SetControl(kMsixEnable);
  for (const uint32_t vector : {3u, 4u, 2047u, 0xffffu, 0xffffffffu}) {
    msix().Trigger(vector);
  }
  EXPECT_EQ(Pending(), 0u);
}

TEST_F(MsixTest, MaskedVectorIsPendingUntilUnmasked) {
  Fill(0);
  Fill(1);
  Mask(1);
  msix().SetControl(kMsixEnable);
  msix().Trigger(1);
  msix().Trigger(1);
  EXPECT_EQ(vector(1).Take(), 0);
  EXPECT_EQ(Pending(), 0b10u);
  Unmask(1);
  EXPECT_EQ(vector(1).Take(), 1);
  EXPECT_EQ(Pending(), 0u);
  Mask(1);
  Unmask(1);
  EXPECT_EQ(vector(1).Take(), 0);
}

TEST_F(MsixTest, FunctionMaskHoldsAllVectors) {
  Fill(0);
  Fill(2);
  msix().SetControl(kMsixEnable | kMsixFunctionMask);
  msix().Trigger(0);
  msix().Trigger(2);
  EXPECT_EQ(Pending(), 0b101u);
  EXPECT_EQ(vector(0).Take() + vector(2).Take(), 0);
  Mask(2);
  msix().SetControl(kMsixEnable);
  EXPECT_EQ(vector(0).Take(), 1);
  EXPECT_EQ(vector(2).Take(), 0) << "still masked by itself";
  EXPECT_EQ(Pending(), 0b100u);
}

TEST_F(MsixTest, MessageThatDoesNotChangeIsNotSetAgain) {
  Fill(0);
  msix().SetControl(kMsixEnable);
  EXPECT_EQ(vector(0).changes(), 1);
  for (int i = 0; i < 10; ++i) {
    Mask(0);
    Unmask(0);
  }
  EXPECT_EQ(vector(0).changes(), 1);
  Mask(0);
  WriteWord(8, 0x99);
  EXPECT_EQ(vector(0).changes(), 1) << "not while it is masked";
  Unmask(0);
  EXPECT_EQ(vector(0).changes(), 2);
  EXPECT_EQ(vector(0).message(), Message({0x1fee01000, 0x99}));
}

TEST_F(MsixTest, DisablingForgetsWhatIsPending) {
  Fill(0);
  Mask(0);
  msix().SetControl(kMsixEnable);
  msix().Trigger(0);
  msix().SetControl(0);
  EXPECT_EQ(Pending(), 0u);
  Unmask(0);
  msix().SetControl(kMsixEnable);
  EXPECT_EQ(vector(0).Take(), 0);
}

TEST_F(MsixTest, TableTakesAlignedFourAndEightByteAccessesOnly) {
  for (size_t width = 1; width <= 8; ++width) {
    for (uint64_t offset = 0; offset < 80; ++offset) {
      const std::vector<uint8_t> ones(width, 0xff);
      std::vector<uint8_t> data(width, 0x5a);
      msix().WriteTable(offset, ones);
      msix().ReadTable(offset, absl::MakeSpan(data));
      const bool honoured = (width == 4 || width == 8) && offset % width == 0 &&
                            offset + width <= 48;
      if (!honoured) {
        EXPECT_EQ(data, std::vector<uint8_t>(width, 0))
            << offset << " " << width;
      } else {
        // Reserved bits are hardwired to 0.
        std::vector<uint8_t> expected = ones;
        if (offset % 16 == 0) expected[0] = 0xfc;
        if ((offset + width) % 16 == 0) {
          expected[width - 4] = 1;
          for (size_t i = width - 3; i < width; ++i) expected[i] = 0;
        }
        EXPECT_EQ(data, expected) << offset << " " << width;
      }
      // Back to the initial value, by the accesses that count.
      for (uint64_t word = 0; word < 12; ++word) {
        WriteWord(4 * word, word % 4 == 3 ? 1 : 0);
      }
    }
  }
}

TEST_F(MsixTest, RefusedAccessChangesNothing) {
  Fill(0);
  const uint8_t ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};
  for (const uint64_t offset : {1u, 2u, 3u, 5u, 6u, 7u, 9u, 13u}) {
    for (const size_t width : {1, 2, 4, 8}) {
      msix().WriteTable(offset, absl::MakeConstSpan(ones).first(width));
    }
  }
  for (const size_t width : {1, 2}) {
    msix().WriteTable(0, absl::MakeConstSpan(ones).first(width));
    msix().WriteTable(12, absl::MakeConstSpan(ones).first(width));
  }
  EXPECT_EQ(ReadWord(0), 0xfee01000u);
  EXPECT_EQ(ReadWord(4), 1u);
  EXPECT_EQ(ReadWord(8), 0x40u);
  EXPECT_EQ(ReadWord(12), 0u);
}

TEST_F(MsixTest, TableAndPendingBitsBeyondTheEndReadZero) {
  for (const uint64_t offset : {48u, 0x100u, 0x7ff8u}) {
    WriteWord(offset, 0xffffffff);
    EXPECT_EQ(ReadWord(offset), 0u);
    std::vector<uint8_t> data(8, 0x5a);
    msix().ReadPending(offset, absl::MakeSpan(data));
    EXPECT_EQ(data, std::vector<uint8_t>(8, 0));
  }
}

TEST_F(MsixTest, PendingBitsTakeAlignedFourAndEightByteReadsOnly) {
  Fill(0);
  Mask(0);
  msix().SetControl(kMsixEnable);
  msix().Trigger(0);
  for (size_t width = 1; width <= 8; ++width) {
    for (uint64_t offset = 0; offset < 8; ++offset) {
      std::vector<uint8_t> data(width, 0x5a);
      msix().ReadPending(offset, absl::MakeSpan(data));
      std::vector<uint8_t> expected(width, 0);
      if (offset == 0 && (width == 4 || width == 8)) expected[0] = 1;
      EXPECT_EQ(data, expected) << offset << " " << width;
    }
  }
}

TEST_F(MsixTest, TriggerWhileTheMessageIsInstalledIsDeliveredAfterwards) {
  Fill(0);
  vector(0).during_set_message = [this] {
    msix().Trigger(0);
    EXPECT_EQ(vector(0).Take(), 0) << "the vector is still masked";
  };
  Mask(0);
  msix().SetControl(kMsixEnable);
  Unmask(0);
  EXPECT_EQ(vector(0).Take(), 1);
}

// The worker may find the gate closed, and the vCPU nothing pending, but not
// both. The rounds are many because the window is a few instructions wide.
TEST_F(MsixTest, TriggerDuringUnmaskIsNeverLost) {
  constexpr int kRounds = 20000;
  Fill(0);
  msix().SetControl(kMsixEnable);
  std::atomic<int> begun{0};
  std::atomic<int> done{0};
  std::thread worker([&] {
    for (int round = 1; round <= kRounds; ++round) {
      while (begun.load() < round) std::this_thread::yield();
      msix().Trigger(0);
      done.store(round);
    }
  });
  int lost = 0;
  for (int round = 1; round <= kRounds; ++round) {
    Mask(0);
    begun.store(round);
    for (int i = 0; i < round % 64; ++i) begun.load();  // Some delay.
    Unmask(0);
    while (done.load() < round) std::this_thread::yield();
    lost += vector(0).Take() == 1 ? 0 : 1;
  }
  worker.join();
  EXPECT_EQ(lost, 0);
}

TEST_F(MsixTest, EveryRegisterMayBeUsedFromSeveralThreads) {
  const auto vcpu = [this] {
    for (int i = 0; i < 300; ++i) {
      Fill(0);
      Mask(0);
      msix().SetControl(i % 3 == 0 ? 0 : kMsixEnable);
      Unmask(0);
      Pending();
      ReadWord(0);
    }
  };
  std::thread first(vcpu);
  std::thread second(vcpu);
  std::thread worker([this] {
    for (int i = 0; i < 3000; ++i) msix().Trigger(i % 4);
  });
  first.join();
  second.join();
  worker.join();
  msix().SetControl(0);
  EXPECT_EQ(Pending(), 0u);
}

}  // namespace
}  // namespace annulus::pci
