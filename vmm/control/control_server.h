#ifndef VMM_CONTROL_CONTROL_SERVER_H_
#define VMM_CONTROL_CONTROL_SERVER_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "vmm/control/control_events.h"
#include "vmm/control/control_session.h"
#include "vmm/control/control_target.h"
#include "vmm/control/event_loop.h"
#include "vmm/vm_event.h"

namespace annulus {

// The control socket of a VM: lets clients in, and serves them by
// ControlSession.
//
// In come root, the user that this process runs as, and those of a list; who
// may connect at all is up to the file's permissions.
//
// Threads: constructed, destroyed and Finish() while the loop does not run; the
//   rest on its thread, but for events(). Nothing waits for a client.
// Trust: clients are untrusted until they are let in; then they may do what the
//   messages say, and nothing else.
// Descriptors: opens those of clients, at most kMaxClients and one. When the
//   process has no more, it looks again a second later.
class ControlServer final : private StopTimer {
 public:
  static constexpr size_t kMaxClients = 16;
  // Of them, for root and the process's own user: others cannot take them all.
  static constexpr size_t kReservedClients = 4;

  // `listener`: a unix stream socket that listens; it is made non-blocking.
  // `target` and `loop` outlive the server. InvalidArgument: it is not one.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Create(
      UniqueFd listener, std::vector<uint32_t> allowed_uids,
      ControlTarget& target, EventLoop& loop);

  ~ControlServer() override;

  // What clients are to be told of. Any thread.
  VmEventSink& events() { return events_; }

  // The VM has ended: sends out what there is, for so long at most, and lets go
  // of everybody.
  void Finish(absl::Duration patience);

 private:
  struct Client {
    UniqueFd socket;
    ControlSession session;
    bool ended = false;    // It sends nothing any more.
    uint32_t watched = 0;  // Of epoll(7).
  };

  ControlServer(UniqueFd listener, std::vector<uint32_t> allowed_uids,
                ControlTarget& target, EventLoop& loop, EventFd events_ready,
                UniqueFd retry_timer, UniqueFd stop_timer);
  absl::Status Watch();

  // StopTimer
  void StopAfter(absl::Duration delay) override;

  void Accept();
  absl::Status Admit(int socket) const;
  void AddClient(UniqueFd socket);
  void ServeClient(int socket, uint32_t events);
  void Receive(Client& client);
  // False: it cannot be sent to any more.
  bool Send(Client& client);
  void DeliverEvents();
  // Somebody may have begun to listen.
  void UpdateListened();
  // Closes a client that is done with, or waits for what it can do next.
  void Settle(Client& client, bool usable);
  void Close(int socket);

  const UniqueFd listener_;
  const std::vector<uint32_t> allowed_uids_;  // This process's, too.
  ControlTarget& target_;
  EventLoop& loop_;
  ControlEvents events_;
  const UniqueFd retry_timer_;  // To accept() again.
  const UniqueFd stop_timer_;
  int64_t stop_ns_ = 0;  // When that is due; 0: it is not.
  std::map<int, std::unique_ptr<Client>> clients_;  // By socket.
};

}  // namespace annulus

#endif  // VMM_CONTROL_CONTROL_SERVER_H_
