// The class NOTF_COAL.

#include <cstdint>

#include "devices/virtio/net/control/coalescing.h"
#include "devices/virtio/net/control/command_classes.h"
#include "devices/virtio/net/control/command_data.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"

namespace annulus::virtio {
namespace {

Coalescing TakeCoalescing(CommandData& data) {
  const uint32_t max_packets = data.Take<uint32_t>();
  const uint32_t max_usecs = data.Take<uint32_t>();
  return {.max_packets = max_packets, .max_usecs = max_usecs};
}

// vq_index, and a field that "is ignored by the device".
uint16_t TakeQueue(CommandData& data) {
  const uint16_t vq = data.Take<uint16_t>();
  data.Take<uint16_t>();
  return vq;
}

ControlReply SetAll(Direction direction, const ControlCommand& command,
                    const ControlContext& context) {
  if (!context.features.Has(kNetNotfCoal)) return kCommandFailed;
  CommandData data(command.data);
  const Coalescing coalescing = TakeCoalescing(data);
  if (!data.Complete()) return kCommandFailed;
  context.target.SetCoalescing(direction, coalescing);
  return kCommandDone;
}

// "The device MUST respond to VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET and
// VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET commands with VIRTIO_NET_ERR if the
// designated virtqueue is not an enabled transmit or receive virtqueue."
ControlReply SetOne(const ControlCommand& command,
                    const ControlContext& context) {
  if (!context.features.Has(kNetVqNotfCoal)) return kCommandFailed;
  CommandData data(command.data);
  const uint16_t vq = TakeQueue(data);
  const Coalescing coalescing = TakeCoalescing(data);
  if (!data.Complete() || !context.target.DataQueueEnabled(vq)) {
    return kCommandFailed;
  }
  context.target.SetQueueCoalescing(vq, coalescing);
  return kCommandDone;
}

ControlReply GetOne(const ControlCommand& command,
                    const ControlContext& context) {
  if (!context.features.Has(kNetVqNotfCoal) ||
      context.result_room < kNetControlCoalBytes) {
    return kCommandFailed;
  }
  CommandData data(command.data);
  const uint16_t vq = TakeQueue(data);
  if (!data.Complete() || !context.target.DataQueueEnabled(vq)) {
    return kCommandFailed;
  }
  const Coalescing coalescing = context.target.QueueCoalescing(vq);
  ControlReply reply = kCommandDone;
  reply.result.Put(coalescing.max_packets);
  reply.result.Put(coalescing.max_usecs);
  return reply;
}

}  // namespace

ControlReply ExecuteCoalescing(const ControlCommand& command,
                               const ControlContext& context) {
  switch (command.command) {
    case kNetControlCoalTxSet:
      return SetAll(Direction::kTransmit, command, context);
    case kNetControlCoalRxSet:
      return SetAll(Direction::kReceive, command, context);
    case kNetControlCoalVqSet:
      return SetOne(command, context);
    case kNetControlCoalVqGet:
      return GetOne(command, context);
    default:
      return kCommandFailed;
  }
}

}  // namespace annulus::virtio
