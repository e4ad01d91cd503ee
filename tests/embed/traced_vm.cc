// A program that embeds the library and opens nothing after Start(). Run by
// system_calls_test under a tracer: traced_vm GUEST mmio|pci [MISTAKE].

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/backend/net_namespace_testing.h"
#include "devices/virtio/vsock/backend/hand_over_testing.h"
#include "tests/embed/guest_parts.h"
#include "tests/embed/markers.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

constexpr char kTap[] = "annulus0";
constexpr int kRounds = 20;

struct Case {
  VmConfig config;
  // Once the guest runs; what it needs was opened before.
  std::function<void(Vmm&)> meanwhile = [](Vmm&) {};
  bool stops_it = false;  // The guest itself does not end.
  UniqueFd given_away;    // The VM has a duplicate.
  std::thread host = {};  // A program of the host; ends with the VM.
};

// The other end of a wire: sends each frame back to where it came from.
void Echo(const virtio::PacketSocket& wire) {
  for (int i = 0; i < kRounds; ++i) {
    std::vector<uint8_t> frame = wire.Receive();
    ANNULUS_CHECK(frame.size() >= 12);
    std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
    ANNULUS_CHECK(wire.Send(frame));
  }
}

void PauseAndResume(Vmm& vmm) {
  for (int i = 0; i < 3; ++i) {
    // It may have ended by itself.
    if (!vmm.Pause().ok() || !vmm.Resume().ok()) return;
  }
}

std::optional<Case> MakeCase(const std::string& guest,
                             TransportKind transport) {
  Case made;
  if (guest == "rng" || guest == "hostile") {
    made.config = RngConfigOf(transport, guest);
    made.meanwhile = &PauseAndResume;
  } else if (guest == "loopback") {
    made.config = NetConfigOf(transport, NetConfig::Backend::kLoopback);
    made.meanwhile = &PauseAndResume;
  } else if (guest == "tap") {
    made.config = NetConfigOf(transport, NetConfig::Backend::kTap);
    made.config.net[0].tap = kTap;
    made.config.net[0].create_tap = true;
  } else if (guest == "vsock" || guest == "vsock_hostile") {
    // They live as long as the process, as descriptors do that were inherited.
    static const UniqueFd listener = ListenSomewhere();
    made.config = VsockConfigOf(transport, listener);
    made.config.boot.cmdline =
        absl::StrCat(MicroguestConfig(guest).boot.cmdline,
                     DeviceOptions(transport, 0), " ring=packed type=stream");
    int ends[2];
    ANNULUS_CHECK(
        ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    made.given_away.reset(ends[0]);
    made.config.vsock->host_fd = static_cast<uint32_t>(ends[0]);
    made.host = std::thread([fd = std::make_shared<UniqueFd>(ends[1])] {
      virtio::EchoHandedOver(*fd);
    });
    if (guest == "vsock") {
      auto caller = std::make_shared<UniqueFd>(Call(listener));
      made.meanwhile = [caller](Vmm&) {
        ANNULUS_CHECK(ExchangeMessage(*caller));
      };
    }
  } else if (guest == "spin") {
    made.config = MicroguestConfig(guest);
    made.stops_it = true;
  } else {
    return std::nullopt;
  }
  return made;
}

// What vCPUs and workers do now and then, when they free a lot.
void ShrinkHeap() {
  std::vector<std::string> blocks(4, std::string(100'000, 'x'));
  blocks.clear();
}

// What the tracer has to find, to be worth anything.
void Err(const std::string& mistake) {
  if (mistake == "open") {
    const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  } else if (mistake == "open_on_a_thread") {
    std::thread([] {
      const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    }).join();
  } else if (mistake == "none_on_a_thread") {
    std::thread(&ShrinkHeap).join();
  } else if (mistake == "socket") {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  } else if (mistake == "map_a_file") {
    static const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, file.get(), 0);
  } else if (mistake == "fork") {
    if (::fork() == 0) ::_exit(0);
  } else if (mistake == "signal") {
    ::signal(SIGUSR1, SIG_IGN);
  } else if (mistake == "directory") {
    ANNULUS_CHECK(::chdir("/") == 0);
  }
}

int RunHere(const std::string& guest, TransportKind transport,
            const std::string& mistake) {
  std::optional<Case> found = MakeCase(guest, transport);
  if (!found.has_value()) return 2;
  Case& made = *found;
  made.config.boot.kernel = kMicroguest;
  made.config.cpu.count = 2;
  absl::StatusOr<Resources> resources = OpenResources(made.config);
  if (!resources.ok()) {
    std::printf("%s\n", resources.status().ToString().c_str());
    return 5;
  }
  std::optional<virtio::PacketSocket> wire;
  if (guest == "tap") {
    wire.emplace(kTap);
    made.meanwhile = [&wire](Vmm&) { Echo(*wire); };
  }
  absl::StatusOr<std::unique_ptr<Vmm>> vmm =
      Vmm::Create(made.config, *std::move(resources));
  if (!vmm.ok()) {
    std::printf("%s\n", vmm.status().ToString().c_str());
    return 4;
  }
  made.given_away.reset();
  const bool started = (*vmm)->Start().ok();
  Mark(Marker::kStarted);
  Err(mistake);
  made.meanwhile(**vmm);
  if (made.stops_it) (*vmm)->Stop();
  const VmExit exit = (*vmm)->Wait();
  vmm->reset();
  Mark(Marker::kGone);
  if (made.host.joinable()) made.host.join();
  std::printf("%s\n", exit.detail.c_str());
  const ExitReason wanted =
      made.stops_it ? ExitReason::kStopRequested : ExitReason::kGuestPoweroff;
  return started && exit.reason == wanted ? 0 : 1;
}

int Run(const std::string& guest, TransportKind transport,
        const std::string& mistake) {
  if (guest != "tap") return RunHere(guest, transport, mistake);
  int code = 3;
  const bool ran = virtio::InNetNamespace(
      [&] { code = RunHere(guest, transport, mistake); });
  return ran ? code : 3;
}

}  // namespace
}  // namespace annulus

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  return annulus::Run(argv[1],
                      std::string(argv[2]) == "pci"
                          ? annulus::TransportKind::kPci
                          : annulus::TransportKind::kMmio,
                      argc > 3 ? argv[3] : "");
}
