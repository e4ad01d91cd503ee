#ifndef VMM_CONFIG_VM_CONFIG_H_
#define VMM_CONFIG_VM_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

namespace annulus {

// What a virtual machine consists of, as plain data. proto/vm_config.proto has
// the same fields under the same names, for files; each default is here.
//
// Trust: may come from an untrusted file; ValidateVmConfig() bounds every
// number before anything is built from it.

struct MemoryConfig {
  uint64_t size_bytes = uint64_t{512} << 20;  // A multiple of 4 KiB.
  bool hugepages = false;  // 2 MiB pages from the host's pool.
  bool prefault = false;   // Take all memory from the host before the start.
  // A memfd, which other processes can be given, and not private memory. Costs
  // transparent huge pages where the host keeps them from shared memory.
  bool shared = false;
};

struct CpuConfig {
  uint32_t count = 1;             // 1 to 32.
  std::vector<uint32_t> pinning;  // Host CPU of each vCPU; empty: not pinned.
};

struct BootConfig {
  std::string kernel;   // Path: ELF64 (PVH note or 64-bit) or bzImage.
  std::string initrd;   // Path; empty: none.
  std::string cmdline;  // Given to the kernel as it is.
};

// Where the guest's first serial port goes.
struct ConsoleConfig {
  enum class Kind : uint8_t { kStdio, kFile, kNull };
  Kind kind = Kind::kStdio;
  std::string path;  // For kFile: created or truncated; no input.
};

enum class TransportKind : uint8_t { kMmio, kPci };

// Which features a virtio device offers; all that it implements by default.
struct VirtioConfig {
  TransportKind transport = TransportKind::kPci;
  bool packed = true;             // VIRTIO_F_RING_PACKED
  bool event_idx = true;          // VIRTIO_F_EVENT_IDX
  bool indirect_desc = true;      // VIRTIO_F_INDIRECT_DESC
  bool in_order = true;           // VIRTIO_F_IN_ORDER
  bool ring_reset = true;         // VIRTIO_F_RING_RESET
  bool notification_data = true;  // VIRTIO_F_NOTIFICATION_DATA
};

// An entropy device, virtio 1.4 §5.4 "Entropy Device".
struct RngConfig {
  VirtioConfig virtio;
};

struct VmConfig {
  std::string name = "annulus";  // Names threads, guest RAM and log lines.
  CpuConfig cpu;
  MemoryConfig memory;
  BootConfig boot;
  ConsoleConfig console;
  std::vector<RngConfig> rng;
  // Gives the guest I/O port 0xf4, where a write ends the VM: for tests.
  bool debug_exit = false;
};

}  // namespace annulus

#endif  // VMM_CONFIG_VM_CONFIG_H_
