#ifndef VMM_C_API_HANDLES_H_
#define VMM_C_API_HANDLES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/log_sink.h"
#include "base/thread_setup.h"
#include "devices/virtio/net/switch/frame_switch.h"
#include "devices/virtio/vsock/backend/unix_sockets.h"
#include "vmm/c_api.h"
#include "vmm/vmm.h"

// What is behind the handles of vmm/c_api.h. Its names are C's, hence global.

struct annulus_error {
  annulus_code code = ANNULUS_UNKNOWN;
  std::string message;
};

struct annulus_config {
  annulus::VmConfig config;
};

struct annulus_switch {
  std::shared_ptr<annulus::virtio::FrameSwitch> frame_switch;
};

// Log lines and events outlive the VM that writes them: they go over to it.
struct annulus_resources {
  annulus::Resources resources;
  // Of the socket device; become sockets with the VM.
  std::optional<annulus::virtio::UnixSocketOptions> vsock;
  std::unique_ptr<annulus::LogSink> log;
  std::unique_ptr<annulus::VmEventSink> events;
  std::unique_ptr<annulus::ThreadSetup> threads;
};

struct annulus_exit {
  annulus::VmExit exit;
};

struct annulus_event {
  const annulus::VmEvent& event;
  std::optional<annulus_exit> exit;
};

struct annulus_vm {
  std::unique_ptr<annulus::LogSink> log;
  std::unique_ptr<annulus::VmEventSink> events;
  std::unique_ptr<annulus::ThreadSetup> threads;
  std::unique_ptr<annulus::Vmm> vmm;  // Uses all of the above.
  annulus_exit exit;                  // Once it was waited for.
  bool waited = false;
};

#endif  // VMM_C_API_HANDLES_H_
