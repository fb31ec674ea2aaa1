# SPDX-License-Identifier: Apache-2.0
# Every option of the build, with its default and meaning.

set(AVOCET_TORCH_DIR "${CMAKE_SOURCE_DIR}/build/venv/lib/python3.11/site-packages/torch" CACHE PATH
    "Folder 'torch' of the unpacked PyPI wheel torch==2.11.0 (./dev setup puts it there)")
set(AVOCET_CUDA AUTO CACHE STRING
    "CUDA kernels: AUTO builds them when nvcc is found, ON insists, OFF leaves them out")
set_property(CACHE AVOCET_CUDA PROPERTY STRINGS AUTO ON OFF)
set(AVOCET_GUI AUTO CACHE STRING
    "The window, avocet gui: AUTO builds it when Qt 6 and VTK are found, ON insists, OFF leaves it out")
set_property(CACHE AVOCET_GUI PROPERTY STRINGS AUTO ON OFF)
set(AVOCET_SANITIZE "" CACHE STRING "Sanitizer: empty, address (with undefined) or thread")
option(AVOCET_KERNELS_ONLY
    "Only the operators and the programs of tests/gpu: needs LibTorch, and nvcc for the latter (./dev gpu)" OFF)
option(AVOCET_TESTS "Build the tests" ON)
option(AVOCET_BENCH "Build the benchmark programs" OFF)
option(AVOCET_FUZZ "Build the fuzz targets (clang with libFuzzer; use with AVOCET_SANITIZE=address)" OFF)

set_property(GLOBAL PROPERTY GLOBAL_DEPENDS_NO_CYCLES ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

find_program(AVOCET_CCACHE ccache)
if(AVOCET_CCACHE)
  # base_dir lets worktrees share hits; the sloppiness entries are what ccache asks for with
  # precompiled headers.
  set(avocet_launcher "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}"
      "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime"
      "CCACHE_NOHASHDIR=1" "${AVOCET_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${avocet_launcher}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${avocet_launcher}")
endif()

find_program(AVOCET_MOLD mold)
if(AVOCET_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
