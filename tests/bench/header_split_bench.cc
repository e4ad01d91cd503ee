// Header-split receive without a VM: the network device, its workers, and a
// source of frames in this process; a driver in another thread that polls, and
// a program behind it that has to hold what it received in pages of its own.
// tools/bench header-split runs it.

#include <sched.h>
#include <x86intrin.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/log_sink.h"
#include "devices/interrupt.h"
#include "devices/virtio/device.h"
#include "devices/virtio/driver/header_slot_ring.h"
#include "devices/virtio/driver/header_split_receiver.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/received_packet.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/queue/queue_config.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/worker/worker_policy.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"
#include "tests/bench/header_split_bench_application.h"
#include "tests/bench/header_split_bench_card.h"
#include "tests/bench/header_split_bench_frames.h"
#include "tests/bench/header_split_bench_options.h"
#include "tests/bench/header_split_bench_queues.h"
#include "tests/bench/header_split_bench_sources.h"
#include "tests/bench/header_split_bench_steps.h"

namespace annulus::bench {
namespace {

using virtio::FeatureSet;
using virtio::ReceiveMethod;

constexpr char kTap[] = "hsbench0";
// Of the tap: what is larger is a GSO frame.
constexpr uint32_t kMtu = 9000;

// Of a tap: as many as it holds, and a socket's memory allows.
constexpr uint32_t kBurst = 128;

class Quiet final : public Interrupt,
                    public virtio::DeviceHost,
                    public LogSink {
 public:
  void Trigger() override {}
  void ConfigChanged() override {}
  void NeedsReset() override { ANNULUS_CHECK(false); }
  void Log(LogSeverity, absl::string_view) override {}
};

// The calling thread, and those that it starts from now on.
void PinTo(int cpu) {
  if (cpu < 0) return;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  ANNULUS_CHECK(::sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
}

using Clock = std::chrono::steady_clock;

struct Measured {
  Clock::duration elapsed = {};
  uint64_t ticks = 0;  // Of the time stamp counter, at the same time.
  Received received;   // Before.
};

// Of either thread.
struct Steps {
  StepTimes device;
  StepTimes program;
};

// Takes frames until `until` of them were received in all.
template <typename Receiver, typename Driver>
void Receive(Receiver& receiver, Side<Driver>& side,
             Application<Receiver>& application, StepTimes& steps,
             uint32_t batch, uint64_t until) {
  virtio::ReceivedPacket packet;
  uint32_t idle = 0;
  receiver.Post();
  side.Notify();
  while (application.received().frames < until) {
    const uint64_t left = until - application.received().frames;
    uint32_t taken = 0;
    const uint64_t begin = steps.on() ? __rdtsc() : 0;
    // A frame may take many buffers: the device is not to run out of them.
    while (taken < batch && taken < left &&
           side.driver.free_descriptors() < side.size / 4u &&
           receiver.GetPacket(packet)) {
      application.Take(packet);
      ++taken;
    }
    if (taken == 0) {
      ANNULUS_CHECK(!receiver.broken());
      if (++idle % 1024 == 0) ::sched_yield();  // The worker may have no CPU.
      _mm_pause();
      continue;
    }
    receiver.Post();
    side.Notify();
    if (steps.on()) steps.Add(__rdtsc() - begin, taken);
  }
}

template <typename Receiver, typename Driver>
Measured Measure(const HeaderSplitBenchOptions& options,
                 const BenchFrames& frames, Gate& gate, Steps& steps,
                 Receiver& receiver, Side<Driver>& side,
                 Application<Receiver>& application) {
  Measured measured;
  const auto receive = [&](uint64_t count) {
    const auto begin = Clock::now();
    const uint64_t first_tick = __rdtsc();
    gate.Open();
    Receive(receiver, side, application, steps.program, options.batch,
            application.received().frames + count);
    gate.Close();
    measured.ticks += __rdtsc() - first_tick;
    measured.elapsed += Clock::now() - begin;
  };
  const auto run = [&](uint64_t count, TapSender* sender) {
    if (sender == nullptr) return receive(count);
    for (uint64_t done = 0; done < count; done += kBurst) {
      for (uint32_t i = 0; i < kBurst; ++i) sender->SendNext();
      receive(kBurst);
    }
  };
  std::unique_ptr<TapSender> sender;
  if (options.source == "tap") {
    sender = std::make_unique<TapSender>(frames, kTap);
  }
  run(options.frames / 8 + 1024, sender.get());  // Everything is warm then.
  measured.elapsed = {};
  measured.ticks = 0;
  measured.received = application.received();
  run(options.frames, sender.get());
  return measured;
}

double Share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0
                    : static_cast<double>(part) / static_cast<double>(whole);
}

void Print(const HeaderSplitBenchOptions& options, const Measured& measured,
           const Received& after, const auto& split, uint64_t posted_bytes,
           Steps& steps) {
  const Received& before = measured.received;
  const uint64_t frames = after.frames - before.frames;
  const uint64_t payload = after.payload_bytes - before.payload_bytes;
  const double ns =
      std::chrono::duration<double, std::nano>(measured.elapsed).count();
  const double ns_per_tick = ns / static_cast<double>(measured.ticks);
  const uint64_t read = split.predicted.value() + split.mispredicted.value() +
                        split.unpredicted.value();
  static constexpr const char* kUses[] = {"copy", "hold", "look"};
  std::printf(
      "header_split_bench method=%s split=%s use=%s format=%s source=%s "
      "payload=%u mix=%s frames=%llu ns_per_frame=%.2f gb_per_s=%.4f "
      "split_share=%.4f copied_share=%.4f wasted_per_mib=%.0f whole_pages=%.4f "
      "posted_kib=%llu slots_kib=%u predicted=%.4f mispredicted=%.4f "
      "unpredicted=%.4f "
      "no_slot=%llu no_space=%llu checked=%llu missing=%llu "
      "device_ns=%.2f program_ns=%.2f\n",
      options.method->name, options.split ? "on" : "off",
      kUses[static_cast<int>(options.use)], options.format.c_str(),
      options.source.c_str(), options.payload, options.mixed ? "mixed" : "pure",
      static_cast<unsigned long long>(frames), ns / static_cast<double>(frames),
      static_cast<double>(payload) / ns,
      Share(after.split_frames - before.split_frames,
            after.stream_frames - before.stream_frames),
      Share(after.copied_bytes - before.copied_bytes, payload),
      (Share(after.consumed_bytes - before.consumed_bytes, payload) - 1) *
          (1 << 20),
      Share(after.whole_pages - before.whole_pages,
            after.pieces - before.pieces),
      static_cast<unsigned long long>(posted_bytes >> 10),
      options.split && options.method->method == ReceiveMethod::kHeaderQueue
          ? uint32_t{kSlotBytes} << kLogSlots >> 10
          : 0,
      Share(split.predicted.value(), read),
      Share(split.mispredicted.value(), read),
      Share(split.unpredicted.value(), read),
      static_cast<unsigned long long>(split.unsplit_no_slot.value()),
      static_cast<unsigned long long>(split.unsplit_no_space.value()),
      static_cast<unsigned long long>(after.checked_frames),
      static_cast<unsigned long long>(after.missing_frames),
      steps.device.TicksPerFrame() * ns_per_tick,
      steps.program.TicksPerFrame() * ns_per_tick);
}

template <typename Driver>
void Run(const HeaderSplitBenchOptions& options) {
  const Method& method = *options.method;
  if (options.source == "tap") EnterNetNamespace();
  const BenchFrames frames(options.payload, kMtu, options.mixed,
                           size_t{options.source_mib} << 20);
  Gate gate;
  Steps steps;
  std::unique_ptr<virtio::NetBackend> backend;
  if (options.source == "tap") {
    backend = std::make_unique<GatedTap>(MakeTap(kTap, kMtu), gate);
  } else {
    if (options.steps) {
      steps.device.Reserve(1 << 20);
      steps.program.Reserve(1 << 20);
    }
    backend = std::make_unique<MemorySource>(frames, steps.device);
  }
  Quiet quiet;
  virtio::NetOptions net;
  const FeatureSet features = FeaturesOf(options);
  net.features = features;
  net.queue_size = kBuffers;
  net.header_split.offered = method.method != ReceiveMethod::kNone;
  // Both sides poll: what is measured is the path, not the system calls of
  // waking up.
  net.workers.poll = virtio::WorkerPolicy::Poll::kAlways;
  PinTo(options.device_cpu);
  const std::unique_ptr<virtio::NetDevice> device =
      virtio::NetDevice::Create(net, std::move(backend), quiet).value();
  PinTo(options.driver_cpu);
  const memory::GuestRam ram =
      memory::GuestRam::Create({.size = kRamBytes, .prefault = true}).value();
  const memory::GuestMemory memory =
      memory::GuestMemory::Create(ram.Regions()).value();
  uint8_t* const host = ram.Regions()[0].host;

  const auto control = std::make_unique<Side<Driver>>(host, kControlQueue, 4);
  const auto side = std::make_unique<Side<Driver>>(
      host, kReceiveQueue, method.pages_per_buffer == 1 ? kBuffers : kChains);
  Memory to_receive(method, host);
  std::vector<uint8_t> in_driver(size_t{1} << kLogSlots);
  virtio::HeaderSlotRing slots(
      {.slots = host + kSlots,
       .tail = reinterpret_cast<uint16_t*>(host + kTail),
       .slot_bytes = kSlotBytes,
       .log_slots = kLogSlots,
       .in_driver = in_driver.data()});
  const virtio::HeaderSplitReceiverConfig config = {
      .method = method.method,
      .mergeable = method.mergeable,
      .header = {.header_queue = method.method == ReceiveMethod::kHeaderQueue},
      .pages = &to_receive.pages,
      .small = method.small_bytes != 0 ? &to_receive.small : nullptr,
      .pages_per_buffer = method.pages_per_buffer,
      .slots = method.method == ReceiveMethod::kHeaderQueue ? &slots : nullptr,
      .in_flight = to_receive.in_flight.data()};
  ANNULUS_CHECK(config.Usable());
  virtio::HeaderSplitReceiver<Driver> receiver(side->driver, config);
  Application<virtio::HeaderSplitReceiver<Driver>> application(
      options.use, frames, receiver, to_receive.pages, config.small, kSlotBytes,
      host + kOwnPages);

  ANNULUS_CHECK(device->AcceptFeatures(features));
  ANNULUS_CHECK(features.IsSubsetOf(device->offered_features()));
  device->Start(features);
  const auto start_queue = [&](uint16_t index, const Side<Driver>& queue) {
    const uint64_t base = RingsOf(index);
    device->StartQueue(
        index, {.config = {.size = queue.size,
                           .descriptor = memory::GuestAddress(base),
                           .driver = memory::GuestAddress(base + kDriverArea),
                           .device = memory::GuestAddress(base + kDeviceArea),
                           .features = features},
                .memory = &memory,
                .notification = &queue.notification,
                .interrupt = &quiet,
                .host = &quiet});
  };
  start_queue(kControlQueue, *control);
  if (options.split) TurnOn(method.method, *control, host);
  start_queue(kReceiveQueue, *side);
  const Measured measured =
      Measure(options, frames, gate, steps, receiver, *side, application);
  const Received after = application.received();
  application.Finish();
  // The counters are the worker's until it stops.
  device->Reset();
  ANNULUS_CHECK(options.split ==
                (after.split_frames != measured.received.split_frames));
  Print(options, measured, after, device->counters(kReceiveQueue).split,
        uint64_t{to_receive.page_count - kHeldPages - kSparePages} * 4096,
        steps);
}

}  // namespace
}  // namespace annulus::bench

int main(int argc, char** argv) {
  const annulus::bench::HeaderSplitBenchOptions options =
      annulus::bench::ParseOptions(argc, argv);
  if (options.format == "packed") {
    annulus::bench::Run<annulus::virtio::PackedDriver>(options);
  } else {
    annulus::bench::Run<annulus::virtio::SplitDriver>(options);
  }
}
