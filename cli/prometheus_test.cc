#include "cli/prometheus.h"

#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

using testing::HasSubstr;

void Add(proto::ControlCounters& counters, const std::string& device,
         const std::string& queue, const std::string& name,
         const std::string& reason, uint64_t value, bool gauge = false) {
  proto::ControlCounter& counter = *counters.add_counters();
  counter.set_device(device);
  counter.set_queue(queue);
  counter.set_name(name);
  counter.set_reason(reason);
  counter.set_value(value);
  counter.set_gauge(gauge);
}

proto::ControlStatus Status() {
  proto::ControlStatus status;
  status.set_name("vm");
  status.set_state(proto::ControlStatus::PAUSED);
  status.set_uptime_ms(1234);
  return status;
}

TEST(PrometheusTest, EachMetricIsInOnePieceWithHelpAndType) {
  proto::ControlCounters counters;
  counters.set_name("vm");
  Add(counters, "net0", "rx0", "frames", "", 10);
  Add(counters, "net0", "rx0", "drops", "filtered", 3);
  Add(counters, "net1", "tx0", "frames", "", 18446744073709551615u);
  Add(counters, "vsock0", "", "connections_open", "", 2, true);
  Add(counters, "", "cpu0", "vcpu_exits", "mmio", 7);
  EXPECT_EQ(
      PrometheusText(Status(), counters),
      R"(# HELP annulus_net_drops_total Frames that were dropped, by reason.
# TYPE annulus_net_drops_total counter
annulus_net_drops_total{vm="vm",device="net0",queue="rx0",reason="filtered"} 3
# HELP annulus_net_frames_total Frames that went to the backend (tx) or driver (rx).
# TYPE annulus_net_frames_total counter
annulus_net_frames_total{vm="vm",device="net0",queue="rx0"} 10
annulus_net_frames_total{vm="vm",device="net1",queue="tx0"} 18446744073709551615
# HELP annulus_vm_state 1 for the state in which the machine is.
# TYPE annulus_vm_state gauge
annulus_vm_state{vm="vm",state="created"} 0
annulus_vm_state{vm="vm",state="running"} 0
annulus_vm_state{vm="vm",state="paused"} 1
annulus_vm_state{vm="vm",state="stopped"} 0
# HELP annulus_vm_uptime_seconds Time since the guest was started.
# TYPE annulus_vm_uptime_seconds gauge
annulus_vm_uptime_seconds{vm="vm"} 1.234
# HELP annulus_vm_vcpu_exits_total Times that a vCPU left the guest, by kind.
# TYPE annulus_vm_vcpu_exits_total counter
annulus_vm_vcpu_exits_total{vm="vm",queue="cpu0",reason="mmio"} 7
# HELP annulus_vsock_connections_open Connections that there are.
# TYPE annulus_vsock_connections_open gauge
annulus_vsock_connections_open{vm="vm",device="vsock0"} 2
)");
}

TEST(PrometheusTest, WhatEndsALabelOrALineIsEscaped) {
  proto::ControlCounters counters;
  counters.set_name("a\"b\\c\nd\x1b");
  Add(counters, "we\"ird\n9", "q", "na me}\n", "", 1);
  const std::string text = PrometheusText(Status(), counters);
  EXPECT_THAT(text,
              HasSubstr("annulus_we_ird__na_me___total{vm=\"a\\\"b\\\\c\\nd_\","
                        "device=\"we\\\"ird\\n9\",queue=\"q\"} 1\n"));
}

}  // namespace
}  // namespace annulus::cli
