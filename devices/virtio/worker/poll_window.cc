#include "devices/virtio/worker/poll_window.h"

#include <algorithm>

namespace annulus::virtio {

void PollWindow::WorkCame(int64_t idle) {
  if (idle <= length_) {
    next_closed_ = 1;  // It was found by looking: nobody is in the way.
    return;
  }
  if (idle > most_) {
    length_ = 0;
    return;
  }
  if (closed_for_ != 0) {
    --closed_for_;
    return;
  }
  length_ = std::min(most_, std::max(kFirst, 2 * length_));
}

void PollWindow::Contended() {
  length_ = 0;
  closed_for_ = next_closed_;
  next_closed_ = std::min(2 * next_closed_, kMostPeriodsClosed);
}

}  // namespace annulus::virtio
