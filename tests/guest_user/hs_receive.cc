// Receives a stream with a network card of its own, inside of a guest, and
// checks where every byte of it went.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "cli/flag_set.h"
#include "devices/virtio/driver/packed_driver.h"
#include "devices/virtio/driver/split_driver.h"
#include "devices/virtio/spec/device_id.h"
#include "devices/virtio/spec/pci_capability.h"
#include "tests/guest_user/dma_memory.h"
#include "tests/guest_user/pci_function.h"
#include "tests/guest_user/receive_memory.h"
#include "tests/guest_user/receive_options.h"
#include "tests/guest_user/receive_session.h"
#include "tests/guest_user/stream_check.h"
#include "tests/guest_user/stream_flags.h"
#include "tests/guest_user/virtio_pci_device.h"

namespace annulus::guest_user {
namespace {

constexpr char kDescription[] =
    "Takes a virtio network card over PCI from its kernel driver, sets it up\n"
    "for header-split receive, and receives a stream that hs_send sends at "
    "the\n"
    "other end of the cable. Every frame has to come, in order, with every\n"
    "byte as it was sent, split behind its transport header, and with its\n"
    "payload at the start of pages of this program's own: no copy is made.\n"
    "Needs root. The card is without a driver afterwards:\n"
    "  echo ADDRESS >/sys/bus/pci/drivers/virtio-pci/bind";

constexpr char kExample[] =
    "Example, with hs_send --interface tap0 --to 52:54:00:12:34:56 --frames\n"
    "2000 outside:\n"
    "  hs_receive --method Q --frames 2000\n"
    "Methods (docs/header_split.md): A a chain of descriptors, B mergeable\n"
    "pages, C mergeable small buffers and pages in turn, Q a queue of header\n"
    "buffers; none does without header split.\n"
    "Ends with 0 if all was right, 1 if not, 2 if called wrongly.";

absl::StatusOr<StreamCounts> Receive(const ReceiveOptions& options) {
  std::string name = options.pci;
  if (name.empty()) {
    ANNULUS_ASSIGN_OR_RETURN(
        name, PciFunction::FindOne(
                  virtio::kPciVendorId,
                  virtio::kPciDeviceIdBase + virtio::kDeviceIdNetwork));
  }
  ANNULUS_ASSIGN_OR_RETURN(std::unique_ptr<PciFunction> function,
                           PciFunction::Take(name));
  ANNULUS_ASSIGN_OR_RETURN(
      const std::unique_ptr<DmaMemory> memory,
      DmaMemory::Create(ReceiveMemory::BytesNeeded(options)));
  // Goes before the memory: that resets the card, which then writes no more.
  ANNULUS_ASSIGN_OR_RETURN(const std::unique_ptr<VirtioPciDevice> device,
                           VirtioPciDevice::Create(std::move(function)));
  absl::StatusOr<StreamCounts> counts =
      options.packed
          ? ReceiveSession<virtio::PackedDriver>(*device, *memory, options)
                .Run()
          : ReceiveSession<virtio::SplitDriver>(*device, *memory, options)
                .Run();
  ANNULUS_RETURN_IF_ERROR(memory->CheckInPlace());
  return counts;
}

// What the numbers say against, or nothing.
std::string Verdict(const ReceiveOptions& options, const StreamCounts& counts) {
  const uint64_t wanted =
      !options.splits()
          ? 0
          : options.min_split.value_or(counts.split + counts.unsplit);
  if (counts.split < wanted) {
    return absl::StrCat("FAIL: ", wanted, " frames should have been split");
  }
  if (counts.misaligned_pieces != 0) {
    return "FAIL: payload that is not page by page";
  }
  return "PASS";
}

int Main(int argc, char** argv) {
  const std::vector<absl::string_view> arguments(argv + 1, argv + argc);
  ReceiveOptions options;
  cli::FlagSet flags("hs_receive [FLAGS]", kDescription);
  AddReceiveFlags(flags, options);
  flags.AddHelpSection(kExample);
  const auto rest = flags.Parse(arguments);
  if (flags.help_requested()) {
    std::fputs(flags.Help().c_str(), stdout);
    return 0;
  }
  absl::Status status = rest.status();
  if (status.ok()) status = CheckStream(options.stream);
  if (!status.ok() || !rest->empty()) {
    std::fprintf(stderr, "hs_receive: %s\n",
                 status.ok() ? "takes flags alone"
                             : std::string(status.message()).c_str());
    return 2;
  }
  const absl::StatusOr<StreamCounts> counts = Receive(options);
  const std::string ran =
      absl::StrCat("hs_receive: method ", NameOf(options.method), ", ",
                   options.packed ? "packed" : "split", " rings: ");
  if (!counts.ok()) {
    std::printf("%sFAIL: %s\n", ran.c_str(),
                std::string(counts.status().message()).c_str());
    return 1;
  }
  const std::string verdict = Verdict(options, *counts);
  std::printf(
      "%s%s\n", ran.c_str(),
      absl::StrCat(counts->frames, " frames, ", counts->payload_bytes,
                   " bytes of payload; ", counts->split, " split, ",
                   counts->unsplit, " unsplit, ", counts->aligned_pages,
                   " pages from their start, ", counts->misaligned_pieces,
                   " not; ", counts->gso, " of 64 KiB, ", counts->pure_acks,
                   " pure ACKs, ", counts->fragments, " fragments; ",
                   counts->other_frames, " others: ", verdict)
          .c_str());
  return verdict == "PASS" ? 0 : 1;
}

}  // namespace
}  // namespace annulus::guest_user

int main(int argc, char** argv) {
  return annulus::guest_user::Main(argc, argv);
}
