#include "tests/guest/boot_info.h"
#include "tests/guest/header_split.h"
#include "tests/guest/programs.h"
#include "tests/guest/virtio_transport.h"

namespace guest {

void HeaderSplit() {
  UseHeaderSplit(FindVirtioTransport(), NumberOption("rounds", 20));
}

}  // namespace guest
