#include "vmm/boot/command_line.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_format.h"
#include "vmm/boot/layout.h"

namespace annulus::boot {

absl::Status WriteCommandLine(absl::string_view cmdline, uint64_t max_size,
                              const memory::GuestMemory& memory) {
  const uint64_t max = std::min(max_size, kCommandLineRoom - 1);
  if (cmdline.size() > max) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "command line: %u bytes are more than the kernel's limit of %u",
        cmdline.size(), max));
  }
  if (cmdline.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError("command line: has a zero byte in it");
  }
  std::vector<uint8_t> bytes(cmdline.begin(), cmdline.end());
  bytes.push_back(0);
  if (!memory.Write(kCommandLine, bytes)) {
    return absl::ResourceExhaustedError(
        "command line: guest RAM is too small for it");
  }
  return absl::OkStatus();
}

}  // namespace annulus::boot
