#include "cli/flag_set.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "cli/nearest_name.h"

namespace annulus::cli {
namespace {

absl::Status Wrong(absl::string_view flag, absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", reason));
}

// `text` behind a flag in help: further lines are indented like the first.
void AppendIndented(absl::string_view text, std::string& out) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    absl::StrAppend(&out, "      ", line, "\n");
  }
}

}  // namespace

void FlagSet::AddValue(absl::string_view name, absl::string_view value_name,
                       absl::string_view help,
                       std::function<absl::Status(absl::string_view)> set) {
  Flag flag;
  flag.name = name;
  flag.value_name = value_name;
  flag.help = help;
  flag.set = std::move(set);
  flags_.push_back(std::move(flag));
}

void FlagSet::AddSwitch(absl::string_view name, char short_name,
                        absl::string_view help, std::function<void(bool)> set) {
  Flag flag;
  flag.name = name;
  flag.short_name = short_name;
  flag.help = help;
  flag.set_switch = std::move(set);
  flags_.push_back(std::move(flag));
}

const FlagSet::Flag* FlagSet::Find(absl::string_view name) const {
  for (const Flag& flag : flags_) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

const FlagSet::Flag* FlagSet::FindShort(char name) const {
  for (const Flag& flag : flags_) {
    if (flag.short_name == name) return &flag;
  }
  return nullptr;
}

absl::Status FlagSet::Unknown(absl::string_view argument,
                              absl::string_view name) const {
  std::vector<absl::string_view> names = {"help"};
  for (const Flag& flag : flags_) names.push_back(flag.name);
  std::string text = absl::StrCat("unknown flag ", absl::CHexEscape(argument));
  const std::optional<absl::string_view> nearest = NearestName(name, names);
  if (nearest.has_value()) {
    absl::StrAppend(&text, "; did you mean --", *nearest, "?");
  }
  return absl::InvalidArgumentError(text);
}

// `arguments[next]` begins with "--"; leaves `next` behind flag and value.
absl::Status FlagSet::ParseLong(Arguments arguments, size_t& next) {
  const absl::string_view argument = arguments[next++];
  absl::string_view name = argument.substr(2);
  std::optional<absl::string_view> value;
  if (const size_t equals = name.find('='); equals != name.npos) {
    value = name.substr(equals + 1);
    name = name.substr(0, equals);
  }
  const absl::string_view shown = argument.substr(0, name.size() + 2);
  const Flag* flag = Find(name);
  if (flag != nullptr && flag->set) {
    if (!value.has_value()) {
      if (next == arguments.size()) {
        return Wrong(name, absl::StrCat("needs a value ", flag->value_name));
      }
      value = arguments[next++];
    }
    const absl::Status status = flag->set(*value);
    return status.ok() ? status : Wrong(name, status.message());
  }
  bool on = true;
  if (flag == nullptr && absl::ConsumePrefix(&name, "no-")) {
    flag = Find(name);
    if (flag == nullptr || flag->set) return Unknown(shown, name);
    on = false;
  }
  if (flag == nullptr) return Unknown(shown, name);
  if (value.has_value()) {
    if (on && (*value == "true" || *value == "false")) {
      on = *value == "true";
    } else {
      return Wrong(shown.substr(2), "takes no value");
    }
  }
  flag->set_switch(on);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FlagSet::Parse(Arguments arguments) {
  std::vector<std::string> positional;
  for (size_t next = 0; next < arguments.size();) {
    const absl::string_view argument = arguments[next];
    if (argument == "--help" || argument == "-h") {
      help_requested_ = true;
      return positional;
    }
    if (argument == "--") {
      for (++next; next < arguments.size(); ++next) {
        positional.emplace_back(arguments[next]);
      }
    } else if (absl::StartsWith(argument, "--")) {
      ANNULUS_RETURN_IF_ERROR(ParseLong(arguments, next));
    } else if (argument.size() > 1 && argument[0] == '-') {
      const Flag* flag =
          argument.size() == 2 ? FindShort(argument[1]) : nullptr;
      if (flag == nullptr) return Unknown(argument, argument.substr(1));
      flag->set_switch(true);
      ++next;
    } else {
      positional.emplace_back(argument);
      ++next;
    }
  }
  return positional;
}

std::string FlagSet::Help() const {
  std::string text =
      absl::StrCat("Usage: ", usage_, "\n\n", description_, "\n");
  if (!flags_.empty()) absl::StrAppend(&text, "\nFlags:\n");
  for (const Flag& flag : flags_) {
    absl::StrAppend(&text, "  --", flag.name);
    if (!flag.value_name.empty()) absl::StrAppend(&text, " ", flag.value_name);
    if (flag.short_name != 0) {
      absl::StrAppend(&text, ", -", std::string(1, flag.short_name));
    }
    absl::StrAppend(&text, "\n");
    AppendIndented(flag.help, text);
  }
  for (const absl::string_view section : sections_) {
    absl::StrAppend(&text, "\n", section);
  }
  return text;
}

}  // namespace annulus::cli
