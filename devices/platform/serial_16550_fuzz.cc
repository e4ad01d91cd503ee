// A guest and a host pump that do anything to a serial port. Each step is one
// byte of command and its operands; whatever happens, the port still works as
// a port after the driver has programmed it anew.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "devices/interrupt.h"
#include "devices/platform/serial_16550.h"
#include "devices/platform/serial_16550_registers.h"

namespace annulus::platform {
namespace {

class NullInterrupt : public Interrupt {
 public:
  void Trigger() override {}
};

class NullHost : public SerialHost {
 public:
  void OutputReady() override {}
  void InputSpaceAvailable() override { input_refused = false; }
  bool input_refused = false;
};

class Input {
 public:
  explicit Input(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  uint8_t Next() {
    if (empty()) return 0;
    const uint8_t byte = bytes_.front();
    bytes_.remove_prefix(1);
    return byte;
  }

 private:
  absl::Span<const uint8_t> bytes_;
};

void Step(Serial16550& serial, NullHost& host, Input& input) {
  const uint8_t command = input.Next();
  const uint64_t offset = command >> 2 & 7;
  const size_t width = size_t{1} << (command >> 5 & 3);
  std::vector<uint8_t> data(width);
  switch (command & 3) {
    case 0:
      serial.Read(offset, absl::MakeSpan(data));
      break;
    case 1:
      for (uint8_t& byte : data) byte = input.Next();
      serial.Write(offset, data);
      break;
    case 2: {
      data.resize(input.Next());
      host.input_refused = true;  // Before: the call itself may clear it.
      const size_t taken = serial.Receive(data);
      ANNULUS_CHECK(taken <= data.size() && taken <= kSerialFifoSize);
      if (taken == data.size()) host.input_refused = false;
      break;
    }
    case 3:
      data.resize(size_t{input.Next()} * 64);
      ANNULUS_CHECK(serial.TakeOutput(absl::MakeSpan(data)) <= data.size());
      break;
  }
}

uint8_t Get(Serial16550& serial, uint16_t offset) {
  uint8_t value = 0;
  serial.Read(offset, absl::MakeSpan(&value, 1));
  return value;
}

void Set(Serial16550& serial, uint16_t offset, uint8_t value) {
  serial.Write(offset, absl::MakeConstSpan(&value, 1));
}

void CheckThatItStillWorks(Serial16550& serial, const NullHost& host) {
  std::vector<uint8_t> output(Serial16550::kOutputCapacity);
  serial.TakeOutput(absl::MakeSpan(output));
  Set(serial, kSerialLcr, 0);
  Set(serial, kSerialMcr, 0);
  Set(serial, kSerialIer, 0);
  Set(serial, kSerialIirFcr, kFcrEnable | kFcrClearReceiver);
  ANNULUS_CHECK(!host.input_refused);  // The host was told to try again.

  ANNULUS_CHECK((Get(serial, kSerialLsr) & kLsrTransmitterHolding) != 0);
  Set(serial, kSerialData, '!');
  ANNULUS_CHECK(serial.TakeOutput(absl::MakeSpan(output)) == 1);
  ANNULUS_CHECK(output[0] == '!');
  const uint8_t question = '?';
  ANNULUS_CHECK(serial.Receive(absl::MakeConstSpan(&question, 1)) == 1);
  ANNULUS_CHECK(Get(serial, kSerialData) == '?');
}

}  // namespace
}  // namespace annulus::platform

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace annulus::platform;
  NullInterrupt interrupt;
  NullHost host;
  Serial16550 serial(interrupt, host);
  Input input(absl::MakeConstSpan(data, size));
  while (!input.empty()) Step(serial, host, input);
  CheckThatItStillWorks(serial, host);
  return 0;
}
