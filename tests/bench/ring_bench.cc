// Moves buffers around one ring between two pinned threads, the driver's side
// and the device's, as tools/virtio/ringtest of the Linux sources does with its
// rings. Here it is the whole engine: guest addresses are translated, and
// everything is checked. tools/bench ring runs both.

#include <getopt.h>
#include <sched.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "devices/virtio/driver/driver_buffer.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/packed_queue.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/queue/split_queue.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/packed_ring.h"
#include "devices/virtio/spec/split_ring.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "tests/bench/notification_line.h"
#include "tests/bench/proposal_batch.h"
#include "tests/bench/proposal_chain.h"
#include "tests/bench/proposal_driver.h"
#include "tests/bench/proposal_queue.h"
#include "tests/bench/proposal_ring.h"
#include "tests/bench/ring_loops.h"

namespace annulus::bench {
namespace {

constexpr uint64_t kRamBytes = 16 << 20;
constexpr uint64_t kDescriptorArea = 0x100000;
constexpr uint64_t kDriverArea = 0x200000;
constexpr uint64_t kDeviceArea = 0x300000;
constexpr uint64_t kBufferArea = 0x400000;

constexpr char kHelp[] = R"(usage: ring_bench [OPTION]...

--format packed|split|proposal  the ring (packed); proposal: of the 2017 message
--size N        descriptors (256)
--batch N       buffers that a side handles at a time (16)
--buffers N     that go around (10000000)
--readable      buffers that the device reads; else ones that it writes
--in-order      negotiate VIRTIO_F_IN_ORDER
--no-event-idx  do not negotiate VIRTIO_F_EVENT_IDX
--sleep         notify and sleep; else both sides poll
--callbacks next|every|delayed  what a sleeping driver waits for (next)
--pauses N      pause instructions between two looks of one that polls (4)
--driver-cpu N, --device-cpu N  where the threads run (0, 1); -1: anywhere
--single        both sides in one thread, for counting instructions
)";

struct Options {
  std::string format = "packed";
  uint16_t size = 256;
  bool in_order = false;
  bool event_idx = true;
  int driver_cpu = 0;
  int device_cpu = 1;
  bool single = false;
  LoopOptions loop;
};

// What one thread writes shares no cache line, nor a pair of them that the
// processor fetches together, with what the other thread uses.
template <typename T>
struct alignas(128) Apart {
  T value;
};
template <typename T>
Apart(T) -> Apart<T>;

// Binds the calling thread to one CPU; -1 leaves it free.
void PinThread(int cpu) {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  ANNULUS_CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
}

template <typename Driver, typename Queue, typename Batch>
void Measure(Driver& driver, Queue& queue, Batch& batch,
             const Options& options) {
  Apart<NotificationLine> kick;
  Apart<NotificationLine> call;
  const auto start = std::chrono::steady_clock::now();
  if (options.single) {
    DriverProgress progress;
    while (progress.completed < options.loop.buffers) {
      DriverStep(driver, options.loop, progress, [] {});
      DeviceStep(queue, batch, options.loop, [] {});
      ANNULUS_CHECK(queue.ok() && !driver.broken());
    }
  } else {
    std::thread device([&] {
      PinThread(options.device_cpu);
      DeviceLoop(queue, batch, options.loop, kick.value, call.value);
    });
    PinThread(options.driver_cpu);
    DriverLoop(driver, options.loop, kick.value, call.value);
    device.join();
  }
  const std::chrono::duration<double, std::nano> elapsed =
      std::chrono::steady_clock::now() - start;
  const double buffers = static_cast<double>(options.loop.buffers);
  std::printf(
      "ns_per_buffer=%.2f kicks_per_buffer=%.6f calls_per_buffer=%.6f\n",
      elapsed.count() / buffers,
      static_cast<double>(kick.value.sent()) / buffers,
      static_cast<double>(call.value.sent()) / buffers);
}

// With room for a batch, where there is more than one buffer in it.
template <typename Chain, typename Batch, typename Driver, typename Queue>
void MeasureBatches(Driver& driver, Queue& queue, const Options& options) {
  const uint16_t batch = static_cast<uint16_t>(options.loop.batch);
  if (batch == 1) {
    Apart chain{Chain(options.size)};
    Measure(driver, queue, chain.value, options);
  } else {
    Apart chains{Batch(batch, options.size)};
    Measure(driver, queue, chains.value, options);
  }
}

void Run(const Options& options) {
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = kRamBytes}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  uint8_t* host = ram.Regions()[0].host;
  std::vector<virtio::DriverSlot> slots(options.size);
  virtio::QueueConfig config = {
      .size = options.size,
      .descriptor = memory::GuestAddress(kDescriptorArea),
      .driver = memory::GuestAddress(kDriverArea),
      .device = memory::GuestAddress(kDeviceArea),
      .features = virtio::FeatureSet::Of(virtio::kFeatureVersion1)};
  if (options.event_idx) config.features.Add(virtio::kFeatureEventIdx);
  if (options.in_order) config.features.Add(virtio::kFeatureInOrder);
  if (options.format == "packed") {
    config.features.Add(virtio::kFeatureRingPacked);
    using virtio::PackedEventSuppression;
    Apart driver{virtio::PackedDriver(
        {.ring = reinterpret_cast<virtio::PackedDescriptor*>(host +
                                                             kDescriptorArea),
         .driver_event =
             reinterpret_cast<PackedEventSuppression*>(host + kDriverArea),
         .device_event =
             reinterpret_cast<PackedEventSuppression*>(host + kDeviceArea),
         .size = options.size,
         .event_idx = options.event_idx,
         .in_order = options.in_order,
         .slots = slots.data()})};
    Apart queue{virtio::PackedQueue::Create(memory, config).value()};
    MeasureBatches<virtio::DescriptorChain, virtio::ChainBatch>(
        driver.value, queue.value, options);
  } else if (options.format == "split") {
    Apart driver{virtio::SplitDriver(
        {.descriptors =
             reinterpret_cast<virtio::SplitDescriptor*>(host + kDescriptorArea),
         .available = reinterpret_cast<virtio::SplitAvailableHeader*>(
             host + kDriverArea),
         .used = reinterpret_cast<virtio::SplitUsedHeader*>(host + kDeviceArea),
         .size = options.size,
         .event_idx = options.event_idx,
         .in_order = options.in_order,
         .slots = slots.data()})};
    Apart queue{virtio::SplitQueue::Create(memory, config).value()};
    MeasureBatches<virtio::DescriptorChain, virtio::ChainBatch>(
        driver.value, queue.value, options);
  } else {
    Apart driver{ProposalDriver(
        {.ring = reinterpret_cast<ProposalDescriptor*>(host + kDescriptorArea),
         .driver_event = reinterpret_cast<ProposalEvent*>(host + kDriverArea),
         .device_event = reinterpret_cast<ProposalEvent*>(host + kDeviceArea),
         .size = options.size,
         .event_idx = options.event_idx,
         .slots = slots.data()})};
    Apart queue{ProposalQueue::Create(memory, config).value()};
    MeasureBatches<ProposalChain, ProposalBatch>(driver.value, queue.value,
                                                 options);
  }
}

[[noreturn]] void Usage(int code) {
  std::fputs(kHelp, code == 0 ? stdout : stderr);
  std::exit(code);
}

uint32_t Number(const char* text, long least, long most) {
  char* end;
  const long value = std::strtol(text, &end, 10);
  if (*end != 0 || value < least || value > most) {
    std::fprintf(stderr, "ring_bench: %s is not a number from %ld to %ld\n",
                 text, least, most);
    std::exit(2);
  }
  return static_cast<uint32_t>(value);
}

Options Parse(int argc, char** argv) {
  const option kOptions[] = {{"format", required_argument, nullptr, 'f'},
                             {"size", required_argument, nullptr, 's'},
                             {"batch", required_argument, nullptr, 'b'},
                             {"buffers", required_argument, nullptr, 'n'},
                             {"readable", no_argument, nullptr, 'r'},
                             {"in-order", no_argument, nullptr, 'i'},
                             {"no-event-idx", no_argument, nullptr, 'e'},
                             {"sleep", no_argument, nullptr, 'S'},
                             {"callbacks", required_argument, nullptr, 'c'},
                             {"pauses", required_argument, nullptr, 'p'},
                             {"driver-cpu", required_argument, nullptr, 'A'},
                             {"device-cpu", required_argument, nullptr, 'B'},
                             {"single", no_argument, nullptr, '1'},
                             {"help", no_argument, nullptr, 'h'},
                             {}};
  Options options;
  options.loop.base = kBufferArea;
  int c;
  while ((c = getopt_long(argc, argv, "", kOptions, nullptr)) != -1) {
    const std::string argument = optarg == nullptr ? "" : optarg;
    switch (c) {
      case 'f':
        options.format = argument;
        break;
      case 's':
        options.size = static_cast<uint16_t>(Number(optarg, 1, 32768));
        break;
      case 'b':
        options.loop.batch = Number(optarg, 1, 32768);
        break;
      case 'n':
        options.loop.buffers = Number(optarg, 1, 2'000'000'000);
        break;
      case 'r':
        options.loop.writable = false;
        break;
      case 'i':
        options.in_order = true;
        break;
      case 'e':
        options.event_idx = false;
        break;
      case 'S':
        options.loop.sleep = true;
        break;
      case 'c':
        if (argument == "every") {
          options.loop.callbacks = Callbacks::kEvery;
        } else if (argument == "delayed") {
          options.loop.callbacks = Callbacks::kDelayed;
        } else if (argument != "next") {
          Usage(2);
        }
        break;
      case 'p':
        options.loop.pauses = Number(optarg, 0, 1000);
        break;
      case 'A':
        options.driver_cpu = static_cast<int>(Number(optarg, -1, 1023));
        break;
      case 'B':
        options.device_cpu = static_cast<int>(Number(optarg, -1, 1023));
        break;
      case '1':
        options.single = true;
        break;
      default:
        Usage(c == 'h' ? 0 : 2);
    }
  }
  if (optind != argc ||
      (options.format != "packed" && options.format != "split" &&
       options.format != "proposal")) {
    Usage(2);
  }
  return options;
}

}  // namespace
}  // namespace annulus::bench

int main(int argc, char** argv) {
  annulus::bench::Run(annulus::bench::Parse(argc, argv));
}
