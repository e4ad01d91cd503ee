#include "devices/virtio/rng/entropy_source.h"

#include <sys/random.h>

#include <cerrno>
#include <cstddef>

namespace annulus::virtio {
namespace {

class GetrandomSource final : public EntropySource {
 public:
  bool Fill(absl::Span<uint8_t> out) override {
    size_t filled = 0;
    while (filled < out.size()) {
      const ssize_t bytes =
          ::getrandom(out.data() + filled, out.size() - filled, GRND_NONBLOCK);
      if (bytes < 0 && errno != EINTR) return false;
      if (bytes > 0) filled += static_cast<size_t>(bytes);
    }
    return true;
  }
};

}  // namespace

EntropySource& HostEntropySource() {
  static GetrandomSource source;
  return source;
}

}  // namespace annulus::virtio
