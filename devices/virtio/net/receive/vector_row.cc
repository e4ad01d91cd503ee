#include "devices/virtio/net/receive/vector_row.h"

namespace annulus::virtio {

VectorRow::VectorRow(size_t capacity)
    : capacity_(capacity), vectors_(kFree + 2 * capacity + 1) {}

void VectorRow::Clear() {
  begin_ = end_ = offer_begin_ = offer_end_ = kFree;
  offered_ = 0;
  covered_front_count_ = 0;
}

// By now as many went away as are left, at least.
void VectorRow::MoveToFront() {
  const size_t shift = begin_ - kFree;
  std::copy(vectors_.begin() + static_cast<ptrdiff_t>(begin_),
            vectors_.begin() + static_cast<ptrdiff_t>(end_),
            vectors_.begin() + kFree);
  begin_ -= shift;
  end_ -= shift;
  offer_begin_ -= shift;
  offer_end_ -= shift;
}

void VectorRow::UncoverSlow() {
  std::copy_n(covered_fronts_.begin(), covered_front_count_,
              vectors_.begin() +
                  static_cast<ptrdiff_t>(offer_begin_ - covered_front_count_));
  vectors_[offer_end_] = covered_back_;
  covered_front_count_ = 0;
}

}  // namespace annulus::virtio
