// The class MQ: how many queue pairs are used, how frames are hashed, and which
// queue they go to. "If more than one multiqueue mode is negotiated, the
// resulting device configuration is defined by the last command sent by the
// driver."

#include <cstdint>
#include <optional>

#include "devices/virtio/net/control/command_classes.h"
#include "devices/virtio/net/control/command_data.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"

namespace annulus::virtio {
namespace {

// §5.1.6.5.6 "Automatic receive steering in multiqueue mode". What is hashed,
// for reporting, stays as it is.
ControlReply SetPairs(const ControlCommand& command,
                      const ControlContext& context) {
  if (!context.features.Has(kNetMq)) return kCommandFailed;
  CommandData data(command.data);
  const uint16_t pairs = data.Take<uint16_t>();
  // "The driver MUST NOT request a virtqueue_pairs of 0 or greater than
  // max_virtqueue_pairs"
  if (!data.Complete() || pairs < 1 ||
      pairs > context.target.max_queue_pairs()) {
    return kCommandFailed;
  }
  if (!context.target.SetActivePairs(pairs)) return kCommandFailed;
  context.settings.active_pairs = pairs;
  context.settings.rss.StopSteering();
  return kSettingsChanged;
}

// §5.1.6.5.7.1 "Setting RSS parameters".
ControlReply SetRss(const ControlCommand& command,
                    const ControlContext& context) {
  if (!context.features.Has(kNetRss)) return kCommandFailed;
  const std::optional<RssConfig> rss =
      RssConfig::ParseRss(command.data, context.target.max_queue_pairs());
  if (!rss.has_value() || !context.target.SetActivePairs(rss->active_pairs())) {
    return kCommandFailed;
  }
  context.settings.active_pairs = rss->active_pairs();
  context.settings.rss = *rss;
  return kSettingsChanged;
}

// §5.1.6.5.6.4 "Hash calculation", with automatic receive steering over the
// queues as they are.
ControlReply SetHash(const ControlCommand& command,
                     const ControlContext& context) {
  if (!context.features.Has(kNetHashReport)) return kCommandFailed;
  const std::optional<RssConfig> hash = RssConfig::ParseHash(command.data);
  if (!hash.has_value()) return kCommandFailed;
  context.settings.rss = *hash;
  return kSettingsChanged;
}

}  // namespace

ControlReply ExecuteMultiqueue(const ControlCommand& command,
                               const ControlContext& context) {
  switch (command.command) {
    case kNetControlMqPairsSet:
      return SetPairs(command, context);
    case kNetControlMqRssConfig:
      return SetRss(command, context);
    case kNetControlMqHashConfig:
      return SetHash(command, context);
    default:
      return kCommandFailed;
  }
}

}  // namespace annulus::virtio
