#include "vmm/c_api.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "vmm/version.h"

namespace {

// The text of an error that is freed, or "" if there is none.
std::string Take(annulus_error* error) {
  std::string text = annulus_error_message(error);
  annulus_error_free(error);
  return text;
}

annulus_config* Config(const std::string& text) {
  annulus_config* config = nullptr;
  annulus_error* error = nullptr;
  EXPECT_EQ(annulus_config_parse(text.data(), text.size(), ANNULUS_FORMAT_TEXT,
                                 &config, &error),
            ANNULUS_OK)
      << Take(error);
  return config;
}

annulus_resources* NewResources() {
  annulus_resources* resources = nullptr;
  EXPECT_EQ(annulus_resources_create(&resources, nullptr), ANNULUS_OK);
  return resources;
}

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(CApiTest, KnowsItsVersion) {
  EXPECT_STREQ(annulus_version(), annulus::kVersion);
}

TEST(CApiTest, ErrorSaysWhereTheTextIsWrong) {
  annulus_config* config = nullptr;
  annulus_error* error = nullptr;
  EXPECT_EQ(annulus_config_parse("cpu {\n count: many }", 20,
                                 ANNULUS_FORMAT_TEXT, &config, &error),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(config, nullptr);
  EXPECT_EQ(annulus_error_code(error), ANNULUS_INVALID_ARGUMENT);
  EXPECT_TRUE(absl::StrContains(annulus_error_message(error), "config:2:"))
      << annulus_error_message(error);
  // The next success leaves no old error behind.
  annulus_error* const first = error;
  EXPECT_EQ(annulus_config_parse("{}", 2, ANNULUS_FORMAT_JSON, &config, &error),
            ANNULUS_OK);
  EXPECT_EQ(error, nullptr);
  annulus_error_free(first);
  annulus_config_free(config);
}

TEST(CApiTest, ConfigurationGoesRound) {
  annulus_config* config = Config("vsock { cid: 3 socket: \"/run/v\" }");
  EXPECT_EQ(annulus_config_set_name(config, "vm7", nullptr), ANNULUS_OK);
  EXPECT_EQ(annulus_config_set_kernel(config, "k", nullptr), ANNULUS_OK);
  EXPECT_EQ(annulus_config_set_initrd(config, "i", nullptr), ANNULUS_OK);
  EXPECT_EQ(annulus_config_set_cmdline(config, "quiet", nullptr), ANNULUS_OK);
  EXPECT_EQ(annulus_config_set_memory_bytes(config, 64 << 20, nullptr),
            ANNULUS_OK);
  EXPECT_EQ(annulus_config_set_cpus(config, 3, nullptr), ANNULUS_OK);
  annulus_error* error = nullptr;
  EXPECT_EQ(annulus_config_validate(config, &error), ANNULUS_OK) << Take(error);
  char* text = nullptr;
  ASSERT_EQ(annulus_config_text(config, &text, nullptr), ANNULUS_OK);
  for (const char* part :
       {"name: \"vm7\"", "kernel: \"k\"", "initrd: \"i\"", "cmdline: \"quiet\"",
        "size_mib: 64", "count: 3", "cid: 3"}) {
    EXPECT_TRUE(absl::StrContains(text, part)) << part << " in " << text;
  }
  annulus_config* again = Config(text);
  char* same = nullptr;
  ASSERT_EQ(annulus_config_text(again, &same, nullptr), ANNULUS_OK);
  EXPECT_STREQ(same, text);
  annulus_string_free(same);
  annulus_string_free(text);
  annulus_config_free(again);
  annulus_config_free(config);
}

TEST(CApiTest, ValidationNamesTheField) {
  annulus_config* config = Config("boot { kernel: \"k\" } cpu { count: 1000 }");
  annulus_error* error = nullptr;
  EXPECT_EQ(annulus_config_validate(config, &error), ANNULUS_INVALID_ARGUMENT);
  EXPECT_TRUE(absl::StartsWith(annulus_error_message(error), "cpu.count: "));
  annulus_error_free(error);
  annulus_resources* resources = nullptr;
  EXPECT_EQ(annulus_resources_open(config, &resources, nullptr),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(resources, nullptr);
  annulus_config_free(config);
}

TEST(CApiTest, OpeningNamesTheFileThatIsNotThere) {
  annulus_config* config = Config("boot { kernel: \"/no/such/kernel\" }");
  annulus_resources* resources = nullptr;
  annulus_error* error = nullptr;
  EXPECT_EQ(annulus_resources_open(config, &resources, &error),
            ANNULUS_NOT_FOUND);
  EXPECT_TRUE(absl::StrContains(Take(error), "/no/such/kernel"));
  annulus_config_free(config);
}

TEST(CApiTest, DescriptorIsTakenWithSuccessAlone) {
  annulus_resources* resources = NewResources();
  const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  annulus_error* error = nullptr;
  EXPECT_EQ(annulus_resources_set_file(resources, 77, fd, &error),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(Take(error), "file: 77 is no annulus_file");
  // A regular device is no socket.
  EXPECT_EQ(annulus_resources_set_vhost_user(resources, ANNULUS_DEVICE_NET, 0,
                                             fd, nullptr),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(annulus_resources_set_card_file(resources, 1u << 30,
                                            ANNULUS_CARD_TAP, fd, nullptr),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_TRUE(IsOpen(fd));
  EXPECT_EQ(annulus_resources_set_file(resources, ANNULUS_FILE_CONSOLE_IN, fd,
                                       nullptr),
            ANNULUS_OK);
  const int other = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  EXPECT_EQ(annulus_resources_set_file(resources, ANNULUS_FILE_CONSOLE_IN,
                                       other, nullptr),
            ANNULUS_OK);
  EXPECT_FALSE(IsOpen(fd));
  annulus_resources_free(resources);
  EXPECT_FALSE(IsOpen(other));
}

TEST(CApiTest, DescriptorThatIsNotOpenIsRefused) {
  annulus_resources* resources = NewResources();
  for (const int fd : {-1, 1 << 20}) {
    annulus_error* error = nullptr;
    EXPECT_NE(
        annulus_resources_set_file(resources, ANNULUS_FILE_KVM, fd, &error),
        ANNULUS_OK);
    EXPECT_TRUE(absl::StrContains(Take(error), "fd: "));
  }
  annulus_resources_free(resources);
}

TEST(CApiTest, LogFileHasToBeWritable) {
  annulus_resources* resources = NewResources();
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(
      annulus_resources_set_log_file(resources, fd, ANNULUS_INFO, nullptr),
      ANNULUS_INVALID_ARGUMENT);
  const int good = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  EXPECT_EQ(annulus_resources_set_log_file(resources, good, 9, nullptr),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(
      annulus_resources_set_log_file(resources, good, ANNULUS_INFO, nullptr),
      ANNULUS_OK);
  annulus_resources_free(resources);
  EXPECT_FALSE(IsOpen(good));
  EXPECT_TRUE(IsOpen(fd));
  ::close(fd);
}

TEST(CApiTest, SocketsOfDevicesAreTaken) {
  annulus_resources* resources = NewResources();
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  annulus_error* error = nullptr;
  EXPECT_EQ(annulus_resources_set_vhost_user(resources, ANNULUS_DEVICE_VSOCK, 1,
                                             pair[0], nullptr),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(annulus_resources_set_vhost_user(resources, ANNULUS_DEVICE_VSOCK, 0,
                                             pair[0], &error),
            ANNULUS_OK)
      << Take(error);
  EXPECT_EQ(annulus_resources_set_vhost_user(resources, ANNULUS_DEVICE_RNG, 0,
                                             pair[1], &error),
            ANNULUS_OK)
      << Take(error);
  annulus_resources_free(resources);
  EXPECT_FALSE(IsOpen(pair[0]));
  EXPECT_FALSE(IsOpen(pair[1]));
}

TEST(CApiTest, VmThatCannotBeMadeTakesItsResourcesAllTheSame) {
  annulus_config* config = Config("boot { kernel: \"k\" }");
  annulus_resources* resources = NewResources();
  const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ASSERT_EQ(
      annulus_resources_set_file(resources, ANNULUS_FILE_KVM, fd, nullptr),
      ANNULUS_OK);
  annulus_vm* vm = nullptr;
  annulus_error* error = nullptr;
  EXPECT_NE(annulus_vm_create(config, resources, &vm, &error), ANNULUS_OK);
  EXPECT_NE(Take(error), "");
  EXPECT_EQ(vm, nullptr);
  EXPECT_FALSE(IsOpen(fd));
  annulus_resources_free(resources);
  annulus_config_free(config);
}

TEST(CApiTest, NullIsRefusedEverywhere) {
  annulus_config* config = nullptr;
  annulus_resources* resources = nullptr;
  annulus_timings timings = {};
  for (const annulus_code code : {
           annulus_config_parse(nullptr, 1, 0, &config, nullptr),
           annulus_config_parse("", 0, 0, nullptr, nullptr),
           annulus_config_set_name(nullptr, "x", nullptr),
           annulus_config_set_kernel(nullptr, "x", nullptr),
           annulus_config_set_initrd(nullptr, "x", nullptr),
           annulus_config_set_cmdline(nullptr, "x", nullptr),
           annulus_config_set_memory_bytes(nullptr, 1, nullptr),
           annulus_config_set_cpus(nullptr, 1, nullptr),
           annulus_config_validate(nullptr, nullptr),
           annulus_config_text(nullptr, nullptr, nullptr),
           annulus_resources_create(nullptr, nullptr),
           annulus_resources_open(nullptr, &resources, nullptr),
           annulus_resources_set_file(nullptr, 0, 0, nullptr),
           annulus_resources_set_card_file(nullptr, 0, 0, 0, nullptr),
           annulus_resources_set_vhost_user(nullptr, 0, 0, 0, nullptr),
           annulus_resources_add_vsock_port(nullptr, 0, 0, 0, 0, nullptr),
           annulus_resources_set_thread_setup(nullptr, nullptr, nullptr,
                                              nullptr),
           annulus_switch_create(nullptr, nullptr, nullptr),
           annulus_resources_set_card_switch(nullptr, 0, nullptr, nullptr),
           annulus_resources_set_log(nullptr, nullptr, nullptr, nullptr),
           annulus_resources_set_log_file(nullptr, 0, 0, nullptr),
           annulus_resources_set_events(nullptr, nullptr, nullptr, nullptr),
           annulus_vm_create(nullptr, nullptr, nullptr, nullptr),
           annulus_vm_start(nullptr, nullptr),
           annulus_vm_pause(nullptr, nullptr),
           annulus_vm_resume(nullptr, nullptr),
           annulus_vm_stop(nullptr, nullptr),
           annulus_vm_press_power_button(nullptr, nullptr),
           annulus_vm_set_link(nullptr, 0, 0, nullptr),
           annulus_vm_wait(nullptr, nullptr, nullptr),
           annulus_vm_timings(nullptr, &timings, nullptr),
           annulus_vm_counters(nullptr, nullptr, nullptr, nullptr),
       }) {
    EXPECT_EQ(code, ANNULUS_INVALID_ARGUMENT);
  }
  EXPECT_EQ(annulus_vm_state(nullptr), ANNULUS_STATE_INVALID);
  EXPECT_EQ(annulus_error_code(nullptr), ANNULUS_OK);
  EXPECT_STREQ(annulus_error_message(nullptr), "");
  EXPECT_EQ(annulus_event_get_kind(nullptr), -1);
  EXPECT_EQ(annulus_event_exit(nullptr), nullptr);
  EXPECT_STREQ(annulus_event_device(nullptr), "");
  EXPECT_EQ(annulus_exit_get_reason(nullptr), -1);
  EXPECT_STREQ(annulus_exit_detail(nullptr), "");
  EXPECT_STREQ(annulus_exit_reason_name(99), "");
  EXPECT_STREQ(annulus_exit_reason_name(ANNULUS_EXIT_TRIPLE_FAULT),
               "triple fault");
  annulus_vm_free(nullptr);
  annulus_error_free(nullptr);
  annulus_string_free(nullptr);
  annulus_config_free(nullptr);
  annulus_switch_free(nullptr);
  annulus_resources_free(nullptr);
}

}  // namespace
