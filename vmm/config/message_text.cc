#include "vmm/config/message_text.h"

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/json_util.h"
#include "vmm/config/json_error.h"

namespace annulus {
namespace {

// Messages nest five deep; this leaves room, and bounds the stack.
constexpr int kMaxNesting = 16;

// Errors quote the file, which may hold anything: one line, printable, bounded.
std::string OneLine(absl::string_view text) {
  constexpr size_t kMaxLength = 300;
  std::string line(text.substr(0, kMaxLength));
  for (char& c : line) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = ' ';
  }
  absl::RemoveExtraAsciiWhitespace(&line);
  return line;
}

// Keeps the first error; what follows it is mostly its echo.
class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  // `line` and `column` count from 0; -1 is the whole file.
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (found_) return;
    found_ = true;
    if (line >= 0) place_ = absl::StrCat(":", line + 1, ":", column + 1);
    reason_ = message;
    if (absl::EndsWith(message, ", got: ")) reason_ += "end of file";
  }

  absl::Status ToStatus(absl::string_view file_name) const {
    return TextError(absl::StrCat(file_name, place_), reason_);
  }

 private:
  bool found_ = false;
  std::string place_;
  std::string reason_ = "is not a configuration";
};

// The header that tools write on top of text format files names the type:
// "# proto-message: PACKAGE.TYPE". Empty where there is none.
absl::string_view DeclaredMessageType(absl::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    absl::string_view line = absl::StripAsciiWhitespace(text.substr(0, end));
    if (!absl::ConsumePrefix(&line, "#")) return {};
    line = absl::StripLeadingAsciiWhitespace(line);
    if (absl::ConsumePrefix(&line, "proto-message:")) {
      return absl::StripAsciiWhitespace(line);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

absl::Status ParseTextProto(absl::string_view text, absl::string_view file_name,
                            google::protobuf::Message& message) {
  const absl::string_view type = DeclaredMessageType(text);
  if (!type.empty() && type != message.GetTypeName() &&
      type != message.GetDescriptor()->name()) {
    return TextError(file_name,
                     absl::StrCat("holds a ", type, ", not a ",
                                  absl::string_view(message.GetTypeName())));
  }
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(kMaxNesting);
  google::protobuf::io::ArrayInputStream input(text.data(),
                                               static_cast<int>(text.size()));
  if (!parser.Parse(&input, &message)) return error.ToStatus(file_name);
  return absl::OkStatus();
}

absl::Status ParseJson(absl::string_view text, absl::string_view file_name,
                       google::protobuf::Message& message) {
  const auto status = google::protobuf::util::JsonStringToMessage(
      {text.data(), text.size()}, &message);
  if (status.ok()) return absl::OkStatus();
  const JsonError error = ExplainJsonError(
      {status.message().data(), status.message().size()}, text);
  return TextError(absl::StrCat(file_name, OneLine(error.place)), error.reason);
}

}  // namespace

absl::Status TextError(absl::string_view place, absl::string_view reason) {
  return absl::InvalidArgumentError(
      absl::StrCat(OneLine(place), ": ", OneLine(reason)));
}

absl::Status ParseMessage(absl::string_view text, ConfigFormat format,
                          absl::string_view file_name,
                          google::protobuf::Message& message) {
  const std::string file = OneLine(file_name);
  if (text.size() > kMaxConfigBytes) {
    return TextError(file, absl::StrCat("is larger than ", kMaxConfigBytes,
                                        " bytes: not a configuration"));
  }
  if (text.find('\0') != absl::string_view::npos) {
    return TextError(file, "contains a NUL byte: not a text file");
  }
  return format == ConfigFormat::kJson ? ParseJson(text, file, message)
                                       : ParseTextProto(text, file, message);
}

std::string FormatMessage(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(message, &text);
  return text;
}

}  // namespace annulus
