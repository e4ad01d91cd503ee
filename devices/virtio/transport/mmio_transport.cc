#include "devices/virtio/transport/mmio_transport.h"

#include <algorithm>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/mmio_registers.h"
#include "devices/virtio/spec/notification_data.h"
#include "devices/virtio/spec/pci_capability.h"
#include "devices/virtio/transport/register_bytes.h"

namespace annulus::virtio {

absl::StatusOr<std::unique_ptr<MmioTransport>> MmioTransport::Create(
    VirtioDevice& device, const memory::GuestMemory& memory, Interrupt& line,
    NotificationRegistrar& registrar, memory::GuestAddress base,
    const TransportOptions& options) {
  if (device.config_size() > kWindowSize - kMmioConfig) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "virtio-mmio: the configuration space of device type %d has %d bytes, "
        "more than %d",
        device.device_id(), device.config_size(), kWindowSize - kMmioConfig));
  }
  if (!base.CheckedAdd(kWindowSize - 1).has_value()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "virtio-mmio: a window at %#x passes the end of the address space",
        base.value()));
  }
  std::unique_ptr<MmioTransport> transport(
      new MmioTransport(device, line, registrar, base));
  ANNULUS_ASSIGN_OR_RETURN(
      transport->state_,
      DeviceState::Create(device, memory, *transport, options));
  // Bound for the transport's whole life: a signal for a queue that is not
  // enabled finds no worker, and one that starts later merely looks once more.
  for (uint16_t i = 0; i < transport->state_->queue_count(); ++i) {
    // Where the host refuses, the store exits to Write(): slower, not wrong.
    registrar
        .Bind(transport->QueueNotifyAddress(i),
              transport->state_->notification(i).fd())
        .IgnoreError();
  }
  return transport;
}

MmioTransport::MmioTransport(VirtioDevice& device, Interrupt& line,
                             NotificationRegistrar& registrar,
                             memory::GuestAddress base)
    : device_id_(device.device_id()),
      line_(line),
      registrar_(registrar),
      base_(base) {}

MmioTransport::~MmioTransport() {
  if (state_ == nullptr) return;  // Create() failed.
  for (uint16_t i = 0; i < state_->queue_count(); ++i) {
    registrar_.Unbind(QueueNotifyAddress(i), state_->notification(i).fd());
  }
}

NotificationAddress MmioTransport::QueueNotifyAddress(uint16_t queue) const {
  return {.address = memory::GuestAddress(base_.value() + kMmioQueueNotify),
          .width = 4,
          .data = state_->queue_count() == 1 ? std::nullopt
                                             : std::optional<uint64_t>(queue)};
}

void MmioTransport::Read(uint64_t offset, absl::Span<uint8_t> data) {
  if (offset >= kMmioConfig) {
    state_->config().Read(offset - kMmioConfig, data);
    return;
  }
  // §4.2.2.2: "The driver MUST only use 32 bit wide and aligned reads and
  // writes to access the control registers".
  if (data.size() != 4 || offset % 4 != 0) {
    std::fill(data.begin(), data.end(), uint8_t{0});
    return;
  }
  StoreRegister(ReadRegister(static_cast<uint32_t>(offset)), data);
}

void MmioTransport::Write(uint64_t offset, absl::Span<const uint8_t> data) {
  if (offset >= kMmioConfig) {
    state_->config().Write(offset - kMmioConfig, data);
    return;
  }
  if (data.size() != 4 || offset % 4 != 0) return;
  WriteRegister(static_cast<uint32_t>(offset), LoadRegister(data));
}

uint32_t MmioTransport::ReadRegister(uint32_t offset) const {
  switch (offset) {
    case kMmioMagicValue:
      return kMmioMagic;
    case kMmioVersion:
      return kMmioVersion2;
    case kMmioDeviceId:
      return device_id_;
    case kMmioVendorId:
      return kPciVendorId;  // There is no other registry of vendors.
    case kMmioDeviceFeatures:
      return state_->DeviceFeatures();
    case kMmioQueueSizeMax:
      return state_->QueueSizeMax();
    case kMmioQueueReady:
      return state_->QueueEnabled() ? 1 : 0;
    case kMmioQueueReset:
      return state_->QueueReset();
    case kMmioInterruptStatus:
      return interrupt_status_.load(std::memory_order_acquire);
    case kMmioStatus:
      return state_->status();
    case kMmioShmLenLow:   // "Reading from a non-existent region results in a
    case kMmioShmLenHigh:  // length of -1"; there are none, hence no SHMSel.
    case kMmioShmBaseLow:
    case kMmioShmBaseHigh:
      return 0xffffffff;
    case kMmioConfigGeneration:
      return state_->config().Generation();
    default:  // Write-only, or none.
      return 0;
  }
}

void MmioTransport::WriteRegister(uint32_t offset, uint32_t value) {
  switch (offset) {
    case kMmioDeviceFeaturesSel:
      return state_->SelectDeviceFeatures(value);
    case kMmioDriverFeatures:
      return state_->WriteDriverFeatures(value);
    case kMmioDriverFeaturesSel:
      return state_->SelectDriverFeatures(value);
    case kMmioQueueSel:
      return state_->SelectQueue(value);
    case kMmioQueueSize:
      return state_->WriteQueueSize(value);
    case kMmioQueueReady:
      // Only these two values are defined.
      if (value == 1) state_->EnableQueue();
      if (value == 0) state_->DisableQueue();
      return;
    case kMmioQueueReset:
      // Only this value is defined.
      if (value == 1) state_->ResetQueue();
      return;
    case kMmioQueueNotify:
      // What else the data say is the driver's word, and not asked for: the
      // worker looks at the ring.
      return state_->Notify(state_->notification_data_negotiated()
                                ? DecodeNotificationData(value).vq_index
                                : value);
    case kMmioInterruptAck:
      interrupt_status_.fetch_and(~value, std::memory_order_acq_rel);
      return;
    case kMmioStatus:
      return state_->WriteStatus(value);
    case kMmioQueueDescLow:
      return state_->WriteQueueAddress(QueueArea::kDescriptor,
                                       AddressHalf::kLow, value);
    case kMmioQueueDescHigh:
      return state_->WriteQueueAddress(QueueArea::kDescriptor,
                                       AddressHalf::kHigh, value);
    case kMmioQueueDriverLow:
      return state_->WriteQueueAddress(QueueArea::kDriver, AddressHalf::kLow,
                                       value);
    case kMmioQueueDriverHigh:
      return state_->WriteQueueAddress(QueueArea::kDriver, AddressHalf::kHigh,
                                       value);
    case kMmioQueueDeviceLow:
      return state_->WriteQueueAddress(QueueArea::kDevice, AddressHalf::kLow,
                                       value);
    case kMmioQueueDeviceHigh:
      return state_->WriteQueueAddress(QueueArea::kDevice, AddressHalf::kHigh,
                                       value);
    default:  // Read-only, or no register.
      return;
  }
}

void MmioTransport::UsedBufferInterrupt::Trigger() {
  owner_.Raise(kMmioInterruptUsedBuffer);
}

void MmioTransport::Raise(uint32_t cause) {
  // The bit first: the driver reads it in its interrupt handler. Release pairs
  // with the acquire of that read; the line is an edge, so that every event
  // triggers it even while the bit is still unacknowledged.
  interrupt_status_.fetch_or(cause, std::memory_order_release);
  line_.Trigger();
}

Interrupt& MmioTransport::UsedBuffer(uint16_t /*queue*/) {
  return used_buffer_;
}

void MmioTransport::ConfigurationChange() {
  Raise(kMmioInterruptConfigurationChange);
}

// Nothing: the one interrupt and its status are shared by all queues.
void MmioTransport::ResetQueue(uint16_t /*queue*/) {}

void MmioTransport::Reset() {
  interrupt_status_.store(0, std::memory_order_release);
}

}  // namespace annulus::virtio
