#ifndef BASE_STATUS_MACROS_H_
#define BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"

// Returns from the enclosing function if `expression` is an absl::Status that
// is not OK.
#define ANNULUS_RETURN_IF_ERROR(expression)                                   \
  do {                                                                        \
    if (absl::Status annulus_status_ = (expression); !annulus_status_.ok()) { \
      return annulus_status_;                                                 \
    }                                                                         \
  } while (false)

// Assigns the value of an absl::StatusOr to `target`, which may be a new
// variable, or returns its error from the enclosing function.
#define ANNULUS_ASSIGN_OR_RETURN(target, expression)                        \
  ANNULUS_ASSIGN_OR_RETURN_IMPL_(ANNULUS_CONCAT_(annulus_value_, __LINE__), \
                                 target, expression)

#define ANNULUS_ASSIGN_OR_RETURN_IMPL_(result, target, expression) \
  auto result = (expression);                                      \
  if (!result.ok()) return std::move(result).status();             \
  target = *std::move(result)

#define ANNULUS_CONCAT_(a, b) ANNULUS_CONCAT_INNER_(a, b)
#define ANNULUS_CONCAT_INNER_(a, b) a##b

#endif  // BASE_STATUS_MACROS_H_
