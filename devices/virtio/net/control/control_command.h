#ifndef DEVICES_VIRTIO_NET_CONTROL_CONTROL_COMMAND_H_
#define DEVICES_VIRTIO_NET_CONTROL_CONTROL_COMMAND_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "devices/virtio/net/control/command_result.h"
#include "devices/virtio/net/control/control_target.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/header_split/header_split_options.h"
#include "devices/virtio/spec/features.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {

// One command of the control virtqueue (virtio 1.4 §5.1.6.5 "Control
// Virtqueue"), copied out of guest memory.
struct ControlCommand {
  uint8_t command_class;
  uint8_t command;
  absl::Span<const uint8_t>
      data;  // command-specific-data that the device reads
};

// What became of it.
struct ControlReply {
  bool ok = false;                // VIRTIO_NET_OK, or VIRTIO_NET_ERR.
  bool settings_changed = false;  // They are to be published.
  CommandResult result;           // Where it is ok, and has one.
};

// What a command acts upon.
struct ControlContext {
  const FeatureSet& features;  // As negotiated.
  NetSettings& settings;
  ControlTarget& target;
  const HeaderSplitOptions& header_split;
  const memory::GuestMemory& memory;  // The driver's.
  // Bytes that the driver has room for beside ack.
  uint32_t result_room;
};

// Does what `command` says, or nothing at all where it is not exactly what the
// specification has: a command of a feature that was not negotiated, data that
// are too short or too long, values out of range, no room for the result.
//
// Trust: all of `command` is guest-controlled.
// Allocation: a header queue where the driver makes one, so many as have an id.
ControlReply ExecuteControlCommand(const ControlCommand& command,
                                   const ControlContext& context);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_CONTROL_CONTROL_COMMAND_H_
