// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "app/base/progress.h"
#include "app/core/device.h"

// Inside the engine only.
namespace avocet::core {

// Decides where a job computes and sets the number of CPU threads. Must run before anything else of
// LibTorch: convolution, random numbers and autograd latch a dummy for CUDA when it is not there at
// their first use, for the life of the process. The CUDA half of LibTorch is loaded here, and only
// when a GPU is asked for ("cuda", "cuda:N") or a driver is visible ("auto").
// "auto" falls back to the CPU; if a GPU is visible but cannot be used, `progress` is told why.
// Throws OptionError on a malformed request, DeviceError saying why "cuda" is not possible.
c10::Device SelectDevice(const DeviceRequest& request, Progress& progress);

// "CPU, 2 threads", "CUDA:0 (NVIDIA H100 80GB HBM3)": for manifests and reports.
std::string DescribeDevice(const c10::Device& device);

}  // namespace avocet::core
