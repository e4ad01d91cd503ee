#include "cli/config_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "vmm/config/config_format.h"
#include "vmm/config/config_text.h"

namespace annulus::cli {
namespace {

absl::Status Failed(absl::string_view path, absl::string_view reason) {
  return absl::InvalidArgumentError(
      absl::StrCat(absl::CHexEscape(path), ": ", reason));
}

absl::StatusOr<UniqueFd> Open(absl::string_view path, int flags) {
  UniqueFd fd(::open(std::string(path).c_str(),
                     O_RDONLY | O_CLOEXEC | O_NOCTTY | flags));
  if (!fd.valid()) return Failed(path, std::strerror(errno));
  return fd;
}

// Reads to the end, or one byte further than a configuration may be long: the
// parser refuses that.
absl::StatusOr<std::string> ReadAll(int fd, absl::string_view path) {
  std::string text;
  char buffer[4096];
  while (text.size() <= kMaxConfigBytes) {
    const ssize_t size = ::read(fd, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Failed(path, std::strerror(errno));
    if (size == 0) break;
    text.append(buffer, static_cast<size_t>(size));
  }
  return text;
}

struct TextFile {
  std::string name;  // For errors.
  std::string text;
  ConfigFormat format = ConfigFormat::kTextProto;
};

absl::StatusOr<TextFile> ReadTextFile(absl::string_view path) {
  TextFile file = {.name = ConfigFileName(path), .text = {}};
  bool json = absl::EndsWith(path, ".json");
  if (path == "-") {
    ANNULUS_ASSIGN_OR_RETURN(file.text, ReadAll(STDIN_FILENO, file.name));
    json = absl::StartsWith(absl::StripLeadingAsciiWhitespace(file.text), "{");
  } else {
    ANNULUS_ASSIGN_OR_RETURN(const UniqueFd fd, Open(path, 0));
    ANNULUS_ASSIGN_OR_RETURN(file.text, ReadAll(fd.get(), path));
  }
  if (json) file.format = ConfigFormat::kJson;
  return file;
}

absl::Status CheckFile(absl::string_view field, absl::string_view path) {
  // A FIFO without a writer must not hold us up.
  const absl::StatusOr<UniqueFd> fd = Open(path, O_NONBLOCK);
  absl::Status status = fd.status();
  struct stat info;
  if (status.ok() && ::fstat(fd->get(), &info) != 0) {
    status = Failed(path, std::strerror(errno));
  }
  if (status.ok() && !S_ISREG(info.st_mode)) {
    status = Failed(path, "is not a regular file");
  }
  if (status.ok()) return status;
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", status.message()));
}

}  // namespace

std::string ConfigFileName(absl::string_view path) {
  return path == "-" ? "standard input" : absl::CHexEscape(path);
}

absl::StatusOr<VmConfig> ReadConfigFile(absl::string_view path) {
  ANNULUS_ASSIGN_OR_RETURN(const TextFile file, ReadTextFile(path));
  return ParseVmConfig(file.text, file.format, file.name);
}

absl::StatusOr<DevicesConfig> ReadDevicesFile(absl::string_view path) {
  ANNULUS_ASSIGN_OR_RETURN(const TextFile file, ReadTextFile(path));
  return ParseDevicesConfig(file.text, file.format, file.name);
}

absl::Status CheckBootFiles(const BootConfig& boot) {
  ANNULUS_RETURN_IF_ERROR(CheckFile("boot.kernel", boot.kernel));
  if (boot.initrd.empty()) return absl::OkStatus();
  return CheckFile("boot.initrd", boot.initrd);
}

}  // namespace annulus::cli
