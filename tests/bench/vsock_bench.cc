// The socket device without a VM: its workers and the unix backend in this
// process, a program of the host on a socket, and the driver side of the rings
// on a thread that plays the guest. One measurement; tools/bench vsock runs
// them all.
//
// Threads sleep when they have nothing to do, as they do under KVM, and are
// woken through eventfds as there. Guest memory is copied from and to once at
// each side: by the device's system calls, and by the guest, to and from a
// buffer of its program.

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/log_sink.h"
#include "base/thread_setup.h"
#include "base/unique_fd.h"
#include "devices/virtio/device.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/unix_backend.h"
#include "devices/virtio/vsock/backend/unix_sockets.h"
#include "devices/virtio/vsock/vsock_device.h"
#include "devices/virtio/vsock/vsock_options.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "tests/bench/embed_bench_sandbox.h"
#include "tests/bench/vsock_bench_guest.h"
#include "tests/bench/vsock_bench_host.h"
#include "tests/bench/vsock_bench_options.h"
#include "tests/bench/vsock_bench_stream.h"
#include "tests/bench/vsock_bench_threads.h"

namespace annulus::bench {
namespace {

using virtio::FeatureSet;

class Carrier final : public virtio::DeviceHost, public LogSink {
 public:
  void ConfigChanged() override {}
  void NeedsReset() override { ANNULUS_CHECK(false); }
  void Log(LogSeverity severity, absl::string_view line) override {
    if (severity < LogSeverity::kWarning) return;
    std::fprintf(stderr, "%s\n", std::string(line).c_str());
  }
};

double CpuSeconds() {
  rusage usage;
  ANNULUS_CHECK(::getrusage(RUSAGE_SELF, &usage) == 0);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) +
           static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Of this process, without what the kernel has of its own for it. By the page
// tables: other counts of it lag behind.
uint64_t ResidentKib() {
  std::FILE* const file = std::fopen("/proc/self/smaps_rollup", "re");
  ANNULUS_CHECK(file != nullptr);
  char line[256];
  unsigned long long kib = 0;
  while (std::fgets(line, sizeof(line), file) != nullptr) {
    if (std::sscanf(line, "Rss: %llu kB", &kib) == 1) break;
  }
  std::fclose(file);
  ANNULUS_CHECK(kib != 0);
  return kib;
}

struct Result {
  double seconds = 0;
  uint64_t bytes = 0;
  double cpu_seconds = 0;
  std::map<std::string, double> thread_seconds;
  std::vector<uint32_t> round_trips;   // Nanoseconds.
  double kib_per_connection = 0;       // Idle from the start.
  double kib_per_used_connection = 0;  // After some bytes each way.
};

// Lets others work for a while, measures the time that was asked for, and stops
// them.
void Measure(const VsockBenchOptions& options, Transfer& transfer,
             Result& result) {
  using Clock = std::chrono::steady_clock;
  std::this_thread::sleep_for(
      std::chrono::duration<double>(options.seconds / 4));
  const uint64_t first = transfer.received();
  const double cpu = CpuSeconds();
  const std::map<std::string, double> threads = ThreadSeconds();
  const auto begin = Clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
  result.bytes = transfer.received() - first;
  result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  result.cpu_seconds = CpuSeconds() - cpu;
  result.thread_seconds = ThreadSeconds();
  for (const auto& [name, seconds] : threads) {
    result.thread_seconds[name] -= seconds;
  }
  transfer.Stop();
}

// Two programs, and nothing between them but the kernel.
Result RunSocketPairs(const VsockBenchOptions& options) {
  const auto pattern = std::make_unique<Pattern>();
  Transfer transfer;
  Result result;
  std::vector<UniqueFd> ends[2];
  for (uint32_t i = 0; i < options.connections; ++i) {
    int sockets[2];
    ANNULUS_CHECK(
        ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
    for (int end = 0; end < 2; ++end) ends[end].emplace_back(sockets[end]);
  }
  std::thread here([&] {
    NameThread("program");
    if (options.mode == Mode::kRoundTrip) {
      result.round_trips = PingPong(ends[0][0], transfer);
    } else {
      WriteStreams(ends[0], *pattern, options.bytes, transfer);
    }
  });
  std::thread there([&] {
    NameThread("guest");
    if (options.mode == Mode::kRoundTrip) {
      Echo(ends[1][0]);
    } else {
      ReadStreams(ends[1], *pattern, transfer);
    }
  });
  Measure(options, transfer, result);
  here.join();
  there.join();
  return result;
}

FeatureSet FeaturesOf(const VsockBenchOptions& options) {
  FeatureSet features =
      FeatureSet::Of(virtio::kFeatureVersion1, virtio::kFeatureEventIdx,
                     virtio::kFeatureIndirectDesc);
  if (options.packed) features.Add(virtio::kFeatureRingPacked);
  if (options.mergeable) features.Add(virtio::kVsockMrgRxbufDefault);
  return features;
}

std::unique_ptr<virtio::VsockDevice> MakeDevice(
    const VsockBenchOptions& options, const std::string& name, LogSink& log,
    BenchSandbox& sandbox) {
  const ScopedThreadSetup setup(sandbox.setup());
  virtio::UnixSocketOptions sockets;
  sockets.path = name;
  virtio::UnixBackendOptions backend;
  backend.buf_alloc = options.buf_alloc;
  virtio::VsockOptions vsock;
  vsock.guest_cid = kGuestCid;
  vsock.features = FeaturesOf(options);
  vsock.mrg_rxbuf = options.mergeable;
  vsock.queue_size = kQueueSize;
  vsock.buf_alloc = options.buf_alloc;
  vsock.max_connections = options.connections;
  vsock.workers.poll_duration = absl::Microseconds(options.poll_us);
  return virtio::VsockDevice::Create(
             vsock,
             virtio::UnixBackend::Create(
                 backend, virtio::UnixSockets::Open(std::move(sockets)).value(),
                 log)
                 .value(),
             nullptr, log)
      .value();
}

// Some bytes each way on every connection.
void UseAll(const std::vector<UniqueFd>& sockets) {
  for (const UniqueFd& socket : sockets) {
    char bytes[200] = {};
    ANNULUS_CHECK(::send(socket.get(), bytes, sizeof(bytes), MSG_NOSIGNAL) ==
                  sizeof(bytes));
    ANNULUS_CHECK(::recv(socket.get(), bytes, sizeof(bytes), MSG_WAITALL) ==
                  sizeof(bytes));
  }
}

template <typename Driver>
Result RunDevice(const VsockBenchOptions& options) {
  const auto pattern = std::make_unique<Pattern>();
  Transfer transfer;
  Carrier carrier;
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = kRamBytes, .prefault = true}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  const auto guest = std::make_unique<Guest<Driver>>(
      options, ram.Regions()[0].host, *pattern, transfer);
  BenchSandbox sandbox(options.sandbox);
  const std::string name = absl::StrCat("@annulus-vsock-bench-", ::getpid());
  const std::unique_ptr<virtio::VsockDevice> device =
      MakeDevice(options, name, carrier, sandbox);
  const FeatureSet features = FeaturesOf(options);
  ANNULUS_CHECK(features.IsSubsetOf(device->offered_features()));
  ANNULUS_CHECK(device->AcceptFeatures(features));
  device->Start(features);
  for (uint16_t queue = 0; queue < 3; ++queue) {
    const uint64_t base = RingsOf(queue);
    device->StartQueue(
        queue, {.config = {.size = kQueueSize,
                           .descriptor = memory::GuestAddress(base),
                           .driver = memory::GuestAddress(base + kDriverArea),
                           .device = memory::GuestAddress(base + kDeviceArea),
                           .features = features},
                .memory = &memory,
                .notification = &guest->notification(queue),
                .interrupt = &guest->interrupt(),
                .host = &carrier});
  }
  Result result;
  std::thread driver([&] {
    NameThread("guest");
    guest->Run();
  });
  std::vector<UniqueFd> sockets;
  sockets.reserve(options.connections);
  if (options.mode == Mode::kIdle) {
    // The first one makes what all share.
    sockets.push_back(CallGuest(name, kGuestPort));
    UseAll(sockets);
  }
  const uint64_t before = ResidentKib();
  while (sockets.size() < options.connections) {
    sockets.push_back(CallGuest(name, kGuestPort));
  }
  const auto each = [&] {
    return (static_cast<double>(ResidentKib()) - static_cast<double>(before)) /
           (options.connections > 1 ? options.connections - 1 : 1);
  };
  if (options.mode == Mode::kIdle) {
    result.kib_per_connection = each();
    UseAll(sockets);
    result.kib_per_used_connection = each();
  } else {
    std::thread program([&] {
      NameThread("program");
      switch (options.mode) {
        case Mode::kToGuest:
          return WriteStreams(sockets, *pattern, options.bytes, transfer);
        case Mode::kToHost:
          return ReadStreams(sockets, *pattern, transfer);
        case Mode::kRoundTrip:
          result.round_trips = PingPong(sockets[0], transfer);
          return;
        case Mode::kIdle:
          return;
      }
    });
    Measure(options, transfer, result);
    program.join();
  }
  sockets.clear();
  // What the guest was sent has arrived when all its connections have ended.
  while (guest->ended() != options.connections) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  guest->Finish();
  driver.join();
  device->Reset();
  return result;
}

double Percentile(const std::vector<uint32_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<size_t>(share *
                                    static_cast<double>(sorted.size() - 1))] /
         1000.0;
}

void Print(const VsockBenchOptions& options, Result& result) {
  static constexpr const char* kModes[] = {"h2g", "g2h", "rtt", "idle"};
  std::sort(result.round_trips.begin(), result.round_trips.end());
  const double gib = static_cast<double>(result.bytes) / (1 << 30);
  const auto busy = [&](const char* thread) {
    return result.seconds == 0 ? 0
                               : result.thread_seconds[thread] / result.seconds;
  };
  std::printf(
      "vsock_bench mode=%s path=%s format=%s rx_buffer=%u mergeable=%d "
      "bytes=%u connections=%u seconds=%.3f gib_per_s=%.4f writes_per_s=%.0f "
      "cpu_s_per_gib=%.4f program_busy=%.3f guest_busy=%.3f rx_busy=%.3f "
      "tx_busy=%.3f round_trips=%zu min_us=%.2f p50_us=%.2f p99_us=%.2f "
      "idle_kib=%.3f used_kib=%.3f\n",
      kModes[static_cast<int>(options.mode)],
      options.device ? "device" : "socketpair",
      options.packed ? "packed" : "split", options.rx_buffer,
      options.mergeable ? 1 : 0, options.bytes, options.connections,
      result.seconds, result.seconds == 0 ? 0 : gib / result.seconds,
      result.seconds == 0
          ? 0
          : static_cast<double>(result.bytes) / options.bytes / result.seconds,
      gib == 0 ? 0 : result.cpu_seconds / gib, busy("program"), busy("guest"),
      busy("vsock0/rx"), busy("vsock0/tx"), result.round_trips.size(),
      Percentile(result.round_trips, 0), Percentile(result.round_trips, 0.5),
      Percentile(result.round_trips, 0.99), result.kib_per_connection,
      result.kib_per_used_connection);
}

// Each connection has two descriptors here.
void AllowDescriptors(uint32_t connections) {
  rlimit limit;
  ANNULUS_CHECK(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  ANNULUS_CHECK(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  ANNULUS_CHECK(limit.rlim_cur > 2 * rlim_t{connections} + 100);
}

Result Run(const VsockBenchOptions& options) {
  if (!options.device) return RunSocketPairs(options);
  return options.packed ? RunDevice<virtio::PackedDriver>(options)
                        : RunDevice<virtio::SplitDriver>(options);
}

}  // namespace
}  // namespace annulus::bench

int main(int argc, char** argv) {
  const annulus::bench::VsockBenchOptions options =
      annulus::bench::ParseOptions(argc, argv);
  annulus::bench::AllowDescriptors(options.connections);
  annulus::bench::Result result = annulus::bench::Run(options);
  annulus::bench::Print(options, result);
}
