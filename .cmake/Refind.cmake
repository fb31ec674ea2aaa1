# SPDX-License-Identifier: Apache-2.0
# CMake keeps in its cache what it found, and that it found nothing. Packages are installed and
# removed between two runs of it: what was not found, and what is no longer there, is looked for
# again at each run. Comes before all that finds something.
get_cmake_property(avocet_cached CACHE_VARIABLES)
foreach(name IN LISTS avocet_cached)
  if(name MATCHES "^__pkg_config_checked_")
    unset(${name} CACHE)
    continue()
  endif()
  # What the user says, and what CMake itself keeps of compilers and tools.
  if(name MATCHES "^(AVOCET_TORCH_DIR|AVOCET_OFFICIAL_WKV)$" OR
     (name MATCHES "^CMAKE_" AND NOT name STREQUAL "CMAKE_CUDA_COMPILER"))
    continue()
  endif()
  set(value "$CACHE{${name}}")
  if(value MATCHES "(^|-)NOTFOUND$")
    unset(${name} CACHE)
    continue()
  endif()
  get_property(type CACHE ${name} PROPERTY TYPE)
  if(type MATCHES "^(PATH|FILEPATH)$" AND IS_ABSOLUTE "${value}" AND NOT EXISTS "${value}")
    unset(${name} CACHE)
  endif()
endforeach()
