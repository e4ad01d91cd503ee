#include "cli/device_options.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/nearest_name.h"

namespace annulus::cli {

std::vector<OptionPart> SplitOptions(absl::string_view text) {
  std::vector<OptionPart> parts;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const size_t equals = part.find('=');
    OptionPart& option = parts.emplace_back();
    option.text = part;
    option.name = part.substr(0, equals);
    option.has_value = equals != part.npos;
    if (option.has_value) option.value = part.substr(equals + 1);
  }
  return parts;
}

std::optional<absl::Status> SetCommonOption(const OptionPart& part,
                                            VirtioConfig& virtio,
                                            VhostUserConfig& vhost_user) {
  if (part.text == "pci" || part.text == "mmio") {
    virtio.transport =
        part.text == "pci" ? TransportKind::kPci : TransportKind::kMmio;
    return absl::OkStatus();
  }
  if (part.text == "listen") {
    vhost_user.listen = true;
    return absl::OkStatus();
  }
  if (!part.has_value) return std::nullopt;
  if (part.name == "vhost-user") {
    return Named(part.name,
                 SetText<&VhostUserConfig::socket>(part.value, vhost_user));
  }
  if (part.name == "vhost-user-fd") {
    const absl::Status status =
        SetCount<&VhostUserConfig::fd>(part.value, vhost_user);
    if (!status.ok() || vhost_user.fd != 0) return Named(part.name, status);
    return Named(part.name, NotA(part.value, "a descriptor from 3 on"));
  }
  if (bool* const feature = VirtioFeatureNamed(part.name, virtio)) {
    return Named(part.name, ParseSwitch(part.value, *feature));
  }
  return std::nullopt;
}

std::vector<absl::string_view> CommonOptionNames() {
  std::vector<absl::string_view> names = VirtioFeatureNames();
  names.insert(names.end(),
               {"pci", "mmio", "vhost-user", "vhost-user-fd", "listen"});
  return names;
}

absl::Status CheckCommonOptions(const VhostUserConfig& vhost_user) {
  if (vhost_user.listen && vhost_user.socket.empty()) {
    return absl::InvalidArgumentError(
        "listen: of no effect without vhost-user=SOCKET");
  }
  return absl::OkStatus();
}

absl::Status Named(absl::string_view name, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", status.message()));
}

absl::Status UnknownOption(const OptionPart& part,
                           const std::vector<absl::string_view>& names) {
  if (!part.has_value &&
      std::find(names.begin(), names.end(), part.name) != names.end()) {
    return NotA(part.text,
                absl::StrCat("all: it takes a value, ", part.text, "=..."));
  }
  const auto nearest = NearestName(part.name, names);
  return NotA(part.text,
              nearest.has_value()
                  ? absl::StrCat("an option; did you mean ", *nearest, "?")
                  : "an option, see annulus run --help");
}

}  // namespace annulus::cli
