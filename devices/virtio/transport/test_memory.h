#ifndef DEVICES_VIRTIO_TRANSPORT_TEST_MEMORY_H_
#define DEVICES_VIRTIO_TRANSPORT_TEST_MEMORY_H_

#include <optional>
#include <utility>

#include "base/check.h"
#include "memory/guest_memory.h"
#include "memory/guest_ram.h"

namespace annulus::virtio {

// One MiB of real guest RAM at address 0.
class TestMemory {
 public:
  TestMemory() {
    auto ram = memory::GuestRam::Create({.size = 1 << 20});
    ANNULUS_CHECK(ram.ok());
    ram_.emplace(*std::move(ram));
    auto memory = memory::GuestMemory::Create(ram_->Regions());
    ANNULUS_CHECK(memory.ok());
    memory_.emplace(*std::move(memory));
  }

  const memory::GuestMemory& operator*() const { return *memory_; }

 private:
  std::optional<memory::GuestRam> ram_;
  std::optional<memory::GuestMemory> memory_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_TEST_MEMORY_H_
