// A socket device of five queues with all its threads behind virtio-mmio, and a
// guest that sends any bytes in any chains over all of them, while programs of
// the host come, write and go.
//
// Input: a list of operations, each
//   op 1 byte; its low 3 bits:
//   0  start the device: 1 byte; bits 0 to 3: form of the rings; 4: MRG_RXBUF;
//      5: DGRAM; 6: NO_IMPLIED_STREAM
//   1  a packet to a tx queue, bit 3 of op: that of datagrams; bit 4: the next
//      44 bytes are its header, else 4 bytes are op, type, ports and flags;
//      then 2 bytes of size, 1 of descriptors, 1 of how far `len` is wrong
//   2  the guest takes what it was sent; bit 3: and gives no buffers back
//   3  a program of the host calls port 0 to 3; bit 3: by SEQPACKET
//   4  a program of the host writes 1 byte of 256 bytes; bit 3: closes instead
//   5  TRANSPORT_RESET; bit 3: with another CID
//   6  1 byte: RING_RESET of that queue, which is enabled again
//   7  2 bytes of place in units of 16, and 16 bytes to there: after it, the
//      guest's driver does nothing more but notify, until it starts anew

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/virtio/driver/fake_driver.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/transport/fuzz_input.h"
#include "devices/virtio/transport/test_driver.h"
#include "devices/virtio/vsock/backend/vsock_backend.h"
#include "devices/virtio/vsock/connection/test_backend.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/queues/queue_fixture.h"
#include "devices/virtio/vsock/vsock_device.h"
#include "devices/virtio/vsock/vsock_features.h"
#include "devices/virtio/vsock/vsock_guest.h"
#include "devices/virtio/vsock/vsock_options.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"

namespace annulus::virtio {
namespace {

constexpr uint32_t kConnections = 8;
constexpr size_t kPrograms = 8;

// Takes all datagrams.
class AnyDatagrams final : public HostDatagrams {
 public:
  int fd() const override { return event_.fd(); }
  std::optional<size_t> Receive(absl::Span<const iovec>, Ports&) override {
    return std::nullopt;
  }
  bool Send(const Ports&, absl::Span<const iovec>) override { return true; }

 private:
  const EventFd event_ = EventFd::Create().value();
};

class Backend final : public TestBackend {
 public:
  HostDatagrams* datagrams() override { return &datagrams_; }

 private:
  AnyDatagrams datagrams_;
};

// One for all inputs, each of which resets it at its end: its threads are not
// made anew a thousand times a second.
struct Machine {
  Backend* backend;
  std::unique_ptr<VsockDevice> device;
};
Machine& TheMachine() {
  static Machine& machine = []() -> Machine& {
    VsockOptions options;
    options.features = AllVsockFeatures();
    options.mrg_rxbuf = options.dgram = true;
    options.guest_cid = kGuestCid;
    options.max_connections = kConnections;
    auto backend = std::make_unique<Backend>();
    Backend* const kept = backend.get();
    return *new Machine{kept, VsockDevice::Create(options, std::move(backend),
                                                  nullptr, NullLogSink())
                                  .value()};
  }();
  return machine;
}

class Session {
 public:
  explicit Session(Machine& machine)
      : machine_(machine),
        transport_(MakeMmioTestDriver(*machine.device, {})) {}

  void Do(FuzzInput& input) {
    const uint8_t op = input.Byte();
    const bool other = (op & 8) != 0;
    switch (op & 7) {
      case 0:
        return Start(input.Byte());
      case 1:
        return Send(input, other, (op & 16) != 0);
      case 2:
        return Receive(!other);
      case 3:
        return Keep(machine_.backend->Call(
            other ? kVsockTypeSeqpacket : kVsockTypeStream, op >> 4 & 3));
      case 4:
        return Write(input.Byte(), other);
      case 5: {
        const uint64_t cid = machine_.device->guest_cid();
        ANNULUS_CHECK(
            machine_.device->ResetTransport(other ? cid ^ 1 : cid).ok());
        return;
      }
      case 6:
        return ResetQueue(input.Byte());
      default:
        return Scribble(input);
    }
  }

 private:
  void Start(uint8_t form) {
    VsockGuest::Options options = {
        .shape = {.packed = (form & 1) != 0,
                  .event_idx = (form & 2) != 0,
                  .indirect = (form & 4) != 0,
                  .in_order = (form & 8) != 0},
        .features = FeatureSet::Of(kVsockSeqpacket, kFeatureRingReset)};
    if ((form & 16) != 0) options.mrg_rxbuf = kVsockMrgRxbufDefault;
    if ((form & 32) != 0) options.dgram = kVsockDgramDefault;
    if ((form & 64) != 0) options.features.Add(kVsockNoImpliedStream);
    options.buffer_bytes = 500;
    dgram_ = options.dgram.has_value();
    guest_ = std::make_unique<VsockGuest>(*transport_, options);
    guest_->Start();
    scribbled_ = false;
  }

  bool drives() const { return guest_ != nullptr && !scribbled_; }

  void Send(FuzzInput& input, bool datagram, bool any_header) {
    PacketHeader header;
    if (any_header) {
      header = DecodePacketHeader(input.Bytes(kVsockHeaderBytes));
    } else {
      const uint8_t op = input.Byte();
      const uint8_t type = input.Byte();
      const uint8_t ports = input.Byte();
      header = {.src_cid = machine_.device->guest_cid(),
                .dst_cid = kVsockHostCid,
                .src_port = ports & 3u,
                .dst_port = ports >> 2 & 3u,
                .type = static_cast<uint16_t>(type % 5),
                .op = static_cast<uint16_t>(op % 9),
                .flags = input.Byte() & 3u,
                .buf_alloc = 4096u << (ports >> 4),
                .fwd_cnt = 0};
    }
    const size_t size = input.Number(2) % 2048;
    const size_t pieces = 1 + input.Byte() % 20;
    const auto wrong = static_cast<int8_t>(input.Byte());
    if (!drives() || (datagram && !dgram_)) return;
    const uint16_t queue = datagram ? kVsockDgramTxQueue : kVsockTxQueue;
    FakeDriver& ring = guest_->ring(queue);
    while (ring.GetUsed().has_value()) {
    }
    std::string packet =
        WirePacket(header, Bytes(size), guest_->header_bytes());
    if (wrong >= 100) packet[kVsockHeaderLen] = static_cast<char>(wrong);
    if (wrong < -100) packet.resize(static_cast<size_t>(wrong + 128));
    FakeDriver::ChainBuilder chain = ring.Chain();
    for (size_t i = 0; i < pieces; ++i) {
      const size_t begin = packet.size() * i / pieces;
      chain.Readable(
          packet.substr(begin, packet.size() * (i + 1) / pieces - begin));
    }
    (void)chain.Offer();
    guest_->NotifyIfWanted(queue);
  }

  void Receive(bool refills) {
    if (!drives()) return;
    guest_->set_refills(refills);
    for (int i = 0; i < 64; ++i) {
      const std::optional<VsockGuest::Packet> packet = guest_->TryReceive();
      if (!packet.has_value()) break;
      // Whoever the guest wrote to, nobody else answers it.
      ANNULUS_CHECK(packet->header.op != kVsockOpInvalid);
    }
    if (guest_->ring(guest_->event()).GetUsed().has_value()) {
      guest_->AddEventBuffer();
      guest_->NotifyIfWanted(guest_->event());
    }
  }

  void Keep(UniqueFd program) {
    if (programs_.size() == kPrograms) programs_.erase(programs_.begin());
    programs_.push_back(std::move(program));
  }

  void Write(uint8_t which, bool close) {
    if (UniqueFd program = machine_.backend->Accept(which & 3);
        program.valid()) {
      Keep(std::move(program));
    }
    if (programs_.empty()) return;
    const size_t index = which % programs_.size();
    if (close) {
      programs_.erase(programs_.begin() + static_cast<ptrdiff_t>(index));
      return;
    }
    const std::string bytes(size_t{which} * 256 + 1, 'x');
    (void)::send(programs_[index].get(), bytes.data(), bytes.size(),
                 MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  void ResetQueue(uint8_t which) {
    if (!drives()) return;
    const auto queue = static_cast<uint16_t>(which % guest_->queues());
    guest_->ResetQueue(queue);
    guest_->EnableQueue(queue);
    guest_->NotifyIfWanted(queue);
  }

  void Scribble(FuzzInput& input) {
    const uint64_t place = uint64_t{input.Number(2)} * 16;
    ANNULUS_CHECK(transport_->memory().Write(
        memory::GuestAddress(place & 0xfffff), input.Bytes(16)));
    scribbled_ = true;
    for (uint32_t queue = 0; queue < 5; ++queue) transport_->Notify(queue);
  }

  Machine& machine_;
  std::unique_ptr<TestDriver> transport_;
  std::unique_ptr<VsockGuest> guest_;
  bool dgram_ = false;
  bool scribbled_ = false;
  std::vector<UniqueFd> programs_;
};

void Run(FuzzInput input) {
  Machine& machine = TheMachine();
  Session session(machine);
  for (int i = 0; i < 200 && !input.empty(); ++i) {
    session.Do(input);
    ANNULUS_CHECK(machine.device->connections() <= kConnections);
  }
}

}  // namespace
}  // namespace annulus::virtio

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  annulus::virtio::Run(annulus::virtio::FuzzInput({data, size}));
  return 0;
}
