# SPDX-License-Identifier: Apache-2.0
# One helper for libraries, one for tests, so that every CMakeLists.txt reads alike.

set(avocet_warnings -Wall -Wextra)
if(AVOCET_SANITIZE STREQUAL "address")
  set(avocet_sanitize -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
elseif(AVOCET_SANITIZE STREQUAL "thread")
  set(avocet_sanitize -fsanitize=thread)
elseif(NOT AVOCET_SANITIZE STREQUAL "")
  message(FATAL_ERROR "AVOCET_SANITIZE is '${AVOCET_SANITIZE}'; it must be empty, address or thread.")
endif()

function(avocet_target_defaults name)
  target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}")
  target_compile_options(${name} PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:${avocet_warnings};${avocet_sanitize}>")
  if(avocet_sanitize)
    target_link_options(${name} PUBLIC ${avocet_sanitize})
  endif()
endfunction()

# avocet_add_library(name [SHARED] SOURCES ... [PUBLIC libs...] [PRIVATE libs...] [TORCH_PCH])
# TORCH_PCH gives the target the precompiled ATen header that the kernels library owns.
function(avocet_add_library name)
  cmake_parse_arguments(arg "SHARED;TORCH_PCH" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  if(arg_SHARED)
    add_library(${name} SHARED ${arg_SOURCES})
  else()
    add_library(${name} STATIC ${arg_SOURCES})
  endif()
  avocet_target_defaults(${name})
  target_link_libraries(${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  if(arg_TORCH_PCH)
    target_compile_options(${name} PRIVATE ${avocet_torch_pch_options})
    target_precompile_headers(${name} REUSE_FROM avocet_torch_pch)
    target_link_libraries(${name} PUBLIC avocet_torch)
  endif()
endfunction()

# avocet_add_test(folder/name [LIBS libs...] [LABELS labels...] [ARGS args...] [TORCH_PCH] [TIMEOUT s])
# builds tests/<folder>/<name>_test.cc into ctest <folder>/<name>.
function(avocet_add_test path)
  cmake_parse_arguments(arg "TORCH_PCH" "TIMEOUT" "LIBS;LABELS;SOURCES" ${ARGN})
  string(REPLACE "/" "_" target "${path}_test")
  add_executable(${target} "${CMAKE_SOURCE_DIR}/tests/${path}_test.cc" ${arg_SOURCES})
  avocet_target_defaults(${target})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_link_libraries(${target} PRIVATE ${arg_LIBS} avocet_test_support GTest::gtest)
  if(arg_TORCH_PCH)
<<<<<<< HEAD
    # -fPIC: g++ ignores a precompiled header made with other settings than CMake's -fPIE here.
=======
    # The precompiled header is position independent code, not an executable's.
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
>>>>>>> main
    target_compile_options(${target} PRIVATE ${avocet_torch_pch_options} -fPIC)
    target_precompile_headers(${target} REUSE_FROM avocet_torch_pch)
    target_link_libraries(${target} PRIVATE avocet_torch)
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_test(NAME "${path}" COMMAND ${target})
  set_tests_properties("${path}" PROPERTIES
    LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77
    ENVIRONMENT "OMP_WAIT_POLICY=passive;AVOCET_BINARY=$<TARGET_FILE:avocet>;AVOCET_SOURCE_DIR=${CMAKE_SOURCE_DIR};AVOCET_SHARED_DIR=${CMAKE_SOURCE_DIR}/../shared")
endfunction()
