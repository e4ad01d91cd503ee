#include "tools/config_docs/config_reference.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace annulus {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

template <typename Element>
std::string OneLineComment(const Element& element) {
  google::protobuf::SourceLocation location;
  if (!element.GetSourceLocation(&location)) return "";
  std::string text = absl::StrReplaceAll(location.leading_comments,
                                         {{"\n", " "}, {"|", "\\|"}});
  absl::RemoveExtraAsciiWhitespace(&text);
  return text;
}

absl::Status NoComment(absl::string_view name, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(name, " has no ", what));
}

std::string TypeOf(const FieldDescriptor& field) {
  std::string type;
  if (const Descriptor* message = field.message_type()) {
    type = absl::StrCat("[", message->name(), "](#",
                        absl::AsciiStrToLower(message->name()), ")");
  } else if (field.enum_type() != nullptr) {
    type = "enum";
  } else {
    type = field.type_name();
  }
  return field.is_repeated() ? absl::StrCat("list of ", type) : type;
}

absl::Status AppendEnum(const FieldDescriptor& field, std::string& text) {
  const EnumDescriptor& type = *field.enum_type();
  absl::StrAppend(&text, "\nValues of `", field.name(), "`:\n\n");
  for (int i = 0; i < type.value_count(); ++i) {
    const std::string comment = OneLineComment(*type.value(i));
    if (comment.empty()) {
      return NoComment(type.value(i)->full_name(), "comment");
    }
    absl::StrAppend(&text, "- `", type.value(i)->name(), "`: ", comment, "\n");
  }
  return absl::OkStatus();
}

absl::Status AppendMessage(const Descriptor& type, std::string& text) {
  const std::string comment = OneLineComment(type);
  if (comment.empty()) return NoComment(type.full_name(), "comment");
  absl::StrAppend(&text, "\n### ", type.name(), "\n\n", comment, "\n\n",
                  "| Field | Type | Default | Meaning |\n",
                  "|---|---|---|---|\n");
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const FieldComment said = CommentOf(field);
    if (said.meaning.empty()) return NoComment(field.full_name(), "comment");
    const bool message = field.message_type() != nullptr;
    if (said.default_value.empty() && (!message || field.is_repeated())) {
      return NoComment(field.full_name(), "\"Default: ...\"");
    }
    absl::StrAppend(&text, "| `", field.name(), "` | ", TypeOf(field), " | ",
                    said.default_value, " | ", said.meaning, " |\n");
  }
  for (int i = 0; i < type.real_oneof_decl_count(); ++i) {
    absl::StrAppend(&text, "\n", OneLineComment(*type.oneof_decl(i)), "\n");
  }
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->enum_type() == nullptr) continue;
    ANNULUS_RETURN_IF_ERROR(AppendEnum(*type.field(i), text));
  }
  return absl::OkStatus();
}

}  // namespace

FieldComment CommentOf(const FieldDescriptor& field) {
  FieldComment result{OneLineComment(field), ""};
  constexpr absl::string_view kDefault("Default: ");
  const size_t at = result.meaning.rfind(kDefault.data());
  if (at == std::string::npos) return result;
  absl::string_view value = result.meaning;
  value.remove_prefix(at + kDefault.size());
  absl::ConsumeSuffix(&value, ".");
  result.default_value = std::string(value);
  result.meaning.resize(at);
  absl::StripTrailingAsciiWhitespace(&result.meaning);
  return result;
}

absl::StatusOr<std::string> ConfigReference(
    const std::vector<const FileDescriptor*>& files) {
  std::string text = "\n## Reference\n";
  for (const FileDescriptor* file : files) {
    for (int i = 0; i < file->message_type_count(); ++i) {
      ANNULUS_RETURN_IF_ERROR(AppendMessage(*file->message_type(i), text));
    }
  }
  return text;
}

}  // namespace annulus
