#ifndef TESTS_BENCH_EMBED_BENCH_VM_H_
#define TESTS_BENCH_EMBED_BENCH_VM_H_

#include <cstdint>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "tests/bench/embed_bench_options.h"
#include "vmm/vmm.h"

namespace annulus::bench {

// A size that no other mapping of the process has.
inline constexpr uint64_t kGuestRamBytes = uint64_t{97} << 20;

// A microguest with an entropy device, a card and a socket device, all over
// PCI; nothing of them needs the host. `program` and its options are those of
// tests/guest.
class BenchVm {
 public:
  // Opens what the VM needs.
  BenchVm(const EmbedBenchOptions& options, const std::string& program);

  // Ends the process where it fails, as all of this does.
  void Create();
  void Start();
  // Between the two, in a process that locks itself up, its own thread does.

  // REQUIRES: Create().
  Vmm& vmm() { return *vmm_; }
  // Blocks until the guest prints more.
  void AwaitOutput();
  // Until it has printed this, or nothing is to come any more.
  void AwaitOutput(const std::string& text);

 private:
  UniqueFd listener_;
  VmConfig config_;
  Resources resources_;
  UniqueFd console_;
  std::string output_;
  std::unique_ptr<Vmm> vmm_;
};

}  // namespace annulus::bench

#endif  // TESTS_BENCH_EMBED_BENCH_VM_H_
