#ifndef TESTS_GUEST_USER_RECEIVE_SESSION_H_
#define TESTS_GUEST_USER_RECEIVE_SESSION_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "devices/virtio/driver/header_split_commands.h"
#include "devices/virtio/driver/header_split_receiver.h"
#include "devices/virtio/driver/received_packet.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_control.h"
#include "devices/virtio/spec/net_header_split.h"
#include "tests/guest_user/credit.h"
#include "tests/guest_user/deadline.h"
#include "tests/guest_user/dma_memory.h"
#include "tests/guest_user/receive_memory.h"
#include "tests/guest_user/receive_options.h"
#include "tests/guest_user/simple_queue.h"
#include "tests/guest_user/stream_check.h"
#include "tests/guest_user/user_ring.h"
#include "tests/guest_user/virtio_pci_device.h"

namespace annulus::guest_user {

// A network card from reset to the last frame of one stream. `Driver` is
// PackedDriver or SplitDriver.
//
// Threads: thread-compatible.
template <typename Driver>
class ReceiveSession {
 public:
  // All outlive the session; `device` is reset after it and before `memory` is
  // given back.
  ReceiveSession(VirtioPciDevice& device, DmaMemory& memory,
                 const ReceiveOptions& options)
      : device_(device),
        options_(options),
        ring_(memory, RingOptions(options)),
        transmit_(memory, device, kTransmitQueue,
                  {.size = kSimpleQueueSize, .in_order = options.in_order}),
        control_(memory, device, kControlQueue,
                 {.size = kSimpleQueueSize, .in_order = options.in_order}),
        memory_(memory, options),
        receiver_(ring_.driver(), memory_.ReceiverConfig()) {}

  // Returns what came. An error: something was wrong with the stream, or with
  // the card.
  absl::StatusOr<StreamCounts> Run() {
    ANNULUS_RETURN_IF_ERROR(Start());
    ANNULUS_RETURN_IF_ERROR(SetUpSplit());
    StreamCheck check(options_.stream, card_address_);
    const absl::Status status = ReceiveAll(check);
    if (!check.error().empty()) return absl::DataLossError(check.error());
    ANNULUS_RETURN_IF_ERROR(status);
    return check.counts();
  }

 private:
  // §5.1.2 "Virtqueues", with one pair.
  static constexpr uint16_t kReceiveQueue = 0;
  static constexpr uint16_t kTransmitQueue = 1;
  static constexpr uint16_t kControlQueue = 2;
  static constexpr uint16_t kSimpleQueueSize = 16;
  // A frame that is not split and its virtio-net header: that many elements.
  static constexpr uint16_t kIndirectEntries = 20;
  static constexpr int64_t kCreditNanoseconds = int64_t{200} * 1'000'000;

  static typename UserRing<Driver>::Options RingOptions(
      const ReceiveOptions& options) {
    return {
        .size = options.queue_size,
        .in_order = options.in_order,
        .indirect_entries = options.indirect ? kIndirectEntries : uint16_t{}};
  }

  absl::Status Start() {
    ANNULUS_RETURN_IF_ERROR(device_.Negotiate(options_.features()));
    for (uint32_t i = 0; i < card_address_.size(); ++i) {
      card_address_[i] = device_.ReadDeviceConfig(virtio::kNetConfigMac + i);
    }
    ANNULUS_RETURN_IF_ERROR(
        device_.EnableQueue(kReceiveQueue, ring_.addresses()));
    ANNULUS_RETURN_IF_ERROR(
        device_.EnableQueue(kTransmitQueue, transmit_.addresses()));
    ANNULUS_RETURN_IF_ERROR(
        device_.EnableQueue(kControlQueue, control_.addresses()));
    device_.SetDriverOk();
    return absl::OkStatus();
  }

  template <uint32_t kData>
  absl::Status Command(const char* name,
                       const virtio::NetCommand<kData>& command) {
    uint8_t ack = virtio::kNetControlError;
    ANNULUS_RETURN_IF_ERROR(
        control_.Do(command.bytes, absl::MakeSpan(&ack, 1)));
    if (ack == virtio::kNetControlOk) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("the card refuses the command ", name));
  }

  // Before any buffer is there: so every frame finds the setting.
  absl::Status SetUpSplit() {
    const virtio::HeaderSplitNumbers numbers;
    virtio::SplitSet2 set;
    switch (options_.method) {
      case virtio::ReceiveMethod::kNone:
        return absl::OkStatus();
      case virtio::ReceiveMethod::kChain:
        set.mode = virtio::kSplitModeChain;
        break;
      case virtio::ReceiveMethod::kBuffers:
        set.mode = virtio::kSplitModeBuffers;
        break;
      case virtio::ReceiveMethod::kSmallBuffers:
        set.mode = virtio::kSplitModeSmallBuffers;
        set.header_buffer_bytes = ReceiveMemory::kSmallBytes;
        break;
      case virtio::ReceiveMethod::kHeaderQueue:
        ANNULUS_RETURN_IF_ERROR(Command(
            "CREATE",
            virtio::HeaderQueueCreateCommand(numbers, memory_.header_queue())));
        return Command("ATTACH",
                       virtio::HeaderQueueAttachCommand(
                           numbers, kReceiveQueue, memory_.header_queue().id));
    }
    return Command("SET2", virtio::SplitSet2Command(numbers, set));
  }

  absl::Status SendCredit(uint64_t received) {
    // Nothing is asked of the device for this frame: all fields are 0.
    std::array<uint8_t, virtio::kNetHeaderBytes +
                            virtio::kNetHeaderQueueFieldBytes +
                            kCreditFrameBytes>
        request = {};
    const size_t header = memory_.header_layout().bytes();
    const CreditFrame frame = EncodeCredit({.seed = options_.stream.seed,
                                            .received = received,
                                            .window = options_.window()},
                                           card_address_);
    std::copy(frame.begin(), frame.end(), request.begin() + header);
    return transmit_.Do(
        absl::MakeConstSpan(request).subspan(0, header + frame.size()), {});
  }

  void PostBuffers() {
    if (receiver_.Post() != 0 && ring_.driver().NeedsNotification()) {
      device_.Notify(kReceiveQueue);
    }
  }

  absl::Status ReceiveAll(StreamCheck& check) {
    PostBuffers();
    ANNULUS_RETURN_IF_ERROR(SendCredit(0));
    const uint64_t every = options_.window() / 4 + 1;
    uint64_t credited = 0;
    IdleTime idle, since_credit;
    while (!check.complete()) {
      virtio::ReceivedPacket packet;
      while (receiver_.GetPacket(packet)) {
        if (!check.Check(packet)) return absl::OkStatus();
        if (!memory_.IsHoldUntouched(packet)) {
          return absl::DataLossError("bytes behind a header were written to");
        }
        memory_.RestoreHold(packet);
        receiver_.ReleaseAll(packet);
        idle.Restart();
      }
      PostBuffers();
      const uint64_t received = check.counts().frames;
      if (received - credited >= every ||
          since_credit.nanoseconds() > kCreditNanoseconds) {
        ANNULUS_RETURN_IF_ERROR(SendCredit(received));
        credited = received;
        since_credit.Restart();
      }
      ANNULUS_RETURN_IF_ERROR(CheckAlive(idle, received));
    }
    return SendCredit(check.counts().frames);
  }

  absl::Status CheckAlive(const IdleTime& idle, uint64_t received) {
    if (receiver_.broken()) {
      return absl::DataLossError(
          absl::StrCat("the card broke the rules after ", received, " frames"));
    }
    if (idle.too_long()) {
      return absl::DeadlineExceededError(
          absl::StrCat("nothing comes any more after ", received, " frames",
                       device_.NeedsReset() ? "; the card needs a reset" : ""));
    }
    return absl::OkStatus();
  }

  VirtioPciDevice& device_;
  const ReceiveOptions options_;
  UserRing<Driver> ring_;
  SimpleQueue<Driver> transmit_;
  SimpleQueue<Driver> control_;
  ReceiveMemory memory_;
  virtio::HeaderSplitReceiver<Driver> receiver_;
  MacAddress card_address_ = {};
};

}  // namespace annulus::guest_user

#endif  // TESTS_GUEST_USER_RECEIVE_SESSION_H_
