// What an embedder, or whoever speaks to the control socket, asks of a running
// VM: state, events, counters, and the same from many threads at once.

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = VmEvent::Kind;

class EventRecorder final : public VmEventSink {
 public:
  void OnEvent(const VmEvent& event) override {
    const MutexLock lock(mu_);
    events_.push_back(event);
    changed_.NotifyAll();
  }

  // Of one device, or of the VM itself.
  std::vector<Kind> Kinds(const std::string& device = {}) {
    const MutexLock lock(mu_);
    std::vector<Kind> kinds;
    for (const VmEvent& event : events_) {
      if (event.device == device) kinds.push_back(event.kind);
    }
    return kinds;
  }
  std::vector<VmEvent> events() {
    const MutexLock lock(mu_);
    return events_;
  }
  void Await(Kind kind) {
    const MutexLock lock(mu_);
    while (events_.empty() || events_.back().kind != kind) changed_.Wait(mu_);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::vector<VmEvent> events_ ABSL_GUARDED_BY(mu_);
};

std::unique_ptr<Vmm> MakeVm(const VmConfig& config, VmEventSink& events) {
  Resources resources = OpenMicroguest(kMicroguest);
  resources.events = &events;
  auto vm = Vmm::Create(config, std::move(resources));
  EXPECT_TRUE(vm.ok()) << vm.status();
  return vm.ok() ? *std::move(vm) : nullptr;
}

uint64_t ValueOf(const std::vector<CounterSample>& samples,
                 const std::string& device, const std::string& name) {
  uint64_t sum = 0;
  for (const CounterSample& sample : samples) {
    if (sample.device == device && sample.name == name) sum += sample.value;
  }
  return sum;
}

VmConfig RngConfigFor(const std::string& options) {
  VmConfig config = MicroguestConfig("rng");
  RngConfig rng;
  rng.virtio.transport = TransportKind::kPci;
  config.rng.push_back(rng);
  config.boot.cmdline += DeviceOptions(TransportKind::kPci, 0) + options;
  return config;
}

TEST(ControlTest, StatesAndEventsFollowTheLifeOfAVm) {
  SKIP_WITHOUT_KVM();
  EventRecorder events;
  auto vm = MakeVm(MicroguestConfig("spin"), events);
  ASSERT_NE(vm, nullptr);
  EXPECT_EQ(vm->state(), VmState::kCreated);
  EXPECT_THAT(events.Kinds(), IsEmpty());
  ASSERT_TRUE(vm->Start().ok());
  EXPECT_EQ(vm->state(), VmState::kRunning);
  ASSERT_TRUE(vm->Pause().ok());
  ASSERT_TRUE(vm->Pause().ok());
  EXPECT_EQ(vm->state(), VmState::kPaused);
  ASSERT_TRUE(vm->Resume().ok());
  ASSERT_TRUE(vm->Resume().ok());
  EXPECT_EQ(vm->state(), VmState::kRunning);
  vm->Stop();
  EXPECT_EQ(vm->state(), VmState::kStopped);
  vm->Wait();
  EXPECT_EQ(vm->state(), VmState::kStopped);
  EXPECT_THAT(events.Kinds(), ElementsAre(Kind::kStarted, Kind::kPaused,
                                          Kind::kResumed, Kind::kStopped));
  const VmEvent last = events.events().back();
  ASSERT_TRUE(last.exit.has_value());
  EXPECT_EQ(last.exit->reason, ExitReason::kStopRequested);
  EXPECT_GT(last.time_ns, int64_t{1'500'000'000} * 1'000'000'000);
}

TEST(ControlTest, FailedCreateTellsNothing) {
  SKIP_WITHOUT_KVM();
  EventRecorder events;
  Resources resources = OpenMicroguest("/proc/self/exe");
  resources.events = &events;
  EXPECT_FALSE(
      Vmm::Create(MicroguestConfig("spin"), std::move(resources)).ok());
  EXPECT_THAT(events.events(), IsEmpty());
}

TEST(ControlTest, DriversAreSeenAndWhatTheyDidIsCounted) {
  SKIP_WITHOUT_KVM();
  EventRecorder events;
  auto vm = MakeVm(RngConfigFor(" ring=packed wait=poll"), events);
  ASSERT_NE(vm, nullptr);
  EXPECT_EQ(ValueOf(vm->Counters(), "rng0", "bytes"), 0u);
  ASSERT_TRUE(vm->Start().ok());
  events.Await(Kind::kStopped);
  EXPECT_GT(ValueOf(vm->Counters(), "rng0", "bytes"), 0u);
  EXPECT_EQ(vm->Wait().reason, ExitReason::kGuestPoweroff);
  EXPECT_EQ(events.Kinds("rng0").front(), Kind::kDriverReady);
  // Devices are gone, what the VM itself counts is not.
  EXPECT_EQ(ValueOf(vm->Counters(), "rng0", "bytes"), 0u);
  EXPECT_GT(ValueOf(vm->Counters(), "", "vcpu_exits"), 0u);
}

TEST(ControlTest, CallsForWhatIsNotThereAreErrors) {
  SKIP_WITHOUT_KVM();
  EventRecorder events;
  auto vm = MakeVm(MicroguestConfig("spin"), events);
  ASSERT_NE(vm, nullptr);
  EXPECT_TRUE(absl::IsNotFound(vm->SetLink(0, false)));
  EXPECT_TRUE(absl::IsFailedPrecondition(vm->PressPowerButton()));
  ASSERT_TRUE(vm->Start().ok());
  // This guest does not listen.
  EXPECT_TRUE(vm->PressPowerButton().ok());
  vm->Stop();
  EXPECT_TRUE(absl::IsFailedPrecondition(vm->PressPowerButton()));
  vm->Wait();
  EXPECT_TRUE(absl::IsFailedPrecondition(vm->PressPowerButton()));
  EXPECT_TRUE(absl::IsFailedPrecondition(vm->SetLink(0, false)));
}

TEST(ControlTest, LinkOfACardGoesDownAndUp) {
  SKIP_WITHOUT_KVM();
  EventRecorder events;
  VmConfig config = MicroguestConfig("spin");
  NetConfig net;
  net.backend = NetConfig::Backend::kLoopback;
  config.net.push_back(net);
  Resources resources = OpenMicroguest(kMicroguest);
  resources.net.resize(1);
  resources.events = &events;
  auto created = Vmm::Create(config, std::move(resources));
  ASSERT_TRUE(created.ok()) << created.status();
  Vmm& vm = **created;
  EXPECT_EQ(ValueOf(vm.Counters(), "net0", "link_up"), 1u);
  EXPECT_TRUE(vm.SetLink(0, false).ok());
  EXPECT_EQ(ValueOf(vm.Counters(), "net0", "link_up"), 0u);
  EXPECT_TRUE(vm.SetLink(0, false).ok());
  EXPECT_TRUE(vm.SetLink(0, true).ok());
  EXPECT_EQ(ValueOf(vm.Counters(), "net0", "link_up"), 1u);
  const std::vector<VmEvent> told = events.events();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].kind, Kind::kLinkChanged);
  EXPECT_EQ(told[0].device, "net0");
  EXPECT_FALSE(told[0].link_up);
  EXPECT_TRUE(told[1].link_up);
}

// Under ThreadSanitizer, and for deadlocks.
TEST(ControlTest, EverythingAtOnceFromManyThreads) {
  SKIP_WITHOUT_KVM();
  EventRecorder events;
  VmConfig config = MicroguestConfig("chatter");
  config.cpu.count = 2;
  auto vm = MakeVm(config, events);
  ASSERT_NE(vm, nullptr);
  ASSERT_TRUE(vm->Start().ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&vm = *vm, i] {
      for (int round = 0; round < 20; ++round) {
        // Some of them fail, once the VM has ended.
        vm.Pause().IgnoreError();
        vm.Counters();
        vm.Resume().IgnoreError();
        vm.state();
        vm.PressPowerButton().IgnoreError();
        vm.SetLink(0, true).IgnoreError();
      }
      if (i == 0) vm.Stop();
    });
  }
  EXPECT_EQ(vm->Wait().reason, ExitReason::kStopRequested);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(events.events().back().kind, Kind::kStopped);
}

}  // namespace
}  // namespace annulus
