#include "devices/virtio/net/control/control_queue.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "devices/virtio/net/control/coalescing.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/spec/net_control.h"
#include "memory/little_endian.h"

namespace annulus::virtio {
namespace {

constexpr size_t kHeaderBytes = 2;  // class and command.

// What the device writes: the result of VQ_GET, and ack.
struct ReplyBytes {
  std::array<uint8_t, sizeof(uint64_t) + 1> bytes;
  size_t count;
};

// "For the command VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET, vq_index and reserved are
// write-only for the driver, and the structure virtio_net_ctrl_coal is
// read-only for the driver": it is part of command-specific-data, the device-
// writable end of it, and ack comes after all data. (command-specific-result,
// which would follow ack, is for other commands.)
ReplyBytes EncodeReply(const ControlReply& reply, bool with_coalescing) {
  const uint8_t ack = reply.ok ? kNetControlOk : kNetControlError;
  if (!with_coalescing) return {.bytes = {ack}, .count = 1};
  const memory::Le32 fields[] = {reply.coalescing.max_packets,
                                 reply.coalescing.max_usecs};
  ReplyBytes encoded = {.bytes = {}, .count = sizeof(fields) + 1};
  std::memcpy(encoded.bytes.data(), fields, sizeof(fields));
  encoded.bytes[sizeof(fields)] = ack;
  return encoded;
}

void CopyOut(const DescriptorChain& chain, absl::Span<uint8_t> out) {
  for (const ChainElement& element : chain.readable()) {
    const size_t here = std::min(element.span.size(), out.size());
    element.span.CopyOut(0, out.first(here));
    out.remove_prefix(here);
  }
}

void CopyIn(const DescriptorChain& chain, absl::Span<const uint8_t> in) {
  for (const ChainElement& element : chain.writable()) {
    const size_t here = std::min(element.span.size(), in.size());
    element.span.CopyIn(0, in.first(here));
    in.remove_prefix(here);
  }
}

}  // namespace

ControlQueue::ControlQueue(NetSettingsStore& store, ControlTarget& target)
    : store_(store),
      target_(target),
      chain_(kMaxQueueSize),
      command_(std::make_unique_for_overwrite<uint8_t[]>(kMaxCommandBytes)) {}

bool ControlQueue::Drain(Virtqueue& queue) {
  for (int i = 0; i < kMaxCommandsPerDrain; ++i) {
    if (!queue.Pop(chain_)) return false;
    queue.Push(chain_, Serve());
  }
  return true;
}

// Serves the command in chain_; returns how much was written.
uint32_t ControlQueue::Serve() {
  const uint32_t bytes = chain_.readable_bytes();
  if (bytes < kHeaderBytes || chain_.writable_bytes() < 1) return 0;
  const absl::Span<uint8_t> copy =
      absl::MakeSpan(command_.get(), std::min<size_t>(bytes, kMaxCommandBytes));
  CopyOut(chain_, copy);
  const ControlCommand command = {.command_class = copy[0],
                                  .command = copy[1],
                                  .data = copy.subspan(kHeaderBytes)};
  const bool is_get = command.command_class == kNetControlCoal &&
                      command.command == kNetControlCoalVqGet;
  const bool has_room_for_get =
      chain_.writable_bytes() >= sizeof(ReplyBytes::bytes);
  ControlReply reply;  // An error.
  if (bytes <= kMaxCommandBytes && (!is_get || has_room_for_get)) {
    reply = Execute(command);
  }
  commands_.fetch_add(1, std::memory_order_relaxed);
  if (reply.ok) commands_ok_.fetch_add(1, std::memory_order_relaxed);
  const ReplyBytes encoded = EncodeReply(reply, is_get && has_room_for_get);
  CopyIn(chain_, absl::MakeConstSpan(encoded.bytes).first(encoded.count));
  return static_cast<uint32_t>(encoded.count);
}

ControlReply ControlQueue::Execute(const ControlCommand& command) {
  NetSettings settings = *store_.Current();
  const ControlReply reply = ExecuteControlCommand(
      command,
      {.features = features_, .settings = settings, .target = target_});
  if (reply.settings_changed) {
    store_.Publish(settings);
    target_.SettingsPublished(settings);
  }
  return reply;
}

}  // namespace annulus::virtio
