#include "tests/sandbox/strict_list.h"

#include <seccomp.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace annulus {
namespace {

constexpr absl::string_view kHeading = "\n## In your own sandbox\n";
constexpr absl::string_view kBegin = "\n```seccomp\n";
constexpr absl::string_view kEnd = "\n```\n";

constexpr std::pair<absl::string_view, int> kErrors[] = {
    {"EACCES", EACCES}, {"ENOSYS", ENOSYS}, {"EPERM", EPERM}};

absl::StatusOr<absl::string_view> FindBlock(absl::string_view document) {
  const size_t heading = document.find(kHeading);
  if (heading == absl::string_view::npos) {
    return absl::InvalidArgumentError("no section \"In your own sandbox\"");
  }
  document.remove_prefix(heading + kHeading.size());
  // The list has to be this section's.
  document = document.substr(0, document.find("\n## "));
  const size_t begin = document.find(kBegin);
  const size_t end = document.find(kEnd, begin + 1);
  if (begin == absl::string_view::npos || end == absl::string_view::npos) {
    return absl::InvalidArgumentError("the section has no block ```seccomp");
  }
  const size_t first = begin + kBegin.size();
  return document.substr(first, end - first);
}

bool ParseNumber(absl::string_view text, uint64_t& number) {
  return absl::ConsumePrefix(&text, "0x") ? absl::SimpleHexAtoi(text, &number)
                                          : absl::SimpleAtoi(text, &number);
}

// "1 = 0xae80" or "2 & 0x4 = 0", in words.
bool ParseArgument(absl::Span<const absl::string_view> words,
                   StrictArgument& argument) {
  uint64_t index = 0;
  argument.mask = ~uint64_t{0};
  if (words.size() != 3 && words.size() != 5) return false;
  if (!ParseNumber(words[0], index) || index > 5) return false;
  argument.index = static_cast<unsigned int>(index);
  words.remove_prefix(1);
  if (words.size() == 4) {
    if (words[0] != "&" || !ParseNumber(words[1], argument.mask)) return false;
    words.remove_prefix(2);
  }
  return words[0] == "=" && ParseNumber(words[1], argument.value);
}

bool ParseRule(absl::string_view line, StrictRule& rule) {
  rule.sometimes = absl::ConsumeSuffix(&line, " ?");
  line = absl::StripAsciiWhitespace(line);
  rule.line = std::string(line);
  const std::vector<absl::string_view> words =
      absl::StrSplit(line, ' ', absl::SkipEmpty());
  rule.name = std::string(words[0]);
  if (words.size() == 1) return true;
  for (const auto& [name, number] : kErrors) {
    if (words.size() != 2 || words[1] != name) continue;
    rule.error = number;
    return true;
  }
  return ParseArgument(absl::MakeConstSpan(words).subspan(1),
                       rule.argument.emplace());
}

absl::Status Failed(int result, absl::string_view what) {
  return absl::ErrnoToStatus(-result, absl::StrCat("the strict list: ", what));
}

absl::Status Add(scmp_filter_ctx filter, const StrictRule& rule) {
  const int number = ::seccomp_syscall_resolve_name(rule.name.c_str());
  if (number == __NR_SCMP_ERROR) {
    return absl::InvalidArgumentError(
        absl::StrCat("no system call: ", rule.line));
  }
  const uint32_t action =
      rule.error == 0 ? SCMP_ACT_ALLOW
                      : SCMP_ACT_ERRNO(static_cast<uint16_t>(rule.error));
  int result = 0;
  if (rule.argument.has_value()) {
    const scmp_arg_cmp compare = {
        .arg = rule.argument->index,
        .op = SCMP_CMP_MASKED_EQ,
        .datum_a = rule.argument->mask,
        .datum_b = rule.argument->value,
    };
    result = ::seccomp_rule_add_array(filter, action, number, 1, &compare);
  } else {
    result = ::seccomp_rule_add_array(filter, action, number, 0, nullptr);
  }
  return result == 0 ? absl::OkStatus() : Failed(result, rule.line);
}

}  // namespace

absl::StatusOr<std::vector<StrictRule>> ParseStrictList(
    absl::string_view document) {
  ANNULUS_ASSIGN_OR_RETURN(const absl::string_view block, FindBlock(document));
  std::vector<StrictRule> rules;
  for (absl::string_view line : absl::StrSplit(block, '\n')) {
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    if (!ParseRule(line, rules.emplace_back())) {
      return absl::InvalidArgumentError(absl::StrCat("no rule: ", line));
    }
  }
  return rules;
}

absl::Status InstallStrictList(absl::Span<const StrictRule> rules) {
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(
      ::seccomp_init(SCMP_ACT_KILL_PROCESS), &::seccomp_release);
  if (filter == nullptr) return absl::InternalError("seccomp_init()");
  const int shared = ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  if (shared != 0) return Failed(shared, "for all threads");
  for (const StrictRule& rule : rules) {
    ANNULUS_RETURN_IF_ERROR(Add(filter.get(), rule));
  }
  const int loaded = ::seccomp_load(filter.get());
  return loaded == 0 ? absl::OkStatus() : Failed(loaded, "to install it");
}

}  // namespace annulus
