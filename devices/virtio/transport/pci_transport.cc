#include "devices/virtio/transport/pci_transport.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "devices/pci/config_registers.h"
#include "devices/virtio/spec/pci_capability.h"

namespace annulus::virtio {
namespace {

constexpr uint32_t kBar = 0;

constexpr uint32_t kCommonOffset = 0x0000;
constexpr uint32_t kIsrOffset = 0x1000;
constexpr uint32_t kDeviceOffset = 0x2000;
constexpr uint32_t kNotifyOffset = 0x3000;
constexpr uint32_t kPendingOffset = 0x4000;
constexpr uint32_t kTableOffset = 0x8000;
constexpr uint32_t kStructureSize = 0x1000;  // Room for each before kTable.

// §4.1.4.4.1: with VIRTIO_F_NOTIFICATION_DATA "a power of 2 that is also a
// multiple 4", for stores of 32 bits.
constexpr uint32_t kNotifyOffMultiplier = 4;
static_assert(PciTransport::kMaxQueues * kNotifyOffMultiplier ==
              kStructureSize);
static_assert(kTableOffset + pci::kMsixMaxVectors * pci::kMsixEntrySize ==
              PciTransport::kBarSize);

// What the operating system sees before it has looked for a driver.
uint32_t ClassCode(uint32_t device_id) {
  switch (device_id) {
    case 1:
      return 0x020000;  // Network device: Ethernet controller.
    case 2:
      return 0x018000;  // Block device: other mass storage controller.
    case 3:             // Console.
    case 19:            // Socket device.
      return 0x078000;  // Other communication controller.
    default:
      return pci::kClassOther;
  }
}

template <typename T>
absl::Span<const uint8_t> BytesOf(const T& capability) {
  return {reinterpret_cast<const uint8_t*>(&capability), sizeof(capability)};
}

PciCap MakeCap(uint8_t cfg_type, size_t cap_len, uint32_t offset,
               uint32_t length) {
  PciCap cap;
  cap.cap_len = static_cast<uint8_t>(cap_len);
  cap.cfg_type = cfg_type;
  cap.bar = kBar;
  cap.offset = offset;
  cap.length = length;
  return cap;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PciTransport>> PciTransport::Create(
    VirtioDevice& device, const Host& host, memory::GuestAddress bar,
    const TransportOptions& options) {
  const size_t queues = device.max_queue_sizes().size();
  if (queues > kMaxQueues || device.config_size() > kStructureSize) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "virtio-pci: device type %d has %d queues and %d bytes of "
        "configuration, more than %d or %d",
        device.device_id(), queues, device.config_size(), kMaxQueues,
        kStructureSize));
  }
  const auto pci_id =
      static_cast<uint16_t>(kPciDeviceIdBase + device.device_id());
  std::unique_ptr<PciTransport> transport(
      new PciTransport({.vendor_id = kPciVendorId,
                        .device_id = pci_id,
                        .revision_id = kPciRevisionId,
                        .class_code = ClassCode(device.device_id()),
                        .subsystem_vendor_id = kPciVendorId,
                        .subsystem_id = pci_id},
                       host));
  PciTransport& self = *transport;
  ANNULUS_ASSIGN_OR_RETURN(
      self.msix_,
      pci::Msix::Create(static_cast<uint32_t>(queues) + 1, host.vectors));
  self.interrupts_ = std::make_unique<PciInterrupts>(
      *self.msix_, static_cast<uint16_t>(queues));
  ANNULUS_ASSIGN_OR_RETURN(
      self.state_,
      DeviceState::Create(device, host.memory, *self.interrupts_, options));
  self.common_ =
      std::make_unique<PciCommonConfig>(*self.state_, *self.interrupts_);
  MutexLock lock(self.config_mu_);
  ANNULUS_RETURN_IF_ERROR(self.BuildCapabilities(bar));
  return transport;
}

PciTransport::PciTransport(const pci::ConfigSpace::Identity& identity,
                           const Host& host)
    : notifications_(host.notifications),
      config_(identity),
      bar_(host.bars, *this, kBarSize) {}

PciTransport::~PciTransport() {
  MutexLock lock(config_mu_);
  if (bar_.address().has_value()) {
    // As if the guest had turned memory decoding off.
    constexpr uint8_t kOff[2] = {0, 0};
    config_.Write(pci::kConfigCommand, kOff);
    FollowBar();
  }
}

absl::Status PciTransport::BuildCapabilities(memory::GuestAddress bar) {
  ANNULUS_RETURN_IF_ERROR(config_.AddMemoryBar(kBar, kBarSize, bar));
  const auto msix = msix_->Capability(kBar, kTableOffset, kPendingOffset);
  ANNULUS_ASSIGN_OR_RETURN(
      msix_capability_,
      config_.AddCapability(msix, pci::Msix::kCapabilityWritable));

  ANNULUS_RETURN_IF_ERROR(
      config_
          .AddCapability(BytesOf(MakeCap(kPciCapCommonCfg, sizeof(PciCap),
                                         kCommonOffset, sizeof(PciCommonCfg))))
          .status());
  ANNULUS_RETURN_IF_ERROR(
      config_
          .AddCapability(
              BytesOf(MakeCap(kPciCapIsrCfg, sizeof(PciCap), kIsrOffset, 1)))
          .status());
  if (state_->config().size() > 0) {
    ANNULUS_RETURN_IF_ERROR(config_
                                .AddCapability(BytesOf(MakeCap(
                                    kPciCapDeviceCfg, sizeof(PciCap),
                                    kDeviceOffset, state_->config().size())))
                                .status());
  }
  PciNotifyCap notify;
  // At least one, also for a device without queues.
  notify.cap = MakeCap(
      kPciCapNotifyCfg, sizeof(PciNotifyCap), kNotifyOffset,
      std::max<uint32_t>(1, state_->queue_count()) * kNotifyOffMultiplier);
  notify.notify_off_multiplier = kNotifyOffMultiplier;
  ANNULUS_RETURN_IF_ERROR(config_.AddCapability(BytesOf(notify)).status());

  PciCfgCap window;
  window.cap = MakeCap(kPciCapPciCfg, sizeof(PciCfgCap), 0, 0);
  PciCfgCap writable;
  writable.cap.cap_vndr = 0;
  writable.cap.bar = 0xff;
  writable.cap.offset = 0xffffffff;
  writable.cap.length = 0xffffffff;
  std::memset(writable.pci_cfg_data, 0xff, sizeof(writable.pci_cfg_data));
  ANNULUS_ASSIGN_OR_RETURN(
      window_capability_,
      config_.AddCapability(BytesOf(window), BytesOf(writable)));
  return absl::OkStatus();
}

void PciTransport::ReadConfig(uint32_t offset, absl::Span<uint8_t> data) {
  if (pci::Overlaps(offset, data.size(),
                    window_capability_ + offsetof(PciCfgCap, pci_cfg_data),
                    sizeof(PciCfgCap::pci_cfg_data))) {
    ReadThroughWindow();
  }
  MutexLock lock(config_mu_);
  config_.Read(offset, data);
  // §4.1.4.5.1: "If MSI-X capability is disabled, the device MUST set the
  // Interrupt Status bit in the PCI Status register [...] to the logical OR of
  // all bits in ISR status". The bit is in the low byte.
  if (pci::Overlaps(offset, data.size(), pci::kConfigStatus, 1) &&
      !msix_->enabled() && interrupts_->isr_pending()) {
    data[pci::kConfigStatus - offset] |= pci::kStatusInterrupt;
  }
}

void PciTransport::WriteConfig(uint32_t offset,
                               absl::Span<const uint8_t> data) {
  Window window;
  std::array<uint8_t, 4> window_data = {};
  {
    MutexLock lock(config_mu_);
    config_.Write(offset, data);
    if (pci::Overlaps(offset, data.size(), pci::kConfigCommand, 2) ||
        pci::Overlaps(offset, data.size(), pci::kConfigBar0, 8)) {
      FollowBar();
    }
    const uint32_t control = msix_capability_ + pci::kMsixMessageControl;
    if (pci::Overlaps(offset, data.size(), control, 2)) {
      msix_->SetControl(config_.Get16(control));
    }
    const uint32_t cfg_data =
        window_capability_ + offsetof(PciCfgCap, pci_cfg_data);
    if (pci::Overlaps(offset, data.size(), cfg_data, window_data.size())) {
      window = CurrentWindow();
      config_.Read(cfg_data, absl::MakeSpan(window_data));
    }
  }
  if (window.length != 0) {
    Write(window.offset, absl::MakeConstSpan(window_data).first(window.length));
  }
}

PciTransport::Window PciTransport::CurrentWindow() const {
  const uint32_t cap = window_capability_;
  const uint8_t bar = config_.Get8(cap + offsetof(PciCap, bar));
  const uint32_t offset = config_.Get32(cap + offsetof(PciCap, offset));
  const uint32_t length = config_.Get32(cap + offsetof(PciCap, length));
  // §4.1.4.9.2: a driver must have chosen an aligned piece of 1, 2 or 4 bytes
  // of one of the structures. MSI-X is none of them.
  if (bar != kBar || (length != 1 && length != 2 && length != 4) ||
      offset % length != 0 ||
      !RangeFits<uint32_t>(offset, length, kPendingOffset)) {
    return {};
  }
  return {offset, length};
}

void PciTransport::ReadThroughWindow() {
  Window window;
  {
    MutexLock lock(config_mu_);
    window = CurrentWindow();
  }
  if (window.length == 0) return;
  std::array<uint8_t, 4> buffer = {};
  const absl::Span<uint8_t> data = absl::MakeSpan(buffer).first(window.length);
  Read(window.offset, data);
  MutexLock lock(config_mu_);
  config_.Write(window_capability_ + offsetof(PciCfgCap, pci_cfg_data), data);
}

void PciTransport::FollowBar() {
  const std::optional<memory::GuestAddress> wanted = config_.BarAddress(kBar);
  const std::optional<memory::GuestAddress> before = bar_.address();
  if (wanted == before) return;
  if (before.has_value()) {
    for (uint16_t i = 0; i < state_->queue_count(); ++i) {
      notifications_.Unbind(NotifyAddress(*before, i),
                            state_->notification(i).fd());
    }
  }
  bar_.Move(wanted);
  if (!bar_.address().has_value()) return;
  for (uint16_t i = 0; i < state_->queue_count(); ++i) {
    // Where the host refuses, the store exits to Write(): slower, not wrong.
    notifications_
        .Bind(NotifyAddress(*bar_.address(), i), state_->notification(i).fd())
        .IgnoreError();
  }
}

NotificationAddress PciTransport::NotifyAddress(memory::GuestAddress bar,
                                                uint16_t queue) const {
  // Any width and any value, so also 32 bits of notification data: the address
  // says it all.
  return {.address = memory::GuestAddress(bar.value() + kNotifyOffset +
                                          queue * kNotifyOffMultiplier),
          .width = 0,
          .data = std::nullopt};
}

void PciTransport::Read(uint64_t offset, absl::Span<uint8_t> data) {
  if (offset >= kTableOffset) {
    return msix_->ReadTable(offset - kTableOffset, data);
  }
  const uint64_t start = offset & ~uint64_t{kStructureSize - 1};
  offset -= start;
  std::fill(data.begin(), data.end(), uint8_t{0});
  if (!RangeFits<uint64_t>(offset, data.size(), kStructureSize)) return;
  switch (start) {
    case kCommonOffset:
      return common_->Read(offset, data);
    case kIsrOffset:
      if (offset == 0 && data.size() == 1) data[0] = interrupts_->TakeIsr();
      return;
    case kDeviceOffset:
      return state_->config().Read(offset, data);
    case kPendingOffset:
      return msix_->ReadPending(offset, data);
    default:  // Notifications cannot be read; the rest is empty.
      return;
  }
}

void PciTransport::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  if (offset >= kTableOffset) {
    return msix_->WriteTable(offset - kTableOffset, data);
  }
  const uint64_t start = offset & ~uint64_t{kStructureSize - 1};
  offset -= start;
  if (!RangeFits<uint64_t>(offset, data.size(), kStructureSize)) return;
  switch (start) {
    case kCommonOffset:
      return common_->Write(offset, data);
    case kDeviceOffset:
      return state_->config().Write(offset, data);
    case kNotifyOffset:
      // As what is bound there: any width, any value.
      if (offset % kNotifyOffMultiplier == 0) {
        state_->Notify(offset / kNotifyOffMultiplier);
      }
      return;
    default:  // Read-only, or empty.
      return;
  }
}

}  // namespace annulus::virtio
