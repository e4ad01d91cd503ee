#ifndef VMM_CONTROL_CONTROL_SESSION_H_
#define VMM_CONTROL_CONTROL_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/control.pb.h"
#include "vmm/control/control_target.h"
#include "vmm/control/delimited_message.h"
#include "vmm/vm_event.h"

namespace annulus {

// Who ends a VM that was asked to stop and did not.
//
// Threads: the control thread.
class StopTimer {
 public:
  virtual ~StopTimer() = default;
  // The VM is to end in so long, unless it was to end before that already.
  virtual void StopAfter(absl::Duration delay) = 0;
};

// One client of the control socket, without the socket: bytes in, bytes out.
//
// What waits to be sent is bounded: a client that does not take it is not
// listened to, but for what it has sent already, and loses events, which it is
// told how many when there is room again.
//
// Threads: the control thread.
// Trust: what comes is untrusted; who sends it was let in.
class ControlSession {
 public:
  // While there is more than this to be sent, no request is served and no event
  // accepted; so there is at most that and one reply.
  static constexpr size_t kMaxOutput = size_t{64} << 10;
  // That the VM has ended is accepted beyond it.

  // Both outlive the session.
  ControlSession(ControlTarget& target, StopTimer& timer)
      : target_(target), timer_(timer), reader_(kMaxControlRequest) {}

  // A session that is over before it begins: says why.
  void Refuse(const absl::Status& why);

  // Takes what came and serves it. Nothing may come after Failed().
  void Receive(absl::string_view bytes);
  // Serves what had to wait.
  void Serve();
  // Whether more may be given to Receive(): what came is bounded by a message
  // and one Receive().
  bool WantsInput() const { return !failed_ && output_size() <= kMaxOutput; }

  // Lost, where the client takes none, or too slowly. `lost`: others were,
  // before this one, on the way here.
  void OnEvent(const VmEvent& event, uint64_t lost);
  bool subscribed() const { return subscribed_; }

  // What is to be sent; and that so much of it was.
  absl::string_view output() const {
    return absl::string_view(output_).substr(sent_);
  }
  void Sent(size_t bytes);

  // The client broke the rules, or was refused: it is to be sent the rest and
  // closed.
  bool failed() const { return failed_; }

 private:
  size_t output_size() const { return output_.size() - sent_; }
  void ServeRequest(absl::string_view message);
  // OK: `reply` is complete.
  absl::Status Execute(const proto::ControlRequest& request,
                       proto::ControlReply& reply);
  absl::Status StopVm(const proto::StopCommand& command);
  void Send(const proto::ControlReply& reply);

  ControlTarget& target_;
  StopTimer& timer_;
  DelimitedReader reader_;
  std::string output_;
  size_t sent_ = 0;
  bool failed_ = false;
  bool subscribed_ = false;
  uint64_t events_id_ = 0;  // Of the request for them.
  uint64_t lost_ = 0;
};

}  // namespace annulus

#endif  // VMM_CONTROL_CONTROL_SESSION_H_
