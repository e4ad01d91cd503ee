#ifndef VMM_VERSION_H_
#define VMM_VERSION_H_

namespace annulus {

// Semantic version of the program and of the library; CHANGELOG.md has what is
// in it.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace annulus

#endif  // VMM_VERSION_H_
