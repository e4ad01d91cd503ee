// The class HDR_BUF_QUEUE: header queues, and which receive queues put their
// headers there.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "devices/virtio/net/control/command_classes.h"
#include "devices/virtio/net/control/command_data.h"
#include "devices/virtio/net/header_split/header_queue.h"
#include "devices/virtio/net/header_split/split_settings.h"
#include "devices/virtio/spec/net_header_split.h"
#include "memory/guest_address.h"

namespace annulus::virtio {
namespace {

using Queue = std::shared_ptr<HeaderQueue>;

// Null where there is none. `id` is any number.
Queue FindQueue(uint16_t id, const HeaderQueues& queues) {
  return id < HeaderQueues::kMaxQueues ? queues.by_id[id] : nullptr;
}

ControlReply GetCapabilities(const ControlCommand& command,
                             const ControlContext& context) {
  if (!command.data.empty() || context.result_room < kHeaderQueueCapBytes) {
    return kCommandFailed;
  }
  ControlReply reply = kCommandDone;
  reply.result.Put(static_cast<uint16_t>(HeaderQueues::kMaxQueues));
  reply.result.Put(kMinHeaderSlotBytes);
  reply.result.Put(kMaxHeaderSlotBytes);
  reply.result.Put(kMaxHeaderQueueLog);
  reply.result.Put(kSplitAllTypes);
  reply.result.Put(uint32_t{0});  // flags
  reply.result.Put(uint32_t{0});  // reserved
  return reply;
}

ControlReply Create(const ControlCommand& command,
                    const ControlContext& context) {
  CommandData data(command.data);
  HeaderQueueConfig config;
  config.id = data.Take<uint16_t>();
  config.slot_bytes = data.Take<uint16_t>();
  config.log_slots = data.Take<uint16_t>();
  const uint16_t flags = data.Take<uint16_t>();
  config.base = memory::GuestAddress(data.Take<uint64_t>());
  config.tail = memory::GuestAddress(data.Take<uint64_t>());
  config.types = data.Take<uint64_t>();
  config.threshold = data.Take<uint32_t>();
  data.Take<uint32_t>();  // reserved: of no meaning
  HeaderQueues& queues = context.settings.header_queues;
  if (!data.Complete() || flags != 0 || config.id >= HeaderQueues::kMaxQueues ||
      queues.by_id[config.id] != nullptr ||
      !IsLegalSplit(config.types, config.threshold, context) ||
      !HeaderQueue::IsUsable(config, context.memory)) {
    return kCommandFailed;
  }
  queues.by_id[config.id] = std::make_shared<HeaderQueue>(config);
  return kSettingsChanged;
}

// Of a receive queue that there is, enabled or not: the driver may attach while
// the queue is reset, and the header queue is still there when it is not.
ControlReply Attach(const ControlCommand& command,
                    const ControlContext& context) {
  CommandData data(command.data);
  const uint16_t vq = data.Take<uint16_t>();
  const uint16_t id = data.Take<uint16_t>();
  HeaderQueues& queues = context.settings.header_queues;
  if (!data.Complete() || vq % 2 != 0 || vq >= context.target.data_queues()) {
    return kCommandFailed;
  }
  const Queue queue = FindQueue(id, queues);
  if (queue == nullptr && id != kHeaderQueueNone) return kCommandFailed;
  queues.by_pair[vq / 2] = queue;
  return kSettingsChanged;
}

ControlReply Destroy(const ControlCommand& command,
                     const ControlContext& context) {
  CommandData data(command.data);
  const uint16_t id = data.Take<uint16_t>();
  HeaderQueues& queues = context.settings.header_queues;
  if (!data.Complete()) return kCommandFailed;
  const Queue queue = FindQueue(id, queues);
  if (queue == nullptr ||
      std::find(queues.by_pair.begin(), queues.by_pair.end(), queue) !=
          queues.by_pair.end()) {
    return kCommandFailed;
  }
  queues.by_id[id] = nullptr;
  return kSettingsChanged;
}

}  // namespace

ControlReply ExecuteHeaderQueue(const ControlCommand& command,
                                const ControlContext& context) {
  if (!context.features.Has(
          context.header_split.numbers.header_queue_feature)) {
    return kCommandFailed;
  }
  switch (command.command) {
    case kHeaderQueueCapGet:
      return GetCapabilities(command, context);
    case kHeaderQueueCreate:
      return Create(command, context);
    case kHeaderQueueAttach:
      return Attach(command, context);
    case kHeaderQueueDestroy:
      return Destroy(command, context);
    default:
      return kCommandFailed;
  }
}

}  // namespace annulus::virtio
