#include <cstdlib>
#include <new>
#include <string>

#include "absl/status/status.h"
#include "vmm/c_api.h"
#include "vmm/c_api/guard.h"
#include "vmm/c_api/handles.h"
#include "vmm/version.h"

namespace annulus::c_api {
namespace {

// The numbers of absl::StatusCode are those of gRPC, which do not change
// either; what is not among them is unknown.
annulus_code CodeOf(const absl::Status& status) {
  static_assert(ANNULUS_UNAUTHENTICATED ==
                static_cast<int>(absl::StatusCode::kUnauthenticated));
  static_assert(ANNULUS_FAILED_PRECONDITION ==
                static_cast<int>(absl::StatusCode::kFailedPrecondition));
  return static_cast<annulus_code>(status.code());
}

}  // namespace

annulus_code Report(const absl::Status& status,
                    annulus_error** error) noexcept {
  if (error != nullptr) *error = nullptr;
  if (status.ok()) return ANNULUS_OK;
  const annulus_code code = CodeOf(status);
  if (error == nullptr) return code;
  try {
    *error = new annulus_error{code, std::string(status.message())};
  } catch (const std::bad_alloc&) {
    *error = nullptr;
  }
  return code;
}

}  // namespace annulus::c_api

extern "C" {

const char* annulus_version(void) noexcept { return annulus::kVersion; }

const char* annulus_error_message(const annulus_error* error) noexcept {
  return error == nullptr ? "" : error->message.c_str();
}

annulus_code annulus_error_code(const annulus_error* error) noexcept {
  return error == nullptr ? ANNULUS_OK : error->code;
}

void annulus_error_free(annulus_error* error) noexcept { delete error; }

void annulus_string_free(char* text) noexcept { std::free(text); }

}  // extern "C"
