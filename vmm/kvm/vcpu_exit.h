#ifndef VMM_KVM_VCPU_EXIT_H_
#define VMM_KVM_VCPU_EXIT_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace annulus::kvm {

// Why KVM_RUN returned, and what the VMM has to do before the next one.
struct VcpuExit {
  enum class Kind : uint8_t {
    kPortIo,            // `address` is the port; `count` accesses of `width`.
    kMmio,              // One access of data.size() bytes.
    kInterrupted,       // By a signal or by immediate_exit.
    kTripleFault,       // KVM_EXIT_SHUTDOWN.
    kEmulationFailure,  // KVM_INTERNAL_ERROR_EMULATION, see `instruction`.
    kInternalError,     // Another internal error; `code` is its suberror.
    kEntryFailure,      // KVM_EXIT_FAIL_ENTRY; `code` is the hardware's reason.
    kHostError,         // The ioctl failed; `code` is its errno.
    kOther,             // `code` is KVM's exit reason.
  };

  Kind kind = Kind::kOther;
  bool is_write = false;
  uint64_t address = 0;  // Guest-controlled.
  uint32_t width = 0;    // kPortIo: 1, 2 or 4.
  uint32_t count = 0;    // kPortIo: at least 1; more for `rep` instructions.
  // Lies in the page shared with KVM; to be read for a write, to be filled for
  // a read, before the next Run(). kPortIo: width * count bytes.
  absl::Span<uint8_t> data;
  uint64_t code = 0;
  // kEmulationFailure: the bytes at the instruction pointer, where KVM tells.
  std::array<uint8_t, 15> instruction = {};
  size_t instruction_size = 0;
};

}  // namespace annulus::kvm

#endif  // VMM_KVM_VCPU_EXIT_H_
