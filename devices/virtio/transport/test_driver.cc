#include "devices/virtio/transport/test_driver.h"

#include "devices/virtio/spec/status.h"

namespace annulus::virtio {

void TestDriver::ResetAndAcknowledge() {
  WriteStatus(0);
  WriteStatus(kStatusAcknowledge);
  WriteStatus(kStatusAcknowledge | kStatusDriver);
}

void TestDriver::Negotiate(const FeatureSet& features) {
  ResetAndAcknowledge();
  for (uint32_t page = 0; page < FeatureSet::kPages; ++page) {
    WriteDriverFeatures(page, features.Page(page));
  }
  WriteStatus(Status() | kStatusFeaturesOk);
}

void TestDriver::SetUpQueue(uint16_t queue, uint16_t size) {
  SelectQueue(queue);
  WriteQueueSize(size);
  WriteQueueArea(QueueArea::kDescriptor, 0x1000);
  WriteQueueArea(QueueArea::kDriver, 0x2000);
  WriteQueueArea(QueueArea::kDevice, 0x3000);
  WriteQueueEnable(1);
}

void TestDriver::DriverOk() { WriteStatus(Status() | kStatusDriverOk); }

void TestDriver::Initialize() {
  Negotiate(FeatureSet::Of(kFeatureVersion1));
  SetUpQueue(0, 16);
  DriverOk();
}

}  // namespace annulus::virtio
