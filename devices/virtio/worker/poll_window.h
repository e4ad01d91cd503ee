#ifndef DEVICES_VIRTIO_WORKER_POLL_WINDOW_H_
#define DEVICES_VIRTIO_WORKER_POLL_WINDOW_H_

#include <cstdint>

namespace annulus::virtio {

// How long a worker that has nothing to do looks for work before it sleeps,
// learnt from how long it had nothing to do before. To look costs a processor,
// to sleep and to be woken costs a notification: looking pays off where work
// comes within less time than that is worth. So the window grows while work
// comes soon after the worker fell asleep, and closes when it stayed away, as
// KVM's halt_poll_ns does.
//
// Where another thread wants the same processor, such as the vCPU whose buffers
// the worker looks for, looking keeps the work from coming: the window closes,
// and stays closed for a number of times that doubles as long as that goes on.
//
// Threads: thread-compatible. Times in nanoseconds.
class PollWindow {
 public:
  static constexpr int64_t kFirst = 4'000;
  static constexpr uint32_t kMostPeriodsClosed = 1024;

  // It never grows beyond `most`; 0: it stays closed.
  explicit PollWindow(int64_t most) : most_(most) {}

  // False: none of this is of any use to call.
  bool can_open() const { return most_ > 0; }

  int64_t length() const { return length_; }

  // A time without work is over, which took `idle` with looking and sleeping.
  void WorkCame(int64_t idle);

  // The processor was wanted by somebody else while the worker looked for work,
  // and there was none.
  void Contended();

 private:
  const int64_t most_;
  int64_t length_ = 0;
  uint32_t closed_for_ = 0;   // Times without work until it may open.
  uint32_t next_closed_ = 1;  // The next closed_for_.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_WORKER_POLL_WINDOW_H_
