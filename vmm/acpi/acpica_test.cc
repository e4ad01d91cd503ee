// Intel's ACPICA reads our tables: the disassembler must understand all of
// them, the compiler must accept what it wrote, without an error or a warning,
// and the interpreter must load the DSDT and evaluate its objects. Linux has
// the same interpreter inside.
//
// Needs Debian's acpica-tools; a machine without them fails here, since
// nothing else would notice an encoding that Linux stumbles over.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "memory/guest_address.h"
#include "vmm/acpi/acpi_config.h"
#include "vmm/acpi/dsdt.h"
#include "vmm/acpi/fadt.h"
#include "vmm/acpi/madt.h"
#include "vmm/acpi/mcfg.h"
#include "vmm/acpi/sdt_builder.h"

namespace annulus::acpi {
namespace {

using memory::GuestAddress;

AcpiConfig FullConfig() {
  AcpiConfig config = {.cpu_count = 32};
  config.power_button_gsi = 9;
  config.interrupt_overrides = {{.isa_irq = 0, .gsi = 2, .flags = 0}};
  config.ecam.size = 4 << 20;
  config.pci_window_64 = {GuestAddress(uint64_t{1} << 38), uint64_t{1} << 38};
  for (uint32_t i = 0; i < 40; ++i) {
    config.mmio_devices.push_back({.base = GuestAddress(0xe8000000 + i * 4096),
                                   .size = 4096,
                                   .gsi = 5 + i % 11});
  }
  return config;
}

struct Outcome {
  int exit_status = -1;
  std::string output;
};

// In the test's own directory, where the tools leave files.
Outcome Shell(absl::string_view command) {
  const std::string line =
      absl::StrCat("cd ", testing::TempDir(), " && ", command, " 2>&1");
  Outcome outcome;
  std::FILE* pipe = ::popen(line.c_str(), "r");
  if (pipe == nullptr) return outcome;
  char buffer[4096];
  while (const size_t got = std::fread(buffer, 1, sizeof(buffer), pipe)) {
    outcome.output.append(buffer, got);
  }
  outcome.exit_status = ::pclose(pipe);
  return outcome;
}

void WriteTable(absl::string_view name, const std::vector<uint8_t>& table) {
  std::ofstream file(absl::StrCat(testing::TempDir(), "/", name),
                     std::ios::binary);
  for (const uint8_t byte : table) file.put(static_cast<char>(byte));
  ASSERT_TRUE(file.flush().good());
}

std::vector<uint8_t> ReadBytes(absl::string_view name) {
  std::ifstream file(absl::StrCat(testing::TempDir(), "/", name),
                     std::ios::binary);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

class AcpicaTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(Shell("command -v iasl && command -v acpiexec").exit_status, 0)
        << "install Debian's package acpica-tools";
  }

  // Disassembles `table` and compiles the result again, which must give the
  // same bytes: ours are encoded exactly as the compiler would. The header has
  // the compiler's name in it and is left out.
  void ExpectUnderstood(const std::string& name,
                        const std::vector<uint8_t>& table) {
    WriteTable(name + ".dat", table);
    const Outcome disassembled = Shell(absl::StrCat("iasl -d ", name, ".dat"));
    EXPECT_EQ(disassembled.exit_status, 0) << disassembled.output;
    const std::string source = Shell(absl::StrCat("cat ", name, ".dsl")).output;
    for (const char* bad :
         {"Invalid", "ncorrect checksum", "rror", "arning", "****", "nknown"}) {
      EXPECT_EQ(disassembled.output.find(bad), std::string::npos)
          << disassembled.output;
      EXPECT_EQ(source.find(bad), std::string::npos) << source;
    }
    // -we: warnings are errors. -oa: nothing is optimized.
    const Outcome compiled = Shell(absl::StrCat("iasl -we -oa ", name, ".dsl"));
    EXPECT_EQ(compiled.exit_status, 0) << compiled.output;
    EXPECT_NE(compiled.output.find(" 0 Errors, 0 Warnings"), std::string::npos)
        << compiled.output;
    const std::vector<uint8_t> again = ReadBytes(name + ".aml");
    ASSERT_EQ(again.size(), table.size());
    EXPECT_TRUE(std::equal(again.begin() + kSdtHeaderSize, again.end(),
                           table.begin() + kSdtHeaderSize));
  }

  // What the interpreter prints for a debugger command, with the DSDT of
  // `config`; blanks are squeezed.
  std::string Execute(const AcpiConfig& config, absl::string_view command) {
    WriteTable("executed.dat", BuildDsdt(config));
    const Outcome outcome = Shell(
        absl::StrCat("acpiexec -b '", command, "' executed.dat < /dev/null"));
    EXPECT_EQ(outcome.exit_status, 0) << outcome.output;
    std::string squeezed;
    for (const char c : outcome.output) {
      if (c != ' ' || squeezed.empty() || squeezed.back() != ' ') squeezed += c;
    }
    return squeezed;
  }
};

TEST_F(AcpicaTest, DsdtIsUnderstoodAndCompilesToTheSameBytes) {
  ExpectUnderstood("dsdt_full", BuildDsdt(FullConfig()));
  ExpectUnderstood("dsdt_default", BuildDsdt({}));
  AcpiConfig bare;
  bare.uart = std::nullopt;
  bare.rtc = false;
  bare.ecam.size = 0;
  ExpectUnderstood("dsdt_bare", BuildDsdt(bare));
}

TEST_F(AcpicaTest, DataTablesAreUnderstoodAndCompileToTheSameBytes) {
  ExpectUnderstood("facp", BuildFadt(FullConfig(), GuestAddress(0xe0100)));
  ExpectUnderstood("apic", BuildMadt(FullConfig()));
  ExpectUnderstood("mcfg", BuildMcfg(FullConfig()));
}

TEST_F(AcpicaTest, InterpreterFindsEachDeviceWithoutAnError) {
  const std::string output = Execute(FullConfig(), "evaluate \\_SB.V027._UID");
  // 40 virtio-mmio devices, and MBRD, PCI0, COM1, RTC, PWRB, GED.
  EXPECT_NE(output.find("with 46 Devices"), std::string::npos) << output;
  EXPECT_NE(output.find("[Integer] = 0000000000000027"), std::string::npos)
      << output;
  EXPECT_EQ(output.find("AE_"), std::string::npos) << output;
}

TEST_F(AcpicaTest, InterpreterReadsAnMmioDevicesRangeAndInterrupt) {
  const std::string output = Execute(FullConfig(), "resources \\_SB.V027");
  for (const char* expected :
       {"Address : E8027000\n Address Length : 00001000",
        "Triggering : Edge\n Polarity : ActiveHigh\n Sharing : Exclusive",
        "Interrupt Count : 01\n Dword00 : 0000000B"}) {
    EXPECT_NE(output.find(expected), std::string::npos) << output;
  }
}

TEST_F(AcpicaTest, InterpreterNotifiesThePowerButtonOfItsInterrupt) {
  const std::string resources = Execute(FullConfig(), "resources \\_SB.GED");
  for (const char* expected :
       {"Triggering : Edge\n Polarity : ActiveHigh\n Sharing : Exclusive",
        "Interrupt Count : 01\n Dword00 : 00000009"}) {
    EXPECT_NE(resources.find(expected), std::string::npos) << resources;
  }
  const std::string output = Execute(FullConfig(), "execute \\_SB.GED._EVT 9");
  EXPECT_NE(output.find("Device Notify on [PWRB]"), std::string::npos)
      << output;
  EXPECT_NE(output.find("Value 0x80"), std::string::npos) << output;
  EXPECT_EQ(output.find("AE_"), std::string::npos) << output;
}

TEST_F(AcpicaTest, InterpreterReadsTheHostBridgesWindows) {
  const std::string output = Execute(FullConfig(), "resources \\_SB.PCI0");
  for (const char* expected :
       {"Address Minimum : 0000\n Address Maximum : 0003\n",  // Buses.
        "Address Minimum : 0000\n Address Maximum : 0CF7\n",
        "Address Minimum : 0D00\n Address Maximum : FFFF\n",
        "Address Minimum : C0000000\n Address Maximum : DFFFFFFF\n",
        "Address Minimum : 0000004000000000\n"
        " Address Maximum : 0000007FFFFFFFFF\n"}) {
    EXPECT_NE(output.find(expected), std::string::npos) << expected << output;
  }
}

TEST_F(AcpicaTest, InterpreterReadsTheSleepTypeOfS5) {
  AcpiConfig config;
  config.s5_sleep_type = 6;
  const std::string output = Execute(config, "evaluate \\_S5");
  EXPECT_NE(output.find("[Package] Contains 4 Elements:\n"
                        " [Integer] = 0000000000000006"),
            std::string::npos)
      << output;
}

}  // namespace
}  // namespace annulus::acpi
