#include "vmm/doctor/judgement.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace annulus {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kHugepageBytes = 2 * kMiB;
// Below this not even a small guest has room beside the host.
constexpr uint64_t kLittleMemory = 256 * kMiB;
// A VM with 32 vCPUs, a dozen devices and the 4096 connections that a socket
// device has by default needs about this many descriptors.
constexpr uint64_t kFewFiles = 4608;

Finding Ok(absl::string_view subject, std::string text) {
  return {FindingLevel::kOk, false, std::string(subject), std::move(text), ""};
}

Finding Warning(absl::string_view subject, std::string text,
                std::string advice) {
  return {FindingLevel::kWarning, false, std::string(subject), std::move(text),
          std::move(advice)};
}

Finding Missing(absl::string_view subject, std::string text,
                std::string advice) {
  return {FindingLevel::kMissing, false, std::string(subject), std::move(text),
          std::move(advice)};
}

Finding Required(Finding finding) {
  finding.required = true;
  return finding;
}

std::string OpenKvmAdvice(int error, HardwareVirtualization hardware) {
  if (error == EACCES || error == EPERM) {
    return "add your user to the group of /dev/kvm and log in again: "
           "usermod -aG kvm USER";
  }
  switch (hardware) {
    case HardwareVirtualization::kVmx:
      return "modprobe kvm_intel; in a container pass the device "
             "(--device /dev/kvm)";
    case HardwareVirtualization::kSvm:
      return "modprobe kvm_amd; in a container pass the device "
             "(--device /dev/kvm)";
    case HardwareVirtualization::kNone:
      break;
  }
  return "switch on virtualization in the firmware or, if this is a virtual "
         "machine, nested virtualization on its host; then modprobe kvm_intel "
         "or kvm_amd";
}

Finding JudgeKvmDevice(const HostFacts& facts) {
  const kvm::KvmFacts& kvm = facts.kvm;
  constexpr absl::string_view kSubject = "/dev/kvm";
  if (kvm.open_errno != 0) {
    return Missing(kSubject, std::strerror(kvm.open_errno),
                   OpenKvmAdvice(kvm.open_errno, facts.hardware));
  }
  if (kvm.api_version != kvm.needed_version) {
    return Missing(kSubject,
                   absl::StrCat("answers with API version ", kvm.api_version,
                                " instead of ", kvm.needed_version),
                   "look what kind of file it is: ls -l /dev/kvm");
  }
  if (kvm.create_errno != 0) {
    return Missing(
        kSubject,
        absl::StrCat("creates no VM: ", std::strerror(kvm.create_errno)),
        "another hypervisor may hold the processor; stop it, and "
        "see dmesg");
  }
  return Ok(kSubject, absl::StrCat("opens, API version ", kvm.api_version,
                                   ", up to ", kvm.max_vcpus, " vCPUs"));
}

Finding JudgeHardware(const HostFacts& facts) {
  constexpr absl::string_view kSubject = "virtualization";
  switch (facts.hardware) {
    case HardwareVirtualization::kVmx:
      return Ok(kSubject, "hardware (Intel VMX)");
    case HardwareVirtualization::kSvm:
      return Ok(kSubject, "hardware (AMD SVM)");
    case HardwareVirtualization::kNone:
      break;
  }
  return Warning(
      kSubject,
      "software: the processor shows neither VMX nor SVM, so a guest's kernel "
      "runs in KVM's instruction emulator, slowly and not every instruction",
      "use a host with VMX or SVM for stock kernels; tools/lab runs them here "
      "in emulation");
}

void JudgeCapabilities(const HostFacts& facts, std::vector<Finding>& findings) {
  size_t present = 0;
  for (const kvm::KvmCapability& capability : facts.kvm.capabilities) {
    if (capability.present) {
      ++present;
      continue;
    }
    Finding finding =
        capability.required
            ? Required(Missing(capability.name, "", "use a newer kernel"))
            : Warning(capability.name, "", "use a newer kernel for it");
    finding.text = absl::StrCat("not there; used for ", capability.purpose);
    findings.push_back(std::move(finding));
  }
  if (present == 0) return;
  findings.push_back(
      Ok("KVM capabilities",
         absl::StrCat(present, " of ", facts.kvm.capabilities.size(),
                      " that are of use are there")));
}

// A character device that is only needed for some setups.
Finding JudgeDevice(absl::string_view path, int error,
                    absl::string_view purpose, absl::string_view module) {
  if (error == 0) return Ok(path, absl::StrCat("opens; ", purpose));
  const std::string text = absl::StrCat(std::strerror(error), "; ", purpose);
  if (error == EACCES || error == EPERM) {
    return Warning(path, text, "ask for read and write permission on it");
  }
  return Missing(path, text, absl::StrCat("modprobe ", module));
}

// What --sandbox=on, the default, is made of.
Finding JudgeSandbox(const HostFacts& facts) {
  constexpr absl::string_view kSubject = "sandbox";
  if (!facts.seccomp_filters) {
    return Missing(kSubject, "no filters of system calls (seccomp)",
                   "use a kernel with CONFIG_SECCOMP_FILTER, or run guests "
                   "with --sandbox=off");
  }
  if (facts.landlock_version == 0) {
    return Warning(kSubject,
                   "system calls are filtered (seccomp), files are not "
                   "restricted: no Landlock",
                   "use Linux 5.13 or newer, with landlock among lsm= of its "
                   "command line");
  }
  return Ok(kSubject, absl::StrCat("system calls are filtered (seccomp), files "
                                   "restricted (Landlock, version ",
                                   facts.landlock_version, ")"));
}

Finding JudgeMemory(const HostFacts& facts) {
  const std::string text =
      absl::StrCat(facts.memory_available / kMiB, " MiB available of ",
                   facts.memory_total / kMiB, " MiB");
  if (facts.memory_available < kLittleMemory) {
    return Warning("memory", text, "free some before starting a guest");
  }
  return Ok("memory", text);
}

Finding JudgeHugepages(const HostFacts& facts) {
  const std::string text = absl::StrCat(
      facts.hugepages_free, " free of ", facts.hugepages_total,
      " of 2 MiB: guests up to ", facts.hugepages_free * kHugepageBytes / kMiB,
      " MiB with --hugepages");
  if (facts.hugepages_free > 0) return Ok("hugepages", text);
  return Warning("hugepages", text,
                 "for --hugepages with 512 MiB: sysctl vm.nr_hugepages=256");
}

Finding JudgeMemlock(const HostFacts& facts) {
  if (facts.memlock_limit == UINT64_MAX) {
    return Ok("RLIMIT_MEMLOCK", "unlimited");
  }
  // Nothing locks guest RAM yet; device assignment and io_uring would.
  return Ok("RLIMIT_MEMLOCK",
            absl::StrCat(facts.memlock_limit / 1024,
                         " KiB; enough, as guest RAM is not locked"));
}

Finding JudgeFiles(const HostFacts& facts) {
  if (facts.file_limit == UINT64_MAX) return Ok("RLIMIT_NOFILE", "unlimited");
  const std::string text = absl::StrCat(facts.file_limit, " open files");
  if (facts.file_limit < kFewFiles) {
    return Warning("RLIMIT_NOFILE", text,
                   absl::StrCat("a large VM needs up to ", kFewFiles,
                                ": ulimit -Hn ", kFewFiles));
  }
  return Ok("RLIMIT_NOFILE", text);
}

}  // namespace

std::vector<Finding> JudgeHost(const HostFacts& facts) {
  std::vector<Finding> findings;
  findings.push_back(Required(JudgeKvmDevice(facts)));
  findings.push_back(JudgeHardware(facts));
  JudgeCapabilities(facts, findings);
  findings.push_back(JudgeDevice("/dev/net/tun", facts.tun_errno,
                                 "for network devices on a tap", "tun"));
  findings.push_back(JudgeDevice("/dev/vhost-net", facts.vhost_net_errno,
                                 "only for comparison with other VMMs",
                                 "vhost_net"));
  findings.push_back(JudgeDevice("/dev/vhost-vsock", facts.vhost_vsock_errno,
                                 "only for comparison with other VMMs",
                                 "vhost_vsock"));
  findings.push_back(JudgeSandbox(facts));
  findings.push_back(JudgeMemory(facts));
  findings.push_back(JudgeHugepages(facts));
  findings.push_back(JudgeMemlock(facts));
  findings.push_back(JudgeFiles(facts));
  return findings;
}

}  // namespace annulus
