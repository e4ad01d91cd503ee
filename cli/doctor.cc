#include "vmm/doctor/doctor.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"

namespace annulus::cli {
namespace {

constexpr absl::string_view kDescription =
    "Says what this host can do for virtual machines, one line each: what is\n"
    "there, what is not, and what to do about it. Changes nothing.";

constexpr absl::string_view kExamples =
    "Each line begins with one of\n"
    "  ok       nothing to do\n"
    "  warn     works, but slower or with less than it could\n"
    "  missing  not there; the line says who needs it\n"
    "\n"
    "Examples:\n"
    "  annulus doctor\n"
    "  annulus doctor --quiet && annulus run --config vm.textproto\n"
    "\n"
    "Exit codes: 0 a virtual machine can run here, 1 none can.\n";

std::string Line(const Finding& finding) {
  std::string line;
  switch (finding.level) {
    case FindingLevel::kOk:
      line = "ok       ";
      break;
    case FindingLevel::kWarning:
      line = "warn     ";
      break;
    case FindingLevel::kMissing:
      line = "missing  ";
      break;
  }
  absl::StrAppend(&line, finding.subject, ": ", finding.text);
  if (!finding.advice.empty()) absl::StrAppend(&line, "; ", finding.advice);
  absl::StrAppend(&line, "\n");
  return line;
}

}  // namespace

int DoctorCommand(Arguments arguments) {
  bool quiet = false;
  FlagSet flags("annulus doctor [--quiet]", kDescription);
  flags.AddSwitch("quiet", 'q', "Print nothing; only the exit code tells.",
                  [&quiet](bool on) { quiet = on; });
  flags.AddHelpSection(kExamples);
  const auto positional = flags.Parse(arguments);
  if (!positional.ok()) {
    return UsageError("doctor", positional.status().message());
  }
  if (flags.help_requested()) return PrintOutput(flags.Help());
  if (!positional->empty()) {
    return UsageError("doctor", "doctor takes no arguments");
  }
  const std::vector<Finding> findings = ExamineHost();
  const bool can_run = CanRunVm(findings);
  if (!quiet) {
    std::string report;
    for (const Finding& finding : findings) {
      absl::StrAppend(&report, Line(finding));
    }
    absl::StrAppend(&report, can_run ? "A virtual machine can run here.\n"
                                     : "No virtual machine can run here.\n");
    const int written = PrintOutput(report);
    if (written != 0) return written;
  }
  return static_cast<int>(can_run ? ExitCode::kSuccess : ExitCode::kHostError);
}

}  // namespace annulus::cli
