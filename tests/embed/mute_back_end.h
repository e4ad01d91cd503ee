#ifndef TESTS_EMBED_MUTE_BACK_END_H_
#define TESTS_EMBED_MUTE_BACK_END_H_

#include <functional>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "devices/vhost_user/back_end/back_end_server.h"
#include "devices/vhost_user/wire/message.h"
#include "devices/vhost_user/wire/message_socket.h"
#include "vmm/vmm.h"

namespace annulus {

// A vhost-user back-end, a card whose frames come back, that works until it
// gets the request of a test's choice: from then on it answers nothing, and
// keeps the connection.
//
// Threads: the test's.
class MuteBackEnd {
 public:
  // `hears` sees each request before it is served; true: that is the one.
  explicit MuteBackEnd(std::function<bool(const vhost_user::Message&)> hears);
  ~MuteBackEnd();

  // A VM whose card this is, once; its guest awaits its frames back for as long
  // as they come.
  absl::StatusOr<std::unique_ptr<Vmm>> CreateVm();

  // Until it is mute.
  void AwaitMute();

 private:
  void Forward();
  void Answer();

  const std::function<bool(const vhost_user::Message&)> hears_;
  EventFd stop_;
  UniqueFd connection_;
  std::unique_ptr<vhost_user::MessageSocket> front_;
  std::unique_ptr<vhost_user::MessageSocket> back_;
  std::unique_ptr<vhost_user::BackEndServer> server_;

  Mutex mu_;
  CondVar changed_;
  bool mute_ ABSL_GUARDED_BY(mu_) = false;

  std::thread forward_;
  std::thread answer_;
};

}  // namespace annulus

#endif  // TESTS_EMBED_MUTE_BACK_END_H_
