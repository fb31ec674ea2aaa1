# SPDX-License-Identifier: Apache-2.0
message(STATUS "")
message(STATUS "Avocet ${PROJECT_VERSION}")
message(STATUS "  build type   ${CMAKE_BUILD_TYPE} ${AVOCET_SANITIZE}")
message(STATUS "  LibTorch     ${AVOCET_TORCH_VERSION} in ${AVOCET_TORCH_DIR}")
message(STATUS "  CUDA         ${AVOCET_HAVE_CUDA} (AVOCET_CUDA=${AVOCET_CUDA})")
message(STATUS "  tests        ${AVOCET_TESTS}, benchmarks ${AVOCET_BENCH}")
message(STATUS "  ccache       ${AVOCET_CCACHE}, linker ${AVOCET_MOLD}")
message(STATUS "")
