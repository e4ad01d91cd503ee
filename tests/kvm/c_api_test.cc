// The C API with a guest behind it, on descriptors alone.

#include "vmm/c_api.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "gtest/gtest.h"
#include "tests/kvm/guest_vm.h"

namespace annulus {
namespace {

// What the callbacks were told.
class Witness {
 public:
  static void Log(void* user, annulus_severity, const char* line) {
    Witness& self = *static_cast<Witness*>(user);
    MutexLock lock(self.mu_);
    self.lines_.emplace_back(line);
  }
  static void OnEvent(void* user, const annulus_event* event) {
    Witness& self = *static_cast<Witness*>(user);
    MutexLock lock(self.mu_);
    self.kinds_.push_back(annulus_event_get_kind(event));
    EXPECT_GT(annulus_event_time_ns(event), 0);
    if (const annulus_exit* exit = annulus_event_exit(event); exit != nullptr) {
      self.reason_ = annulus_exit_get_reason(exit);
    }
  }
  static void OnCounter(void* user, const char* device, const char* queue,
                        const char* name, const char* reason, uint64_t,
                        int gauge) {
    EXPECT_TRUE(gauge == 0 || gauge == 1);
    static_cast<Witness*>(user)
        ->counters_[absl::StrCat(device, "/", queue, "/", name, "/", reason)]++;
  }

  static annulus_code EnterThread(void* user, annulus_thread_kind kind,
                                  const char* name) {
    Witness& self = *static_cast<Witness*>(user);
    MutexLock lock(self.mu_);
    self.threads_[kind].emplace_back(name);
    return self.refuse_ ? ANNULUS_PERMISSION_DENIED : ANNULUS_OK;
  }

  void RefuseThreads() { refuse_ = true; }  // Before there are any.
  size_t threads(annulus_thread_kind kind) {
    MutexLock lock(mu_);
    return threads_[kind].size();
  }
  std::vector<annulus_event_kind> kinds() {
    MutexLock lock(mu_);
    return kinds_;
  }
  annulus_exit_reason reason() {
    MutexLock lock(mu_);
    return reason_;
  }
  size_t counters() const { return counters_.size(); }

 private:
  Mutex mu_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mu_);
  std::vector<annulus_event_kind> kinds_ ABSL_GUARDED_BY(mu_);
  annulus_exit_reason reason_ ABSL_GUARDED_BY(mu_) = -1;
  std::map<annulus_thread_kind, std::vector<std::string>> threads_
      ABSL_GUARDED_BY(mu_);
  bool refuse_ = false;
  std::map<std::string, int> counters_;
};

class CApiVmTest : public testing::Test {
 protected:
  ~CApiVmTest() override {
    annulus_vm_free(vm_);
    annulus_resources_free(resources_);
    annulus_config_free(config_);
    annulus_error_free(error_);
    if (console_ >= 0) ::close(console_);
  }

  // All but the VM.
  void Prepare(const std::string& program) {
    const std::string text = absl::StrCat(
        "memory { size_mib: 64 } boot { kernel: \"fd\" cmdline: \"program=",
        program, "\" } rng {} net { backend: NULL }");
    Expect(annulus_config_parse(text.data(), text.size(), ANNULUS_FORMAT_TEXT,
                                &config_, &error_));
    Expect(annulus_resources_create(&resources_, &error_));
    Give(ANNULUS_FILE_KVM, ::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    Give(ANNULUS_FILE_KERNEL, ::open(kMicroguest, O_RDONLY | O_CLOEXEC));
    int out[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    console_ = out[0];
    Give(ANNULUS_FILE_CONSOLE_OUT, out[1]);
    Expect(annulus_resources_set_log(resources_, &Witness::Log, &witness_,
                                     &error_));
    Expect(annulus_resources_set_events(resources_, &Witness::OnEvent,
                                        &witness_, &error_));
    Expect(annulus_resources_set_thread_setup(resources_, &Witness::EnterThread,
                                              &witness_, &error_));
  }

  void Create(const std::string& program) {
    Prepare(program);
    Expect(annulus_vm_create(config_, resources_, &vm_, &error_));
    ASSERT_NE(vm_, nullptr);
  }

  void Expect(annulus_code code) {
    EXPECT_EQ(code, ANNULUS_OK) << annulus_error_message(error_);
  }

  void Give(annulus_file file, int fd) {
    Expect(annulus_resources_set_file(resources_, file, fd, &error_));
  }

  annulus_exit_reason Wait() {
    const annulus_exit* exit = nullptr;
    Expect(annulus_vm_wait(vm_, &exit, &error_));
    return annulus_exit_get_reason(exit);
  }

  // All that the guest printed, after its end.
  std::string Output() {
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = ::read(console_, buffer, sizeof(buffer))) > 0;) {
      text.append(buffer, static_cast<size_t>(n));
    }
    return text;
  }

  annulus_error* error_ = nullptr;
  annulus_config* config_ = nullptr;
  annulus_resources* resources_ = nullptr;
  annulus_vm* vm_ = nullptr;
  int console_ = -1;
  Witness witness_;
};

TEST_F(CApiVmTest, GuestRunsToItsEnd) {
  SKIP_WITHOUT_KVM();
  Create("hello");
  EXPECT_EQ(annulus_vm_state(vm_), ANNULUS_STATE_CREATED);
  // Not yet.
  EXPECT_EQ(annulus_vm_pause(vm_, nullptr), ANNULUS_FAILED_PRECONDITION);
  Expect(annulus_vm_start(vm_, &error_));
  EXPECT_EQ(Wait(), ANNULUS_EXIT_GUEST_POWEROFF);
  EXPECT_EQ(Wait(), ANNULUS_EXIT_GUEST_POWEROFF);
  EXPECT_EQ(annulus_vm_state(vm_), ANNULUS_STATE_STOPPED);
  EXPECT_NE(Output().find("PASS"), std::string::npos);
  EXPECT_EQ(witness_.kinds().front(), ANNULUS_EVENT_STARTED);
  EXPECT_EQ(witness_.kinds().back(), ANNULUS_EVENT_STOPPED);
  EXPECT_EQ(witness_.reason(), ANNULUS_EXIT_GUEST_POWEROFF);
  annulus_timings timings = {};
  timings.size = sizeof(timings);
  Expect(annulus_vm_timings(vm_, &timings, &error_));
  EXPECT_GT(timings.created_ns, 0);
  EXPECT_GE(timings.first_exit_ns, timings.first_entry_ns);
}

TEST_F(CApiVmTest, OlderCallersTimingsAreNotOverrun) {
  SKIP_WITHOUT_KVM();
  Create("hello");
  annulus_timings timings = {};
  timings.size = offsetof(annulus_timings, first_entry_ns);
  timings.first_entry_ns = -7;
  Expect(annulus_vm_timings(vm_, &timings, &error_));
  EXPECT_GT(timings.created_ns, 0);
  EXPECT_EQ(timings.first_entry_ns, -7);
  timings.size = 1;
  EXPECT_EQ(annulus_vm_timings(vm_, &timings, nullptr),
            ANNULUS_INVALID_ARGUMENT);
}

TEST_F(CApiVmTest, IsPausedAskedAndStopped) {
  SKIP_WITHOUT_KVM();
  Create("spin");
  Expect(annulus_vm_start(vm_, &error_));
  EXPECT_EQ(annulus_vm_state(vm_), ANNULUS_STATE_RUNNING);
  Expect(annulus_vm_pause(vm_, &error_));
  EXPECT_EQ(annulus_vm_state(vm_), ANNULUS_STATE_PAUSED);
  Expect(annulus_vm_resume(vm_, &error_));
  Expect(annulus_vm_press_power_button(vm_, &error_));  // It does not care.
  Expect(annulus_vm_set_link(vm_, 0, 0, &error_));
  EXPECT_EQ(annulus_vm_set_link(vm_, 1, 0, nullptr), ANNULUS_NOT_FOUND);
  Expect(annulus_vm_counters(vm_, &Witness::OnCounter, &witness_, &error_));
  EXPECT_GT(witness_.counters(), 0u);
  Expect(annulus_vm_stop(vm_, &error_));
  EXPECT_EQ(Wait(), ANNULUS_EXIT_STOP_REQUESTED);
}

TEST_F(CApiVmTest, EachThreadEntersByTheCallersFunction) {
  SKIP_WITHOUT_KVM();
  Create("hello");
  EXPECT_EQ(witness_.threads(ANNULUS_THREAD_VCPU), 1u);
  EXPECT_EQ(witness_.threads(ANNULUS_THREAD_QUEUE),
            4u);  // rng, and rx, tx and control of the card.
  EXPECT_GE(witness_.threads(ANNULUS_THREAD_CONTROL), 1u);
}

TEST_F(CApiVmTest, ThreadThatMayNotBeIsAnError) {
  SKIP_WITHOUT_KVM();
  Prepare("hello");
  witness_.RefuseThreads();
  EXPECT_EQ(annulus_vm_create(config_, resources_, &vm_, &error_),
            ANNULUS_PERMISSION_DENIED);
  EXPECT_EQ(vm_, nullptr);
}

TEST_F(CApiVmTest, TwoVmsMeetInASwitch) {
  SKIP_WITHOUT_KVM();
  annulus_switch* frame_switch = nullptr;
  Expect(annulus_switch_create("lan", &frame_switch, &error_));
  const std::string text =
      "memory { size_mib: 64 } boot { kernel: \"fd\" cmdline: "
      "\"program=spin\" } net { backend: SWITCH switch_name: \"lan\" }";
  Expect(annulus_config_parse(text.data(), text.size(), ANNULUS_FORMAT_TEXT,
                              &config_, &error_));
  Expect(annulus_resources_create(&resources_, &error_));
  annulus_vm* vms[2] = {};
  for (annulus_vm*& vm : vms) {
    Give(ANNULUS_FILE_KVM, ::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    Give(ANNULUS_FILE_KERNEL, ::open(kMicroguest, O_RDONLY | O_CLOEXEC));
    Expect(annulus_resources_set_card_switch(resources_, 0, frame_switch,
                                             &error_));
    Expect(annulus_vm_create(config_, resources_, &vm, &error_));
    Expect(annulus_vm_start(vm, &error_));
  }
  annulus_switch_free(frame_switch);
  for (annulus_vm* vm : vms) annulus_vm_free(vm);
}

// By a socket for each: who calls the guest, and whom it calls.
TEST_F(CApiVmTest, SocketDeviceOnDescriptorsAlone) {
  SKIP_WITHOUT_KVM();
  const std::string text =
      "memory { size_mib: 64 } boot { kernel: \"fd\" cmdline: "
      "\"program=hello\" } vsock { cid: 3 socket: \"unused\" }";
  Expect(annulus_config_parse(text.data(), text.size(), ANNULUS_FORMAT_TEXT,
                              &config_, &error_));
  Expect(annulus_resources_create(&resources_, &error_));
  Give(ANNULUS_FILE_KVM, ::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  Give(ANNULUS_FILE_KERNEL, ::open(kMicroguest, O_RDONLY | O_CLOEXEC));
  // An abstract name of the kernel's choice.
  const auto listener = [](int type) {
    const int fd = ::socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    const sockaddr any = {.sa_family = AF_UNIX, .sa_data = {}};
    EXPECT_EQ(::bind(fd, &any, sizeof(any.sa_family)), 0);
    EXPECT_EQ(::listen(fd, 1), 0);
    return fd;
  };
  Give(ANNULUS_FILE_VSOCK, listener(SOCK_STREAM));
  Expect(annulus_resources_add_vsock_port(resources_, ANNULUS_VSOCK_TO_GUEST, 7,
                                          ANNULUS_VSOCK_SEQPACKET,
                                          listener(SOCK_SEQPACKET), &error_));
  int pairs[2][2];
  for (auto& pair : pairs) {
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  }
  Give(ANNULUS_FILE_VSOCK_HOST, pairs[0][0]);
  Expect(annulus_resources_add_vsock_port(resources_, ANNULUS_VSOCK_TO_HOST, 8,
                                          ANNULUS_VSOCK_STREAM, pairs[1][0],
                                          &error_));
  Expect(annulus_vm_create(config_, resources_, &vm_, &error_));
  Expect(annulus_vm_start(vm_, &error_));
  EXPECT_EQ(Wait(), ANNULUS_EXIT_GUEST_POWEROFF);
  for (auto& pair : pairs) ::close(pair[1]);
}

TEST_F(CApiVmTest, FreeingStops) {
  SKIP_WITHOUT_KVM();
  Create("spin");
  Expect(annulus_vm_start(vm_, &error_));
  annulus_vm_free(vm_);
  vm_ = nullptr;
  EXPECT_EQ(witness_.reason(), ANNULUS_EXIT_STOP_REQUESTED);
}

}  // namespace
}  // namespace annulus
