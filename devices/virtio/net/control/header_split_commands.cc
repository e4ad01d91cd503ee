// The class SPLIT_TRANSPORT_HEADER: what receive queues split that have no
// header queue, and where header and payload go.

#include <cstdint>
#include <optional>

#include "devices/virtio/net/control/command_classes.h"
#include "devices/virtio/net/control/command_data.h"
#include "devices/virtio/net/header_split/header_split_options.h"
#include "devices/virtio/net/header_split/split_point.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"

namespace annulus::virtio {
namespace {

// nullopt where the driver cannot choose the mode: it is none, the features
// that were negotiated have buffers of another kind, or the configuration does
// not allow the method. `mode` is any number.
std::optional<SplitMethod> MethodOf(uint16_t mode,
                                    const ControlContext& context) {
  const HeaderSplitOptions& allowed = context.header_split;
  const bool mergeable = context.features.Has(kNetMrgRxbuf);
  if (mode == kSplitModeAutomatic) {
    mode = mergeable ? kSplitModeBuffers : kSplitModeChain;
  }
  switch (mode) {
    case kSplitModeChain:
      if (mergeable || !allowed.chain) return std::nullopt;
      return SplitMethod::kChain;
    case kSplitModeBuffers:
      if (!mergeable || !allowed.buffers) return std::nullopt;
      return SplitMethod::kBuffers;
    case kSplitModeSmallBuffers:
      if (!mergeable || !allowed.small_buffers) return std::nullopt;
      return SplitMethod::kSmallBuffers;
    default:
      return std::nullopt;
  }
}

ControlReply Apply(const SplitSettings& split, const ControlContext& context) {
  if (!IsLegalSplit(split.types, split.threshold, context)) {
    return kCommandFailed;
  }
  context.settings.split = split;
  return kSettingsChanged;
}

ControlReply Set(const ControlCommand& command, const ControlContext& context) {
  CommandData data(command.data);
  const uint64_t types = data.Take<uint64_t>();
  const std::optional<SplitMethod> method =
      MethodOf(kSplitModeAutomatic, context);
  // To split nothing takes no method.
  if (!data.Complete() || (types != 0 && !method.has_value())) {
    return kCommandFailed;
  }
  return Apply({.types = types,
                .threshold = context.header_split.min_threshold,
                .method = method.value_or(SplitMethod::kChain)},
               context);
}

ControlReply Set2(const ControlCommand& command,
                  const ControlContext& context) {
  CommandData data(command.data);
  const uint64_t types = data.Take<uint64_t>();
  const uint32_t threshold = data.Take<uint32_t>();
  const uint16_t mode = data.Take<uint16_t>();
  const uint16_t header_buffer_bytes = data.Take<uint16_t>();
  const std::optional<SplitMethod> method = MethodOf(mode, context);
  if (!data.Complete() || !method.has_value()) return kCommandFailed;
  SplitSettings split = {
      .types = types, .threshold = threshold, .method = *method};
  if (method == SplitMethod::kSmallBuffers) {
    // No buffer would be one of headers.
    if (header_buffer_bytes == 0) return kCommandFailed;
    split.header_buffer_bytes = header_buffer_bytes;
  }
  return Apply(split, context);
}

ControlReply GetCapabilities(const ControlCommand& command,
                             const ControlContext& context) {
  if (!command.data.empty() || context.result_room < kSplitCapBytes) {
    return kCommandFailed;
  }
  uint32_t modes = 0;
  for (uint16_t mode = kSplitModeAutomatic; mode <= kSplitModeSmallBuffers;
       ++mode) {
    if (MethodOf(mode, context).has_value()) modes |= 1u << mode;
  }
  ControlReply reply = kCommandDone;
  reply.result.Put(kSplitAllTypes);
  reply.result.Put(modes);
  reply.result.Put(static_cast<uint32_t>(kMaxSplitHeaderBytes));
  return reply;
}

}  // namespace

bool IsLegalSplit(uint64_t types, uint32_t threshold,
                  const ControlContext& context) {
  return (types & ~kSplitAllTypes) == 0 &&
         threshold >= context.header_split.min_threshold &&
         threshold <= context.header_split.max_threshold;
}

ControlReply ExecuteHeaderSplit(const ControlCommand& command,
                                const ControlContext& context) {
  if (!context.features.Has(context.header_split.numbers.split_feature)) {
    return kCommandFailed;
  }
  switch (command.command) {
    case kSplitSet:
      return Set(command, context);
    case kSplitSet2:
      return Set2(command, context);
    case kSplitCapGet:
      return GetCapabilities(command, context);
    default:
      return kCommandFailed;
  }
}

}  // namespace annulus::virtio
