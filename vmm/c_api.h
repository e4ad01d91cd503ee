#ifndef VMM_C_API_H_
#define VMM_C_API_H_

#include <stddef.h>
#include <stdint.h>

// Annulus as a library, for C (C11) and for whatever calls C. What the
// functions do is said in vmm/vmm.h; docs/embedding.md leads through both.
//
// Stability: names, signatures, numbers and what they mean do not change within
//   libannulus.so.0; a later version only adds. Handles are opaque, and a
//   struct that crosses begins with its size.
// Errors: a function that can fail returns an annulus_code, and where `error`
//   is not null, stores there an error with a text, to be freed, or null. Null
//   for an argument that must not be is ANNULUS_INVALID_ARGUMENT, or a no-op
//   where nothing is returned. No C++ exception leaves, nothing calls exit.
// Threads: different handles from any threads. One handle on one thread at a
//   time, but for annulus_vm, which says more.
// Strings: UTF-8, ending in a NUL. One that is returned lives as long as the
//   handle that was asked, unless it says otherwise.
// Descriptors: one that is handed over with ANNULUS_OK is the library's from
//   then on; with an error it stays the caller's.

// NOLINTBEGIN(modernize-use-using): C has nothing else.
#ifdef __cplusplus
extern "C" {
#define ANNULUS_NOEXCEPT noexcept
#else
#define ANNULUS_NOEXCEPT
#endif

#if defined(__GNUC__)
#define ANNULUS_API __attribute__((visibility("default")))
#else
#define ANNULUS_API
#endif

typedef int32_t annulus_code;
enum {
  ANNULUS_OK = 0,
  ANNULUS_CANCELLED = 1,
  ANNULUS_UNKNOWN = 2,
  ANNULUS_INVALID_ARGUMENT = 3,  // A bad configuration, file or argument.
  ANNULUS_DEADLINE_EXCEEDED = 4,
  ANNULUS_NOT_FOUND = 5,
  ANNULUS_ALREADY_EXISTS = 6,
  ANNULUS_PERMISSION_DENIED = 7,
  ANNULUS_RESOURCE_EXHAUSTED = 8,   // The host or guest RAM has no room.
  ANNULUS_FAILED_PRECONDITION = 9,  // Not now, or not on this host.
  ANNULUS_ABORTED = 10,
  ANNULUS_OUT_OF_RANGE = 11,
  ANNULUS_UNIMPLEMENTED = 12,
  ANNULUS_INTERNAL = 13,
  ANNULUS_UNAVAILABLE = 14,
  ANNULUS_DATA_LOSS = 15,
  ANNULUS_UNAUTHENTICATED = 16
};

typedef struct annulus_error annulus_error;
typedef struct annulus_config annulus_config;
typedef struct annulus_resources annulus_resources;
typedef struct annulus_switch annulus_switch;
typedef struct annulus_vm annulus_vm;
typedef struct annulus_exit annulus_exit;
typedef struct annulus_event annulus_event;

// "0.1.0": of the library that is loaded. Static.
ANNULUS_API const char* annulus_version(void) ANNULUS_NOEXCEPT;

// One line: what was tried on which object, and why that failed.
ANNULUS_API const char* annulus_error_message(const annulus_error* error)
    ANNULUS_NOEXCEPT;
ANNULUS_API annulus_code annulus_error_code(const annulus_error* error)
    ANNULUS_NOEXCEPT;
ANNULUS_API void annulus_error_free(annulus_error* error) ANNULUS_NOEXCEPT;

// Frees a string that a function says is the caller's.
ANNULUS_API void annulus_string_free(char* text) ANNULUS_NOEXCEPT;

// ---- Configuration: what the VM consists of. ----

typedef int32_t annulus_format;
enum { ANNULUS_FORMAT_TEXT = 0, ANNULUS_FORMAT_JSON = 1 };

// Reads what `annulus run --config` reads: docs/configuration.md has every
// field. `size` bytes at `text`; null and 0: all defaults.
ANNULUS_API annulus_code annulus_config_parse(
    const char* text, size_t size, annulus_format format,
    annulus_config** config, annulus_error** error) ANNULUS_NOEXCEPT;
ANNULUS_API void annulus_config_free(annulus_config* config) ANNULUS_NOEXCEPT;

// Fields that programs set rather than write into a text.
ANNULUS_API annulus_code
annulus_config_set_name(annulus_config* config, const char* name,
                        annulus_error** error) ANNULUS_NOEXCEPT;
// With a descriptor handed over any name will do: it is not opened.
ANNULUS_API annulus_code
annulus_config_set_kernel(annulus_config* config, const char* path,
                          annulus_error** error) ANNULUS_NOEXCEPT;
ANNULUS_API annulus_code
annulus_config_set_initrd(annulus_config* config, const char* path,
                          annulus_error** error) ANNULUS_NOEXCEPT;
ANNULUS_API annulus_code
annulus_config_set_cmdline(annulus_config* config, const char* cmdline,
                           annulus_error** error) ANNULUS_NOEXCEPT;
ANNULUS_API annulus_code
annulus_config_set_memory_bytes(annulus_config* config, uint64_t bytes,
                                annulus_error** error) ANNULUS_NOEXCEPT;
ANNULUS_API annulus_code
annulus_config_set_cpus(annulus_config* config, uint32_t count,
                        annulus_error** error) ANNULUS_NOEXCEPT;

// Whether a VM can be made of it, as far as that does not depend on the host;
// annulus_vm_create() looks, too.
ANNULUS_API annulus_code annulus_config_validate(
    const annulus_config* config, annulus_error** error) ANNULUS_NOEXCEPT;
// All of it as text format, defaults spelled out; the string is the caller's.
ANNULUS_API annulus_code annulus_config_text(const annulus_config* config,
                                             char** text, annulus_error** error)
    ANNULUS_NOEXCEPT;

// ---- Resources: what the VM needs of the outside, opened. ----

// None yet: for those who may open nothing and hand over descriptors.
ANNULUS_API annulus_code annulus_resources_create(
    annulus_resources** resources, annulus_error** error) ANNULUS_NOEXCEPT;
// Opens /dev/kvm and all that `config` names, which must be valid; what is
// handed over later comes in place of that, but that taps are added, and one
// descriptor of the socket device stands for all of that device.
ANNULUS_API annulus_code annulus_resources_open(
    const annulus_config* config, annulus_resources** resources,
    annulus_error** error) ANNULUS_NOEXCEPT;
// Closes what no VM took.
ANNULUS_API void annulus_resources_free(annulus_resources* resources)
    ANNULUS_NOEXCEPT;

typedef int32_t annulus_file;
enum {
  ANNULUS_FILE_KVM = 0,          // /dev/kvm, read-write.
  ANNULUS_FILE_KERNEL = 1,       // A regular file, readable.
  ANNULUS_FILE_INITRD = 2,       // Likewise.
  ANNULUS_FILE_CONSOLE_IN = 3,   // Bytes for the guest's serial port.
  ANNULUS_FILE_CONSOLE_OUT = 4,  // What the guest prints.
  // Of the socket device: a unix stream socket that listens, for callers of the
  // guest. And a hand-over socket (docs/vsock.md) for those that the guest
  // calls: by it a program gets the connections to all ports of the host.
  ANNULUS_FILE_VSOCK = 5,
  ANNULUS_FILE_VSOCK_HOST = 6,
  // A unix stream socket that listens: who may (field `control`) controls the
  // VM there, as `annulus ctl` does.
  ANNULUS_FILE_CONTROL = 7
};
ANNULUS_API annulus_code
annulus_resources_set_file(annulus_resources* resources, annulus_file file,
                           int fd, annulus_error** error) ANNULUS_NOEXCEPT;

typedef int32_t annulus_card_file;
enum {
  ANNULUS_CARD_TAP = 0,    // One more queue pair: tap with virtio_net_hdr.
  ANNULUS_CARD_PASST = 1,  // Connected to passt.
  ANNULUS_CARD_PCAP = 2    // An empty file, which records all frames.
};
// For network card `card` of the configuration, counted from 0.
ANNULUS_API annulus_code annulus_resources_set_card_file(
    annulus_resources* resources, uint32_t card, annulus_card_file file, int fd,
    annulus_error** error) ANNULUS_NOEXCEPT;

typedef int32_t annulus_device_kind;
enum {
  ANNULUS_DEVICE_RNG = 0,
  ANNULUS_DEVICE_NET = 1,
  ANNULUS_DEVICE_VSOCK = 2  // Of index 0.
};
// For a device that another process serves: a unix stream socket that listens
// or is connected.
ANNULUS_API annulus_code annulus_resources_set_vhost_user(
    annulus_resources* resources, annulus_device_kind kind, uint32_t index,
    int fd, annulus_error** error) ANNULUS_NOEXCEPT;

typedef int32_t annulus_vsock_type;
enum { ANNULUS_VSOCK_STREAM = 0, ANNULUS_VSOCK_SEQPACKET = 1 };
typedef int32_t annulus_vsock_direction;
enum { ANNULUS_VSOCK_TO_GUEST = 0, ANNULUS_VSOCK_TO_HOST = 1 };
// A port with a socket of its own. To the guest: a unix socket of that type
// which listens, and who calls it reaches `port` of the guest. To the host: a
// hand-over socket, which gets what the guest connects to `port` of the host.
ANNULUS_API annulus_code annulus_resources_add_vsock_port(
    annulus_resources* resources, annulus_vsock_direction direction,
    uint32_t port, annulus_vsock_type type, int fd,
    annulus_error** error) ANNULUS_NOEXCEPT;

// A switch between network cards, also of several VMs of this process; it ends
// with the last of those and this handle.
ANNULUS_API annulus_code
annulus_switch_create(const char* name, annulus_switch** frame_switch,
                      annulus_error** error) ANNULUS_NOEXCEPT;
ANNULUS_API void annulus_switch_free(annulus_switch* frame_switch)
    ANNULUS_NOEXCEPT;
ANNULUS_API annulus_code annulus_resources_set_card_switch(
    annulus_resources* resources, uint32_t card, annulus_switch* frame_switch,
    annulus_error** error) ANNULUS_NOEXCEPT;

typedef int32_t annulus_severity;
enum {
  ANNULUS_DEBUG = 0,
  ANNULUS_INFO = 1,
  ANNULUS_WARNING = 2,
  ANNULUS_ERROR = 3
};
// Called from any thread, several at a time, and with locks held: returns soon,
// calls nothing of the VM but annulus_vm_stop(). `line` has no newline at its
// end, and ends with the call.
typedef void (*annulus_log_function)(void* user, annulus_severity severity,
                                     const char* line);
ANNULUS_API annulus_code annulus_resources_set_log(
    annulus_resources* resources, annulus_log_function log, void* user,
    annulus_error** error) ANNULUS_NOEXCEPT;
// In place of a function: lines of at least that severity are written there.
// Whoever does not read loses lines, which are counted; nothing waits.
ANNULUS_API annulus_code annulus_resources_set_log_file(
    annulus_resources* resources, int fd, annulus_severity least,
    annulus_error** error) ANNULUS_NOEXCEPT;

// Called from any thread of the library, and from one's own within calls of the
// VM; one at a time, and with locks held: returns soon, calls nothing of the
// VM, takes no lock that is held around such a call. `event` ends with the
// call.
typedef void (*annulus_event_function)(void* user, const annulus_event* event);
ANNULUS_API annulus_code annulus_resources_set_events(
    annulus_resources* resources, annulus_event_function on_event, void* user,
    annulus_error** error) ANNULUS_NOEXCEPT;

typedef int32_t annulus_thread_kind;
enum {
  ANNULUS_THREAD_VCPU = 0,          // Enters the guest.
  ANNULUS_THREAD_QUEUE = 1,         // Serves virtqueues that carry data.
  ANNULUS_THREAD_SOCKET_QUEUE = 2,  // Those of a socket device.
  ANNULUS_THREAD_VHOST_USER = 3,    // Speaks with processes that serve devices.
  ANNULUS_THREAD_CONTROL = 4        // All the rest.
};
// What each thread of the VM does before anything else, such as to lock itself
// up by seccomp. Called on the new threads, several at a time, during
// annulus_vm_create(), which fails with what this returns.
typedef annulus_code (*annulus_thread_function)(void* user,
                                                annulus_thread_kind kind,
                                                const char* name);
ANNULUS_API annulus_code annulus_resources_set_thread_setup(
    annulus_resources* resources, annulus_thread_function enter, void* user,
    annulus_error** error) ANNULUS_NOEXCEPT;

// ---- Events. ----

typedef int32_t annulus_event_kind;
enum {
  ANNULUS_EVENT_STARTED = 0,
  ANNULUS_EVENT_PAUSED = 1,
  ANNULUS_EVENT_RESUMED = 2,
  ANNULUS_EVENT_DRIVER_READY = 3,  // A driver of the device set DRIVER_OK.
  ANNULUS_EVENT_DEVICE_RESET = 4,  // It reset the device.
  ANNULUS_EVENT_QUEUE_BROKEN = 5,  // It broke the rules of the queue.
  ANNULUS_EVENT_LINK_CHANGED = 6,
  ANNULUS_EVENT_STOPPED = 7  // The last one.
};
ANNULUS_API annulus_event_kind
annulus_event_get_kind(const annulus_event* event) ANNULUS_NOEXCEPT;
// Nanoseconds since 1970.
ANNULUS_API int64_t annulus_event_time_ns(const annulus_event* event)
    ANNULUS_NOEXCEPT;
// "net0"; empty where it is about the VM itself.
ANNULUS_API const char* annulus_event_device(const annulus_event* event)
    ANNULUS_NOEXCEPT;
ANNULUS_API uint32_t annulus_event_queue(const annulus_event* event)
    ANNULUS_NOEXCEPT;
// 1 or 0: of ANNULUS_EVENT_LINK_CHANGED.
ANNULUS_API int annulus_event_link_up(const annulus_event* event)
    ANNULUS_NOEXCEPT;
// Of ANNULUS_EVENT_STOPPED, else null. Lives as long as the event.
ANNULUS_API const annulus_exit* annulus_event_exit(const annulus_event* event)
    ANNULUS_NOEXCEPT;

// ---- How a VM ended. ----

typedef int32_t annulus_exit_reason;
enum {
  ANNULUS_EXIT_GUEST_POWEROFF = 0,
  ANNULUS_EXIT_GUEST_RESET = 1,
  ANNULUS_EXIT_TRIPLE_FAULT = 2,
  ANNULUS_EXIT_EMULATION_FAILURE = 3,
  ANNULUS_EXIT_STOP_REQUESTED = 4,
  ANNULUS_EXIT_HOST_ERROR = 5,
  ANNULUS_EXIT_DEBUG_EXIT = 6
};
ANNULUS_API annulus_exit_reason
annulus_exit_get_reason(const annulus_exit* vm_exit) ANNULUS_NOEXCEPT;
// "guest poweroff" and so on. Static.
ANNULUS_API const char* annulus_exit_reason_name(annulus_exit_reason reason)
    ANNULUS_NOEXCEPT;
// One line for people; empty where the reason says it all.
ANNULUS_API const char* annulus_exit_detail(const annulus_exit* vm_exit)
    ANNULUS_NOEXCEPT;
// Of ANNULUS_EXIT_DEBUG_EXIT: what the guest wrote.
ANNULUS_API uint32_t annulus_exit_code(const annulus_exit* vm_exit)
    ANNULUS_NOEXCEPT;

// ---- The VM.
// Threads: start, wait and free on one thread at a time; all others from any,
// also meanwhile, but not beside free. ----

// Takes all that `resources` holds, whether it succeeds or not; the handle
// stays the caller's, and is empty. `config` is not needed afterwards.
ANNULUS_API annulus_code
annulus_vm_create(const annulus_config* config, annulus_resources* resources,
                  annulus_vm** vm, annulus_error** error) ANNULUS_NOEXCEPT;
// Stops the VM if it runs, waits for its end, and frees it.
ANNULUS_API void annulus_vm_free(annulus_vm* vm) ANNULUS_NOEXCEPT;

ANNULUS_API annulus_code annulus_vm_start(annulus_vm* vm, annulus_error** error)
    ANNULUS_NOEXCEPT;
// Returns when no vCPU runs any more.
ANNULUS_API annulus_code annulus_vm_pause(annulus_vm* vm, annulus_error** error)
    ANNULUS_NOEXCEPT;
ANNULUS_API annulus_code
annulus_vm_resume(annulus_vm* vm, annulus_error** error) ANNULUS_NOEXCEPT;
// Asks it to end; returns at once.
ANNULUS_API annulus_code annulus_vm_stop(annulus_vm* vm, annulus_error** error)
    ANNULUS_NOEXCEPT;
// Asks the guest to shut itself down.
ANNULUS_API annulus_code annulus_vm_press_power_button(
    annulus_vm* vm, annulus_error** error) ANNULUS_NOEXCEPT;
// The cable of a network card; `up` 0: pulled.
ANNULUS_API annulus_code annulus_vm_set_link(annulus_vm* vm, uint32_t card,
                                             int up, annulus_error** error)
    ANNULUS_NOEXCEPT;
// Blocks until the VM has ended. `vm_exit`, if not null, gets how: the VM's,
// and valid until that is freed.
ANNULUS_API annulus_code
annulus_vm_wait(annulus_vm* vm, const annulus_exit** vm_exit,
                annulus_error** error) ANNULUS_NOEXCEPT;

typedef int32_t annulus_state;
enum {
  ANNULUS_STATE_INVALID = -1,  // There is no VM.
  ANNULUS_STATE_CREATED = 0,
  ANNULUS_STATE_RUNNING = 1,
  ANNULUS_STATE_PAUSED = 2,
  ANNULUS_STATE_STOPPED = 3
};
ANNULUS_API annulus_state annulus_vm_state(const annulus_vm* vm)
    ANNULUS_NOEXCEPT;

// CLOCK_MONOTONIC nanoseconds since annulus_vm_create() was called; 0 for what
// has not happened.
typedef struct annulus_timings {
  size_t size;  // The caller's sizeof(annulus_timings): fields beyond stay.
  int64_t origin_ns;                  // When that was.
  int64_t created_ns;                 // It returned.
  int64_t first_entry_ns;             // vCPU 0 was about to enter the guest.
  int64_t first_exit_ns;              // It came back for the first time.
  int64_t first_exit_process_cpu_ns;  // CPU time of the process by then.
} annulus_timings;
ANNULUS_API annulus_code
annulus_vm_timings(const annulus_vm* vm, annulus_timings* timings,
                   annulus_error** error) ANNULUS_NOEXCEPT;

// Called for each number that the VM counts, on the calling thread: of device
// "net0", queue "rx0", name "drops", reason "no_room"; any but the name may
// be empty. `gauge` 1: it goes up and down; 0: it only grows. Strings end with
// the call.
typedef void (*annulus_counter_function)(void* user, const char* device,
                                         const char* queue, const char* name,
                                         const char* reason, uint64_t value,
                                         int gauge);
ANNULUS_API annulus_code
annulus_vm_counters(const annulus_vm* vm, annulus_counter_function on_counter,
                    void* user, annulus_error** error) ANNULUS_NOEXCEPT;

#ifdef __cplusplus
}
#endif
// NOLINTEND(modernize-use-using)

#endif  // VMM_C_API_H_
