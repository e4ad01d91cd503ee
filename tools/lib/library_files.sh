# shellcheck shell=bash
# What programs that link libannulus are told: headers, flags for pkg-config, targets for CMake.

# What they include. vmm/library/annulus.lds exports what these declare.
LIBRARY_HEADERS=(
  vmm/vmm.h vmm/c_api.h vmm/version.h vmm/sandbox/sandbox.h vmm/sandbox/landlock_needs.h base/fd_log_sink.h
  base/thread_setup.h
  devices/virtio/device.h devices/virtio/worker/queue_worker.h devices/virtio/worker/queue_handler.h
)

# Debian's libraries of which headers have code inside: C++ programs link them, too.
CXX_LIBRARIES=(
  absl_status absl_statusor absl_strings absl_str_format_internal absl_time absl_hash
  absl_raw_hash_set absl_throw_delegate
)

# library_headers: those, and all that they include, by their paths in the tree.
library_headers() {
  local -A seen=()
  local queue=("${LIBRARY_HEADERS[@]}") header
  while ((${#queue[@]})); do
    header=${queue[0]}
    queue=("${queue[@]:1}")
    [[ -z ${seen[$header]:-} && -f $ROOT/$header ]] || continue
    seen[$header]=1
    mapfile -t -O "${#queue[@]}" queue < <(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$ROOT/$header")
  done
  printf '%s\n' "${!seen[@]}" | sort
}

# What a program that takes the archive links besides, in order. Debian says what Abseil consists of.
static_libraries() {
  local absl
  absl=$(pkg-config --static --libs-only-l "${CXX_LIBRARIES[@]}") || die "pkg-config knows no Abseil"
  echo "-lprotobuf -lz -llz4 ${absl% } -lstdc++ -lm -pthread"
}

flags_of() { printf -- '-l%s ' "$@" | sed 's/ $//'; }

pkg_config_file() {
  cat <<END
prefix=\${pcfiledir}/../..
libdir=\${prefix}/lib
includedir=\${prefix}/include/annulus

Name: annulus
Description: Virtual machines on KVM, as a library for C
Version: $1
Cflags: -I\${includedir}
Libs: -L\${libdir} -lannulus
Libs.private: $(static_libraries)
END
}

pkg_config_file_cxx() {
  cat <<END
Name: annulus-c++
Description: Virtual machines on KVM, as a library for C++20
Version: $1
Requires: annulus = $1
Cflags: -std=c++20
Libs: $(flags_of "${CXX_LIBRARIES[@]}")
END
}

cmake_config_file() {
  local private
  private=$(static_libraries)
  cat <<END
# Annulus::annulus         the shared library, for C and C++
# Annulus::annulus_static  the archive
get_filename_component(_annulus_prefix "\${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
# A project in C alone knows no features of C++.
get_property(_annulus_features GLOBAL PROPERTY ENABLED_LANGUAGES)
if("CXX" IN_LIST _annulus_features)
  set(_annulus_features cxx_std_20)
else()
  set(_annulus_features)
endif()

if(NOT TARGET Annulus::annulus)
  add_library(Annulus::annulus SHARED IMPORTED)
  set_target_properties(Annulus::annulus PROPERTIES
    IMPORTED_LOCATION "\${_annulus_prefix}/lib/libannulus.so.0"
    IMPORTED_SONAME "libannulus.so.0"
    INTERFACE_INCLUDE_DIRECTORIES "\${_annulus_prefix}/include/annulus"
    INTERFACE_COMPILE_FEATURES "\${_annulus_features}"
    INTERFACE_LINK_LIBRARIES "\$<\$<LINK_LANGUAGE:CXX>:$(printf '%s;' "${CXX_LIBRARIES[@]}" | sed 's/;$//')>")
  add_library(Annulus::annulus_static STATIC IMPORTED)
  set_target_properties(Annulus::annulus_static PROPERTIES
    IMPORTED_LOCATION "\${_annulus_prefix}/lib/libannulus.a"
    INTERFACE_INCLUDE_DIRECTORIES "\${_annulus_prefix}/include/annulus"
    INTERFACE_COMPILE_FEATURES "\${_annulus_features}"
    INTERFACE_LINK_LIBRARIES "${private// /;}")
endif()
unset(_annulus_prefix)
unset(_annulus_features)
END
}

# Before 1.0 a minor version may change the C++ API.
cmake_version_file() {
  cat <<END
set(PACKAGE_VERSION "$1")
set(PACKAGE_VERSION_COMPATIBLE TRUE)
if(PACKAGE_FIND_VERSION AND (PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION OR
   PACKAGE_FIND_VERSION VERSION_LESS "${1%.*}"))
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
elseif(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
endif()
END
}
