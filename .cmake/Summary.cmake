# SPDX-License-Identifier: Apache-2.0

# What a run of the tests covers, for the last line of `./dev test`: a part, why this build leaves it
# out ("" when it does not), the tests that it stands for; separated by tabs.
if(AVOCET_TESTS AND NOT AVOCET_KERNELS_ONLY)
  set(avocet_no_window "")
  if(AVOCET_GUI STREQUAL "OFF")
    set(avocet_no_window "AVOCET_GUI=OFF")
  elseif(NOT Qt6_FOUND)
    set(avocet_no_window "Qt 6 not found")
  elseif(NOT VTK_FOUND)
    set(avocet_no_window "VTK 9.1 not found")
  elseif(NOT AVOCET_XVFB_RUN)
    set(avocet_no_window "xvfb-run not found")
  endif()
  set(avocet_no_gpu "")
  if(NOT AVOCET_HAVE_CUDA)
    set(avocet_no_gpu "no CUDA compiler")
    if(AVOCET_CUDA STREQUAL "OFF")
      set(avocet_no_gpu "AVOCET_CUDA=OFF")
    endif()
  endif()
  get_property(avocet_window_tests GLOBAL PROPERTY AVOCET_WINDOW_TESTS)
  file(WRITE "${CMAKE_BINARY_DIR}/coverage.txt"
    "window\t${avocet_no_window}\t${avocet_window_tests}\n"
    "models\t\tapp/demo;models/frozen_rwkv_unet\n"
    "GPU\t${avocet_no_gpu}\tgpu/wkv_blocks_check;gpu/wkv_operator_check\n")
endif()

message(STATUS "")
message(STATUS "Avocet ${PROJECT_VERSION}")
message(STATUS "  build type   ${CMAKE_BUILD_TYPE} ${AVOCET_SANITIZE}")
message(STATUS "  LibTorch     ${AVOCET_TORCH_VERSION} in ${AVOCET_TORCH_DIR}")
message(STATUS "  CUDA         ${AVOCET_HAVE_CUDA} (AVOCET_CUDA=${AVOCET_CUDA})")
message(STATUS "  window       ${AVOCET_HAVE_GUI} (AVOCET_GUI=${AVOCET_GUI})")
message(STATUS "  tests        ${AVOCET_TESTS}, benchmarks ${AVOCET_BENCH}")
message(STATUS "  ccache       ${AVOCET_CCACHE}, linker ${AVOCET_MOLD}")
message(STATUS "")
