#include "vmm/doctor/host_facts.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/unique_fd.h"
#include "vmm/sandbox/landlock.h"

namespace annulus {
namespace {

int OpenErrno(const char* path) {
  const UniqueFd fd(::open(path, O_RDWR | O_CLOEXEC | O_NOCTTY));
  return fd.valid() ? 0 : errno;
}

// Empty where it cannot be read. Bounded: /proc/cpuinfo grows with the host.
std::string ReadProcFile(const char* path) {
  constexpr size_t kMaxSize = size_t{256} << 10;
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  std::string text;
  char buffer[4096];
  while (fd.valid() && text.size() < kMaxSize) {
    const ssize_t size = ::read(fd.get(), buffer, sizeof(buffer));
    if (size <= 0) break;
    text.append(buffer, static_cast<size_t>(size));
  }
  return text;
}

uint64_t Limit(__rlimit_resource resource, rlim_t rlimit::*which) {
  rlimit limit;
  if (::getrlimit(resource, &limit) != 0) return 0;
  return limit.*which == RLIM_INFINITY ? UINT64_MAX : limit.*which;
}

bool HasSeccompFilters() {
  const uint32_t action = SECCOMP_RET_TRAP;
  return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

}  // namespace

uint64_t MeminfoValue(absl::string_view meminfo, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(meminfo, '\n')) {
    if (!absl::ConsumePrefix(&line, name) || !absl::ConsumePrefix(&line, ":")) {
      continue;
    }
    const bool kilobytes = absl::ConsumeSuffix(&line, " kB");
    uint64_t value = 0;
    if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(line), &value)) return 0;
    return kilobytes ? value * 1024 : value;
  }
  return 0;
}

HardwareVirtualization HardwareFromCpuinfo(absl::string_view cpuinfo) {
  for (absl::string_view line : absl::StrSplit(cpuinfo, '\n')) {
    // "flags", not "vmx flags", which is another line.
    if (!absl::ConsumePrefix(&line, "flags")) continue;
    for (const absl::string_view flag :
         absl::StrSplit(line, ' ', absl::SkipEmpty())) {
      if (flag == "vmx") return HardwareVirtualization::kVmx;
      if (flag == "svm") return HardwareVirtualization::kSvm;
    }
  }
  return HardwareVirtualization::kNone;
}

HostFacts GatherHostFacts() {
  HostFacts facts;
  facts.kvm = kvm::ProbeKvm("/dev/kvm");
  facts.hardware = HardwareFromCpuinfo(ReadProcFile("/proc/cpuinfo"));
  facts.tun_errno = OpenErrno("/dev/net/tun");
  facts.vhost_net_errno = OpenErrno("/dev/vhost-net");
  facts.vhost_vsock_errno = OpenErrno("/dev/vhost-vsock");
  facts.seccomp_filters = HasSeccompFilters();
  facts.landlock_version = LandlockVersion();
  const std::string meminfo = ReadProcFile("/proc/meminfo");
  facts.memory_total = MeminfoValue(meminfo, "MemTotal");
  facts.memory_available = MeminfoValue(meminfo, "MemAvailable");
  // Not meminfo, which tells about the default size only.
  const auto pages = [](const char* path) {
    uint64_t count = 0;
    const std::string text = ReadProcFile(path);
    return absl::SimpleAtoi(text, &count) ? count : 0;
  };
  facts.hugepages_total =
      pages("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
  facts.hugepages_free =
      pages("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  facts.memlock_limit = Limit(RLIMIT_MEMLOCK, &rlimit::rlim_cur);
  // `annulus run` raises the soft one to it.
  facts.file_limit = Limit(RLIMIT_NOFILE, &rlimit::rlim_max);
  return facts;
}

}  // namespace annulus
