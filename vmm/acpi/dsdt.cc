#include "vmm/acpi/dsdt.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_format.h"
#include "vmm/acpi/aml.h"
#include "vmm/acpi/aml_resources.h"
#include "vmm/acpi/mcfg.h"
#include "vmm/acpi/sdt_builder.h"

namespace annulus::acpi {
namespace {

// The ports of PCI's old configuration mechanism belong to the bridge itself
// and are not for devices behind it.
constexpr uint16_t kPciConfigAddress = 0xcf8;
constexpr uint8_t kPciConfigSize = 8;
constexpr uint8_t kUartPorts = 8;
constexpr uint16_t kRtcPort = 0x70;
constexpr uint8_t kRtcPorts = 2;

// No _OSC: without it Linux leaves PCIe hotplug, AER and PME to a platform that
// has none, and is done. No _PRT: functions have no interrupt pin, only MSI-X.
Aml HostBridge(const AcpiConfig& config) {
  const auto last_bus =
      static_cast<uint16_t>(config.ecam.size / kEcamBusSize - 1);
  std::vector<ResourceDescriptor> resources = {
      WordBusNumberResource(0, last_bus),
      IoResource(kPciConfigAddress, kPciConfigSize),
      WordIoResource(0, kPciConfigAddress - 1),
      WordIoResource(kPciConfigAddress + kPciConfigSize, 0xffff)};
  if (const AcpiWindow& window = config.pci_window_32; window.size != 0) {
    const auto base = static_cast<uint32_t>(window.base.value());
    resources.push_back(DWordMemoryResource(
        base, base + static_cast<uint32_t>(window.size - 1)));
  }
  if (const AcpiWindow& window = config.pci_window_64; window.size != 0) {
    const uint64_t base = window.base.value();
    resources.push_back(QWordMemoryResource(base, base + (window.size - 1)));
  }
  return AmlDevice(
      "PCI0",
      {AmlName("_HID", AmlEisaId("PNP0A08")),
       AmlName("_CID", AmlEisaId("PNP0A03")), AmlName("_UID", AmlInteger(0)),
       AmlName("_SEG", AmlInteger(0)), AmlName("_BBN", AmlInteger(0)),
       AmlName("_CRS", AmlResourceTemplate(resources))});
}

// What is taken without belonging to a device. Linux uses an ECAM only if it
// finds it here (PCI Firmware Specification 3.3 §4.1.2, note 2).
Aml Motherboard(const AcpiConfig& config) {
  std::vector<ResourceDescriptor> resources;
  if (config.ecam.size != 0) {
    resources.push_back(
        Memory32FixedResource(static_cast<uint32_t>(config.ecam.base.value()),
                              static_cast<uint32_t>(config.ecam.size)));
  }
  resources.push_back(IoResource(config.sleep_control_port, 1));
  resources.push_back(IoResource(config.sleep_status_port, 1));
  resources.push_back(IoResource(config.reset_port, 1));
  return AmlDevice("MBRD", {AmlName("_HID", AmlEisaId("PNP0C02")),
                            AmlName("_UID", AmlInteger(0)),
                            AmlName("_CRS", AmlResourceTemplate(resources))});
}

Aml Uart(const AcpiUart& uart) {
  return AmlDevice(
      "COM1",
      {AmlName("_HID", AmlEisaId("PNP0501")), AmlName("_UID", AmlInteger(0)),
       AmlName("_DDN", AmlString("COM1")),
       AmlName("_CRS", AmlResourceTemplate({IoResource(uart.port, kUartPorts),
                                            InterruptResource(uart.gsi)}))});
}

Aml Rtc() {
  return AmlDevice(
      "RTC", {AmlName("_HID", AmlEisaId("PNP0B00")),
              AmlName("_CRS",
                      AmlResourceTemplate({IoResource(kRtcPort, kRtcPorts)}))});
}

Aml MmioDevice(const AcpiMmioDevice& device, size_t index) {
  return AmlDevice(
      absl::StrFormat("V%03X", index),
      {AmlName("_HID", AmlString("LNRO0005")),
       AmlName("_UID", AmlInteger(index)),
       AmlName("_CRS", AmlResourceTemplate(
                           {Memory32FixedResource(
                                static_cast<uint32_t>(device.base.value()),
                                device.size),
                            InterruptResource(device.gsi)}))});
}

// §4.8.2.2.1.2 "Control Method Power Button", which a hardware-reduced platform
// tells of by a §5.6.9 "Generic Event Device": an interrupt of its own, upon
// which the guest runs _EVT.
Aml PowerButton() {
  return AmlDevice("PWRB", {AmlName("_HID", AmlEisaId("PNP0C0C")),
                            AmlName("_UID", AmlInteger(0))});
}

Aml GenericEventDevice(uint32_t power_button_gsi) {
  constexpr uint64_t kPressed = 0x80;
  return AmlDevice(
      "GED",
      {AmlName("_HID", AmlString("ACPI0013")), AmlName("_UID", AmlInteger(0)),
       AmlName("_CRS",
               AmlResourceTemplate({InterruptResource(power_button_gsi)})),
       // Of one interrupt there is no doubt which it was.
       AmlMethod("_EVT", 1, {AmlNotify("PWRB", kPressed)})});
}

}  // namespace

std::vector<uint8_t> BuildDsdt(const AcpiConfig& config) {
  std::vector<Aml> devices;
  devices.push_back(Motherboard(config));
  if (config.ecam.size != 0) devices.push_back(HostBridge(config));
  if (config.uart.has_value()) devices.push_back(Uart(*config.uart));
  if (config.rtc) devices.push_back(Rtc());
  if (config.power_button_gsi.has_value()) {
    devices.push_back(PowerButton());
    devices.push_back(GenericEventDevice(*config.power_button_gsi));
  }
  for (size_t i = 0; i < config.mmio_devices.size(); ++i) {
    devices.push_back(MmioDevice(config.mmio_devices[i], i));
  }
  // §7.4.2.5 "System _S5 State"; a hardware-reduced platform uses the first.
  const Aml s5 = AmlPackage({AmlInteger(config.s5_sleep_type), AmlInteger(0),
                             AmlInteger(0), AmlInteger(0)});
  SdtBuilder dsdt("DSDT", 2);  // 2: integers have 64 bits.
  dsdt.Append(AmlScope("\\_SB", devices));
  dsdt.Append(AmlName("\\_S5", s5));
  return std::move(dsdt).Finish();
}

}  // namespace annulus::acpi
