#ifndef DEVICES_VIRTIO_NET_CONTROL_COMMAND_CLASSES_H_
#define DEVICES_VIRTIO_NET_CONTROL_COMMAND_CLASSES_H_

#include <cstdint>

#include "devices/virtio/net/control/control_command.h"

namespace annulus::virtio {

// The classes of control commands, one function each; ExecuteControlCommand()
// chooses. See there for what they promise: a command that fails has changed
// nothing.

inline constexpr ControlReply kCommandFailed = {
    .ok = false, .settings_changed = false, .result = {}};
inline constexpr ControlReply kCommandDone = {
    .ok = true, .settings_changed = false, .result = {}};
inline constexpr ControlReply kSettingsChanged = {
    .ok = true, .settings_changed = true, .result = {}};

// §5.1.6.5.1 "Packet Receive Filtering", VIRTIO_NET_CTRL_RX.
ControlReply ExecuteRx(const ControlCommand& command,
                       const ControlContext& context);

// §5.1.6.5.2 "Setting MAC Address Filtering", VIRTIO_NET_CTRL_MAC.
ControlReply ExecuteMac(const ControlCommand& command,
                        const ControlContext& context);

// §5.1.6.5.3 "VLAN Filtering", VIRTIO_NET_CTRL_VLAN.
ControlReply ExecuteVlan(const ControlCommand& command,
                         const ControlContext& context);

// §5.1.6.5.4 "Gratuitous Packet Sending", VIRTIO_NET_CTRL_ANNOUNCE.
ControlReply ExecuteAnnounce(const ControlCommand& command,
                             const ControlContext& context);

// §5.1.6.5.5 "Device operation in multiqueue mode", VIRTIO_NET_CTRL_MQ.
ControlReply ExecuteMultiqueue(const ControlCommand& command,
                               const ControlContext& context);

// §5.1.6.5.9 "Offloads State Configuration", VIRTIO_NET_CTRL_GUEST_OFFLOADS.
ControlReply ExecuteOffloads(const ControlCommand& command,
                             const ControlContext& context);

// §5.1.6.5.10 "Notifications Coalescing", VIRTIO_NET_CTRL_NOTF_COAL.
ControlReply ExecuteCoalescing(const ControlCommand& command,
                               const ControlContext& context);

// Header-split receive, which the specification does not have: see
// docs/header_split.md. VIRTIO_NET_CTRL_SPLIT_TRANSPORT_HEADER.
ControlReply ExecuteHeaderSplit(const ControlCommand& command,
                                const ControlContext& context);

// The same, VIRTIO_NET_CTRL_HDR_BUF_QUEUE.
ControlReply ExecuteHeaderQueue(const ControlCommand& command,
                                const ControlContext& context);

// What is to be split, as both of them have it: known types, and a threshold
// within the bounds of the configuration.
bool IsLegalSplit(uint64_t types, uint32_t threshold,
                  const ControlContext& context);

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_CONTROL_COMMAND_CLASSES_H_
