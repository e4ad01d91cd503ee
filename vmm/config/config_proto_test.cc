#include "vmm/config/config_proto.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "proto/vm_config.pb.h"
#include "vmm/config/vm_config.h"

namespace annulus {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// A default configuration with one element in each list.
VmConfig DefaultWithLists() {
  VmConfig config;
  config.cpu.pinning = {0};
  config.rng.resize(1);
  config.rng[0].worker_cpus = {0};
  config.net.resize(1);
  config.net[0].worker_cpus = {0};
  config.net[0].tap_fds = {0};
  config.net[0].disabled_features = {"csum"};
  config.vsock.emplace().ports.resize(1);
  config.vsock->worker_cpus = {0};
  config.control.allowed_uids = {0};
  return config;
}

// Calls `visit(message, field)` for every field that is no message, below
// `message`; fails where a message or list on the way is missing.
template <typename Visit>
void ForEachLeaf(Message& message, const Visit& visit) {
  const Descriptor& type = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      visit(message, *field);
    } else if (field->is_repeated()) {
      ASSERT_EQ(reflection.FieldSize(message, field), 1) << field->full_name();
      ForEachLeaf(*reflection.MutableRepeatedMessage(&message, field, 0),
                  visit);
    } else {
      ASSERT_TRUE(reflection.HasField(message, field)) << field->full_name();
      ForEachLeaf(*reflection.MutableMessage(&message, field), visit);
    }
  }
}

bool HasOther(const Message& message, const FieldDescriptor& field) {
  return field.real_containing_oneof() != nullptr &&
         message.GetReflection()->HasOneof(message,
                                           field.real_containing_oneof());
}

// Gives a leaf a value that differs from every default.
void SetUnusual(Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      reflection.SetRepeatedString(&message, &field, 0, "unusual");
      return;
    }
    ASSERT_EQ(field.cpp_type(), FieldDescriptor::CPPTYPE_UINT32);
    reflection.SetRepeatedUInt32(&message, &field, 0, 77);
    return;
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      reflection.SetUInt32(&message, &field, 77);
      return;
    case FieldDescriptor::CPPTYPE_UINT64:
      reflection.SetUInt64(&message, &field, 77);
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      reflection.SetBool(&message, &field,
                         !reflection.GetBool(message, &field));
      return;
    case FieldDescriptor::CPPTYPE_STRING:
      reflection.SetString(&message, &field, "unusual");
      return;
    case FieldDescriptor::CPPTYPE_ENUM:
      reflection.SetEnumValue(&message, &field, 1);
      return;
    default:
      FAIL() << field.full_name() << ": teach this test its type";
  }
}

TEST(ConfigProtoTest, DefaultConfigurationSetsEveryField) {
  proto::VmConfig message = VmConfigToProto(DefaultWithLists());
  int leaves = 0;
  ForEachLeaf(message, [&](Message& owner, const FieldDescriptor& field) {
    ++leaves;
    if (field.is_repeated()) {
      EXPECT_EQ(owner.GetReflection()->FieldSize(owner, &field), 1)
          << field.full_name();
      return;
    }
    EXPECT_TRUE(owner.GetReflection()->HasField(owner, &field) ||
                HasOther(owner, field))
        << field.full_name() << " is not written by VmConfigToProto";
  });
  EXPECT_GE(leaves, 60);
}

TEST(ConfigProtoTest, EveryFieldOfTheSchemaSurvivesTheStruct) {
  const proto::VmConfig base = VmConfigToProto(DefaultWithLists());
  // The leaves of `base` in order: changed one at a time.
  int leaves = 0;
  proto::VmConfig counted = base;
  ForEachLeaf(counted, [&](Message&, const FieldDescriptor&) { ++leaves; });
  for (int changed = 0; changed < leaves; ++changed) {
    proto::VmConfig message = base;
    std::string name;
    int index = 0;
    ForEachLeaf(message, [&](Message& owner, const FieldDescriptor& field) {
      if (index++ != changed) return;
      name = field.full_name();
      SetUnusual(owner, field);
    });
    const absl::StatusOr<VmConfig> config = VmConfigFromProto(message);
    ASSERT_TRUE(config.ok()) << name << ": " << config.status();
    proto::VmConfig back = VmConfigToProto(*config);
    EXPECT_FALSE(google::protobuf::util::MessageDifferencer::Equals(back, base))
        << name << " is not read by VmConfigFromProto";
    EXPECT_TRUE(
        google::protobuf::util::MessageDifferencer::Equals(back, message))
        << name << ": " << back.ShortDebugString();
  }
}

TEST(ConfigProtoTest, EmptyMessageGivesTheDefaultsOfTheStruct) {
  const absl::StatusOr<VmConfig> config = VmConfigFromProto({});
  ASSERT_TRUE(config.ok());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
      VmConfigToProto(*config), VmConfigToProto(VmConfig())));
}

// A struct tells nothing about its fields, but a binding that does not name
// all of them does not compile: add the new field here, and to the schema.
TEST(ConfigProtoTest, EveryFieldOfTheStructIsInTheSchema) {
  const VmConfig vm;
  [[maybe_unused]] const auto& [name, cpu, memory, boot, console, rng, net,
                                vsock, control, debug_exit] = vm;
  [[maybe_unused]] const auto& [control_socket, control_fd, mode,
                                allowed_uids] = control;
  [[maybe_unused]] const auto& [count, pinning] = cpu;
  [[maybe_unused]] const auto& [size_bytes, hugepages, prefault, shared] =
      memory;
  [[maybe_unused]] const auto& [kernel, initrd, cmdline] = boot;
  [[maybe_unused]] const auto& [kind, path] = console;
  const RngConfig entropy;
  [[maybe_unused]] const auto& [virtio, rng_vhost_user, rng_poll,
                                rng_poll_microseconds, rng_worker_cpus] =
      entropy;
  [[maybe_unused]] const auto& [transport, packed, event_idx, indirect_desc,
                                in_order, ring_reset, notification_data] =
      virtio;
  const NetConfig card;
  [[maybe_unused]] const auto& [card_virtio, backend, tap, tap_fds, create_tap,
                                passt, vhost_user, switch_name, generate_bytes,
                                pcap, mac, mtu, queue_pairs, queue_size,
                                speed_mbps, disabled_features, receive_limit,
                                transmit_limit, header_split, poll,
                                poll_microseconds, worker_cpus] = card;
  [[maybe_unused]] const auto& [bytes_per_second, burst_bytes,
                                frames_per_second, burst_frames] =
      receive_limit;
  [[maybe_unused]] const auto& [enabled, chain, buffers, small_buffers,
                                header_queue, min_threshold, max_threshold,
                                split_feature, header_queue_feature,
                                header_flag, split_class, header_queue_class] =
      header_split;
  const VsockConfig sockets;
  [[maybe_unused]] const auto& [vhost_user_socket, vhost_user_fd, listen] =
      vhost_user;
  [[maybe_unused]] const auto& [vsock_virtio, vsock_vhost_user, cid, socket,
                                socket_fd, host_fd, ports, switch_directory,
                                buf_alloc, max_connections, vsock_queue_size,
                                connect_wait, listen_wait, close_wait,
                                vsock_poll, vsock_poll_microseconds,
                                vsock_worker_cpus, seqpacket, mrg_rxbuf, dgram,
                                mrg_rxbuf_feature, dgram_feature] = sockets;
  const VsockPortConfig mapped;
  [[maybe_unused]] const auto& [port, direction, type, port_path, fd] = mapped;

  const auto fields = [](const Descriptor* type) {
    return type->field_count();
  };
  EXPECT_EQ(fields(proto::VmConfig::descriptor()), 10);
  EXPECT_EQ(fields(proto::ControlConfig::descriptor()), 4);
  EXPECT_EQ(fields(proto::CpuConfig::descriptor()), 2);
  EXPECT_EQ(fields(proto::MemoryConfig::descriptor()), 4 + 1);  // size_mib
  EXPECT_EQ(fields(proto::BootConfig::descriptor()), 3);
  EXPECT_EQ(fields(proto::ConsoleConfig::descriptor()), 2);
  EXPECT_EQ(fields(proto::RngConfig::descriptor()), 5);
  EXPECT_EQ(fields(proto::VirtioConfig::descriptor()), 7);
  EXPECT_EQ(fields(proto::NetConfig::descriptor()), 22);
  EXPECT_EQ(fields(proto::VhostUserConfig::descriptor()), 3);
  EXPECT_EQ(fields(proto::HeaderSplitConfig::descriptor()), 12);
  EXPECT_EQ(fields(proto::RateLimitConfig::descriptor()), 4);
  EXPECT_EQ(fields(proto::VsockConfig::descriptor()), 22);
  EXPECT_EQ(fields(proto::VsockPortConfig::descriptor()), 5);
}

TEST(ConfigProtoTest, SizeInMibThatOverflowsIsRefused) {
  proto::VmConfig message;
  message.mutable_memory()->set_size_mib(uint64_t{1} << 44);
  EXPECT_EQ(VmConfigFromProto(message).status().code(),
            absl::StatusCode::kInvalidArgument);
  message.mutable_memory()->set_size_mib((uint64_t{1} << 44) - 1);
  EXPECT_TRUE(VmConfigFromProto(message).ok());
}

}  // namespace
}  // namespace annulus
