#ifndef CLI_PROMETHEUS_H_
#define CLI_PROMETHEUS_H_

#include <string>

#include "proto/control.pb.h"

namespace annulus::cli {

// The counters of a virtual machine in the text format of Prometheus,
// version 0.0.4: "annulus_net_frames_total{vm="vm",device="net0",queue="rx0"}
// 10", each metric once with HELP and TYPE and all of its samples below.
//
// Trust: names and labels are untrusted: what cannot be part of a metric's name
//   becomes '_', what ends a label or a line is escaped.
std::string PrometheusText(const proto::ControlStatus& status,
                           const proto::ControlCounters& counters);

}  // namespace annulus::cli

#endif  // CLI_PROMETHEUS_H_
