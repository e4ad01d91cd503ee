#include "cli/rng_flag.h"

#include "cli/device_options.h"
#include "cli/workers_flag.h"

namespace annulus::cli {

const absl::string_view kRngHelp =
    "An entropy device; may be repeated, and replaces those of the\n"
    "configuration. Any of\n"
    "  pci, mmio      the transport. Default: pci\n"
    "  poll=WHEN, poll_us=N, cpus=N[:N...]\n"
    "                 its thread, as of --net\n"
    "  vhost-user=SOCKET[,listen], vhost-user-fd=N\n"
    "                 another process serves it, as of --net\n"
    "What it offers, FEATURE=off: packed, event_idx, indirect_desc,\n"
    "in_order, ring_reset, notification_data. Default: no device.";

namespace {

constexpr DeviceOption<RngConfig> kOptions[] = {
    {"poll", &SetPoll<RngConfig>},
    {"poll_us", &SetPollMicroseconds<RngConfig>},
    {"cpus", &SetWorkerCpus<RngConfig>},
};

}  // namespace

absl::StatusOr<RngConfig> ParseRng(absl::string_view text) {
  return ParseOptions<RngConfig>(text, kOptions);
}

}  // namespace annulus::cli
