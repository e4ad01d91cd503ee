#include "cli/run_error.h"

#include <cerrno>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "cli/exit_codes.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {
namespace {

RunError Explain(const absl::Status& status) {
  VmConfig config;
  config.boot = {"vm\nlinuz", "initrd.img", "c"};
  return ExplainRunError(status, config);
}

TEST(RunErrorTest, BadImagesAreNamedByFieldAndFile) {
  const RunError kernel =
      Explain(absl::InvalidArgumentError("kernel: file is empty"));
  EXPECT_EQ(kernel.line, "boot.kernel: vm\\nlinuz: file is empty");
  EXPECT_EQ(kernel.code, ExitCode::kUsage);
  const RunError initrd =
      Explain(absl::ResourceExhaustedError("initrd: too large"));
  EXPECT_EQ(initrd.line, "boot.initrd: initrd.img: too large");
  EXPECT_EQ(initrd.code, ExitCode::kUsage);
  const RunError cmdline =
      Explain(absl::InvalidArgumentError("command line: too long"));
  EXPECT_EQ(cmdline.line, "boot.cmdline: too long");
  EXPECT_EQ(cmdline.code, ExitCode::kUsage);
}

TEST(RunErrorTest, FilesThatDoNotOpenKeepTheirField) {
  const RunError tap = Explain(absl::ErrnoToStatus(ENODEV, "net[1].tap: t"));
  EXPECT_EQ(tap.line, "net[1].tap: t: No such device");
  EXPECT_EQ(tap.code, ExitCode::kUsage);
  const RunError vsock = Explain(absl::ErrnoToStatus(EACCES, "vsock: /s"));
  EXPECT_EQ(vsock.line, "vsock: /s: Permission denied");
  EXPECT_EQ(vsock.code, ExitCode::kUsage);
  const RunError error =
      Explain(absl::ErrnoToStatus(ENOENT, "console.path: a/b"));
  EXPECT_TRUE(absl::StartsWith(error.line, "console.path: a/b: No such"));
  EXPECT_EQ(error.code, ExitCode::kUsage);
}

TEST(RunErrorTest, HostsRefusalIsNotTheUsersWhateverItsErrno) {
  for (const int error : {EINVAL, ENOTTY, ENOENT, ENOMEM}) {
    EXPECT_EQ(Explain(absl::ErrnoToStatus(error, "/dev/kvm: x")).code,
              ExitCode::kHostError);
  }
}

}  // namespace
}  // namespace annulus::cli
