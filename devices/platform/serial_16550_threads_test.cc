// Two vCPU threads and the host's pump thread on one serial port: run it under
// ThreadSanitizer. What it expects holds for every interleaving.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "devices/interrupt.h"
#include "devices/platform/serial_16550.h"
#include "devices/platform/serial_16550_registers.h"
#include "gtest/gtest.h"

namespace annulus::platform {
namespace {

// A doorbell that a thread can sleep on: what an eventfd is to the VMM.
class Doorbell {
 public:
  void Ring() {
    MutexLock lock(mu_);
    rung_ = true;
    condition_.NotifyAll();
  }
  void Wait() {
    MutexLock lock(mu_);
    while (!rung_) condition_.Wait(mu_);
    rung_ = false;
  }

 private:
  Mutex mu_;
  CondVar condition_;
  bool rung_ ABSL_GUARDED_BY(mu_) = false;
};

class DoorbellInterrupt : public Interrupt {
 public:
  void Trigger() override { doorbell.Ring(); }
  Doorbell doorbell;
};

class DoorbellHost : public SerialHost {
 public:
  void OutputReady() override { doorbell.Ring(); }
  void InputSpaceAvailable() override { doorbell.Ring(); }
  Doorbell doorbell;
};

uint8_t Get(Serial16550& serial, uint16_t offset) {
  uint8_t value = 0;
  serial.Read(offset, absl::MakeSpan(&value, 1));
  return value;
}

void Set(Serial16550& serial, uint16_t offset, uint8_t value) {
  serial.Write(offset, absl::MakeConstSpan(&value, 1));
}

// Each sleeper trusts the doorbells alone: a lost signal hangs the test, a lost
// byte fails it.
TEST(Serial16550ThreadsTest, TwoVcpusAndThePumpLoseNeitherBytesNorSignals) {
  // More than the output queue holds, so that back-pressure happens.
  constexpr int kOutput = 3 * Serial16550::kOutputCapacity;
  constexpr size_t kInput = 20000;
  DoorbellInterrupt interrupt;
  DoorbellHost host;
  Serial16550 serial(interrupt, host);
  Set(serial, kSerialIirFcr, kFcrEnable);
  Set(serial, kSerialIer, kIerReceivedData | kIerTransmitterEmpty);

  std::string received;
  std::thread interrupted_vcpu([&] {
    int to_write = kOutput;
    while (to_write > 0 || received.size() < kInput) {
      interrupt.doorbell.Wait();
      while (true) {
        const uint8_t lsr = Get(serial, kSerialLsr);
        Get(serial, kSerialIirFcr);
        if ((lsr & kLsrDataReady) != 0) {
          received.push_back(static_cast<char>(Get(serial, kSerialData)));
        } else if ((lsr & kLsrTransmitterHolding) != 0 && to_write > 0) {
          Set(serial, kSerialData, 'i');
          --to_write;
        } else {
          break;
        }
      }
    }
  });
  std::thread polling_vcpu([&] {
    for (int to_write = kOutput; to_write > 0;) {
      if ((Get(serial, kSerialLsr) & kLsrTransmitterHolding) != 0) {
        Set(serial, kSerialData, 'p');
        --to_write;
      } else {
        std::this_thread::yield();
      }
      Set(serial, kSerialScr, static_cast<uint8_t>(to_write));
    }
  });

  std::map<uint8_t, int> taken;
  size_t offered = 0;
  const std::string input(16, 'x');
  while (taken['i'] + taken['p'] < 2 * kOutput || offered < kInput) {
    host.doorbell.Wait();
    uint8_t buffer[1000];
    while (const size_t count = serial.TakeOutput(absl::MakeSpan(buffer))) {
      for (size_t i = 0; i < count; ++i) ++taken[buffer[i]];
    }
    while (offered < kInput) {
      const size_t count = std::min(input.size(), kInput - offered);
      const size_t took = serial.Receive(absl::MakeConstSpan(
          reinterpret_cast<const uint8_t*>(input.data()), count));
      offered += took;
      if (took < count) break;
    }
  }
  interrupted_vcpu.join();
  polling_vcpu.join();

  EXPECT_EQ(taken['i'], kOutput);
  EXPECT_EQ(taken['p'], kOutput);
  EXPECT_EQ(taken.size(), 2u);
  EXPECT_EQ(received, std::string(kInput, 'x'));
}

}  // namespace
}  // namespace annulus::platform
