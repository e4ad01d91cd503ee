#ifndef CLI_FLAG_SET_H_
#define CLI_FLAG_SET_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace annulus::cli {

using Arguments = absl::Span<const absl::string_view>;

// The flags of one subcommand, as a table that parses and explains itself.
// (Abseil's flags are global to a program and know no subcommands.)
//
//   --name VALUE  --name=VALUE  --switch  --no-switch  -s  --  (ends flags)
//
// A flag that is given twice is set twice, in order.
//
// Trust: arguments are checked, never echoed other than quoted in one line.
class FlagSet {
 public:
  // `usage` is one line ("annulus run [FLAGS]"), `description` any number. The
  // views must outlive the FlagSet, as must those given to Add...().
  FlagSet(absl::string_view usage, absl::string_view description)
      : usage_(usage), description_(description) {}

  // `value_name` stands for the value in help. `set` may refuse the value; its
  // message is put behind the flag's name.
  void AddValue(absl::string_view name, absl::string_view value_name,
                absl::string_view help,
                std::function<absl::Status(absl::string_view)> set);

  // `short_name` 0: none.
  void AddSwitch(absl::string_view name, char short_name,
                 absl::string_view help, std::function<void(bool)> set);

  // Shown after the flags.
  void AddHelpSection(absl::string_view text) { sections_.push_back(text); }

  // Calls the setters and returns the arguments that are no flags.
  // InvalidArgument is one line: an unknown flag comes with the nearest name.
  absl::StatusOr<std::vector<std::string>> Parse(Arguments arguments);

  // --help or -h was among the arguments: print Help() and do nothing else.
  // Parse() ends there, so that what follows cannot fail.
  bool help_requested() const { return help_requested_; }
  std::string Help() const;

 private:
  struct Flag {
    absl::string_view name;
    char short_name = 0;
    absl::string_view value_name;  // Empty: a switch.
    absl::string_view help;
    std::function<absl::Status(absl::string_view)> set;
    std::function<void(bool)> set_switch;
  };

  const Flag* Find(absl::string_view name) const;
  const Flag* FindShort(char name) const;
  absl::Status Unknown(absl::string_view argument,
                       absl::string_view name) const;
  absl::Status ParseLong(Arguments arguments, size_t& next);

  const absl::string_view usage_;
  const absl::string_view description_;
  std::vector<absl::string_view> sections_;
  std::vector<Flag> flags_;
  bool help_requested_ = false;
};

}  // namespace annulus::cli

#endif  // CLI_FLAG_SET_H_
