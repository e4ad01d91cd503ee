// The program as a user meets it: real binary, exact exit codes, one clear
// line for each kind of bad input, nothing left behind.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/subprocess.h"
#include "cli/tiny_guest.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

constexpr int kSuccess = 0;
constexpr int kHostError = 1;
constexpr int kUsage = 2;

std::string Binary() { return std::filesystem::absolute("cli/annulus"); }

bool HaveKvm() { return ::access("/dev/kvm", R_OK | W_OK) == 0; }

class AnnulusTest : public testing::Test {
 protected:
  // A fresh directory for each test.
  AnnulusTest()
      : directory_(std::filesystem::path(testing::TempDir()) /
                   absl::StrCat("annulus-", ::getpid(), "-",
                                testing::UnitTest::GetInstance()
                                    ->current_test_info()
                                    ->name())) {
    std::filesystem::create_directory(directory_);
  }
  ~AnnulusTest() override { std::filesystem::remove_all(directory_); }

  void WriteFile(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }

  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  std::vector<std::string> Command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), Binary());
    return arguments;
  }

  ProcessResult Annulus(std::vector<std::string> arguments,
                        std::string input = "") const {
    ProcessOptions options;
    options.directory = directory_;
    options.input = std::move(input);
    return RunProcess(Command(std::move(arguments)), options);
  }

  // Expects nothing on standard output, exactly one line with "annulus: " and
  // `part` on standard error, the exit code, and no new file.
  void ExpectRefused(const std::vector<std::string>& arguments,
                     const std::string& part, int exit_code = kUsage,
                     const std::string& input = "") {
    const std::vector<std::string> before = Files();
    ExpectOneLine(Annulus(arguments, input), part, exit_code);
    EXPECT_EQ(Files(), before);
  }

  static void ExpectOneLine(const ProcessResult& result,
                            const std::string& part, int exit_code) {
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(absl::StartsWith(result.err, "annulus: ")) << result.err;
    EXPECT_TRUE(absl::StrContains(result.err, part)) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1)
        << result.err;
    EXPECT_TRUE(absl::EndsWith(result.err, "\n")) << result.err;
  }

  const std::filesystem::path directory_;
};

// Commands and flags.

TEST_F(AnnulusTest, VersionIsOneLine) {
  const ProcessResult result = Annulus({"version"});
  EXPECT_EQ(result.exit_code, kSuccess);
  EXPECT_TRUE(absl::StartsWith(result.out, "annulus ")) << result.out;
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(Annulus({"--version"}).out, result.out);
}

TEST_F(AnnulusTest, EveryCommandHasHelpWithExamples) {
  for (const char* command : {"run", "check", "doctor", "vsock"}) {
    const ProcessResult result = Annulus({command, "--help"});
    EXPECT_EQ(result.exit_code, kSuccess) << command;
    EXPECT_TRUE(absl::StrContains(result.out, "Usage: annulus ")) << command;
    EXPECT_TRUE(absl::StrContains(result.out, "Examples:")) << command;
    EXPECT_TRUE(absl::StrContains(result.out, "Exit codes:")) << command;
    EXPECT_EQ(result.err, "") << command;
    EXPECT_EQ(Annulus({"help", command}).out, result.out);
  }
  EXPECT_TRUE(absl::StrContains(Annulus({"help"}).out, "Commands:"));
  EXPECT_EQ(Annulus({"--help"}).out, Annulus({"help"}).out);
  EXPECT_TRUE(absl::StrContains(Annulus({"version", "--help"}).out, "Usage:"));
}

TEST_F(AnnulusTest, UnknownCommandSuggestsTheNearest) {
  ExpectRefused({}, "which command?");
  ExpectRefused({"rnu"}, "unknown command \"rnu\"; did you mean run?");
  ExpectRefused({"\x1b[31m"}, "unknown command \"\\x1b[31m\"");
  ExpectRefused({"help", "rnu"}, "did you mean run?");
}

TEST_F(AnnulusTest, UnknownFlagSuggestsTheNearest) {
  ExpectRefused({"run", "--memroy", "1G"},
                "unknown flag --memroy; did you mean --memory?");
  ExpectRefused({"check", "--xyz"}, "unknown flag --xyz (see");
  ExpectRefused({"doctor", "-x"}, "unknown flag -x (see");
}

TEST_F(AnnulusTest, BadFlagValuesNameTheFlag) {
  ExpectRefused({"run", "--cpus"}, "--cpus: needs a value N");
  ExpectRefused({"run", "--cpus", "two"}, "--cpus: \"two\" is not a number");
  ExpectRefused({"run", "--cpus=-1"}, "--cpus: \"-1\" is not a number");
  ExpectRefused({"run", "--memory=12Q"}, "--memory: \"12Q\" is not a size");
  ExpectRefused({"run", "--memory=99999999T"}, "is not a size below 16 EiB");
  ExpectRefused({"run", "--console", "tape"}, "is not stdio, null or file:");
  ExpectRefused({"run", "--rng", "isa"}, "--rng: \"isa\" is not an option");
  ExpectRefused({"run", "--rng", "pci,packed=2"}, "packed: \"2\" is not");
  ExpectRefused({"run", "--pin", "0,,1"}, "--pin: \"0,,1\" is not a list");
  ExpectRefused({"run", "--hugepages=4"}, "--hugepages: takes no value");
  ExpectRefused({"run", "surplus"}, "unexpected argument \"surplus\"");
}

TEST_F(AnnulusTest, CommandsWithoutArgumentsRefuseThem) {
  ExpectRefused({"version", "x"}, "takes no arguments");
  ExpectRefused({"doctor", "x"}, "takes no arguments");
  ExpectRefused({"check"}, "check takes one FILE");
  ExpectRefused({"check", "a", "b"}, "check takes one FILE");
}

// Configurations.

TEST_F(AnnulusTest, CheckPrintsTheEffectiveConfiguration) {
  WriteFile("vm.textproto", "boot { kernel: \"k\" } cpu { count: 3 }");
  WriteFile("k", "kernel");
  const ProcessResult result = Annulus({"check", "vm.textproto"});
  EXPECT_EQ(result.exit_code, kSuccess) << result.err;
  EXPECT_TRUE(absl::StrContains(result.out, "count: 3")) << result.out;
  EXPECT_TRUE(absl::StrContains(result.out, "size_mib: 512")) << result.out;
  // What it prints is a configuration that means the same.
  EXPECT_EQ(Annulus({"check", "-"}, result.out).out, result.out);
}

TEST_F(AnnulusTest, CheckReadsJson) {
  WriteFile("vm.json", R"({"boot": {"kernel": "k"}, "cpu": {"count": 3}})");
  const ProcessResult result = Annulus({"check", "--no-files", "vm.json"});
  EXPECT_EQ(result.exit_code, kSuccess) << result.err;
  EXPECT_TRUE(absl::StrContains(result.out, "count: 3")) << result.out;
  EXPECT_EQ(Annulus({"check", "--no-files", "-"},
                    R"({"boot": {"kernel": "k"}, "cpu": {"count": 3}})")
                .out,
            result.out);
}

TEST_F(AnnulusTest, CheckAndRunRefuseTheSameConfigurations) {
  const struct {
    const char* text;
    const char* error;
  } kCases[] = {
      {"cpu { count: 0 } boot { kernel: \"k\" }",
       "vm.textproto: cpu.count: 0 is not in 1..32"},
      {"cpu { count: 1000 } boot { kernel: \"k\" }",
       "vm.textproto: cpu.count: 1000 is not in 1..32"},
      {"memory { size_bytes: 0 } boot { kernel: \"k\" }",
       "vm.textproto: memory.size_bytes: 0 is not in"},
      {"memory { size_bytes: 16777217 } boot { kernel: \"k\" }",
       "memory.size_bytes: 16777217 is not a multiple of 4096"},
      {"memory { size_mib: 99999999 } boot { kernel: \"k\" }",
       "vm.textproto: memory.size_bytes: "},
      {"boot { kernel: \"k\" } net { backend: NULL mac: \"01:00:5e:0:0:1\" }",
       "vm.textproto: net[0].mac: \"01:00:5e:0:0:1\" is not an address"},
      {"boot { kernel: \"k\" } net { tap: \"tap0\" }",
       "vm.textproto: net[0].backend: is not given"},
      {"boot { kernel: \"k\" } net { backend: TUN }",
       "vm.textproto:1:41: Unknown enumeration value of \"TUN\""},
      {"boot { kernel: \"k\" } vsock { cid: 2 socket: \"s\" }",
       "vm.textproto: vsock.cid: 2 is the host; a guest's is 3 to"},
      {"boot { kernel: \"k\" } vsock { cid: 3 }",
       "vm.textproto: vsock.socket: is not given, nor is one of"},
      {"machine { }", "vm.textproto:1:9: Message type "},
      {"# proto-message: other.Thing\n",
       "vm.textproto: holds a other.Thing, not a annulus.proto.VmConfig"},
      {"name: \"a", "vm.textproto:1:"},
      {"name: \"a\"", "vm.textproto: boot.kernel: is not given"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.text);
    WriteFile("vm.textproto", test.text);
    ExpectRefused({"check", "vm.textproto"}, test.error);
    ExpectRefused({"run", "--config", "vm.textproto"}, test.error);
  }
}

TEST_F(AnnulusTest, ConfigurationThatCannotBeReadIsNamed) {
  ExpectRefused({"check", "absent"}, "absent: No such file or directory");
  ExpectRefused({"run", "--config", "absent"},
                "absent: No such file or directory");
  ExpectRefused({"check", "/"}, "/: Is a directory");
  ExpectRefused({"check", "a\nb"}, "a\\nb: No such file or directory");
  ExpectRefused({"check", "/dev/zero"}, "/dev/zero: is larger than");
  ExpectRefused({"check", "-"}, "standard input:1:10: ", kUsage, "nonsense {");
}

TEST_F(AnnulusTest, CheckNamesTheFieldOfAMissingFile) {
  WriteFile("vm.textproto", "boot { kernel: \"k\" initrd: \"i\" }");
  ExpectRefused({"check", "vm.textproto"},
                "vm.textproto: boot.kernel: k: No such file or directory");
  WriteFile("k", "kernel");
  ExpectRefused({"check", "vm.textproto"},
                "vm.textproto: boot.initrd: i: No such file or directory");
  std::filesystem::create_directory(directory_ / "i");
  ExpectRefused({"check", "vm.textproto"},
                "boot.initrd: i: is not a regular file");
}

TEST_F(AnnulusTest, UnreadableFileIsRefusedToAnOrdinaryUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  WriteFile("secret", "boot { kernel: \"k\" }");
  std::filesystem::permissions(directory_ / "secret",
                               std::filesystem::perms::none);
  ProcessOptions options;
  options.directory = directory_;
  options.prepare = [] {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(125);
  };
  // The program itself may lie where only root looks.
  std::filesystem::copy_file(Binary(), directory_ / "annulus");
  std::filesystem::permissions(directory_, std::filesystem::perms::all);
  const ProcessResult result =
      RunProcess({"./annulus", "check", "secret"}, options);
  if (result.exit_code == 126 || result.exit_code == 127) {
    GTEST_SKIP() << "the test's directory is closed to other users";
  }
  ExpectOneLine(result, "secret: Permission denied", kUsage);
}

TEST_F(AnnulusTest, OutputThatCannotBeWrittenIsAnError) {
  ProcessOptions options;
  options.prepare = [] {
    const int full = ::open("/dev/full", O_WRONLY);
    if (full < 0 || ::dup2(full, STDOUT_FILENO) < 0) ::_exit(125);
  };
  const ProcessResult result = RunProcess(Command({"help"}), options);
  ExpectOneLine(result, "standard output: No space left", kHostError);
}

// `run`: flags, files, host.

TEST_F(AnnulusTest, RunRefusesBadMachines) {
  WriteFile("k", "kernel");
  ExpectRefused({"run"}, "boot.kernel: is not given; name one with --kernel");
  ExpectRefused({"run", "--kernel", "k", "--cpus", "0"},
                "cpu.count: 0 is not in 1..32");
  ExpectRefused({"run", "--kernel", "k", "--cpus", "1000"},
                "cpu.count: 1000 is not in 1..32");
  ExpectRefused({"run", "--kernel", "k", "--memory", "0"},
                "memory.size_bytes: 0 is not in");
  ExpectRefused({"run", "--kernel", "k", "--memory", "512"},
                "memory.size_bytes: 512 is not in");
  ExpectRefused({"run", "--kernel", "k", "--memory", "20000001"},
                "memory.size_bytes: 20000001 is not a multiple of 4096");
  ExpectRefused({"run", "--kernel", "k", "--memory", "2T"},
                "memory.size_bytes: 2199023255552 is not in");
  ExpectRefused({"run", "--kernel", "k", "--pin", "0,1"},
                "cpu.pinning: has 2 entries for 1 vCPUs");
  ExpectRefused({"run", "--kernel", "k", "--cmdline", "a\nb"},
                "boot.cmdline: contains a line break");
  ExpectRefused({"run", "--kernel", "k", "--name", "a b"}, "name: may only");
}

TEST_F(AnnulusTest, RunNamesTheFieldOfAFileThatCannotBeUsed) {
  WriteFile("k", "kernel");
  ExpectRefused({"run", "--kernel", "absent"}, "boot.kernel: absent");
  ExpectRefused({"run", "--kernel", "."}, "boot.kernel: .");
  ExpectRefused({"run", "--kernel", "k", "--initrd", "absent"},
                "boot.initrd: absent");
  if (!HaveKvm()) GTEST_SKIP() << "no usable /dev/kvm on this host";
  ExpectRefused({"run", "--kernel", "k", "--console", "file:no/such/dir"},
                "console.path: no/such/dir");
}

TEST_F(AnnulusTest, RunRefusesAKernelThatIsNone) {
  if (!HaveKvm()) GTEST_SKIP() << "no usable /dev/kvm on this host";
  WriteFile("empty", "");
  WriteFile("text", "not a kernel\n");
  WriteFile("zeros", std::string(100'000, '\0'));
  WriteFile("short", TinyGuest().substr(0, 70));
  for (const char* kernel : {"empty", "text", "zeros", "short"}) {
    SCOPED_TRACE(kernel);
    ExpectRefused({"run", "--kernel", kernel},
                  absl::StrCat("boot.kernel: ", kernel, ": "));
  }
}

TEST_F(AnnulusTest, RunRefusesMoreMemoryThanTheHostHas) {
  if (!HaveKvm()) GTEST_SKIP() << "no usable /dev/kvm on this host";
  WriteFile("k", TinyGuest());
  ExpectRefused({"run", "--kernel", "k", "--memory", "1T", "--prefault"},
                "guest RAM of 1048576 MiB", kHostError);
}

// In a root directory of its own, so that /dev/kvm can be taken away.
class HostWithoutKvmTest : public AnnulusTest {
 protected:
  HostWithoutKvmTest() {
    std::filesystem::copy_file(Binary(), directory_ / "annulus");
    WriteFile("k", TinyGuest());
    std::filesystem::create_directory(directory_ / "dev");
    std::filesystem::permissions(directory_, std::filesystem::perms::all);
    options_.prepare = [this] {
      if (::chroot(directory_.c_str()) != 0 || ::chdir("/") != 0) ::_exit(125);
      if (::setresuid(65534, 65534, 65534) != 0) ::_exit(125);
    };
  }

  // False where the binary needs shared libraries (sanitizers) or we may not
  // change the root directory.
  bool Possible() const {
    return RunProcess({"/annulus", "version"}, options_).exit_code == kSuccess;
  }

  ProcessOptions options_;
};

TEST_F(HostWithoutKvmTest, MissingKvmIsOneLine) {
  if (!Possible()) GTEST_SKIP() << "needs root and a static binary";
  ExpectOneLine(RunProcess({"/annulus", "run", "--kernel", "k"}, options_),
                "/dev/kvm", kHostError);
  const ProcessResult doctor = RunProcess({"/annulus", "doctor"}, options_);
  EXPECT_EQ(doctor.exit_code, kHostError);
  EXPECT_TRUE(absl::StrContains(
      doctor.out, "missing  /dev/kvm: No such file or directory; "))
      << doctor.out;
  EXPECT_TRUE(absl::EndsWith(doctor.out, "No virtual machine can run here.\n"));
}

TEST_F(HostWithoutKvmTest, ForbiddenKvmIsOneLine) {
  if (!Possible()) GTEST_SKIP() << "needs root and a static binary";
  WriteFile("dev/kvm", "");
  std::filesystem::permissions(directory_ / "dev/kvm",
                               std::filesystem::perms::none);
  ExpectOneLine(RunProcess({"/annulus", "run", "--kernel", "k"}, options_),
                "/dev/kvm (`annulus doctor` tells what to do): Permission",
                kHostError);
}

TEST_F(HostWithoutKvmTest, KvmThatIsNoneIsOneLine) {
  if (!Possible()) GTEST_SKIP() << "needs root and a static binary";
  WriteFile("dev/kvm", "");
  std::filesystem::permissions(directory_ / "dev/kvm",
                               std::filesystem::perms::all);
  ExpectOneLine(RunProcess({"/annulus", "run", "--kernel", "k"}, options_),
                "/dev/kvm", kHostError);
}

TEST_F(AnnulusTest, DoctorSaysWhetherAVmCanRun) {
  const ProcessResult result = Annulus({"doctor"});
  EXPECT_TRUE(absl::StrContains(result.out, " /dev/kvm: ")) << result.out;
  EXPECT_EQ(absl::EndsWith(result.out, "\nA virtual machine can run here.\n"),
            result.exit_code == kSuccess)
      << result.out;
  EXPECT_EQ(result.err, "");
  const ProcessResult quiet = Annulus({"doctor", "--quiet"});
  EXPECT_EQ(quiet.out, "");
  EXPECT_EQ(quiet.exit_code, result.exit_code);
}

}  // namespace
}  // namespace annulus::cli
