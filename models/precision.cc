// SPDX-License-Identifier: Apache-2.0
#include "models/precision.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

#include "app/base/error.h"
#include "kernels/linear_cpu.h"

namespace avocet::models {

Precision PrecisionFromName(const std::string& name, c10::DeviceType device) {
  if (name == "float32") return Precision::kFloat32;
  if (name == "tf32") {
    if (device == c10::DeviceType::CPU) {
      throw OptionError("--precision tf32 is for GPUs; use float32, or bfloat16 on a CPU with AMX");
    }
    return Precision::kTf32;
  }
  if (name != "bfloat16") {
    throw OptionError("--precision is '" + name + "'; it must be float32, tf32 or bfloat16");
  }
  if (device == c10::DeviceType::CPU && !kernels::HasFastBFloat16()) {
    throw DeviceError(
        "--precision bfloat16 needs a processor that multiplies bfloat16 matrices (AMX, Intel Xeon "
        "of 2023 or later), which this one does not; use float32");
  }
  return Precision::kBFloat16;
}

PrecisionScope::PrecisionScope(c10::DeviceType device, Precision precision)
    : device_(device), precision_(precision) {
  if (precision_ == Precision::kBFloat16) {
    at::autocast::set_autocast_enabled(device_, true);
    at::autocast::set_autocast_dtype(device_, at::kBFloat16);
    at::autocast::increment_nesting();
  } else if (precision_ == Precision::kTf32) {
    convolutions_ = at::globalContext().allowTF32CuDNN();
    products_ = at::globalContext().allowTF32CuBLAS();
    at::globalContext().setAllowTF32CuDNN(true);
    at::globalContext().setAllowTF32CuBLAS(true);
  }
}

PrecisionScope::~PrecisionScope() {
  if (precision_ == Precision::kBFloat16) {
    // The cache holds converted weights, which are stale after an optimiser's step.
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, false);
  } else if (precision_ == Precision::kTf32) {
    at::globalContext().setAllowTF32CuDNN(convolutions_);
    at::globalContext().setAllowTF32CuBLAS(products_);
  }
}

}  // namespace avocet::models
