// What it costs to have a VM in one's process. tools/bench embed runs it.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/thread_setup.h"
#include "tests/bench/embed_bench_memory.h"
#include "tests/bench/embed_bench_options.h"
#include "tests/bench/embed_bench_sandbox.h"
#include "tests/bench/embed_bench_vm.h"
#include "vmm/vmm.h"

namespace annulus::bench {
namespace {

int64_t Now(clockid_t clock) {
  timespec now;
  ::clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Wall time, and CPU time of the whole process, since it was made.
struct Stopwatch {
  int64_t wall = Now(CLOCK_MONOTONIC);
  int64_t cpu = Now(CLOCK_PROCESS_CPUTIME_ID);

  double wall_ms() const { return double(Now(CLOCK_MONOTONIC) - wall) / 1e6; }
  double cpu_ms() const {
    return double(Now(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e6;
  }
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) / 2];
}

struct Series {
  const char* name;
  std::vector<double> values = {};

  void Print() const {
    std::printf("%s=%.3f %s_min=%.3f ", name, Median(values), name,
                *std::min_element(values.begin(), values.end()));
  }
};

void MeasureStart(const EmbedBenchOptions& options) {
  Series create{"create_ms"}, create_cpu{"create_cpu_ms"};
  Series start{"start_ms"}, start_cpu{"start_cpu_ms"};
  Series stop{"stop_ms"}, stop_cpu{"stop_cpu_ms"};
  for (uint32_t run = 0; run < options.runs; ++run) {
    auto vm = std::make_unique<BenchVm>(options, "idle");
    const Stopwatch begin;
    BenchSandbox sandbox(options.sandbox);
    sandbox.LockProcess();
    {
      const ScopedThreadSetup setup(sandbox.setup());
      vm->Create();
    }
    create.values.push_back(begin.wall_ms());
    create_cpu.values.push_back(begin.cpu_ms());
    sandbox.EnterMainThread();
    vm->Start();
    vm->AwaitOutput("idle");
    const VmTimings timings = vm->vmm().timings();
    start.values.push_back(
        double(timings.origin_ns + timings.first_entry_ns - begin.wall) / 1e6);
    start_cpu.values.push_back(
        double(timings.first_exit_process_cpu_ns - begin.cpu) / 1e6);
    const Stopwatch end;
    vm->vmm().Stop();
    vm->vmm().Wait();
    vm.reset();
    stop.values.push_back(end.wall_ms());
    stop_cpu.values.push_back(end.cpu_ms());
  }
  for (const Series* series :
       {&create, &create_cpu, &start, &start_cpu, &stop, &stop_cpu}) {
    series->Print();
  }
  std::printf("\n");
}

void PrintMemory(const ResidentMemory& memory) {
  std::printf(
      "pss_kib=%lld private_kib=%lld guest_ram_kib=%lld page_tables_kib=%lld\n",
      static_cast<long long>(memory.pss),
      static_cast<long long>(memory.private_dirty),
      static_cast<long long>(memory.guest_ram),
      static_cast<long long>(PageTableKib()));
}

void MeasureResident(const EmbedBenchOptions& options) {
  std::vector<std::unique_ptr<BenchVm>> vms;
  for (uint32_t i = 0; i < options.vms; ++i) {
    vms.push_back(std::make_unique<BenchVm>(options, "idle"));
    vms.back()->Create();
    vms.back()->Start();
    vms.back()->AwaitOutput("idle");
  }
  PrintMemory(MemoryOfProcess(kGuestRamBytes));
}

// All of them are there when each looks at itself.
void MeasureProcesses(const EmbedBenchOptions& options) {
  int ready[2], go[2], report[2], done[2];
  ANNULUS_CHECK(::pipe(ready) == 0 && ::pipe(go) == 0 && ::pipe(report) == 0 &&
                ::pipe(done) == 0);
  for (uint32_t i = 0; i < options.vms; ++i) {
    const pid_t child = ::fork();
    ANNULUS_CHECK(child >= 0);
    if (child != 0) continue;
    ::close(go[1]);
    ::close(done[1]);
    BenchVm vm(options, "idle");
    vm.Create();
    vm.Start();
    vm.AwaitOutput("idle");
    ANNULUS_CHECK(::write(ready[1], "r", 1) == 1);
    char byte;
    (void)!::read(go[0], &byte, 1);  // Its end.
    const ResidentMemory memory = MemoryOfProcess(kGuestRamBytes);
    ANNULUS_CHECK(::write(report[1], &memory, sizeof(memory)) ==
                  sizeof(memory));
    // Until all others have looked, pages are shared with this one.
    (void)!::read(done[0], &byte, 1);  // Its end.
    ::_exit(0);
  }
  char byte;
  for (uint32_t i = 0; i < options.vms; ++i) {
    ANNULUS_CHECK(::read(ready[0], &byte, 1) == 1);
  }
  ::close(go[0]);
  ::close(go[1]);
  ResidentMemory sum;
  for (uint32_t i = 0; i < options.vms; ++i) {
    ResidentMemory memory;
    ANNULUS_CHECK(::read(report[0], &memory, sizeof(memory)) == sizeof(memory));
    sum.pss += memory.pss;
    sum.private_dirty += memory.private_dirty;
    sum.guest_ram += memory.guest_ram;
  }
  ::close(done[1]);
  while (::wait(nullptr) > 0) {
  }
  PrintMemory(sum);
}

int Run(const EmbedBenchOptions& options) {
  constexpr struct {
    const char* name;
    void (*measure)(const EmbedBenchOptions&);
  } kMeasurements[] = {{"start", &MeasureStart},
                       {"resident", &MeasureResident},
                       {"processes", &MeasureProcesses}};
  for (const auto& measurement : kMeasurements) {
    if (options.measurement != measurement.name) continue;
    measurement.measure(options);
    return 0;
  }
  std::fprintf(stderr, "embed_bench: no measurement \"%s\"\n",
               options.measurement.c_str());
  return 2;
}

}  // namespace
}  // namespace annulus::bench

int main(int argc, char** argv) {
  return annulus::bench::Run(
      annulus::bench::ParseEmbedBenchOptions(argc, argv));
}
