#include "devices/virtio/vsock/switch/switch_member.h"

#include <random>
#include <utility>

namespace annulus::virtio {

// Processes begin anywhere, so that the numbers of one are not those of
// another.
SwitchMembers::SwitchMembers()
    : next_serial_(uint64_t{std::random_device()()} << 30 | 1) {}

bool SwitchMembers::Join(uint64_t cid,
                         const std::shared_ptr<SwitchMember>& member) {
  MutexLock lock(mu_);
  return members_.try_emplace(cid, member).second;
}

void SwitchMembers::Leave(uint64_t cid) {
  std::shared_ptr<SwitchMember> member;  // Let go without the lock.
  MutexLock lock(mu_);
  const auto found = members_.find(cid);
  if (found == members_.end()) return;
  member = std::move(found->second);
  member->left.store(true, std::memory_order_relaxed);
  members_.erase(found);
}

std::shared_ptr<SwitchMember> SwitchMembers::Find(uint64_t cid) const {
  MutexLock lock(mu_);
  const auto found = members_.find(cid);
  return found == members_.end() ? nullptr : found->second;
}

SwitchMember* MemberCache::Find(uint64_t cid) {
  const auto found = known_.find(cid);
  if (found != known_.end()) {
    if (!found->second->left.load(std::memory_order_relaxed)) {
      return found->second.get();
    }
    known_.erase(found);
  }
  std::shared_ptr<SwitchMember> member = members_.Find(cid);
  if (member == nullptr) return nullptr;
  if (known_.size() >= kMost) known_.clear();
  return known_.emplace(cid, std::move(member)).first->second.get();
}

}  // namespace annulus::virtio
