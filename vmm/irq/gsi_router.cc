#include "vmm/irq/gsi_router.h"

#include <vector>

namespace annulus {
namespace {

using kvm::GsiRoute;

std::vector<GsiRoute> LineRoutes() {
  std::vector<GsiRoute> routes;
  for (uint32_t gsi = 0; gsi < GsiRouter::kIoapicPins; ++gsi) {
    routes.push_back({.gsi = gsi, .kind = GsiRoute::Kind::kIoapic, .pin = gsi});
  }
  return routes;
}

}  // namespace

absl::Status GsiRouter::Install() {
  MutexLock lock(mu_);
  return InstallLocked();
}

absl::StatusOr<uint32_t> GsiRouter::AllocateMessageGsi() {
  MutexLock lock(mu_);
  if (allocated_ == kMaxMessages) {
    return absl::ResourceExhaustedError(
        "no more interrupt vectors: too many PCI devices and queues");
  }
  return kIoapicPins + allocated_++;
}

absl::Status GsiRouter::SetMessage(uint32_t gsi, uint64_t address,
                                   uint32_t data) {
  MutexLock lock(mu_);
  messages_[gsi] = {address, data};
  absl::Status status = InstallLocked();
  // One that KVM refuses must not spoil the table for the others.
  if (!status.ok()) messages_.erase(gsi);
  return status;
}

absl::Status GsiRouter::ClearMessage(uint32_t gsi) {
  MutexLock lock(mu_);
  if (messages_.erase(gsi) == 0) return absl::OkStatus();
  return InstallLocked();
}

absl::Status GsiRouter::InstallLocked() {
  std::vector<GsiRoute> routes = LineRoutes();
  for (const auto& [gsi, message] : messages_) {
    routes.push_back({.gsi = gsi,
                      .kind = GsiRoute::Kind::kMsi,
                      .msi_address = message.address,
                      .msi_data = message.data});
  }
  return vm_.SetGsiRouting(routes);
}

}  // namespace annulus
