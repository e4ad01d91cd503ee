#include "vmm/cpu/guest_cpuid.h"

#include <bit>

namespace annulus {
namespace {

using kvm::CpuidEntry;

constexpr uint32_t kLeafFeatures = 0x1;
constexpr uint32_t kLeafIntelCaches = 0x4;
constexpr uint32_t kLeafTopology = 0xb;
constexpr uint32_t kLeafTopologyV2 = 0x1f;
constexpr uint32_t kLeafAmdFeatures = 0x80000001;
constexpr uint32_t kLeafAmdSizes = 0x80000008;
constexpr uint32_t kLeafAmdCaches = 0x8000001d;
constexpr uint32_t kLeafAmdTopology = 0x8000001e;

constexpr uint32_t kFeatureEcxTscDeadline = 1u << 24;
constexpr uint32_t kFeatureEcxHypervisor = 1u << 31;
constexpr uint32_t kFeatureEdxHtt = 1u << 28;
constexpr uint32_t kAmdEcxCmpLegacy = 1u << 1;

// Levels of leaf 0xb: ECX bits 15:8.
constexpr uint32_t kLevelInvalid = 0;
constexpr uint32_t kLevelThread = 1;
constexpr uint32_t kLevelCore = 2;

// Bits of an APIC id that number the CPUs of the package.
uint32_t ApicIdBits(uint32_t vcpu_count) {
  return static_cast<uint32_t>(std::bit_width(vcpu_count - 1));
}

void SetFeatures(CpuidEntry& entry, const GuestCpuidOptions& options) {
  // EBX: 31:24 APIC id, 23:16 logical CPUs; the rest (CLFLUSH size) stays.
  entry.ebx = (entry.ebx & 0xffff) | options.vcpu_id << 24 |
              (1u << ApicIdBits(options.vcpu_count)) << 16;
  entry.ecx |= kFeatureEcxHypervisor;
  if (options.tsc_deadline_timer) entry.ecx |= kFeatureEcxTscDeadline;
  if (options.vcpu_count > 1) {
    entry.edx |= kFeatureEdxHtt;
  } else {
    entry.edx &= ~kFeatureEdxHtt;
  }
}

// Leaves 4 and 0x8000001d have the same shape: EAX 7:5 is the level, 25:14 the
// number of logical CPUs that share the cache less one. The last level is
// shared by all, the others by nobody. In leaf 4, 31:26 is cores less one.
void SetCacheSharing(CpuidEntry& entry, const GuestCpuidOptions& options) {
  const uint32_t type = entry.eax & 0x1f;
  if (type == 0) return;  // No more caches.
  const uint32_t level = entry.eax >> 5 & 7;
  const uint32_t sharing = level >= 3 ? options.vcpu_count - 1 : 0;
  entry.eax = (entry.eax & 0x3fff) | sharing << 14;
  if (entry.function == kLeafIntelCaches) {
    entry.eax |= (options.vcpu_count - 1) << 26;
  }
}

void AppendTopology(uint32_t function, const GuestCpuidOptions& options,
                    std::vector<CpuidEntry>& out) {
  const auto append = [&](uint32_t index, uint32_t shift, uint32_t count,
                          uint32_t level) {
    out.push_back({.function = function,
                   .index = index,
                   .index_significant = true,
                   .eax = shift,
                   .ebx = count,
                   .ecx = level << 8 | index,
                   .edx = options.vcpu_id});
  };
  append(0, 0, 1, kLevelThread);
  append(1, ApicIdBits(options.vcpu_count), options.vcpu_count, kLevelCore);
  append(2, 0, 0, kLevelInvalid);
}

}  // namespace

std::vector<CpuidEntry> GuestCpuid(absl::Span<const CpuidEntry> supported,
                                   const GuestCpuidOptions& options) {
  std::vector<CpuidEntry> out;
  out.reserve(supported.size() + 4);
  bool has_topology = false;
  for (CpuidEntry entry : supported) {
    switch (entry.function) {
      case kLeafFeatures:
        SetFeatures(entry, options);
        break;
      case kLeafIntelCaches:
      case kLeafAmdCaches:
        SetCacheSharing(entry, options);
        break;
      case kLeafTopology:
        // The host's levels are replaced as a whole, once.
        if (!has_topology) AppendTopology(kLeafTopology, options, out);
        has_topology = true;
        continue;
      case kLeafTopologyV2:
        continue;  // Says no more than leaf 0xb for one package.
      case kLeafAmdFeatures:
        if (options.vcpu_count > 1) {
          entry.ecx |= kAmdEcxCmpLegacy;
        } else {
          entry.ecx &= ~kAmdEcxCmpLegacy;
        }
        break;
      case kLeafAmdSizes:
        // ECX: 15:12 bits of the APIC id, 7:0 CPUs of the package less one.
        entry.ecx = (entry.ecx & ~0xf0ffu) |
                    ApicIdBits(options.vcpu_count) << 12 |
                    (options.vcpu_count - 1);
        break;
      case kLeafAmdTopology:
        // EAX APIC id; EBX 15:8 threads a core less one, 7:0 core; ECX 10:8
        // nodes less one, 7:0 node.
        entry.eax = options.vcpu_id;
        entry.ebx = options.vcpu_id & 0xff;
        entry.ecx = 0;
        break;
      default:
        break;
    }
    out.push_back(entry);
  }
  return out;
}

}  // namespace annulus
