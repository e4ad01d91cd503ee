#ifndef DEVICES_VIRTIO_TRANSPORT_FEATURE_REGISTERS_H_
#define DEVICES_VIRTIO_TRANSPORT_FEATURE_REGISTERS_H_

#include <cstdint>

#include "devices/virtio/device.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/transport/transport_options.h"

namespace annulus::virtio {

// Feature negotiation: what is offered, and what the driver has written so far
// (virtio 1.4 §2.2 "Feature Bits"), each seen through a selected page of 32
// bits. Whether the driver may still write is for DeviceState to know.
//
// Threads: thread-compatible; DeviceState guards it.
// Trust: pages and the driver's bits are guest-controlled; a page that does
//   not exist reads as 0.
class FeatureRegisters {
 public:
  // `device` must outlive the registers.
  FeatureRegisters(const VirtioDevice& device, const TransportOptions& options);

  uint32_t device_select() const { return device_select_; }
  void set_device_select(uint32_t page) { device_select_ = page; }
  uint32_t DevicePage() const { return offered_.Page(device_select_); }

  uint32_t driver_select() const { return driver_select_; }
  void set_driver_select(uint32_t page) { driver_select_ = page; }
  uint32_t DriverPage() const { return driver_.Page(driver_select_); }
  void SetDriverPage(uint32_t bits) { driver_.SetPage(driver_select_, bits); }

  // All that the driver has written.
  const FeatureSet& driver() const { return driver_; }
  // What the device is told of it: the features that it offered itself.
  FeatureSet ForDevice() const { return driver_.Intersection(device_offered_); }
  // Whether FEATURES_OK may be set.
  bool Acceptable() const;

  // As before the driver came.
  void Reset();

 private:
  const VirtioDevice& device_;
  const FeatureSet device_offered_;
  const FeatureSet offered_;  // The transport's own as well.
  FeatureSet driver_;
  uint32_t device_select_ = 0;
  uint32_t driver_select_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_TRANSPORT_FEATURE_REGISTERS_H_
