#include "devices/virtio/net/control/control_command.h"

#include "devices/virtio/net/control/command_classes.h"
#include "devices/virtio/net/control/command_data.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
#include "devices/virtio/spec/net_header_split.h"

namespace annulus::virtio {

namespace {

// The classes that the specification does not have: their numbers come from the
// configuration, which keeps them away from its own.
ControlReply ExecuteOwnClass(const ControlCommand& command,
                             const ControlContext& context) {
  const HeaderSplitNumbers& numbers = context.header_split.numbers;
  if (command.command_class == numbers.split_class) {
    return ExecuteHeaderSplit(command, context);
  }
  if (command.command_class == numbers.header_queue_class) {
    return ExecuteHeaderQueue(command, context);
  }
  return kCommandFailed;
}

}  // namespace

ControlReply ExecuteControlCommand(const ControlCommand& command,
                                   const ControlContext& context) {
  switch (command.command_class) {
    case kNetControlRx:
      return ExecuteRx(command, context);
    case kNetControlMac:
      return ExecuteMac(command, context);
    case kNetControlVlan:
      return ExecuteVlan(command, context);
    case kNetControlAnnounce:
      return ExecuteAnnounce(command, context);
    case kNetControlMq:
      return ExecuteMultiqueue(command, context);
    case kNetControlGuestOffloads:
      return ExecuteOffloads(command, context);
    case kNetControlCoal:
      return ExecuteCoalescing(command, context);
    default:
      return ExecuteOwnClass(command, context);
  }
}

ControlReply ExecuteAnnounce(const ControlCommand& command,
                             const ControlContext& context) {
  if (command.command != kNetControlAnnounceAck ||
      !context.features.Has(kNetGuestAnnounce) || !command.data.empty()) {
    return kCommandFailed;
  }
  context.target.AnnounceAcknowledged();
  return kCommandDone;
}

ControlReply ExecuteOffloads(const ControlCommand& command,
                             const ControlContext& context) {
  if (command.command != kNetControlGuestOffloadsSet ||
      !context.features.Has(kNetCtrlGuestOffloads)) {
    return kCommandFailed;
  }
  CommandData data(command.data);
  const uint64_t bits = data.Take<uint64_t>();
  if (!data.Complete()) return kCommandFailed;
  FeatureSet offloads;
  offloads.SetPage(0, static_cast<uint32_t>(bits));
  offloads.SetPage(1, static_cast<uint32_t>(bits >> 32));
  // "A driver MUST NOT enable an offload for which the appropriate feature has
  // not been negotiated." The bits are the features' own, but for those of UDP
  // tunnels (46 and 47), which are not implemented.
  if (!offloads.IsSubsetOf(context.features.Intersection(kReceiveOffloads))) {
    return kCommandFailed;
  }
  // What the features need of each other (§5.1.3.1), the offloads do too: a
  // frame that is to be segmented yet has a partial checksum.
  FeatureSet segmentation = offloads;
  segmentation.Remove(kNetGuestCsum);
  if (segmentation != FeatureSet() && !offloads.Has(kNetGuestCsum)) {
    return kCommandFailed;
  }
  if (!offloads.Has(kNetGuestTso4) && !offloads.Has(kNetGuestTso6)) {
    offloads.Remove(kNetGuestEcn);  // It says how, and without them nothing.
  }
  if (!context.target.SetReceiveOffloads(offloads)) return kCommandFailed;
  context.settings.receive_offloads = offloads;
  return kSettingsChanged;
}

}  // namespace annulus::virtio
