// The network device without a VM: its queues, workers and a backend in this
// process, and a driver in another thread that polls. tools/bench net runs it.

#include <getopt.h>
#include <sched.h>
#include <x86intrin.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "devices/interrupt.h"
#include "devices/virtio/device.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/net/backend/loopback_backend.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/backend/null_backend.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "devices/virtio/worker/worker_policy.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "tests/bench/number.h"

namespace annulus::bench {
namespace {

constexpr char kHelp[] = R"(usage: net_bench [OPTION]...

--format packed|split            the rings (packed)
--backend null|loopback          (null) null generates what is received
--direction transmit|receive|both  (transmit) both: with loopback
--bytes N                        of each frame (64)
--batch N                        frames that the driver handles at a time (64)
--frames N                       (10000000)
--size N                         descriptors of each queue (256)
--no-mergeable                   do not negotiate VIRTIO_NET_F_MRG_RXBUF
)";

struct Options {
  std::string format = "packed";
  std::string backend = "null";
  std::string direction = "transmit";
  uint32_t bytes = 64;
  uint32_t batch = 64;
  uint64_t frames = 10'000'000;
  uint16_t size = 256;
  bool mergeable = true;
};

class Quiet final : public Interrupt,
                    public virtio::DeviceHost,
                    public LogSink {
 public:
  void Trigger() override {}
  void ConfigChanged() override {}
  void NeedsReset() override { ANNULUS_CHECK(false); }
  void Log(LogSeverity, absl::string_view) override {}
};

// Guest-physical; each queue has a megabyte for its rings, and four for its
// buffers.
constexpr uint64_t kRamBytes = 16 << 20;
uint64_t RingsOf(uint16_t queue) { return uint64_t{0x100000} * (1 + queue); }
uint64_t BuffersOf(uint16_t queue) { return uint64_t{0x400000} * (1 + queue); }
constexpr uint64_t kDriverArea = 0x40000;
constexpr uint64_t kDeviceArea = 0x80000;

virtio::QueueConfig ConfigOf(uint16_t queue, const Options& options,
                             const virtio::FeatureSet& features) {
  const uint64_t base = RingsOf(queue);
  return {.size = options.size,
          .descriptor = memory::GuestAddress(base),
          .driver = memory::GuestAddress(base + kDriverArea),
          .device = memory::GuestAddress(base + kDeviceArea),
          .features = features};
}

virtio::PackedDriver MakeDriver(virtio::PackedDriver*, uint8_t* rings,
                                const Options& options,
                                virtio::DriverSlot* slots) {
  using virtio::PackedEventSuppression;
  return virtio::PackedDriver(
      {.ring = reinterpret_cast<virtio::PackedDescriptor*>(rings),
       .driver_event =
           reinterpret_cast<PackedEventSuppression*>(rings + kDriverArea),
       .device_event =
           reinterpret_cast<PackedEventSuppression*>(rings + kDeviceArea),
       .size = options.size,
       .slots = slots});
}

virtio::SplitDriver MakeDriver(virtio::SplitDriver*, uint8_t* rings,
                               const Options& options,
                               virtio::DriverSlot* slots) {
  return virtio::SplitDriver(
      {.descriptors = reinterpret_cast<virtio::SplitDescriptor*>(rings),
       .available =
           reinterpret_cast<virtio::SplitAvailableHeader*>(rings + kDriverArea),
       .used = reinterpret_cast<virtio::SplitUsedHeader*>(rings + kDeviceArea),
       .size = options.size,
       .slots = slots});
}

// One queue from the driver's side: keeps it full of buffers of one kind.
template <typename Driver>
struct alignas(128) Side {
  Side(uint8_t* ram, uint16_t queue, const Options& options)
      : slots(options.size),
        driver(MakeDriver(static_cast<Driver*>(nullptr), ram + RingsOf(queue),
                          options, slots.data())),
        base(BuffersOf(queue)),
        batch(options.batch) {
    driver.DisableCallbacks();
  }

  // Adds and takes back up to a batch. True if anything moved.
  bool Step(bool writable, uint32_t bytes, uint64_t most) {
    uint32_t added = 0;
    while (added < batch && started < most) {
      const virtio::DriverElement element = {
          .addr = base + started % 1024 * 4096, .len = bytes};
      const uint16_t id = writable ? driver.AddBatched(nullptr, 0, &element, 1)
                                   : driver.AddBatched(&element, 1, nullptr, 0);
      if (id == virtio::kNoDriverBuffer) break;
      ++added;
      ++started;
    }
    if (added != 0) {
      driver.Expose();
      if (driver.NeedsNotification()) {
        ++kicks;
        notification.Signal();
      }
    }
    uint16_t id;
    uint32_t len;
    uint32_t taken = 0;
    while (taken < batch && driver.GetUsed(&id, &len)) ++taken;
    completed += taken;
    return added + taken != 0;
  }

  std::vector<virtio::DriverSlot> slots;
  Driver driver;
  const uint64_t base;
  const uint32_t batch;
  uint64_t started = 0;
  uint64_t completed = 0;
  uint64_t kicks = 0;
  EventFd notification = EventFd::Create().value();
};

void Idle(bool crowded) {
  if (crowded) {
    ::sched_yield();
    return;
  }
  for (int i = 0; i < 4; ++i) _mm_pause();
}

std::unique_ptr<virtio::NetBackend> MakeBackend(const Options& options) {
  if (options.backend == "loopback") {
    return virtio::LoopbackBackend::Create(1).value();
  }
  virtio::NullBackendOptions null;
  if (options.direction == "receive") null.generate_bytes = options.bytes;
  return virtio::NullBackend::Create(null).value();
}

template <typename Driver>
void Run(const Options& options) {
  Quiet quiet;
  virtio::NetOptions net;
  net.features = virtio::FeatureSet::Of(
      virtio::kFeatureVersion1, virtio::kFeatureRingPacked,
      virtio::kFeatureEventIdx, virtio::kNetMrgRxbuf, virtio::kNetStatus);
  net.queue_size = options.size;
  // Both sides poll: what is measured is the path, not the system calls of
  // waking up. Three threads that all poll would need three processors.
  const bool crowded = options.direction == "both";
  net.workers.poll = crowded ? virtio::WorkerPolicy::Poll::kNever
                             : virtio::WorkerPolicy::Poll::kAlways;
  const std::unique_ptr<virtio::NetDevice> device =
      virtio::NetDevice::Create(net, MakeBackend(options), quiet).value();
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = kRamBytes}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  uint8_t* const host = ram.Regions()[0].host;
  std::memset(host, 0, kRamBytes);

  virtio::FeatureSet features =
      virtio::FeatureSet::Of(virtio::kFeatureVersion1);
  if (options.format == "packed") features.Add(virtio::kFeatureRingPacked);
  if (options.mergeable) features.Add(virtio::kNetMrgRxbuf);
  const auto receive = std::make_unique<Side<Driver>>(host, 0, options);
  const auto transmit = std::make_unique<Side<Driver>>(host, 1, options);
  device->Start(features);
  const auto start_queue = [&](uint16_t index, const EventFd& notification) {
    device->StartQueue(index, {.config = ConfigOf(index, options, features),
                               .memory = &memory,
                               .notification = &notification,
                               .interrupt = &quiet,
                               .host = &quiet});
  };
  const bool receives = options.direction != "transmit";
  const bool transmits = options.direction != "receive";
  const uint32_t frame =
      options.bytes + static_cast<uint32_t>(virtio::kNetHeaderBytes);
  if (transmits) start_queue(1, transmit->notification);
  if (receives) start_queue(0, receive->notification);

  Side<Driver>& counted = receives ? *receive : *transmit;
  const auto begin = std::chrono::steady_clock::now();
  while (counted.completed < options.frames) {
    bool moved = false;
    // A loopback that is full drops frames, so no more are under way than it
    // has room for.
    if (transmits) {
      const uint64_t most =
          receives ? receive->completed + 256 : options.frames;
      moved |= transmit->Step(false, frame, most);
    }
    if (receives) moved |= receive->Step(true, 2048, UINT64_MAX);
    if (!moved) Idle(crowded);
  }
  const std::chrono::duration<double, std::nano> elapsed =
      std::chrono::steady_clock::now() - begin;
  ANNULUS_CHECK(!counted.driver.broken());
  device->Reset();
  const double ns = elapsed.count() / static_cast<double>(counted.completed);
  std::printf("net_bench %s %s %s %u %u %.0f %.2f\n", options.format.c_str(),
              options.direction.c_str(), options.backend.c_str(), options.bytes,
              options.batch, 1e9 / ns, ns);
}

[[noreturn]] void Usage(int code) {
  std::fputs(kHelp, code == 0 ? stdout : stderr);
  std::exit(code);
}

uint64_t Number(const char* text, uint64_t least, uint64_t most) {
  return bench::Number("net_bench", text, least, most);
}

Options Parse(int argc, char** argv) {
  const option kOptions[] = {{"format", required_argument, nullptr, 'f'},
                             {"backend", required_argument, nullptr, 'k'},
                             {"direction", required_argument, nullptr, 'd'},
                             {"bytes", required_argument, nullptr, 'b'},
                             {"batch", required_argument, nullptr, 'a'},
                             {"frames", required_argument, nullptr, 'n'},
                             {"size", required_argument, nullptr, 's'},
                             {"no-mergeable", no_argument, nullptr, 'm'},
                             {"help", no_argument, nullptr, 'h'},
                             {}};
  Options options;
  int c;
  while ((c = getopt_long(argc, argv, "", kOptions, nullptr)) != -1) {
    switch (c) {
      case 'f':
        options.format = optarg;
        break;
      case 'k':
        options.backend = optarg;
        break;
      case 'd':
        options.direction = optarg;
        break;
      case 'b':
        options.bytes = static_cast<uint32_t>(Number(optarg, 14, 2036));
        break;
      case 'a':
        options.batch = static_cast<uint32_t>(Number(optarg, 1, 1024));
        break;
      case 'n':
        options.frames = Number(optarg, 1, 2'000'000'000);
        break;
      case 's':
        options.size = static_cast<uint16_t>(Number(optarg, 2, 1024));
        break;
      case 'm':
        options.mergeable = false;
        break;
      default:
        Usage(c == 'h' ? 0 : 2);
    }
  }
  const bool loopback = options.backend == "loopback";
  if (optind != argc ||
      (options.format != "packed" && options.format != "split") ||
      (!loopback && options.backend != "null") ||
      (options.direction != "transmit" && options.direction != "receive" &&
       options.direction != "both") ||
      loopback != (options.direction == "both")) {
    Usage(2);
  }
  return options;
}

}  // namespace
}  // namespace annulus::bench

int main(int argc, char** argv) {
  const annulus::bench::Options options = annulus::bench::Parse(argc, argv);
  if (options.format == "packed") {
    annulus::bench::Run<annulus::virtio::PackedDriver>(options);
  } else {
    annulus::bench::Run<annulus::virtio::SplitDriver>(options);
  }
}
