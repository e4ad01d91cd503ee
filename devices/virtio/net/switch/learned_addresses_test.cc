#include "devices/virtio/net/switch/learned_addresses.h"

#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

constexpr uint64_t kSecret = 0x9e3779b97f4a7c15;
constexpr uint64_t kVictim = 0x525400000001;
constexpr uint64_t kOther = 0x525400000002;
constexpr uint32_t kNow = 1000;

TEST(LearnedAddressesTest, AddressIsFoundWhereItWasSeen) {
  LearnedAddresses addresses(kSecret);
  EXPECT_EQ(addresses.Find(kVictim, kNow), std::nullopt);
  addresses.Learn(kVictim, 3, kNow);
  addresses.Learn(kOther, 0, kNow);
  EXPECT_EQ(addresses.Find(kVictim, kNow), 3);
  EXPECT_EQ(addresses.Find(kOther, kNow), 0);
}

TEST(LearnedAddressesTest, AddressThatMovesIsFoundWhereItWasSeenLast) {
  LearnedAddresses addresses(kSecret);
  addresses.Learn(kVictim, 3, kNow);
  addresses.Learn(kVictim, 5, kNow);
  EXPECT_EQ(addresses.Find(kVictim, kNow), 5);
  addresses.Learn(kVictim, 3, kNow);
  EXPECT_EQ(addresses.Find(kVictim, kNow), 3);
}

TEST(LearnedAddressesTest, AddressThatIsNotSeenExpires) {
  LearnedAddresses addresses(kSecret);
  addresses.Learn(kVictim, 3, kNow);
  EXPECT_EQ(addresses.Find(kVictim, kNow + 299), 3);
  EXPECT_EQ(addresses.Find(kVictim, kNow + 300), std::nullopt);
  addresses.Learn(kVictim, 3, kNow + 300);
  EXPECT_EQ(addresses.Find(kVictim, kNow + 500), 3);
  // Nor does it come back to life when a clock wraps around.
  EXPECT_EQ(addresses.Find(kVictim, kNow + 0x7fffffff), std::nullopt);
}

// Another thread's look at the clock may be newer than ours.
TEST(LearnedAddressesTest, AddressOfASecondToComeIsNoExpiredOne) {
  LearnedAddresses addresses(kSecret);
  addresses.Learn(kVictim, 3, kNow + 1);
  EXPECT_EQ(addresses.Find(kVictim, kNow), 3);
}

TEST(LearnedAddressesTest, PortThatLeavesIsForgottenAndNoOther) {
  LearnedAddresses addresses(kSecret);
  addresses.Learn(kVictim, 0, kNow);
  addresses.Learn(kOther, 1, kNow);
  addresses.Forget(0);
  EXPECT_EQ(addresses.Find(kVictim, kNow), std::nullopt);
  EXPECT_EQ(addresses.Find(kOther, kNow), 1);
}

void Flood(LearnedAddresses& addresses, uint8_t port, uint64_t first) {
  for (uint64_t i = 0; i < 200'000; ++i) {
    addresses.Learn(first + i, port, kNow);
  }
}

TEST(LearnedAddressesTest, PortWithEndlessAddressesDisplacesNobodys) {
  LearnedAddresses addresses(kSecret);
  // A network of some size.
  for (uint8_t port = 1; port < 60; ++port) {
    addresses.Learn(kVictim + port, port, kNow);
  }
  Flood(addresses, 0, 0x020000000000);
  for (uint8_t port = 1; port < 60; ++port) {
    EXPECT_EQ(addresses.Find(kVictim + port, kNow), port);
  }
}

TEST(LearnedAddressesTest, PortThatCameFirstWithAllItsAddressesMakesRoom) {
  LearnedAddresses addresses(kSecret);
  Flood(addresses, 0, 0x020000000000);
  for (uint8_t port = 1; port < 60; ++port) {
    addresses.Learn(kVictim + port, port, kNow);
    EXPECT_EQ(addresses.Find(kVictim + port, kNow), port);
  }
  Flood(addresses, 0, 0x030000000000);
  int found = 0;
  for (uint8_t port = 1; port < 60; ++port) {
    found += addresses.Find(kVictim + port, kNow) == port;
  }
  EXPECT_EQ(found, 59);
}

int CountFound(const LearnedAddresses& addresses, uint8_t port,
               uint64_t first) {
  int found = 0;
  for (uint64_t i = 0; i < 200'000; ++i) {
    found += addresses.Find(first + i, kNow) == port;
  }
  return found;
}

TEST(LearnedAddressesTest, PortsShareATableThatIsTooSmallForThem) {
  LearnedAddresses addresses(kSecret);
  const auto first = [](uint8_t port) { return uint64_t{port} << 32; };
  for (uint8_t port = 1; port <= 5; ++port) Flood(addresses, port, first(port));
  for (uint8_t port = 1; port <= 5; ++port) {
    EXPECT_EQ(CountFound(addresses, port, first(port)), 2048);
  }
  // One more comes too late, and its frames are flooded.
  Flood(addresses, 6, first(6));
  EXPECT_EQ(CountFound(addresses, 6, first(6)), 0);
  addresses.Forget(1);
  Flood(addresses, 6, first(6));
  EXPECT_EQ(CountFound(addresses, 6, first(6)), 2048);
}

TEST(LearnedAddressesTest, PortFindsItsNewestAddressesWhereItHasTooMany) {
  LearnedAddresses addresses(kSecret);
  Flood(addresses, 0, 0x020000000000);
  addresses.Learn(kVictim, 0, kNow + 1);
  EXPECT_EQ(addresses.Find(kVictim, kNow + 1), 0);
}

// Whatever the threads do, an address is at a port that said so, and nothing
// but the last move remains.
TEST(LearnedAddressesTest, AddressesMoveUnderTheEyesOfOthers) {
  LearnedAddresses addresses(kSecret);
  constexpr uint64_t kAddresses = 50;
  std::atomic<bool> wrong{false};
  std::vector<std::thread> ports;
  for (uint8_t port = 0; port < 4; ++port) {
    ports.emplace_back([&, port] {
      for (uint64_t i = 0; i < 20'000; ++i) {
        addresses.Learn(kVictim + i % kAddresses, port, kNow);
        const auto at = addresses.Find(kVictim + i % kAddresses, kNow);
        if (at.has_value() && *at >= 4) wrong = true;
      }
    });
  }
  for (std::thread& port : ports) port.join();
  EXPECT_FALSE(wrong);
  for (uint64_t i = 0; i < kAddresses; ++i) {
    addresses.Learn(kVictim + i, 9, kNow);
    EXPECT_EQ(addresses.Find(kVictim + i, kNow), 9);
  }
  addresses.Forget(9);
  for (uint64_t i = 0; i < kAddresses; ++i) {
    EXPECT_EQ(addresses.Find(kVictim + i, kNow), std::nullopt);
  }
}

}  // namespace
}  // namespace annulus::virtio
