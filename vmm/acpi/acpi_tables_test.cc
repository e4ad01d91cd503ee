#include "vmm/acpi/acpi_tables.h"

#include <array>
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_region.h"
#include "vmm/acpi/acpi_config.h"

namespace annulus::acpi {
namespace {

using memory::GuestAddress;
using Bytes = std::vector<uint8_t>;

uint64_t Number(const Bytes& bytes, size_t offset, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | bytes.at(offset + i);
  return value;
}

uint8_t Sum(absl::Span<const uint8_t> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), uint8_t{0});
}

class AcpiTablesTest : public testing::Test {
 protected:
  AcpiTablesTest()
      : ram_(1 << 20),
        memory_(memory::GuestMemory::Create({{.start = GuestAddress(0),
                                              .size = ram_.size(),
                                              .host = ram_.data()}})
                    .value()) {}

  Bytes ReadBytes(uint64_t address, size_t size) {
    Bytes bytes(size);
    EXPECT_TRUE(memory_.Read(GuestAddress(address), absl::MakeSpan(bytes)));
    return bytes;
  }

  Bytes ReadTable(uint64_t address) {
    return ReadBytes(address, Number(ReadBytes(address, 8), 4, 4));
  }

  // Follows the pointers as a guest does; every table by its signature.
  std::map<std::string, Bytes> WriteAndFollow(const AcpiConfig& config) {
    const absl::StatusOr<GuestAddress> rsdp = WriteAcpiTables(memory_, config);
    EXPECT_TRUE(rsdp.ok()) << rsdp.status();
    if (!rsdp.ok()) return {};
    std::map<std::string, Bytes> tables;
    tables["RSDP"] = ReadBytes(rsdp->value(), 36);
    Bytes& xsdt = tables["XSDT"];
    xsdt = ReadTable(Number(tables["RSDP"], 24, 8));
    for (size_t at = 36; at < xsdt.size(); at += 8) {
      const Bytes table = ReadTable(Number(xsdt, at, 8));
      tables[std::string(table.begin(), table.begin() + 4)] = table;
    }
    tables["DSDT"] = ReadTable(Number(tables["FACP"], 140, 8));
    return tables;
  }

  std::string Refusal(const AcpiConfig& config) {
    const absl::Status status = WriteAcpiTables(memory_, config).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  }

  Bytes ram_;
  memory::GuestMemory memory_;
};

TEST_F(AcpiTablesTest, EveryTableSumsToZeroAndSaysItsRevision) {
  std::map<std::string, Bytes> tables = WriteAndFollow({});
  const std::map<std::string, int> revisions = {
      {"XSDT", 1}, {"FACP", 6}, {"DSDT", 2}, {"APIC", 5}, {"MCFG", 1}};
  ASSERT_EQ(tables.size(), revisions.size() + 1);
  for (const auto& [signature, revision] : revisions) {
    const Bytes& table = tables[signature];
    EXPECT_EQ(Sum(table), 0) << signature;
    EXPECT_EQ(table.at(8), revision) << signature;
    EXPECT_EQ(std::string(table.begin(), table.begin() + 4), signature);
  }
}

TEST_F(AcpiTablesTest, RsdpHasBothChecksumsAndIsWhereAGuestSearches) {
  const Bytes rsdp = WriteAndFollow({})["RSDP"];
  EXPECT_EQ(std::string(rsdp.begin(), rsdp.begin() + 8), "RSD PTR ");
  EXPECT_EQ(Sum(absl::MakeSpan(rsdp).first(20)), 0);
  EXPECT_EQ(Sum(rsdp), 0);
  EXPECT_EQ(rsdp[15], 2);               // Revision.
  EXPECT_EQ(Number(rsdp, 20, 4), 36u);  // Length.
  const uint64_t found = WriteAcpiTables(memory_, {})->value();
  EXPECT_EQ(found % 16, 0u);
  EXPECT_GE(found, 0xe0000u);
  EXPECT_LT(found, 0x100000u);
}

TEST_F(AcpiTablesTest, FadtIsHardwareReducedWithResetAndSleepPorts) {
  const Bytes fadt = WriteAndFollow({.sleep_control_port = 0x1600,
                                     .sleep_status_port = 0x1601,
                                     .reset_port = 0x1602,
                                     .reset_value = 0x42})["FACP"];
  ASSERT_EQ(fadt.size(), 276u);
  const uint32_t flags = Number(fadt, 112, 4);
  EXPECT_TRUE(flags & (1u << 20));         // HW_REDUCED_ACPI
  EXPECT_TRUE(flags & (1u << 10));         // RESET_REG_SUP
  EXPECT_EQ(Number(fadt, 109, 2), 0x14u);  // No VGA, no ASPM, no 8042.
  // Generic addresses: system I/O, 8 bits wide, byte access.
  const Bytes gas = {1, 8, 0, 1};
  for (const auto& [offset, port] : std::map<size_t, uint64_t>{
           {116, 0x1602}, {244, 0x1600}, {256, 0x1601}}) {
    EXPECT_EQ(Bytes(fadt.begin() + offset, fadt.begin() + offset + 4), gas);
    EXPECT_EQ(Number(fadt, offset + 4, 8), port);
  }
  EXPECT_EQ(fadt[128], 0x42);
}

TEST_F(AcpiTablesTest, FadtSaysWhenThereIsNoClock) {
  const Bytes fadt = WriteAndFollow({.rtc = false})["FACP"];
  EXPECT_TRUE(Number(fadt, 109, 2) & 0x20);  // CMOS RTC Not Present
}

TEST_F(AcpiTablesTest, MadtListsEveryCpuTheIoApicAndOverrides) {
  AcpiConfig config = {.cpu_count = 3};
  config.interrupt_overrides = {{.isa_irq = 0, .gsi = 2, .flags = 5}};
  const Bytes madt = WriteAndFollow(config)["APIC"];
  EXPECT_EQ(Number(madt, 36, 4), 0xfee00000u);
  for (uint8_t cpu = 0; cpu < 3; ++cpu) {
    const auto entry = madt.begin() + 44 + cpu * 8;
    EXPECT_EQ(Bytes(entry, entry + 8), (Bytes{0, 8, cpu, cpu, 1, 0, 0, 0}));
  }
  const auto rest = madt.begin() + 44 + 3 * 8;
  EXPECT_EQ(Bytes(rest, madt.end()),
            (Bytes{1, 12, 0,    0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0,  // I/O APIC
                   2, 10, 0,    0, 2, 0, 0,    0,    5, 0,        // Override
                   4, 6,  0xff, 0, 0, 1}));                       // LINT1
}

TEST_F(AcpiTablesTest, McfgCoversAllBusesOfTheEcam) {
  const Bytes mcfg =
      WriteAndFollow({.ecam = {GuestAddress(0xb0000000), 16 << 20}})["MCFG"];
  ASSERT_EQ(mcfg.size(), 60u);
  EXPECT_EQ(Number(mcfg, 44, 8), 0xb0000000u);
  EXPECT_EQ(mcfg[54], 0);   // First bus.
  EXPECT_EQ(mcfg[55], 15);  // Last bus.
}

TEST_F(AcpiTablesTest, WithoutEcamThereIsNoMcfg) {
  AcpiConfig config;
  config.ecam.size = 0;
  EXPECT_EQ(WriteAndFollow(config).count("MCFG"), 0u);
}

TEST_F(AcpiTablesTest, CpuCountsThatHaveNoApicIdAreRefused) {
  EXPECT_EQ(Refusal({.cpu_count = 0}), "ACPI tables: 0 CPUs, not 1 to 255");
  EXPECT_EQ(Refusal({.cpu_count = 256}), "ACPI tables: 256 CPUs, not 1 to 255");
}

TEST_F(AcpiTablesTest, DevicesBeyond4GiBAreRefused) {
  AcpiConfig config;
  config.mmio_devices = {
      {.base = GuestAddress(0xfffff000), .size = 0x1001, .gsi = 5}};
  EXPECT_EQ(Refusal(config),
            "ACPI tables: virtio-mmio device at 0xfffff000 of 4097 bytes "
            "reaches beyond 4 GiB");
}

TEST_F(AcpiTablesTest, EmptyDeviceIsRefused) {
  AcpiConfig config;
  config.mmio_devices = {{.base = GuestAddress(0xe8000000)}};
  EXPECT_EQ(Refusal(config),
            "ACPI tables: virtio-mmio device at 0xe8000000 is empty");
}

TEST_F(AcpiTablesTest, EcamThatIsNoWholeBusOrTooManyIsRefused) {
  EXPECT_NE(Refusal({.ecam = {GuestAddress(0xb0000000), 4096}}).find("ECAM"),
            std::string::npos);
  EXPECT_NE(
      Refusal({.ecam = {GuestAddress(0), uint64_t{257} << 20}}).find("ECAM"),
      std::string::npos);
}

TEST_F(AcpiTablesTest, WindowsThatWrapAreRefused) {
  AcpiConfig config;
  config.pci_window_64 = {GuestAddress(UINT64_MAX - 10), 100};
  EXPECT_NE(Refusal(config).find("64-bit PCI window"), std::string::npos);
  config = {};
  config.pci_window_32 = {GuestAddress(0xf0000000), 0x10000001};
  EXPECT_NE(Refusal(config).find("32-bit PCI window"), std::string::npos);
}

TEST_F(AcpiTablesTest, SleepTypeOfMoreThanThreeBitsIsRefused) {
  EXPECT_NE(Refusal({.s5_sleep_type = 8}).find("S5"), std::string::npos);
}

TEST_F(AcpiTablesTest, MoreDevicesThanFitInThePlaceAreRefused) {
  AcpiConfig config;
  for (uint32_t i = 0; i < 4096; ++i) {
    config.mmio_devices.push_back(
        {.base = GuestAddress(0xe8000000 + i * 4096), .size = 4096, .gsi = 5});
  }
  EXPECT_EQ(Refusal(config),
            "ACPI tables: more than 126976 bytes, with too many devices");
  config.mmio_devices.resize(5000, config.mmio_devices[0]);
  EXPECT_NE(Refusal(config).find("5000"), std::string::npos);
}

TEST_F(AcpiTablesTest, TablesStayInTheirPlaceAndOutOfMemoryIsAnError) {
  AcpiConfig config;
  config.mmio_devices.resize(
      200, {.base = GuestAddress(0xe8000000), .size = 4096, .gsi = 5});
  ASSERT_TRUE(WriteAcpiTables(memory_, config).ok());
  for (size_t i = 0; i < 0xe0000; ++i) ASSERT_EQ(ram_[i], 0) << i;

  Bytes small(0xf0000);
  const memory::GuestMemory little =
      memory::GuestMemory::Create(
          {{.start = GuestAddress(0), .size = 0xe0010, .host = small.data()}})
          .value();
  EXPECT_EQ(WriteAcpiTables(little, config).status().message(),
            "ACPI tables: 0xe0000 is not guest RAM");
}

}  // namespace
}  // namespace annulus::acpi
