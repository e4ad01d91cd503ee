#include "vmm/boot/load_guest.h"

#include <algorithm>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "vmm/boot/command_line.h"
#include "vmm/boot/cpu_entry.h"
#include "vmm/boot/image_file.h"
#include "vmm/boot/initrd.h"
#include "vmm/boot/kernel_image.h"
#include "vmm/boot/kernel_loader.h"
#include "vmm/boot/layout.h"
#include "vmm/boot/linux_zero_page.h"
#include "vmm/boot/page_tables.h"
#include "vmm/boot/pvh_start_info.h"
#include "vmm/boot/wire_bytes.h"

namespace annulus::boot {
namespace {

absl::StatusOr<BootState> PrepareLinux64(const KernelImage& kernel,
                                         const BootEnvironment& environment,
                                         const memory::GuestMemory& memory) {
  if (!memory.Write(kLinuxZeroPage,
                    ToBytes(BuildZeroPage(kernel, environment)))) {
    return absl::ResourceExhaustedError(
        "kernel: guest RAM below 1 MiB is missing");
  }
  ANNULUS_RETURN_IF_ERROR(WriteIdentityPageTables(memory));
  return Linux64Entry(kernel.entry);
}

absl::StatusOr<BootState> PreparePvh32(const KernelImage& kernel,
                                       const BootEnvironment& environment,
                                       const memory::GuestMemory& memory) {
  ANNULUS_RETURN_IF_ERROR(WritePvhStartInfo(environment, memory));
  return Pvh32Entry(kernel.entry);
}

// True if `option` is one of the words of `cmdline`.
bool HasOption(absl::string_view cmdline, absl::string_view option) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(cmdline, absl::ByAnyChar(" \t\n"));
  return std::find(words.begin(), words.end(), option) != words.end();
}

absl::StatusOr<BootState> Prepare(const KernelImage& kernel,
                                  const BootEnvironment& environment,
                                  const memory::GuestMemory& memory) {
  switch (kernel.protocol) {
    case BootProtocol::kLinux64:
      return PrepareLinux64(kernel, environment, memory);
    case BootProtocol::kPvh32:
      return PreparePvh32(kernel, environment, memory);
  }
  return absl::InternalError("kernel: unknown boot protocol");
}

}  // namespace

absl::StatusOr<BootState> LoadGuest(const memory::GuestMemory& memory,
                                    const BootInputs& inputs) {
  const std::vector<MemoryMapEntry> memory_map =
      BuildMemoryMap(memory, inputs.reserved);
  if (memory_map.size() > kMaxMemoryMapEntries) {
    return absl::InvalidArgumentError(
        absl::StrFormat("memory map: %u entries are more than %u",
                        memory_map.size(), kMaxMemoryMapEntries));
  }
  ANNULUS_ASSIGN_OR_RETURN(const ImageFile kernel_file,
                           ImageFile::Open(inputs.kernel_fd, "kernel"));
  ANNULUS_ASSIGN_OR_RETURN(
      const KernelImage kernel,
      LoadKernel(kernel_file, memory, !HasOption(inputs.cmdline, "nokaslr")));
  ANNULUS_RETURN_IF_ERROR(
      WriteCommandLine(inputs.cmdline, kernel.command_line_size, memory));
  BootEnvironment environment = {
      .initrd = std::nullopt, .rsdp = inputs.rsdp, .memory_map = memory_map};
  if (inputs.initrd_fd.has_value()) {
    ANNULUS_ASSIGN_OR_RETURN(const ImageFile initrd_file,
                             ImageFile::Open(*inputs.initrd_fd, "initrd"));
    ANNULUS_ASSIGN_OR_RETURN(environment.initrd,
                             LoadInitrd(initrd_file, kernel, memory));
  }
  ANNULUS_ASSIGN_OR_RETURN(const BootState state,
                           Prepare(kernel, environment, memory));
  ANNULUS_RETURN_IF_ERROR(WriteGdt(state, memory));
  return state;
}

}  // namespace annulus::boot
