// A session over a socket with whatever messages and descriptors, in front of a
// real device, with rings in real memory.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "base/shared_event_signal.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_device.h"
#include "devices/vhost_user/back_end/back_end_session.h"
#include "devices/vhost_user/back_end/front_end_testing.h"
#include "devices/vhost_user/back_end/net_back_end_device.h"
#include "devices/vhost_user/back_end/plain_device.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/message_socket.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/net/backend/loopback_backend.h"
#include "devices/virtio/net/net_device.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/net/net_options.h"
#include "devices/virtio/rng/rng_device.h"
#include "memory/guest_address.h"

namespace annulus::vhost_user {
namespace {

// All of it fits into the socket, and so do the replies.
constexpr int kMaxMessages = 64;

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  bool empty() const { return at_ == size_; }
  uint8_t Byte() { return empty() ? 0 : data_[at_++]; }
  // A number that may be right, or far off.
  uint64_t Number() {
    const uint8_t kind = Byte();
    if (kind < 0xc0) return kind;
    if (kind < 0xe0) return uint64_t{1} << (Byte() % 64);
    if (kind < 0xf0) return uint64_t{0} - Byte();
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | Byte();
    return value;
  }

 private:
  const uint8_t* const data_;
  const size_t size_;
  size_t at_ = 0;
};

std::unique_ptr<BackEndDevice> MakeNet() {
  virtio::NetOptions options;
  options.features = virtio::AllNetFeatures();
  options.front_end_controls = true;
  return std::make_unique<NetBackEndDevice>(
      virtio::NetDevice::Create(
          options, virtio::LoopbackBackend::Create(1).value(), NullLogSink())
          .value());
}

// Made once: a device's threads live as long as it.
BackEndDevice& Device(bool net) {
  static BackEndDevice& rng = *new PlainBackEndDevice(
      virtio::RngDevice::Create({}, NullLogSink()).value());
  static BackEndDevice& card = *MakeNet().release();
  return net ? card : rng;
}

const SharedEventSignal& EventSignal() {
  static const SharedEventSignal& signal =
      *new SharedEventSignal(SharedEventSignal::Create().value());
  return signal;
}

const EventFd& Never() {
  static const EventFd& never = *new EventFd(EventFd::Create().value());
  return never;
}

UniqueFd Descriptor(uint8_t kind, int ram, int socket) {
  switch (kind % 8) {
    case 0:
      return DuplicateFd(socket);
    case 1:
      return UniqueFd(::open("/dev/zero", O_RDWR | O_CLOEXEC));
    case 2: {
      UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC));
      ANNULUS_CHECK(::ftruncate(file.get(), 0x3000) == 0);
      return file;
    }
    case 3: {
      std::array<int, 2> ends = {};
      ANNULUS_CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
      const UniqueFd other(ends[0]);
      return UniqueFd(ends[1]);
    }
    case 4:
    case 5:
      return DuplicateFd(ram);
    default:
      return DuplicateFd(EventFd::Create().value().fd());
  }
}

template <typename T>
void SetPayload(Message& message, const T& value) {
  message.size = sizeof(value);
  std::memcpy(message.payload.data(), &value, sizeof(value));
}

MemoryRegion RegionOf(const TestFrontEnd& front_end, Input& input) {
  MemoryRegion region = front_end.Region();
  const uint8_t what = input.Byte();
  if ((what & 1) != 0) region.guest_address = input.Number() * 4096;
  if ((what & 2) != 0) region.user_address = input.Number() * 4096;
  if ((what & 4) != 0) region.size = input.Number() * 512;
  if ((what & 8) != 0) region.mmap_offset = input.Number() * 512;
  return region;
}

// The payload that belongs to a request, with values from the input.
void Fill(Message& message, const TestFrontEnd& front_end,
          const TestQueue& split, const TestQueue& packed, Input& input) {
  switch (static_cast<Request>(message.request)) {
    case Request::kSetVringAddr: {
      const uint8_t what = input.Byte();
      VringAddress address =
          (what & 1) != 0 ? packed.Addresses() : split.Addresses();
      address.index = what >> 6;
      if ((what & 2) != 0) address.descriptor += input.Number();
      if ((what & 4) != 0) address.used += input.Number();
      if ((what & 8) != 0) address.available += input.Number();
      return SetPayload(message, address);
    }
    case Request::kSetMemTable: {
      struct {
        uint64_t regions;
        std::array<MemoryRegion, 2> region;
      } table = {input.Byte() % 4u, {}};
      table.region = {RegionOf(front_end, input), RegionOf(front_end, input)};
      SetPayload(message, table);
      if (table.regions <= 2) {
        message.size = static_cast<uint32_t>(8 + 32 * table.regions);
      }
      return;
    }
    case Request::kAddMemReg:
    case Request::kRemMemReg: {
      struct {
        uint64_t padding;
        MemoryRegion region;
      } single = {0, RegionOf(front_end, input)};
      return SetPayload(message, single);
    }
    case Request::kSetVringNum:
    case Request::kSetVringBase:
    case Request::kGetVringBase:
    case Request::kSetVringEnable:
      return SetPayload(
          message, VringState{.index = input.Byte() % 5u,
                              .num = static_cast<uint32_t>(input.Number())});
    case Request::kSetLogBase:
      return SetPayload(message, LogDescription{.size = input.Number() * 8,
                                                .offset = input.Number()});
    case Request::kGetInflightFd:
    case Request::kSetInflightFd:
      return SetPayload(
          message, InflightDescription{
                       .mmap_size = input.Number() * 512,
                       .mmap_offset = input.Number() * 64,
                       .num_queues = static_cast<uint16_t>(input.Number()),
                       .queue_size = static_cast<uint16_t>(input.Number())});
    case Request::kGetConfig:
    case Request::kSetConfig: {
      const ConfigDescription description = {
          .offset = static_cast<uint32_t>(input.Number()),
          .size = static_cast<uint32_t>(input.Number()),
          .flags = input.Byte() % 2u};
      SetPayload(message, description);
      if (description.size <= kMaxConfigBytes) message.size += description.size;
      return;
    }
    default:
      return SetPayload(message, input.Number());
  }
}

Message NextMessage(const TestFrontEnd& front_end, const TestQueue& split,
                    const TestQueue& packed, int socket, Input& input) {
  Message message;
  message.request = input.Byte() % 44;
  const uint8_t how = input.Byte();
  message.flags = kVersion | ((how & 1) != 0 ? kFlagNeedReply : 0);
  Fill(message, front_end, split, packed, input);
  if ((how & 0x0e) == 0x0e) message.size = input.Byte();  // Cut, or longer.
  const int fds = (how >> 4) % 4;
  for (int i = 0; i < fds; ++i) {
    message.fds.push_back(Descriptor(input.Byte(), front_end.ram_fd(), socket));
  }
  return message;
}

void Run(const uint8_t* data, size_t size) {
  Input input(data, size);
  const uint8_t kind = input.Byte();
  BackEndDevice& device = Device((kind & 1) != 0);
  std::pair<UniqueFd, UniqueFd> sockets = SocketPair();
  TestFrontEnd front_end{UniqueFd()};
  TestQueue split(front_end, 0, {.packed = false});
  TestQueue packed(front_end, 0, {.base = memory::GuestAddress(0x100000)});
  for (TestQueue* const queue : {&split, &packed}) {
    (void)queue->driver().Chain().Readable("front-end").Offer();
    (void)queue->driver().Chain().Writable(64).Offer();
  }
  MessageSocket socket(std::move(sockets.second));
  if ((kind & 2) != 0) {
    // What every front-end begins with, to get further.
    const auto set = [&socket](Request request, uint64_t value) {
      ANNULUS_CHECK(
          socket
              .Send(MakeMessage(static_cast<uint32_t>(request), 0, value),
                    Never(), absl::ZeroDuration())
              .ok());
    };
    constexpr uint64_t kProtocol = (1 << 0) | (1 << 1) | (1 << 3) | (1 << 5) |
                                   (1 << 9) | (1 << 10) | (1 << 12) |
                                   (1 << 13) | (1 << 15) | (1 << 16);
    set(Request::kSetProtocolFeatures, kProtocol);
    set(Request::kSetFeatures,
        uint64_t{1} << 32 | uint64_t{(kind & 4u) != 0} << 34 |
            uint64_t{(kind & 8u) != 0} << kFeatureProtocolFeatures);
  }
  for (int i = 0; i < kMaxMessages && !input.empty(); ++i) {
    const Message message =
        NextMessage(front_end, split, packed, socket.fd(), input);
    if (!socket.Send(message, Never(), absl::ZeroDuration()).ok()) break;
  }
  (void)::shutdown(socket.fd(), SHUT_WR);
  const std::unique_ptr<BackEndSession> session =
      BackEndSession::Create(device, nullptr, std::move(sockets.first),
                             EventSignal(), Never())
          .value();
  ANNULUS_CHECK(!session->Run().ok());
}

}  // namespace
}  // namespace annulus::vhost_user

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  annulus::vhost_user::Run(data, size);
  return 0;
}
