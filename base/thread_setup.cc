#include "base/thread_setup.h"

#include <utility>

namespace annulus {
namespace {

thread_local ThreadSetup* current_setup = nullptr;

}  // namespace

ScopedThreadSetup::ScopedThreadSetup(ThreadSetup* setup)
    : before_(std::exchange(current_setup, setup)) {}

ScopedThreadSetup::~ScopedThreadSetup() { current_setup = before_; }

ThreadSetup* ScopedThreadSetup::Current() { return current_setup; }

}  // namespace annulus
