#include "vmm/sandbox/privileges.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "vmm/sandbox/forked_child.h"

namespace annulus {
namespace {

// What /proc says of the calling process behind `field`.
std::string StatusField(const std::string& field) {
  std::ifstream in("/proc/self/status");
  std::string line;
  while (std::getline(in, line)) {
    if (absl::StartsWith(line, field + ":\t")) {
      return line.substr(field.size() + 2);
    }
  }
  return "";
}

TEST(PrivilegesTest, AllSetsAreEmptyAndNothingBringsThemBack) {
  const bool may_bound = ::geteuid() == 0;
  const ChildEnd end = InChild([may_bound] {
    if (!DropPrivileges().ok()) return 1;
    const std::string none(16, '0');
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
      if (StatusField(set) != none) return 2;
    }
    // Who has CAP_SETPCAP alone can empty it.
    if (may_bound && StatusField("CapBnd") != none) return 3;
    return StatusField("NoNewPrivs") == "1" ? 0 : 4;
  });
  EXPECT_EQ(end.exit_code, 0);
}

TEST(PrivilegesTest, WhoHasNoneCanDropThemAgain) {
  const ChildEnd end = InChild([] {
    if (!DropPrivileges().ok()) return 1;
    return DropPrivileges().ok() ? 0 : 2;
  });
  EXPECT_EQ(end.exit_code, 0);
}

}  // namespace
}  // namespace annulus
