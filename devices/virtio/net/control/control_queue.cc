#include "devices/virtio/net/control/control_queue.h"

#include <algorithm>
#include <array>

#include "devices/virtio/net/control/command_result.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/spec/net_control.h"

namespace annulus::virtio {
namespace {

constexpr size_t kHeaderBytes = 2;  // class and command.

// What the device writes: ack, and the result.
struct ReplyBytes {
  std::array<uint8_t, CommandResult::kMaxBytes + 1> bytes = {};
  size_t count;
};

// How much of what the device writes comes before ack. "For the command
// VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET, vq_index and reserved are write-only for
// the driver, and the structure virtio_net_ctrl_coal is read-only for the
// driver": it is part of command-specific-data, the device-writable end of it,
// and ack comes after all data, whatever became of the command. The result of
// any other is command-specific-result, which follows ack.
size_t BytesBeforeAck(const ControlCommand& command, uint32_t room) {
  const bool is_get = command.command_class == kNetControlCoal &&
                      command.command == kNetControlCoalVqGet;
  return is_get && room >= kNetControlCoalBytes ? kNetControlCoalBytes : 0;
}

ReplyBytes EncodeReply(const ControlReply& reply, size_t before_ack) {
  const absl::Span<const uint8_t> result = reply.result.bytes();
  const size_t result_at = before_ack == 0 ? 1 : 0;
  ReplyBytes encoded;
  encoded.count = std::max(before_ack + 1, result_at + result.size());
  encoded.bytes[before_ack] = reply.ok ? kNetControlOk : kNetControlError;
  std::copy(result.begin(), result.end(), encoded.bytes.begin() + result_at);
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

ControlQueue::ControlQueue(NetSettingsStore& store, ControlTarget& target,
                           const HeaderSplitOptions& header_split)
    : store_(store),
      target_(target),
      header_split_(header_split),
      chain_(kMaxQueueSize),
      command_(std::make_unique_for_overwrite<uint8_t[]>(kMaxCommandBytes)) {}

bool ControlQueue::Drain(Virtqueue& queue) {
  for (int i = 0; i < kMaxCommandsPerDrain; ++i) {
    if (!queue.Pop(chain_)) return false;
    queue.Push(chain_, Serve(queue.memory()));
  }
  return true;
}

// Serves the command in chain_; returns how much was written.
uint32_t ControlQueue::Serve(const memory::GuestMemory& memory) {
  const uint32_t bytes = chain_.readable_bytes();
  if (bytes < kHeaderBytes || chain_.writable_bytes() < 1) return 0;
  const absl::Span<uint8_t> copy =
      absl::MakeSpan(command_.get(), std::min<size_t>(bytes, kMaxCommandBytes));
  CopyOut(chain_, copy);
  const ControlCommand command = {.command_class = copy[0],
                                  .command = copy[1],
                                  .data = copy.subspan(kHeaderBytes)};
  const uint32_t room = chain_.writable_bytes() - 1;  // Beside ack.
  ControlReply reply;                                 // An error.
  if (bytes <= kMaxCommandBytes) reply = Execute(command, room, memory);
  commands_.fetch_add(1, std::memory_order_relaxed);
  if (reply.ok) commands_ok_.fetch_add(1, std::memory_order_relaxed);
  const ReplyBytes encoded = EncodeReply(reply, BytesBeforeAck(command, room));
  CopyIn(chain_, absl::MakeConstSpan(encoded.bytes).first(encoded.count));
  return static_cast<uint32_t>(encoded.count);
}

ControlReply ControlQueue::Execute(const ControlCommand& command, uint32_t room,
                                   const memory::GuestMemory& memory) {
  NetSettings settings = *store_.Current();
  const ControlReply reply =
      ExecuteControlCommand(command, {.features = features_,
                                      .settings = settings,
                                      .target = target_,
                                      .header_split = header_split_,
                                      .memory = memory,
                                      .result_room = room});
  if (reply.settings_changed) {
    store_.Publish(settings);
    target_.SettingsPublished(settings);
    // They hold for every packet that is processed after ack, and what only
    // older ones lead to is not touched any more.
    store_.WaitForReaders();
  }
  return reply;
}

}  // namespace annulus::virtio
