#include "vmm/config/json_error.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace annulus {
namespace {

std::string LineAndColumn(absl::string_view text, size_t offset) {
  const absl::string_view before = text.substr(0, offset);
  const size_t lines = std::count(before.begin(), before.end(), '\n');
  const size_t last_break = before.rfind('\n');
  const size_t column =
      last_break == absl::string_view::npos ? offset : offset - last_break - 1;
  return absl::StrCat(":", lines + 1, ":", column + 1);
}

// "REASON\nQUOTED TEXT\n      ^"
std::optional<JsonError> ExplainSyntaxError(absl::string_view message,
                                            absl::string_view text) {
  if (!absl::ConsumeSuffix(&message, "^")) return std::nullopt;
  const size_t caret_line = message.rfind('\n');
  const size_t reason_end = message.find('\n');
  if (caret_line == absl::string_view::npos || caret_line == reason_end) {
    return std::nullopt;
  }
  const absl::string_view reason = message.substr(0, reason_end);
  const absl::string_view quoted =
      message.substr(reason_end + 1, caret_line - reason_end - 1);
  const size_t caret = message.size() - caret_line - 1;
  if (caret > quoted.size()) return std::nullopt;
  // Nothing to quote: the text ended too early.
  const size_t at = quoted.empty() ? text.size() : text.find(quoted);
  const bool unique = at != absl::string_view::npos &&
                      text.find(quoted, at + 1) == absl::string_view::npos;
  if (!unique) {
    return JsonError{"", absl::StrCat(reason, " Near: ", quoted)};
  }
  return JsonError{LineAndColumn(text, at + caret), std::string(reason)};
}

// Names types as the schema does.
std::string PlainReason(absl::string_view reason) {
  if (reason == "Cannot find field.") return "no such field";
  return absl::StrReplaceAll(reason,
                             {{"type.googleapis.com/annulus.proto.", ""},
                              {"TYPE_BOOL", "bool"},
                              {"TYPE_STRING", "string"},
                              {"TYPE_UINT32", "uint32"},
                              {"TYPE_UINT64", "uint64"}});
}

}  // namespace

JsonError ExplainJsonError(absl::string_view message, absl::string_view text) {
  if (std::optional<JsonError> syntax = ExplainSyntaxError(message, text);
      syntax.has_value()) {
    return *std::move(syntax);
  }
  // "(PATH): REASON", "(PATH) FIELD: REASON", "PATH: REASON", ": REASON"
  std::string path;
  if (absl::ConsumePrefix(&message, "(")) {
    const size_t end = std::min(message.find(')'), message.size());
    path = std::string(message.substr(0, end));
    message.remove_prefix(std::min(end + 1, message.size()));
    absl::ConsumePrefix(&message, " ");
  }
  const size_t colon = message.find(": ");
  if (colon == absl::string_view::npos) {
    return JsonError{path.empty() ? "" : absl::StrCat(": ", path),
                     PlainReason(message)};
  }
  const absl::string_view field = message.substr(0, colon);
  if (!field.empty()) absl::StrAppend(&path, path.empty() ? "" : ".", field);
  return JsonError{path.empty() ? "" : absl::StrCat(": ", path),
                   PlainReason(message.substr(colon + 2))};
}

}  // namespace annulus
