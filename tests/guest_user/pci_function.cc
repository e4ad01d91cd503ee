#include "tests/guest_user/pci_function.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "devices/pci/config_registers.h"
#include "tests/guest_user/sysfs_file.h"

namespace annulus::guest_user {
namespace {

constexpr char kFunctions[] = "/sys/bus/pci/devices/";

}  // namespace

absl::StatusOr<std::string> PciFunction::FindOne(uint16_t vendor,
                                                 uint16_t device) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(kFunctions),
                                                   ::closedir);
  if (folder == nullptr) {
    return absl::ErrnoToStatus(errno, absl::StrCat("reading ", kFunctions));
  }
  std::string found;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string path = absl::StrCat(kFunctions, entry->d_name);
    if (entry->d_name[0] == '.') continue;
    ANNULUS_ASSIGN_OR_RETURN(const uint64_t its_vendor,
                             ReadNumber(path + "/vendor"));
    ANNULUS_ASSIGN_OR_RETURN(const uint64_t its_device,
                             ReadNumber(path + "/device"));
    if (its_vendor != vendor || its_device != device) continue;
    if (!found.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("there are several: ", found, " and ", entry->d_name));
    }
    found = entry->d_name;
  }
  if (found.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no PCI function ", absl::Hex(vendor, absl::kZeroPad4),
                     ":", absl::Hex(device, absl::kZeroPad4)));
  }
  return found;
}

absl::StatusOr<std::unique_ptr<PciFunction>> PciFunction::Take(
    const std::string& name) {
  std::unique_ptr<PciFunction> function(new PciFunction(name));
  if (::access(function->File("driver").c_str(), F_OK) == 0) {
    ANNULUS_RETURN_IF_ERROR(WriteText(function->File("driver/unbind"), name));
  }
  function->config_.reset(
      ::open(function->File("config").c_str(), O_RDWR | O_CLOEXEC));
  if (!function->config_.valid()) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("opening ", function->File("config")));
  }
  ANNULUS_RETURN_IF_ERROR(function->Enable());
  return function;
}

PciFunction::~PciFunction() {
  for (const Bar& bar : bars_) {
    if (bar.at != nullptr) ::munmap(bar.at, bar.bytes);
  }
}

std::string PciFunction::File(const char* file) const {
  return absl::StrCat(kFunctions, name_, "/", file);
}

absl::Status PciFunction::Enable() {
  // What pci_enable_device() does; the rest is up to drivers.
  ANNULUS_RETURN_IF_ERROR(WriteText(File("enable"), "1"));
  uint16_t command = 0;
  ANNULUS_RETURN_IF_ERROR(
      ReadConfig(pci::kConfigCommand, &command, sizeof(command)));
  command |= pci::kCommandMemorySpace | pci::kCommandBusMaster |
             pci::kCommandInterruptDisable;
  return WriteConfig16(pci::kConfigCommand, command);
}

absl::Status PciFunction::ReadConfig(uint32_t offset, void* out,
                                     size_t bytes) const {
  if (::pread(config_.get(), out, bytes, offset) ==
      static_cast<ssize_t>(bytes)) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(
      errno, absl::StrCat("reading ", bytes, " bytes at ", offset, " of ",
                          File("config")));
}

absl::Status PciFunction::WriteConfig16(uint32_t offset, uint16_t value) const {
  if (::pwrite(config_.get(), &value, sizeof(value), offset) == sizeof(value)) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(
      errno, absl::StrCat("writing to ", offset, " of ", File("config")));
}

absl::StatusOr<volatile uint8_t*> PciFunction::MapBar(uint32_t number) {
  if (number >= bars_.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name_, ": a capability names BAR ", number));
  }
  Bar& bar = bars_[number];
  if (bar.at == nullptr) {
    const std::string path = File("resource") + std::to_string(number);
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    struct stat status = {};
    if (!file.valid() || ::fstat(file.get(), &status) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("opening ", path));
    }
    const size_t bytes = static_cast<size_t>(status.st_size);
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                            file.get(), 0);
    if (at == MAP_FAILED) {
      return absl::ErrnoToStatus(errno, absl::StrCat("mapping ", path));
    }
    bar = {.at = at, .bytes = bytes};
  }
  return static_cast<volatile uint8_t*>(bar.at);
}

}  // namespace annulus::guest_user
