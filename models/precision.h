// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/DeviceType.h>

#include <string>

namespace avocet::models {

// What matrix products and convolutions round their factors to. Their sums, and everything else,
// are float32.
enum class Precision {
  kFloat32,
  kTf32,      // 10 bits of mantissa; on GPUs (sm_80 and up)
  kBFloat16,  // 7 bits of mantissa
};

// "float32", "tf32" or "bfloat16", for a device. Throws OptionError for other names and for tf32 on
// the CPU, DeviceError for bfloat16 on a processor without the hardware for it.
Precision PrecisionFromName(const std::string& name, c10::DeviceType device);

// LibTorch's own operations in a precision for as long as the object lives: autocast on devices of
// one type for this thread, and the process's switch for TF32. (float32 needs no scope:
// SelectDevice turns off the TF32 that LibTorch allows in convolutions unasked.)
class PrecisionScope {
 public:
  PrecisionScope(c10::DeviceType device, Precision precision);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  c10::DeviceType device_;
  Precision precision_;
  bool convolutions_ = false, products_ = false;  // TF32 before
};

}  // namespace avocet::models
