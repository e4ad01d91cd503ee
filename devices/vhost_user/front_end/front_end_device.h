#ifndef DEVICES_VHOST_USER_FRONT_END_FRONT_END_DEVICE_H_
#define DEVICES_VHOST_USER_FRONT_END_FRONT_END_DEVICE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/event_fd.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "base/rate_limiter.h"
#include "base/shared_event_signal.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "devices/interrupt.h"
#include "devices/vhost_user/front_end/back_end_channel.h"
#include "devices/vhost_user/front_end/back_end_offer.h"
#include "devices/vhost_user/front_end/front_end_card.h"
#include "devices/vhost_user/wire/message_socket.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue/queue_state.h"
#include "devices/virtio/vsock/backend/bound_socket.h"
#include "memory/guest_memory.h"

namespace annulus::vhost_user {

struct FrontEndOptions {
  std::string name = "net0";  // Of the thread and in log lines.
  // Where the next back-end comes from, whenever one has gone: it listens at
  // this path ('@' in front: an abstract name), or
  std::string path = {};
  // it connects to this socket, which listens. Neither: there is none.
  UniqueFd listener = {};
  // The file of that one, to be removed with the device, if it has any.
  virtio::BoundSocket listener_file = {};
  // The first connection. Not valid: it is made as the next ones are.
  UniqueFd connection = {};
  uint16_t queue_size = 256;  // A power of two; the back-end has to take it.
  absl::Duration reconnect_delay = absl::Milliseconds(100);
  // What Create() gives the first one that has to connect.
  absl::Duration first_wait = absl::Minutes(1);
  // Of BackEndChannel.
  absl::Duration patience = absl::Seconds(2);
};

// A device whose work another process does: the front-end of the vhost-user
// protocol. Available buffer notifications go to the back-end directly, used
// buffer notifications by way of a thread of this device.
//
// A back-end that goes away, breaks the protocol or does not answer in time
// loses the connection. The guest keeps its device, which does nothing until
// there is a back-end again; that one goes on where the ring says (split), or
// where the inflight buffer does, which is kept here (packed). Where it cannot,
// or no other can come, the device needs a reset.
//
// Threads: as VirtioDevice; one of its own. Whoever starts or stops queues
// waits
//   for the back-end, for at most twice `patience` for all of them together.
// Trust: the back-end may do to the guest's memory what it likes, for that is
//   its task; it is not trusted otherwise. Its memory is never mapped.
// Locks: mu_ before config_mu_ and relay_mu_.
class FrontEndDevice final : public virtio::VirtioDevice {
 public:
  // Negotiates with the back-end, which therefore has to be there: nobody who
  // listens at the path is an error at once, nobody who connects to the
  // listener after `first_wait`; that it waits, `log` is told. `log` outlives
  // the device.
  static absl::StatusOr<std::unique_ptr<FrontEndDevice>> Create(
      FrontEndOptions options, std::unique_ptr<FrontEndType> type,
      LogSink& log);

  ~FrontEndDevice() override;

  uint32_t device_id() const override { return type_->device_id(); }
  virtio::FeatureSet offered_features() const override { return offered_; }
  absl::Span<const uint16_t> max_queue_sizes() const
      ABSL_ATTRIBUTE_LIFETIME_BOUND override {
    return queue_sizes_;
  }
  bool AcceptFeatures(const virtio::FeatureSet& features) const override {
    return type_->AcceptFeatures(features);
  }
  uint32_t config_size() const override { return type_->config_bytes(); }
  void ReadConfig(uint32_t offset, absl::Span<uint8_t> data) const override;
  // No field of these devices can be written.
  void WriteConfig(uint32_t, absl::Span<const uint8_t>) override {}
  uint32_t config_generation() const override {
    // Acquire: pairs with the release in UpdateConfig().
    return config_generation_.load(std::memory_order_acquire);
  }
  void Start(const virtio::FeatureSet& features) override;
  void StartQueue(uint16_t index,
                  const virtio::QueueResources& resources) override;
  std::optional<virtio::QueueState> StopQueue(uint16_t index) override;
  void Reset() override;

  // Nobody waits for the back-end from now on, or for another one: the device
  // is about to go. Any thread; idempotent.
  void EndWaits() { stop_.Signal(); }

  // How often a connection was made. Any thread.
  uint64_t connections() const {
    return connections_.load(std::memory_order_relaxed);
  }

 private:
  struct Connection {
    BackEndChannel channel;
    BackEndOffer offer;
    bool prepared = false;  // It has memory and inflight buffer.
    bool failed = false;    // Not to be used any more.
  };

  struct Queue {
    EventFd call;
    std::optional<virtio::QueueResources> running = {};
    uint32_t base = 0;  // Where it began.
    bool seen = false;  // A back-end may have taken buffers since.
  };

  struct Inflight {
    UniqueFd fd;
    InflightDescription description;
  };

  FrontEndDevice(FrontEndOptions options, std::unique_ptr<FrontEndType> type,
                 EventFd stop, EventFd wake, EventFd error,
                 SharedEventSignal kick, LogSink& log);
  absl::Status Initialize();

  // Makes a connection and negotiates on it.
  absl::StatusOr<std::unique_ptr<Connection>> FirstConnection();
  absl::StatusOr<std::unique_ptr<Connection>> Connect(UniqueFd socket);
  // Without waiting.
  absl::StatusOr<UniqueFd> NextSocket() const;
  bool CanReconnect() const {
    return !options_.path.empty() || options_.listener.valid();
  }

  // What the guest has set up, told to the back-end.
  absl::Status SendFeatures() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Prepare(const memory::GuestMemory& memory)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status SendMemory(const memory::GuestMemory& memory)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status SendInflight() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status SendQueue(uint16_t index, uint32_t base)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // All of it, on a new connection.
  absl::Status Restore() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether `offer` has all that the driver was told, or uses.
  absl::Status CheckOffer(const BackEndOffer& offer) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<uint32_t> BaseAfterLoss(const Queue& queue) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<uint32_t> GetBase(uint16_t index)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetInflight(uint16_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Packed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  bool Usable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The thread will drop the connection, if `status` is an error.
  void Use(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // On the thread.
  void Run();
  void Reconnect();
  void Disconnect();
  void Relay(uint16_t index);
  void ServeBackEndRequest();
  void NeedsReset();
  // The configuration space, as the back-end has it; tells the driver where
  // that is another.
  void TakeConfig(const BackEndOffer& offer);
  // True if it is another.
  bool UpdateConfig(std::vector<uint8_t> config);
  void LogLine(LogSeverity severity, absl::string_view line);

  // Constant after Create().
  FrontEndOptions options_;
  const std::unique_ptr<FrontEndType> type_;
  virtio::FeatureSet offered_;
  uint64_t back_end_features_ = 0;
  std::vector<uint16_t> queue_sizes_;
  LogSink& log_;
  const EventFd stop_;
  const EventFd wake_;
  const EventFd error_;  // Of all queues: SET_VRING_ERR.
  const SharedEventSignal kick_;
  std::vector<int> call_fds_;

  std::atomic<uint64_t> connections_{0};
  RateLimiter log_limiter_{5, absl::Seconds(10)};

  // Of the back-end. The thread's, as soon as that runs.
  std::optional<MessageSocket> requests_;

  mutable Mutex mu_;
  // Made and dropped by the thread.
  std::unique_ptr<Connection> connection_ ABSL_GUARDED_BY(mu_);
  std::optional<virtio::FeatureSet> features_ ABSL_GUARDED_BY(mu_);
  std::vector<Queue> queues_ ABSL_GUARDED_BY(mu_);
  std::optional<Inflight> inflight_ ABSL_GUARDED_BY(mu_);

  mutable Mutex config_mu_;
  std::vector<uint8_t> config_ ABSL_GUARDED_BY(config_mu_);
  std::atomic<uint32_t> config_generation_{0};

  // What the thread may tell the driver by: until StopQueue() and Reset().
  Mutex relay_mu_;
  std::vector<Interrupt*> interrupts_ ABSL_GUARDED_BY(relay_mu_);
  virtio::DeviceHost* host_ ABSL_GUARDED_BY(relay_mu_) = nullptr;

  Thread thread_;  // Last: it uses all of the above.
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_FRONT_END_FRONT_END_DEVICE_H_
