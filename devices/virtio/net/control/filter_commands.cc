// What sets the receive filter: the classes RX, MAC and VLAN.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "devices/virtio/net/control/command_classes.h"
#include "devices/virtio/net/control/command_data.h"
#include "devices/virtio/net/filter/address_table.h"
#include "devices/virtio/net/filter/receive_filter.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"

namespace annulus::virtio {
namespace {

bool IsGroupAddress(absl::Span<const uint8_t> mac) { return (mac[0] & 1) != 0; }

// struct virtio_net_ctrl_mac: a count, and so many addresses, all of one kind.
std::optional<AddressTable> TakeTable(CommandData& data, bool group) {
  const uint64_t entries = data.Take<uint32_t>();
  const absl::Span<const uint8_t> macs =
      data.TakeBytes(entries * AddressTable::kAddressBytes);
  for (size_t i = 0; i < macs.size(); i += AddressTable::kAddressBytes) {
    if (IsGroupAddress(macs.subspan(i)) != group) return std::nullopt;
  }
  return AddressTable(macs);
}

ControlReply SetTables(const ControlCommand& command,
                       const ControlContext& context) {
  if (!context.features.Has(kNetCtrlRx)) return kCommandFailed;
  CommandData data(command.data);
  const std::optional<AddressTable> unicast = TakeTable(data, /*group=*/false);
  const std::optional<AddressTable> multicast = TakeTable(data, /*group=*/true);
  if (!data.Complete() || !unicast.has_value() || !multicast.has_value()) {
    return kCommandFailed;
  }
  context.settings.filter.SetTables(*unicast, *multicast);
  return kSettingsChanged;
}

ControlReply SetAddress(const ControlCommand& command,
                        const ControlContext& context) {
  MacAddress mac;
  if (!context.features.Has(kNetCtrlMacAddr) ||
      command.data.size() != mac.size()) {
    return kCommandFailed;
  }
  std::copy(command.data.begin(), command.data.end(), mac.begin());
  if (IsGroupAddress(mac) || mac == MacAddress()) return kCommandFailed;
  context.settings.filter.SetMac(mac);
  context.target.SetMac(mac);
  return kSettingsChanged;
}

}  // namespace

ControlReply ExecuteRx(const ControlCommand& command,
                       const ControlContext& context) {
  if (command.command >= ReceiveFilter::kModes) return kCommandFailed;
  const uint32_t feature =
      command.command <= kNetControlRxAllMulti ? kNetCtrlRx : kNetCtrlRxExtra;
  if (!context.features.Has(feature)) return kCommandFailed;
  // "one byte containing 0 (off) or 1 (on)"
  if (command.data.size() != 1 || command.data[0] > 1) return kCommandFailed;
  static_assert(kNetControlRxPromisc == ReceiveFilter::kPromiscuous &&
                kNetControlRxAllMulti == ReceiveFilter::kAllMulticast &&
                kNetControlRxAllUni == ReceiveFilter::kAllUnicast &&
                kNetControlRxNoMulti == ReceiveFilter::kNoMulticast &&
                kNetControlRxNoUni == ReceiveFilter::kNoUnicast &&
                kNetControlRxNoBcast == ReceiveFilter::kNoBroadcast);
  context.settings.filter.SetMode(
      static_cast<ReceiveFilter::Mode>(command.command), command.data[0] != 0);
  return kSettingsChanged;
}

ControlReply ExecuteMac(const ControlCommand& command,
                        const ControlContext& context) {
  switch (command.command) {
    case kNetControlMacTableSet:
      return SetTables(command, context);
    case kNetControlMacAddrSet:
      return SetAddress(command, context);
    default:
      return kCommandFailed;
  }
}

ControlReply ExecuteVlan(const ControlCommand& command,
                         const ControlContext& context) {
  if (!context.features.Has(kNetCtrlVlan)) return kCommandFailed;
  CommandData data(command.data);
  const uint16_t vlan = data.Take<uint16_t>();
  if (!data.Complete() || vlan >= ReceiveFilter::kVlans) return kCommandFailed;
  switch (command.command) {
    case kNetControlVlanAdd:
      context.settings.filter.AddVlan(vlan);
      return kSettingsChanged;
    case kNetControlVlanDel:
      context.settings.filter.RemoveVlan(vlan);
      return kSettingsChanged;
    default:
      return kCommandFailed;
  }
}

}  // namespace annulus::virtio
