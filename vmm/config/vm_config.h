#ifndef VMM_CONFIG_VM_CONFIG_H_
#define VMM_CONFIG_VM_CONFIG_H_

#include <cstdint>
#include <optional>
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

// How the threads of a device's queues spend the time in which they have
// nothing to do.
enum class PollKind : uint8_t { kAdaptive, kAlways, kNever };

// How long they look for more work, for kAdaptive: about what it costs both
// sides to be told of it, and as long as QEMU's I/O threads look.
inline constexpr uint32_t kDefaultPollMicroseconds = 32;

// Another process that serves a device of the VM, over vhost-user. Not given if
// all of it is empty.
struct VhostUserConfig {
  std::string socket;   // Path; with "@" in front an abstract name. Or:
  uint32_t fd = 0;      // A socket that listens, or is connected; 0: none.
  bool listen = false;  // We make `socket` and listen there, it connects.

  bool given() const { return !socket.empty() || fd != 0; }
};

// An entropy device, virtio 1.4 §5.4 "Entropy Device".
struct RngConfig {
  VirtioConfig virtio;
  VhostUserConfig vhost_user;
  PollKind poll = PollKind::kAdaptive;
  uint32_t poll_microseconds = kDefaultPollMicroseconds;
  std::vector<uint32_t> worker_cpus;  // As a network card's.
};

// How much may pass in one direction of a network card. 0: no limit; a burst of
// 0: a tenth of a second's worth.
struct RateLimitConfig {
  uint64_t bytes_per_second = 0;
  uint64_t burst_bytes = 0;
  uint64_t frames_per_second = 0;
  uint64_t burst_frames = 0;
};

// Header-split receive, which virtio does not have: docs/header_split.md.
struct HeaderSplitConfig {
  bool enabled = false;
  // Methods that the driver may choose.
  bool chain = true;          // A
  bool buffers = true;        // B
  bool small_buffers = true;  // C
  bool header_queue = true;   // Q
  // What the driver's threshold may be.
  uint32_t min_threshold = 0;
  uint32_t max_threshold = 65593;  // The largest frame.
  // Numbers that are this project's own.
  uint32_t split_feature = 58;
  uint32_t header_queue_feature = 4;
  uint32_t header_flag = 0x80;
  uint32_t split_class = 0x80;
  uint32_t header_queue_class = 0x81;
};

// A network card, virtio 1.4 §5.1 "Network Device".
struct NetConfig {
  enum class Backend : uint8_t {
    kNone,
    kTap,
    kPasst,
    kLoopback,
    kNull,
    kSwitch,
    kVhostUser
  };

  VirtioConfig virtio;
  Backend backend = Backend::kNone;  // Must be given.
  std::string tap;                   // For kTap: the interface's name, or:
  std::vector<uint32_t> tap_fds;     // Open descriptors, one a queue pair.
  bool create_tap = false;           // Make the interface, for the VM's life.
  std::string passt;                 // For kPasst: path of passt's socket.
  VhostUserConfig vhost_user;        // For kVhostUser.
  std::string switch_name;           // For kSwitch: cards of one name meet.
  uint32_t generate_bytes = 0;       // For kNull: of each frame that comes.
  std::string pcap;           // Path: records all frames; empty: does not.
  std::string mac;            // "52:54:00:12:34:56"; empty: a random one.
  uint32_t mtu = 0;           // 68 to 65535; 0: the driver is told of none.
  uint32_t queue_pairs = 1;   // 1 to 16.
  uint32_t queue_size = 256;  // A power of two.
  uint32_t speed_mbps = 0;    // What the driver is told; 0: unknown.
  // Names of devices/virtio/net/net_feature_names.h.
  std::vector<std::string> disabled_features;
  RateLimitConfig receive_limit;   // To the guest.
  RateLimitConfig transmit_limit;  // From the guest.
  HeaderSplitConfig header_split;
  PollKind poll = PollKind::kAdaptive;
  uint32_t poll_microseconds = kDefaultPollMicroseconds;  // At most.
  // Host CPU of each worker, in the order of the queues, again from the first
  // where there are fewer; empty: not pinned.
  std::vector<uint32_t> worker_cpus;
};

// A port of a socket device with a socket of its own.
struct VsockPortConfig {
  enum class Direction : uint8_t { kNone, kToGuest, kToHost };
  enum class Type : uint8_t { kStream, kSeqpacket };

  uint32_t port = 0;                       // Must be given, as is the next.
  Direction direction = Direction::kNone;  // Who connects.
  Type type = Type::kStream;
  std::string path;  // Of the socket, or:
  // 0: none. For kToGuest a socket that listens, for kToHost a hand-over
  // socket.
  uint32_t fd = 0;
};

// The socket device, virtio 1.4 §5.10 "Socket Device".
struct VsockConfig {
  VirtioConfig virtio;
  VhostUserConfig vhost_user;  // Knows all of the following but queue_size.
  uint64_t cid = 0;            // Must be given, else.
  std::string socket;          // Path; with "@" in front an abstract name.
  uint32_t socket_fd = 0;      // Listens in place of one at `socket`; 0: none.
  uint32_t host_fd = 0;  // Hand-over socket of all ports of the host but those
                         // of `ports`; 0: none.
  std::vector<VsockPortConfig> ports;
  std::string switch_directory;  // Empty: the guest reaches the host alone.
  uint64_t buf_alloc = 256 * 1024;
  uint32_t max_connections = 4096;
  uint32_t queue_size = 256;  // A power of two.
  uint32_t connect_wait_milliseconds = 10'000;
  uint32_t listen_wait_milliseconds = 0;
  uint32_t close_wait_milliseconds = 8'000;
  PollKind poll = PollKind::kAdaptive;
  uint32_t poll_microseconds = kDefaultPollMicroseconds;
  std::vector<uint32_t> worker_cpus;  // As a network card's.
  bool seqpacket = true;              // VIRTIO_VSOCK_F_SEQPACKET
  // Which virtio does not have, with numbers that are this project's own.
  bool mrg_rxbuf = false;
  bool dgram = false;
  uint32_t mrg_rxbuf_feature = 3;
  uint32_t dgram_feature = 4;
};

// The control socket: see docs/control.md.
struct ControlConfig {
  std::string socket = {};   // Its path; '@' in front: an abstract name.
  uint32_t fd = 0;           // Or an inherited one that listens; 0: none.
  std::string mode = "600";  // Permissions of its file.
  // Who may use it, beside root and the user that the process runs as.
  std::vector<uint32_t> allowed_uids = {};
};

struct VmConfig {
  std::string name = "annulus";  // Names threads, guest RAM and log lines.
  CpuConfig cpu;
  MemoryConfig memory;
  BootConfig boot;
  ConsoleConfig console;
  std::vector<RngConfig> rng;
  std::vector<NetConfig> net;
  std::optional<VsockConfig> vsock;
  ControlConfig control;
  // Gives the guest I/O port 0xf4, where a write ends the VM: for tests.
  bool debug_exit = false;
};

}  // namespace annulus

#endif  // VMM_CONFIG_VM_CONFIG_H_
