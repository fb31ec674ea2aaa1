# SPDX-License-Identifier: Apache-2.0
# All third-party packages are found here and nowhere else. Versions and licences: README.md.

find_package(Threads REQUIRED)

# LibTorch. The wheel's own CMake package insists on a CUDA toolkit and links the GPU half; the CPU
# half is named by hand, so that machines without the NVIDIA wheels build and run.
if(NOT EXISTS "${AVOCET_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch was not found in '${AVOCET_TORCH_DIR}'. Run './dev setup', or set "
                      "AVOCET_TORCH_DIR to the folder 'torch' of the wheel torch==2.11.0.")
endif()
file(STRINGS "${AVOCET_TORCH_DIR}/version.py" avocet_torch_line REGEX "^__version__")
string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" AVOCET_TORCH_VERSION "${avocet_torch_line}")
if(NOT AVOCET_TORCH_VERSION VERSION_EQUAL 2.11.0)
  message(FATAL_ERROR "AVOCET_TORCH_DIR holds torch ${AVOCET_TORCH_VERSION}; Avocet is pinned to 2.11.0.")
endif()
add_library(avocet_c10 SHARED IMPORTED)
set_target_properties(avocet_c10 PROPERTIES IMPORTED_LOCATION "${AVOCET_TORCH_DIR}/lib/libc10.so")
add_library(avocet_torch_cpu SHARED IMPORTED)
set_target_properties(avocet_torch_cpu PROPERTIES
  IMPORTED_LOCATION "${AVOCET_TORCH_DIR}/lib/libtorch_cpu.so")
# One OpenMP runtime in the process: the copy that libtorch_cpu brings, not the compiler's.
add_library(avocet_gomp SHARED IMPORTED)
set_target_properties(avocet_gomp PROPERTIES IMPORTED_LOCATION "${AVOCET_TORCH_DIR}/lib/libgomp.so.1")
add_library(avocet_torch INTERFACE)
target_include_directories(avocet_torch SYSTEM INTERFACE
  "${AVOCET_TORCH_DIR}/include" "${AVOCET_TORCH_DIR}/include/torch/csrc/api/include")
target_compile_definitions(avocet_torch INTERFACE _GLIBCXX_USE_CXX11_ABI=1)
target_link_libraries(avocet_torch INTERFACE avocet_torch_cpu avocet_c10 avocet_gomp Threads::Threads)
# The wheel's libraries find libcudart and libcupti through their own RPATH at run time.
target_link_options(avocet_torch INTERFACE -Wl,--allow-shlib-undefined)

# CUDA. Kernels are raw .cu files (no ATen headers), in a library of their own.
set(AVOCET_HAVE_CUDA OFF)
if(NOT AVOCET_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "AVOCET_CUDA is '${AVOCET_CUDA}'; it must be AUTO, ON or OFF.")
endif()
if(NOT AVOCET_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100-real 120)
    endif()
    enable_language(CUDA)
    set(CMAKE_CUDA_STANDARD 17)
    find_package(CUDAToolkit REQUIRED)
    set(AVOCET_HAVE_CUDA ON)
    add_library(avocet_c10_cuda SHARED IMPORTED)
    set_target_properties(avocet_c10_cuda PROPERTIES
      IMPORTED_LOCATION "${AVOCET_TORCH_DIR}/lib/libc10_cuda.so")
  elseif(AVOCET_CUDA STREQUAL "ON")
    message(FATAL_ERROR "AVOCET_CUDA=ON, but no CUDA compiler was found. Install the CUDA toolkit, "
                        "set CMAKE_CUDA_COMPILER, or use AVOCET_CUDA=OFF.")
  endif()
endif()

if(AVOCET_KERNELS_ONLY)
  return()
endif()

find_package(ZLIB REQUIRED)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
find_package(BZip2 REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(TIFF 4.5 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(PkgConfig REQUIRED)
# The serial library: machines may also have one for MPI, which FindHDF5 would take.
pkg_check_modules(HDF5_C REQUIRED IMPORTED_TARGET hdf5-serial)
pkg_check_modules(CAIRO REQUIRED IMPORTED_TARGET cairo)
pkg_check_modules(LIBDEFLATE REQUIRED IMPORTED_TARGET libdeflate)
if(AVOCET_TESTS)
  find_package(GTest 1.12 REQUIRED)
endif()
if(AVOCET_BENCH)
  find_package(benchmark REQUIRED)
endif()

# ITK: volumes come in through its image factory, and its filters process them. Its own CMake package
# prints some 150 lines about unrelated modules, so targets are named by hand:
# avocet_itk (images, factory), avocet_itk_formats (the stock readers that a child process runs) and
# avocet_itk_filters. NIfTI and GDCM are never linked: io/README.md says why.
find_path(AVOCET_ITK_INCLUDE NAMES itkImageIOBase.h PATH_SUFFIXES ITK-5.4 ITK-5.3 ITK-5.2 REQUIRED)
string(REGEX MATCH "[0-9]+\\.[0-9]+$" AVOCET_ITK_VERSION "${AVOCET_ITK_INCLUDE}")
function(avocet_itk_target name)
  add_library(${name} INTERFACE)
  target_include_directories(${name} SYSTEM INTERFACE "${AVOCET_ITK_INCLUDE}")
  foreach(module ${ARGN})
    find_library(AVOCET_ITK_${module} NAMES ${module}-${AVOCET_ITK_VERSION} ${module} REQUIRED)
    target_link_libraries(${name} INTERFACE "${AVOCET_ITK_${module}}")
  endforeach()
endfunction()
avocet_itk_target(avocet_itk ITKIOImageBase ITKCommon itksys itkvnl_algo itkvnl itkvcl)
avocet_itk_target(avocet_itk_formats ITKIONRRD ITKNrrdIO ITKIOMeta ITKMetaIO ITKIOTIFF ITKIOVTK ITKIOGIPL
  ITKIOMRC ITKIOMINC)
target_link_libraries(avocet_itk_formats INTERFACE avocet_itk)
avocet_itk_target(avocet_itk_filters ITKBiasCorrection ITKRegistrationMethodsv4 ITKOptimizersv4 ITKTransform
  ITKIOTransformBase ITKIOTransformInsightLegacy ITKSmoothing ITKMathematicalMorphology ITKLabelMap
  ITKStatistics ITKMesh ITKFFT ITKPolynomials ITKFastMarching)
target_link_libraries(avocet_itk_filters INTERFACE avocet_itk)

# DCMTK: data sets (DICOM SEG, RTSTRUCT, de-identification) and its JPEG and JPEG-LS codecs; OpenJPEG for
# JPEG 2000. DCMTK's own CMake package names every module.
find_path(AVOCET_DCMTK_INCLUDE NAMES dcmtk/dcmdata/dctk.h REQUIRED)
pkg_check_modules(OPENJPEG REQUIRED IMPORTED_TARGET libopenjp2)
file(GLOB avocet_dictionaries /usr/share/libdcmtk*/dicom.dic)  # its package installs it there
set(AVOCET_DICOM_DICTIONARY "")  # DCMTK may have it built in
if(avocet_dictionaries)
  list(GET avocet_dictionaries 0 AVOCET_DICOM_DICTIONARY)
endif()
add_library(avocet_dcmtk INTERFACE)
target_include_directories(avocet_dcmtk SYSTEM INTERFACE "${AVOCET_DCMTK_INCLUDE}")
foreach(module dcmjpeg dcmjpls dcmdata oflog ofstd)
  find_library(AVOCET_DCMTK_${module} NAMES ${module} REQUIRED)
  target_link_libraries(avocet_dcmtk INTERFACE "${AVOCET_DCMTK_${module}}")
endforeach()
add_library(avocet_dicom_codecs INTERFACE)
target_link_libraries(avocet_dicom_codecs INTERFACE avocet_dcmtk PkgConfig::OPENJPEG)

# KISS FFT: its C++ class, a header alone.
find_path(AVOCET_KISSFFT_INCLUDE NAMES kissfft.hh PATH_SUFFIXES kissfft REQUIRED)
add_library(avocet_kissfft INTERFACE)
target_include_directories(avocet_kissfft SYSTEM INTERFACE "${AVOCET_KISSFFT_INCLUDE}")

# Qt 6 and VTK, for the window only. VTK's own Qt module in Debian is for Qt 5 and is not used.
set(AVOCET_HAVE_GUI OFF)
if(NOT AVOCET_GUI MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "AVOCET_GUI is '${AVOCET_GUI}'; it must be AUTO, ON or OFF.")
endif()
if(NOT AVOCET_GUI STREQUAL "OFF")
  find_package(Qt6 6.4 QUIET COMPONENTS Core Gui Widgets Svg)
  find_package(VTK 9.1 QUIET COMPONENTS CommonCore CommonDataModel CommonExecutionModel
               RenderingCore RenderingOpenGL2 RenderingVolume RenderingVolumeOpenGL2)
  if(Qt6_FOUND AND VTK_FOUND)
    set(AVOCET_HAVE_GUI ON)
    if(AVOCET_TESTS)
      find_package(Qt6 6.4 REQUIRED COMPONENTS Test)
      find_program(AVOCET_XVFB_RUN xvfb-run)
      if(NOT AVOCET_XVFB_RUN AND AVOCET_GUI STREQUAL "ON")
        message(FATAL_ERROR "AVOCET_GUI=ON, but xvfb-run, which the tests of the window need, was not "
                            "found. Install xvfb and xauth, or use AVOCET_TESTS=OFF.")
      endif()
    endif()
  elseif(AVOCET_GUI STREQUAL "ON")
    message(FATAL_ERROR "AVOCET_GUI=ON, but Qt 6 (found: ${Qt6_FOUND}) or VTK 9.1 (found: ${VTK_FOUND}) "
                        "is missing. Install qt6-base-dev, qt6-svg-dev and libvtk9-dev, or use "
                        "AVOCET_GUI=OFF.")
  endif()
endif()
