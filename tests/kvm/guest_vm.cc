#include "tests/kvm/guest_vm.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "vmm/vsock_resources.h"

namespace annulus {
namespace {

// Far beyond what any guest here takes, also under a sanitizer.
constexpr int64_t kHangNanoseconds = int64_t{60} * 1'000'000'000;

}  // namespace

absl::Status KvmStatus() {
  const UniqueFd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (kvm.valid()) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "opening /dev/kvm");
}

Resources OpenMicroguest(const std::string& kernel) {
  Resources resources;
  resources.kvm.reset(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  resources.kernel.reset(::open(kernel.c_str(), O_RDONLY | O_CLOEXEC));
  return resources;
}

VmConfig MicroguestConfig(absl::string_view program) {
  VmConfig config;
  config.memory.size_bytes = uint64_t{64} << 20;
  config.boot.kernel = "microguest";  // Resources has the file.
  config.boot.cmdline = absl::StrCat("program=", program);
  return config;
}

std::string DeviceOptions(TransportKind transport, uint32_t index) {
  if (transport == TransportKind::kPci) return absl::StrCat(" pci=", index + 1);
  return absl::StrCat(" mmio=0x", absl::Hex(0xe8000000 + index * 0x1000),
                      " irq=", 16 + index);
}

absl::StatusOr<std::unique_ptr<GuestVm>> GuestVm::Create(
    const VmConfig& config, const std::string& kernel) {
  std::unique_ptr<GuestVm> self(new GuestVm);
  int in[2], out[2];
  ANNULUS_CHECK(::pipe2(in, O_CLOEXEC) == 0 && ::pipe2(out, O_CLOEXEC) == 0);
  self->console_in_.reset(in[1]);
  self->console_out_.reset(out[0]);

  Resources resources = OpenMicroguest(kernel);
  // Cards here have backends that need nothing of the host.
  resources.net.resize(config.net.size());
  if (config.vsock.has_value()) {
    ANNULUS_ASSIGN_OR_RETURN(resources.vsock,
                             OpenVsockResources(*config.vsock));
  }
  resources.console_in.reset(in[0]);
  resources.console_out.reset(out[1]);
  absl::StatusOr<std::unique_ptr<Vmm>> vmm =
      Vmm::Create(config, std::move(resources));
  if (!vmm.ok()) return vmm.status();
  self->vmm_ = *std::move(vmm);
  self->reader_ = std::thread([self = self.get()] { self->ReadConsole(); });
  return self;
}

GuestVm::~GuestVm() {
  if (!reader_.joinable()) return;
  vmm_->Stop();
  Finish();
}

void GuestVm::ReadConsole() {
  const int64_t deadline = MonotonicNanoseconds() + kHangNanoseconds;
  while (true) {
    pollfd wait = {.fd = console_out_.get(), .events = POLLIN, .revents = 0};
    const int64_t left = (deadline - MonotonicNanoseconds()) / 1'000'000;
    if (::poll(&wait, 1, left > 0 ? static_cast<int>(left) : 0) == 0) {
      MutexLock lock(mu_);
      ended_ = true;
      if (vmm_ != nullptr) vmm_->Stop();
      changed_.NotifyAll();
      return;
    }
    char buffer[4096];
    const ssize_t count = ::read(console_out_.get(), buffer, sizeof(buffer));
    MutexLock lock(mu_);
    // End of file: the VM and its end of the pipe are gone.
    if (count <= 0) ended_ = true;
    if (count > 0) output_.append(buffer, static_cast<size_t>(count));
    changed_.NotifyAll();
    if (ended_) return;
  }
}

void GuestVm::Type(absl::string_view text) {
  ANNULUS_CHECK(::write(console_in_.get(), text.data(), text.size()) ==
                static_cast<ssize_t>(text.size()));
}

bool GuestVm::AwaitOutput(absl::string_view text) {
  MutexLock lock(mu_);
  while (true) {
    const size_t at = output_.find(std::string(text), found_);
    if (at != std::string::npos) {
      found_ = at + text.size();
      return true;
    }
    // A guest that failed has powered off, and prints no more.
    if (ended_ || output_.find("FAIL: ") != std::string::npos) return false;
    changed_.Wait(mu_);
  }
}

VmExit GuestVm::Finish() {
  VmExit exit = vmm_->Wait();
  std::unique_ptr<Vmm> vmm;
  {
    MutexLock lock(mu_);  // The reader may be about to stop it.
    vmm = std::move(vmm_);
  }
  vmm.reset();  // With it goes its end of the pipe.
  reader_.join();
  return exit;
}

std::string GuestVm::Output() {
  MutexLock lock(mu_);
  return output_;
}

void ExpectPass(const GuestResult& result) {
  EXPECT_EQ(result.exit.reason, ExitReason::kGuestPoweroff)
      << result.exit.detail;
  EXPECT_THAT(result.output, testing::EndsWith("\nPASS\n"));
}

GuestResult RunGuest(const VmConfig& config, const std::string& kernel) {
  GuestResult result;
  absl::StatusOr<std::unique_ptr<GuestVm>> guest =
      GuestVm::Create(config, kernel);
  absl::Status status = guest.status();
  if (status.ok()) status = (*guest)->vmm().Start();
  if (status.ok()) {
    result.exit = (*guest)->Finish();
    result.output = (*guest)->Output();
  } else {
    result.exit.detail = std::string(status.message());
  }
  return result;
}

}  // namespace annulus
