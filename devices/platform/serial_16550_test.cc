#include "devices/platform/serial_16550.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "devices/interrupt.h"
#include "devices/platform/serial_16550_registers.h"
#include "gtest/gtest.h"

namespace annulus::platform {
namespace {

constexpr uint8_t kThreAndTemt = kLsrTransmitterHolding | kLsrTransmitterEmpty;

class CountingInterrupt : public Interrupt {
 public:
  void Trigger() override { ++count; }
  int count = 0;
};

class CountingHost : public SerialHost {
 public:
  void OutputReady() override { ++output_ready; }
  void InputSpaceAvailable() override { ++input_space; }
  int output_ready = 0;
  int input_space = 0;
};

class Serial16550Test : public testing::Test {
 protected:
  uint8_t Get(uint16_t offset) {
    uint8_t value = 0xaa;
    serial_.Read(offset, absl::MakeSpan(&value, 1));
    return value;
  }
  void Set(uint16_t offset, uint8_t value) {
    serial_.Write(offset, absl::MakeConstSpan(&value, 1));
  }
  size_t Receive(const std::string& text) {
    return serial_.Receive(absl::MakeConstSpan(
        reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }
  std::string TakeOutput(size_t limit = size_t{1} << 20) {
    std::vector<uint8_t> bytes(limit);
    bytes.resize(serial_.TakeOutput(absl::MakeSpan(bytes)));
    return std::string(bytes.begin(), bytes.end());
  }
  // Writes until THRE falls; returns how much that was.
  size_t FillOutput() {
    size_t count = 0;
    while ((Get(kSerialLsr) & kLsrTransmitterHolding) != 0) {
      for (size_t i = 0; i < kSerialFifoSize; ++i, ++count) {
        Set(kSerialData, static_cast<uint8_t>(count));
      }
      if (count > 2 * Serial16550::kOutputCapacity) break;
    }
    return count;
  }
  // Edges since the last call.
  int Edges() { return std::exchange(interrupt_.count, 0); }

  CountingInterrupt interrupt_;
  CountingHost host_;
  Serial16550 serial_{interrupt_, host_};
};

// Registers.

TEST_F(Serial16550Test, ResetValuesAreThoseOfTheDataSheet) {
  EXPECT_EQ(Get(kSerialIer), 0);
  EXPECT_EQ(Get(kSerialIirFcr), kIirNone);
  EXPECT_EQ(Get(kSerialLcr), 0);
  EXPECT_EQ(Get(kSerialMcr), 0);
  EXPECT_EQ(Get(kSerialLsr), kThreAndTemt);
  EXPECT_EQ(Get(kSerialMsr), kMsrCts | kMsrDsr | kMsrDcd);
}

TEST_F(Serial16550Test, ScratchRegisterHoldsEveryValue) {
  for (int value = 0; value < 256; ++value) {
    Set(kSerialScr, static_cast<uint8_t>(value));
    EXPECT_EQ(Get(kSerialScr), value);
  }
}

TEST_F(Serial16550Test, ReservedBitsOfIerAndMcrReadZero) {
  Set(kSerialIer, 0xff);
  EXPECT_EQ(Get(kSerialIer), 0x0f);
  Set(kSerialMcr, 0xff);
  EXPECT_EQ(Get(kSerialMcr), 0x1f);
}

TEST_F(Serial16550Test, DivisorLatchHidesDataAndInterruptEnable) {
  Set(kSerialIer, kIerLineStatus);
  Set(kSerialLcr, kLcrDlab | 3);
  Set(kSerialData, 0x0c);
  Set(kSerialIer, 0xff);
  EXPECT_EQ(Get(kSerialData), 0x0c);
  EXPECT_EQ(Get(kSerialIer), 0xff);
  Set(kSerialLcr, 3);
  EXPECT_EQ(Get(kSerialIer), kIerLineStatus);
  EXPECT_EQ(TakeOutput(), "");
}

TEST_F(Serial16550Test, StatusRegistersAreReadOnly) {
  Set(kSerialLsr, 0);
  Set(kSerialMsr, 0);
  EXPECT_EQ(Get(kSerialLsr), kThreAndTemt);
  EXPECT_EQ(Get(kSerialMsr), kMsrCts | kMsrDsr | kMsrDcd);
}

TEST_F(Serial16550Test, LinuxProbeFindsA16550A) {
  // The steps of drivers/tty/serial/8250/8250_port.c autoconfig().
  Set(kSerialIer, 0x0f);
  EXPECT_EQ(Get(kSerialIer), 0x0f);
  Set(kSerialIer, 0);
  Set(kSerialMcr, kMcrLoop | kMcrOut2 | kMcrRts);
  EXPECT_EQ(Get(kSerialMsr) & 0xf0, kMsrDcd | kMsrCts);
  Set(kSerialMcr, 0);
  Set(kSerialIirFcr, kFcrEnable);
  EXPECT_EQ(Get(kSerialIirFcr) >> 6, 3);    // FIFOs that work: 16550A.
  Set(kSerialLcr, 0xbf);                    // No EFR behind 0xbf, so not a
  EXPECT_NE(Get(kSerialIirFcr), 0);         // 16650 or later;
  Set(kSerialLcr, 0xe0);                    // no EXCR1 behind 0xe0, so not
  EXPECT_EQ(Get(kSerialIirFcr) & 0x10, 0);  // a National superset;
  Set(kSerialLcr, 0);                       // no 64-byte FIFO, so not a
  Set(kSerialIirFcr, kFcrEnable | 0x20);    // 16750.
  EXPECT_EQ(Get(kSerialIirFcr) >> 5, 6);
}

// Output.

TEST_F(Serial16550Test, OutputComesOutInOrder) {
  for (char c : std::string("hello")) Set(kSerialData, c);
  EXPECT_EQ(TakeOutput(2), "he");
  EXPECT_EQ(TakeOutput(), "llo");
  EXPECT_EQ(TakeOutput(), "");
}

TEST_F(Serial16550Test, HostIsToldOfOutputOnlyWhenThereWasNone) {
  Set(kSerialData, 'a');
  Set(kSerialData, 'b');
  EXPECT_EQ(host_.output_ready, 1);
  EXPECT_EQ(TakeOutput(1), "a");
  Set(kSerialData, 'c');
  EXPECT_EQ(host_.output_ready, 1);
  EXPECT_EQ(TakeOutput(), "bc");
  Set(kSerialData, 'd');
  EXPECT_EQ(host_.output_ready, 2);
}

TEST_F(Serial16550Test, FullOutputQueueLowersThreAndTemtAndLosesNothing) {
  const size_t written = FillOutput();
  EXPECT_EQ(written, Serial16550::kOutputCapacity);
  EXPECT_EQ(Get(kSerialLsr) & kThreAndTemt, 0);
  const std::string output = TakeOutput();
  ASSERT_EQ(output.size(), written);
  for (size_t i = 0; i < written; ++i) {
    ASSERT_EQ(static_cast<uint8_t>(output[i]), static_cast<uint8_t>(i));
  }
}

TEST_F(Serial16550Test, ThreReturnsOnlyWithRoomForAWholeFifo) {
  FillOutput();
  TakeOutput(kSerialFifoSize - 1);
  EXPECT_EQ(Get(kSerialLsr) & kThreAndTemt, 0);
  TakeOutput(1);
  EXPECT_EQ(Get(kSerialLsr) & kThreAndTemt, kThreAndTemt);
}

TEST_F(Serial16550Test, ThreInterruptWhenRoomReturns) {
  Set(kSerialIer, kIerTransmitterEmpty);
  FillOutput();
  EXPECT_EQ(Get(kSerialIirFcr), kIirNone);
  Edges();
  TakeOutput(kSerialFifoSize);
  EXPECT_EQ(Edges(), 1);
  EXPECT_EQ(Get(kSerialIirFcr), kIirTransmitterEmpty);
}

TEST_F(Serial16550Test, RoomThatReturnsDuringLoopbackStillInterrupts) {
  Set(kSerialIer, kIerTransmitterEmpty);
  FillOutput();
  Set(kSerialMcr, kMcrLoop);
  Get(kSerialIirFcr);  // The loop has room; that interrupt is taken.
  Set(kSerialMcr, 0);
  EXPECT_EQ(Get(kSerialIirFcr), kIirNone);
  Edges();
  TakeOutput();
  EXPECT_EQ(Edges(), 1);
}

TEST_F(Serial16550Test, WritesAgainstThreAreDroppedAndOverwriteNothing) {
  const size_t written = FillOutput();
  for (int i = 0; i < 1000; ++i) Set(kSerialData, 'x');
  const std::string output = TakeOutput();
  EXPECT_EQ(output.size(), written);
  EXPECT_EQ(output.substr(output.size() - 2), "\xfe\xff");
  Set(kSerialData, 'y');
  EXPECT_EQ(TakeOutput(), "y");
}

// Input.

TEST_F(Serial16550Test, WithoutFifoTheReceiverHoldsOneByte) {
  EXPECT_EQ(Receive("ab"), 1u);
  EXPECT_EQ(Receive("b"), 0u);
  EXPECT_EQ(Get(kSerialLsr) & kLsrDataReady, kLsrDataReady);
  EXPECT_EQ(Get(kSerialData), 'a');
  EXPECT_EQ(Get(kSerialLsr) & kLsrDataReady, 0);
  EXPECT_EQ(host_.input_space, 1);
}

TEST_F(Serial16550Test, WithFifoTheReceiverHoldsSixteenBytes) {
  Set(kSerialIirFcr, kFcrEnable);
  EXPECT_EQ(Receive("0123456789abcdefgh"), 16u);
  for (char c : std::string("0123456789abcde")) EXPECT_EQ(Get(kSerialData), c);
  EXPECT_EQ(host_.input_space, 0);
  EXPECT_EQ(Get(kSerialData), 'f');
  EXPECT_EQ(host_.input_space, 1);
  EXPECT_EQ(Receive("gh"), 2u);
  EXPECT_EQ(Get(kSerialData), 'g');
  EXPECT_EQ(Get(kSerialData), 'h');
  EXPECT_EQ(host_.input_space, 1);  // Nothing was refused in between.
}

TEST_F(Serial16550Test, EmptyReceiverReadsZero) {
  EXPECT_EQ(Get(kSerialData), 0);
}

TEST_F(Serial16550Test, ClearingTheReceiverTellsTheHostThatThereIsSpace) {
  Set(kSerialIirFcr, kFcrEnable);
  EXPECT_EQ(Receive(std::string(17, 'x')), 16u);
  Set(kSerialIirFcr, kFcrEnable | kFcrClearReceiver);
  EXPECT_EQ(Get(kSerialLsr) & kLsrDataReady, 0);
  EXPECT_EQ(host_.input_space, 1);
}

TEST_F(Serial16550Test, FcrWithoutEnableBitProgramsNothing) {
  EXPECT_EQ(Receive("a"), 1u);
  Set(kSerialIirFcr, kFcrClearReceiver | 0xc0);
  EXPECT_EQ(Get(kSerialData), 'a');
}

TEST_F(Serial16550Test, TogglingTheFifosEmptiesThem) {
  EXPECT_EQ(Receive("a"), 1u);
  Set(kSerialIirFcr, kFcrEnable);
  EXPECT_EQ(Get(kSerialLsr) & kLsrDataReady, 0);
}

// Loopback.

TEST_F(Serial16550Test, LoopbackReturnsOutputAsInput) {
  Set(kSerialIirFcr, kFcrEnable);
  Set(kSerialMcr, kMcrLoop);
  Set(kSerialData, 'l');
  EXPECT_EQ(Get(kSerialData), 'l');
  EXPECT_EQ(TakeOutput(), "");
}

TEST_F(Serial16550Test, LoopbackOverrunIsReportedOnceAndClearedByReading) {
  Set(kSerialMcr, kMcrLoop);
  Set(kSerialData, '1');
  Set(kSerialData, '2');
  EXPECT_EQ(Get(kSerialLsr) & kLsrOverrun, kLsrOverrun);
  EXPECT_EQ(Get(kSerialLsr) & kLsrOverrun, 0);
  EXPECT_EQ(Get(kSerialData), '1');
}

TEST_F(Serial16550Test, LoopbackHoldsInputBackUntilItEnds) {
  Set(kSerialMcr, kMcrLoop);
  EXPECT_EQ(Receive("x"), 0u);
  EXPECT_EQ(host_.input_space, 0);
  Set(kSerialMcr, 0);
  EXPECT_EQ(host_.input_space, 1);
  EXPECT_EQ(Receive("x"), 1u);
}

TEST_F(Serial16550Test, LoopbackConnectsModemOutputsToInputs) {
  constexpr struct {
    uint8_t mcr, msr;
  } kWires[] = {{kMcrDtr, kMsrDsr},
                {kMcrRts, kMsrCts},
                {kMcrOut1, kMsrRing},
                {kMcrOut2, kMsrDcd}};
  for (const auto& wire : kWires) {
    Set(kSerialMcr, kMcrLoop | wire.mcr);
    EXPECT_EQ(Get(kSerialMsr) & 0xf0, wire.msr);
  }
}

TEST_F(Serial16550Test, ModemDeltasAreClearedByReading) {
  Set(kSerialMcr, kMcrLoop | kMcrOut1);  // All three others fall.
  EXPECT_EQ(Get(kSerialMsr),
            kMsrRing | kMsrDeltaCts | kMsrDeltaDsr | kMsrDeltaDcd);
  EXPECT_EQ(Get(kSerialMsr), kMsrRing);
  Set(kSerialMcr, kMcrLoop);
  EXPECT_EQ(Get(kSerialMsr), kMsrTrailingEdgeRing);
}

// Interrupts.

TEST_F(Serial16550Test, PrioritiesFollowTheDataSheet) {
  Set(kSerialIirFcr, kFcrEnable | 1 << kFcrTriggerShift);
  Set(kSerialMcr, kMcrLoop);
  Set(kSerialIer, kIerMask);
  for (int i = 0; i < 17; ++i) Set(kSerialData, 'x');

  EXPECT_EQ(Get(kSerialIirFcr), kIirFifosEnabled | kIirLineStatus);
  Get(kSerialLsr);
  EXPECT_EQ(Get(kSerialIirFcr), kIirFifosEnabled | kIirReceivedData);
  for (int i = 0; i < 13; ++i) Get(kSerialData);
  EXPECT_EQ(Get(kSerialIirFcr), kIirFifosEnabled | kIirCharacterTimeout);
  for (int i = 0; i < 3; ++i) Get(kSerialData);
  EXPECT_EQ(Get(kSerialIirFcr), kIirFifosEnabled | kIirTransmitterEmpty);
  EXPECT_EQ(Get(kSerialIirFcr), kIirFifosEnabled | kIirModemStatus);
  Get(kSerialMsr);
  EXPECT_EQ(Get(kSerialIirFcr), kIirFifosEnabled | kIirNone);
}

TEST_F(Serial16550Test, SecondCauseThatWaitsGetsItsEdgeWhenTheFirstIsCleared) {
  Set(kSerialMcr, kMcrLoop);  // Deltas: a modem status cause.
  Set(kSerialIer, kIerMask);
  Set(kSerialData, '1');
  Set(kSerialData, '2');  // Overrun.
  Edges();
  Get(kSerialLsr);  // Clears line status; received data waits.
  EXPECT_EQ(Edges(), 1);
  Get(kSerialData);  // Clears received data; transmitter empty waits.
  EXPECT_EQ(Edges(), 1);
  Get(kSerialIirFcr);  // Clears transmitter empty; modem status waits.
  EXPECT_EQ(Edges(), 1);
  Get(kSerialMsr);
  EXPECT_EQ(Edges(), 0);
}

TEST_F(Serial16550Test, NoCauseThatIsDisabledInterrupts) {
  Set(kSerialMcr, kMcrLoop);
  for (int i = 0; i < 3; ++i) Set(kSerialData, 'x');
  EXPECT_EQ(Edges(), 0);
  EXPECT_EQ(Get(kSerialIirFcr), kIirNone);
}

TEST_F(Serial16550Test, EnablingACauseThatIsPendingInterrupts) {
  Receive("a");
  EXPECT_EQ(Edges(), 0);
  Set(kSerialIer, kIerReceivedData);
  EXPECT_EQ(Edges(), 1);
  Set(kSerialIer, 0);
  Set(kSerialIer, kIerReceivedData);
  EXPECT_EQ(Edges(), 1);
}

TEST_F(Serial16550Test, EnablingTheTransmitterInterruptRaisesItEachTime) {
  // Linux's test for a broken THRE interrupt in serial8250_do_startup().
  for (int i = 0; i < 2; ++i) {
    Set(kSerialIer, kIerTransmitterEmpty);
    EXPECT_EQ(Edges(), 1);
    EXPECT_EQ(Get(kSerialIirFcr), kIirTransmitterEmpty);
    EXPECT_EQ(Get(kSerialIirFcr), kIirNone);
    Set(kSerialIer, 0);
  }
}

TEST_F(Serial16550Test, BurstOfOutputGivesOneEdge) {
  Set(kSerialIer, kIerTransmitterEmpty);
  Get(kSerialIirFcr);
  Get(kSerialLsr);
  Edges();
  for (int i = 0; i < 16; ++i) Set(kSerialData, 'x');
  EXPECT_EQ(Edges(), 1);
}

TEST_F(Serial16550Test, DriverThatNeverReadsIirGetsAnEdgeForEachBurst) {
  Set(kSerialIer, kIerTransmitterEmpty);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Edges(), 1);
    ASSERT_NE(Get(kSerialLsr) & kLsrTransmitterHolding, 0);
    Set(kSerialData, 'x');
  }
}

TEST_F(Serial16550Test, DriverThatReadsOneBytePerInterruptGetsThemAll) {
  Set(kSerialIirFcr, kFcrEnable);
  Set(kSerialIer, kIerReceivedData);
  Receive("abc");
  std::string seen;
  while (Edges() > 0) seen.push_back(static_cast<char>(Get(kSerialData)));
  EXPECT_EQ(seen, "abc");
}

TEST_F(Serial16550Test, InputThatFollowsInputWithoutAReadGivesNoSecondEdge) {
  Set(kSerialIirFcr, kFcrEnable);
  Set(kSerialIer, kIerReceivedData);
  Receive("a");
  Receive("b");
  EXPECT_EQ(Edges(), 1);
}

// Access width and alignment.

TEST_F(Serial16550Test, WideWriteIsOneAccessToEachByte) {
  const uint8_t bytes[] = {'w', 0x00, 0x00, 0x03, 0x02, 0x00, 0x00, 0x5a};
  serial_.Write(0, bytes);
  EXPECT_EQ(TakeOutput(), "w");
  EXPECT_EQ(Get(kSerialLcr), 0x03);
  EXPECT_EQ(Get(kSerialMcr), 0x02);
  EXPECT_EQ(Get(kSerialScr), 0x5a);
}

TEST_F(Serial16550Test, EveryWidthAndAlignmentOfEveryRegisterIsFilled) {
  Set(kSerialScr, 0x77);
  for (size_t width : {1, 2, 4, 8}) {
    for (uint64_t offset = 0; offset < kSerialPortCount; ++offset) {
      std::vector<uint8_t> data(width, 0xaa);
      serial_.Read(offset, absl::MakeSpan(data));
      for (size_t i = 0; i < width; ++i) {
        EXPECT_NE(data[i], 0xaa) << offset << " " << width;
        if (offset + i == kSerialScr) {
          EXPECT_EQ(data[i], 0x77);
        } else if (offset + i > kSerialScr) {
          EXPECT_EQ(data[i], 0xff);  // Beyond the device nothing answers.
        }
      }
    }
  }
}

TEST_F(Serial16550Test, EveryWidthAlignmentAndPatternOfWritesSurvives) {
  for (int pattern = 0; pattern < 256; ++pattern) {
    for (size_t width : {1, 2, 4, 8}) {
      for (uint64_t offset = 0; offset < kSerialPortCount; ++offset) {
        serial_.Write(
            offset, std::vector<uint8_t>(width, static_cast<uint8_t>(pattern)));
        Receive("input");
      }
    }
  }
  // And it still is a serial port.
  TakeOutput();
  for (uint16_t offset : {kSerialLcr, kSerialMcr}) Set(offset, 0);
  Set(kSerialIirFcr, kFcrEnable | kFcrClearReceiver);
  Set(kSerialData, '!');
  EXPECT_EQ(TakeOutput(), "!");
  EXPECT_EQ(Receive("?"), 1u);
  EXPECT_EQ(Get(kSerialData), '?');
}

}  // namespace
}  // namespace annulus::platform
