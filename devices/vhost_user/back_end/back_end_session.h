#ifndef DEVICES_VHOST_USER_BACK_END_BACK_END_SESSION_H_
#define DEVICES_VHOST_USER_BACK_END_BACK_END_SESSION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/event_fd.h"
#include "base/shared_event_signal.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_device.h"
#include "devices/vhost_user/back_end/queue_state_file.h"
#include "devices/vhost_user/back_end/vring.h"
#include "devices/vhost_user/memory/front_end_memory.h"
#include "devices/vhost_user/memory/inflight_memory.h"
#include "devices/vhost_user/memory/log_memory.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/message_socket.h"
#include "devices/vhost_user/wire/protocol.h"
#include "devices/virtio/device.h"
#include "devices/virtio/spec/features.h"

namespace annulus::vhost_user {

// One front-end's connection: what was negotiated, its memory, its vrings, and
// one handler for each request. It answers what it refuses, if it was asked to
// (VHOST_USER_PROTOCOL_F_REPLY_ACK), and ends otherwise.
//
// Threads: one thread creates, runs and destroys it. Queue workers report to it
//   as a DeviceHost.
// Trust: all that the front-end sends is untrusted. What it says of vrings in
//   whatever order takes effect as soon as there is enough of it.
// Allocation: per message that changes memory or descriptors.
class BackEndSession final : private virtio::DeviceHost {
 public:
  // Of memory::GuardedMapping at a time, with the state file's: a log and an
  // inflight buffer are mapped while those of before still are, too.
  static constexpr size_t kMaxMappings =
      FrontEndMemory::kMaxMappings + 2 + 2 + 1;

  // `device`, `state_file`, which may be null, `signal` and `stop` outlive the
  // session; the device has been reset. Fails where the host refuses a
  // descriptor.
  static absl::StatusOr<std::unique_ptr<BackEndSession>> Create(
      BackEndDevice& device, QueueStateFile* state_file, UniqueFd connection,
      const SharedEventSignal& signal, const EventFd& stop);

  BackEndSession(const BackEndSession&) = delete;
  BackEndSession& operator=(const BackEndSession&) = delete;
  ~BackEndSession() override { End(); }

  // Serves the front-end until one of these:
  //   OutOfRange  it hung up
  //   Cancelled   `stop` was signalled
  //   DataLoss    memory that it shares was cut off
  //   else        what it did wrong, or the host refused.
  absl::Status Run();

 private:
  using Handler = absl::Status (BackEndSession::*)(Message&);
  // What is known of a request before its handler sees it.
  struct RequestTraits {
    Request request;
    Handler handler;
    uint64_t needs = 0;  // Protocol features that have to be negotiated.
    size_t max_fds = 0;
    bool answers = false;  // By itself: it has a reply of its own.
  };
  static absl::Span<const RequestTraits> KnownRequests();

  BackEndSession(BackEndDevice& device, QueueStateFile* state_file,
                 UniqueFd connection, const EventFd& stop, EventFd wake);

  void End();
  absl::Status AwaitMessage();
  bool LostMemory() const;
  absl::Status Dispatch(Message& message);
  template <typename T>
  absl::Status Reply(const Message& request, const T& value) {
    return Send(MakeMessage(request.request, kFlagReply, value));
  }
  absl::Status Send(const Message& message);
  bool negotiated(ProtocolFeature feature) const {
    return (protocol_features_ & Bit(feature)) != 0;
  }

  // Of rings, as negotiated. Before that, it is the larger one that counts.
  bool packed() const {
    return !features_.has_value() ||
           device_features_.Has(virtio::kFeatureRingPacked);
  }

  // feature_requests.cc
  absl::Status GetFeatures(Message& message);
  absl::Status SetFeatures(Message& message);
  absl::Status SetOwner(Message& message);
  absl::Status ResetOwner(Message& message);
  absl::Status GetProtocolFeatures(Message& message);
  absl::Status SetProtocolFeatures(Message& message);
  absl::Status GetQueueNum(Message& message);
  absl::Status SetStatus(Message& message);
  absl::Status GetStatus(Message& message);
  absl::Status ResetDevice(Message& message);
  uint64_t OfferedFeatures() const;
  uint64_t OfferedProtocolFeatures() const;
  void ResetAll();

  // memory_requests.cc
  absl::Status SetMemTable(Message& message);
  absl::Status GetMaxMemSlots(Message& message);
  absl::Status AddMemReg(Message& message);
  absl::Status RemMemReg(Message& message);

  // vring_requests.cc
  absl::Status SetVringNum(Message& message);
  absl::Status SetVringAddr(Message& message);
  absl::Status SetVringBase(Message& message);
  absl::Status GetVringBase(Message& message);
  absl::Status SetVringKick(Message& message);
  absl::Status SetVringCall(Message& message);
  absl::Status SetVringErr(Message& message);
  absl::Status SetVringEnable(Message& message);
  absl::StatusOr<Vring*> VringAt(uint64_t index) const;
  // The vring of a message that may bring a descriptor, and that, if it does.
  struct VringFile;
  absl::StatusOr<VringFile> TakeVringFile(Message& message) const;
  // Takes every queue from the device; starts every queue that has all it
  // needs. Between the two, what queues use may change.
  void PauseVrings();
  void StartVrings();
  // The device forgets its driver; queues go on.
  void RestartDevice();

  // log_requests.cc
  absl::Status SetLogBase(Message& message);
  absl::Status SetLogFd(Message& message);
  // Has memory marked in the log from now on, or nowhere, as LOG_ALL says.
  // REQUIRES: no queue runs.
  void UseLog();

  // inflight_requests.cc
  absl::Status GetInflightFd(Message& message);
  absl::Status SetInflightFd(Message& message);
  // What vring `index` noted is void. REQUIRES: it does not run.
  void ForgetInflight(size_t index);

  // config_requests.cc
  absl::Status GetConfig(Message& message);
  absl::Status SetConfig(Message& message);
  absl::Status SetBackendReqFd(Message& message);
  absl::Status NetSetMtu(Message& message);
  absl::Status SendRarp(Message& message);
  void SendConfigChange();
  // As ConfigChanged(), if the configuration is not what the front-end was told
  // of: while no queue runs, the device has nobody to tell.
  void NoticeConfigChange();

  // DeviceHost: queue workers.
  void ConfigChanged() override;
  void NeedsReset() override;

  BackEndDevice& back_end_device_;
  virtio::VirtioDevice& device_;
  const EventFd& stop_;

  // Of memory that was cut off, or of workers: it is time to look.
  const EventFd wake_;
  QueueStateFile* const state_file_;  // Or null.
  MessageSocket socket_;
  std::unique_ptr<LogMemory> log_memory_;  // Outlives memory_, which uses it.
  FrontEndMemory memory_{wake_};
  std::optional<InflightMemory> inflight_;
  std::vector<std::unique_ptr<Vring>> vrings_;

  // Of SET_FEATURES; with vhost's own bits.
  std::optional<uint64_t> features_;
  // Those of virtio, and whether the device takes them.
  virtio::FeatureSet device_features_;
  bool features_accepted_ = false;
  bool started_ = false;  // The device has a driver.
  uint64_t protocol_features_ = 0;
  std::optional<MessageSocket> back_end_requests_;
  uint32_t known_generation_;  // Of the configuration; of the front-end.

  // Bits are written by this thread, DEVICE_NEEDS_RESET by workers. Relaxed:
  // guard no other memory, as the next.
  std::atomic<uint8_t> status_{0};
  std::atomic<bool> config_changed_{false};
};

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_BACK_END_BACK_END_SESSION_H_
