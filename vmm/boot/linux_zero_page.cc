#include "vmm/boot/linux_zero_page.h"

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "vmm/boot/layout.h"

namespace annulus::boot {
namespace {

static_assert(kE820MaxEntries == kMaxMemoryMapEntries);

// An ELF file has no setup header; the kernel reads these of its fields.
SetupHeader MinimalSetupHeader(const KernelImage& kernel) {
  SetupHeader header = {};
  header.boot_flag = kBootFlag;
  header.header = kHeaderMagic;
  header.version = kProtocol212;
  header.loadflags = kLoadedHigh;
  header.initrd_addr_max = static_cast<uint32_t>(kernel.initrd_address_max);
  header.kernel_alignment = 0x1000000;  // CONFIG_PHYSICAL_ALIGN's largest.
  header.cmdline_size = static_cast<uint32_t>(kernel.command_line_size);
  return header;
}

}  // namespace

BootParams BuildZeroPage(const KernelImage& kernel,
                         const BootEnvironment& environment) {
  BootParams params = {};
  params.hdr = kernel.setup_header.has_value() ? *kernel.setup_header
                                               : MinimalSetupHeader(kernel);
  params.hdr.type_of_loader = kUndefinedLoader;
  params.hdr.cmd_line_ptr = static_cast<uint32_t>(kCommandLine.value());
  params.hdr.setup_data = 0;
  params.hdr.ramdisk_image = 0;
  params.hdr.ramdisk_size = 0;
  if (environment.initrd.has_value()) {
    // LoadInitrd() has kept both below 4 GiB.
    params.hdr.ramdisk_image =
        static_cast<uint32_t>(environment.initrd->start.value());
    params.hdr.ramdisk_size = static_cast<uint32_t>(environment.initrd->size);
  }
  params.acpi_rsdp_addr = environment.rsdp.value();

  ANNULUS_CHECK(environment.memory_map.size() <= kE820MaxEntries);
  params.e820_entries = static_cast<uint8_t>(environment.memory_map.size());
  for (size_t i = 0; i < environment.memory_map.size(); ++i) {
    const MemoryMapEntry& entry = environment.memory_map[i];
    params.e820_table[i] = {.addr = entry.range.start.value(),
                            .size = entry.range.size,
                            .type = static_cast<uint32_t>(entry.type)};
  }
  return params;
}

}  // namespace annulus::boot
