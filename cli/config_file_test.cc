#include "cli/config_file.h"

#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "vmm/config/vm_config.h"

namespace annulus::cli {
namespace {

std::string Write(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

TEST(ConfigFileTest, NameDecidesTheFormat) {
  const auto json = ReadConfigFile(Write("a.json", R"({"name": "j"})"));
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(json->name, "j");
  const auto text = ReadConfigFile(Write("a.textproto", "name: 't'"));
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->name, "t");
  const std::string wrong = Write("b.textproto", R"({"name": "j"})");
  EXPECT_TRUE(absl::StrContains(ReadConfigFile(wrong).status().message(),
                                wrong + ":1:1: "));
}

TEST(ConfigFileTest, ErrorsBeginWithTheFile) {
  EXPECT_EQ(
      ReadConfigFile("/no/such/file").status(),
      absl::InvalidArgumentError("/no/such/file: No such file or directory"));
  EXPECT_EQ(ReadConfigFile("/").status(),
            absl::InvalidArgumentError("/: Is a directory"));
  EXPECT_EQ(ReadConfigFile("/no\n/x").status(),
            absl::InvalidArgumentError("/no\\n/x: No such file or directory"));
}

TEST(ConfigFileTest, EndlessFileIsNotReadToItsEnd) {
  EXPECT_TRUE(absl::StrContains(ReadConfigFile("/dev/zero").status().message(),
                                "is larger than"));
}

TEST(ConfigFileTest, BootFilesMustBeRegularFiles) {
  const std::string kernel = Write("kernel", "k");
  BootConfig boot;
  boot.kernel = kernel;
  EXPECT_TRUE(CheckBootFiles(boot).ok());
  boot.initrd = "/no/initrd";
  EXPECT_EQ(CheckBootFiles(boot),
            absl::InvalidArgumentError(
                "boot.initrd: /no/initrd: No such file or directory"));
  boot.kernel = "/dev/null";
  EXPECT_EQ(CheckBootFiles(boot),
            absl::InvalidArgumentError(
                "boot.kernel: /dev/null: is not a regular file"));
}

TEST(ConfigFileTest, FifoWithoutAWriterDoesNotBlock) {
  const std::string fifo = testing::TempDir() + "/fifo";
  std::remove(fifo.c_str());
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  BootConfig boot;
  boot.kernel = fifo;
  EXPECT_FALSE(CheckBootFiles(boot).ok());
}

}  // namespace
}  // namespace annulus::cli
