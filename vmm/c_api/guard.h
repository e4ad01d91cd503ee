#ifndef VMM_C_API_GUARD_H_
#define VMM_C_API_GUARD_H_

#include <exception>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "vmm/c_api.h"

namespace annulus::c_api {

// What the caller gets of `status`: the code, and in *error the text. Where
// there is no memory for that, the code alone.
annulus_code Report(const absl::Status& status, annulus_error** error) noexcept;

inline absl::Status NullArgument(absl::string_view name) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": is null"));
}

// Calls `body`, which returns a Status. The library throws nothing, but the
// standard library does where memory ends, which must not reach C.
template <typename Body>
annulus_code Guard(annulus_error** error, Body body) noexcept {
  try {
    return Report(body(), error);
  } catch (const std::bad_alloc&) {
    if (error != nullptr) *error = nullptr;
    return ANNULUS_RESOURCE_EXHAUSTED;
  } catch (const std::exception& e) {
    return Report(absl::InternalError(e.what()), error);
  }
}

}  // namespace annulus::c_api

#endif  // VMM_C_API_GUARD_H_
