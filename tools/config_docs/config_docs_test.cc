#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "devices/virtio/net/net_feature_names.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "proto/device_config.pb.h"
#include "proto/vm_config.pb.h"
#include "tools/config_docs/config_reference.h"
#include "tools/config_docs/schema_set.h"
#include "vmm/config/config_format.h"
#include "vmm/config/config_proto.h"
#include "vmm/config/config_text.h"
#include "vmm/config/devices_config.h"
#include "vmm/config/devices_config_proto.h"
#include "vmm/config/validate_config.h"
#include "vmm/config/validate_devices_config.h"
#include "vmm/config/vm_config.h"

namespace annulus {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  return std::string((std::istreambuf_iterator<char>(in)), {});
}

std::string Docs() { return ReadFile("docs/configuration.md"); }

auto Schema() {
  return SchemaSet::Load("tools/config_docs/config_descriptors.pb");
}

// The program's own default, as text format prints it.
std::string DefaultOf(const Message& defaults, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *defaults.GetReflection();
  if (field.is_repeated()) {
    return reflection.FieldSize(defaults, &field) == 0 ? "none" : "a list";
  }
  if (!reflection.HasField(defaults, &field)) return "unset";
  std::string value;
  google::protobuf::TextFormat::PrintFieldValueToString(defaults, &field, -1,
                                                        &value);
  return value;
}

// Compares each "Default: X." below the message `schema` with `defaults`.
void CheckDefaults(const Descriptor& schema, const Message& defaults) {
  const Descriptor& compiled = *defaults.GetDescriptor();
  ASSERT_EQ(schema.field_count(), compiled.field_count());
  for (int i = 0; i < schema.field_count(); ++i) {
    const FieldDescriptor& field = *compiled.field(i);
    ASSERT_EQ(schema.field(i)->full_name(), field.full_name());
    if (field.message_type() != nullptr && !field.is_repeated()) {
      // One that a machine does not have by default is looked at by itself.
      if (!defaults.GetReflection()->HasField(defaults, &field)) continue;
      CheckDefaults(*schema.field(i)->message_type(),
                    defaults.GetReflection()->GetMessage(defaults, &field));
      continue;
    }
    EXPECT_EQ(CommentOf(*schema.field(i)).default_value,
              DefaultOf(defaults, field))
        << field.full_name();
  }
}

// The fenced blocks of `language` in `text`.
std::vector<std::string> FencedBlocks(const std::string& text,
                                      absl::string_view language) {
  std::vector<std::string> blocks;
  const std::string open = absl::StrCat("```", language, "\n");
  for (size_t at = text.find(open); at != std::string::npos;
       at = text.find(open, at)) {
    at += open.size();
    const size_t end = text.find("```\n", at);
    blocks.push_back(text.substr(at, end - at));
    at = end + 4;
  }
  return blocks;
}

// A block is a machine, or devices that stand alone, which have "device" first.
void ExpectValid(const std::vector<std::string>& blocks, ConfigFormat format,
                 absl::string_view device) {
  EXPECT_FALSE(blocks.empty());
  bool devices_seen = false;
  for (const std::string& block : blocks) {
    if (absl::StrContains(block, device)) {
      devices_seen = true;
      const auto config = ParseDevicesConfig(block, format, "example");
      ASSERT_TRUE(config.ok()) << config.status() << " in\n" << block;
      EXPECT_TRUE(ValidateDevicesConfig(*config).ok())
          << ValidateDevicesConfig(*config) << " in\n"
          << block;
      continue;
    }
    const absl::StatusOr<VmConfig> config =
        ParseVmConfig(block, format, "example");
    ASSERT_TRUE(config.ok()) << config.status() << " in\n" << block;
    EXPECT_TRUE(ValidateVmConfig(*config).ok())
        << ValidateVmConfig(*config) << " in\n"
        << block;
  }
  EXPECT_TRUE(devices_seen);
}

TEST(ConfigDocsTest, ReferenceIsInStepWithTheSchema) {
  const auto schema = Schema();
  ASSERT_TRUE(schema.ok()) << schema.status();
  const auto reference = ConfigReference((*schema)->files());
  ASSERT_TRUE(reference.ok()) << reference.status();
  EXPECT_TRUE(
      absl::EndsWith(Docs(), absl::StrCat(kReferenceMarker, *reference)))
      << "run: bazel run //tools/config_docs:write_docs";
}

TEST(ConfigDocsTest, StatedDefaultsAreTheProgramsDefaults) {
  const auto schema = Schema();
  ASSERT_TRUE(schema.ok()) << schema.status();
  const auto message = [&](const std::string& name) -> const Descriptor& {
    return *(*schema)->FindMessage("annulus.proto." + name);
  };
  CheckDefaults(message("VmConfig"), VmConfigToProto(VmConfig()));
  // Only reached through lists, or not there by default.
  VmConfig config;
  config.rng.resize(1);
  CheckDefaults(message("RngConfig"), VmConfigToProto(config).rng(0));
  config.net.resize(1);
  CheckDefaults(message("NetConfig"), VmConfigToProto(config).net(0));
  config.vsock.emplace();
  CheckDefaults(message("VsockConfig"), VmConfigToProto(config).vsock());
  config.vsock->ports.resize(1);
  CheckDefaults(message("VsockPortConfig"),
                VmConfigToProto(config).vsock().ports(0));
  CheckDefaults(message("DevicesConfig"),
                DevicesConfigToProto(DevicesConfig()));
  DevicesConfig devices;
  devices.device.resize(1);
  CheckDefaults(message("DeviceConfig"),
                DevicesConfigToProto(devices).device(0));
}

TEST(ConfigDocsTest, EveryFeatureOfANetworkCardIsListed) {
  const std::string docs = Docs();
  const size_t row = docs.find("| `disabled_features`");
  ASSERT_NE(row, std::string::npos);
  const std::string line = docs.substr(row, docs.find('\n', row) - row);
  for (const virtio::NetFeature& feature : virtio::NetFeatures()) {
    EXPECT_TRUE(absl::StrContains(line, absl::StrCat(" ", feature.name, ",")) ||
                absl::StrContains(line, absl::StrCat(" ", feature.name, ".")))
        << feature.name;
  }
}

TEST(ConfigDocsTest, ExamplesAreValidConfigurations) {
  const std::string docs = Docs();
  ExpectValid(FencedBlocks(docs, "textproto"), ConfigFormat::kTextProto,
              "device {");
  ExpectValid(FencedBlocks(docs, "json"), ConfigFormat::kJson, "\"device\":");
}

// What ConfigReference() says about message A with field b, each with a comment
// unless that is empty.
std::string ErrorForComments(const std::string& message,
                             const std::string& field) {
  google::protobuf::FileDescriptorSet set;
  google::protobuf::FileDescriptorProto& file = *set.add_file();
  file.set_name("a.proto");
  file.set_syntax("proto3");
  auto& type = *file.add_message_type();
  type.set_name("A");
  auto& b = *type.add_field();
  b.set_name("b");
  b.set_number(1);
  b.set_type(google::protobuf::FieldDescriptorProto::TYPE_BOOL);
  b.set_label(google::protobuf::FieldDescriptorProto::LABEL_OPTIONAL);
  // A location's path: message_type (4) number 0, its field (2) number 0.
  const auto comment = [&](std::vector<int> path, const std::string& text) {
    auto& location = *file.mutable_source_code_info()->add_location();
    location.mutable_path()->Add(path.begin(), path.end());
    location.mutable_span()->Resize(3, 0);
    location.set_leading_comments(text);
  };
  comment({4, 0}, message);
  comment({4, 0, 2, 0}, field);
  const auto schema = SchemaSet::Build(set);
  EXPECT_TRUE(schema.ok()) << schema.status();
  return std::string(ConfigReference((*schema)->files()).status().message());
}

TEST(ConfigDocsTest, ElementWithoutCommentOrDefaultIsRefused) {
  EXPECT_EQ(ErrorForComments("", " B.\n Default: true.\n"), "A has no comment");
  EXPECT_EQ(ErrorForComments(" M.\n", ""), "A.b has no comment");
  EXPECT_EQ(ErrorForComments(" M.\n", " B.\n"), "A.b has no \"Default: ...\"");
  EXPECT_EQ(ErrorForComments(" M.\n", " B.\n Default: true.\n"), "");
}

}  // namespace
}  // namespace annulus
