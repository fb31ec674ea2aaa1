// SPDX-License-Identifier: Apache-2.0
#include "app/core/forward.h"

namespace avocet::core {

std::string ForwardJobOptions::Check() const {
  if (model.empty()) return "--model is missing; give a checkpoint (.pth) or a .safetensors file";
  if (input.empty())
    return "--input is missing; give a .safetensors file with a tensor [N, C, H, W]";
  if (output.empty()) return "--output is missing; give the name of the .safetensors file to write";
  std::error_code ignored;
  if (std::filesystem::equivalent(input, output, ignored) ||
      std::filesystem::equivalent(model, output, ignored)) {
    return "--output is '" + output.string() + "', which is also read; choose another name";
  }
  if (!architecture.empty() && architecture != "rwkv-unet-t" && architecture != "rwkv-unet-s" &&
      architecture != "rwkv-unet-b" && architecture != "fs-rwkv") {
    return "--architecture is '" + architecture +
           "'; it must be rwkv-unet-t, rwkv-unet-s, rwkv-unet-b or fs-rwkv";
  }
  if (classes < 0) {
    return "--classes is " + std::to_string(classes) +
           "; it must be 1 or more, or 0 (from the file)";
  }
  if (!geometry.empty() && geometry != "native" && geometry != "official") {
    return "--geometry is '" + geometry + "'; it must be native or official";
  }
  if (!wkv.empty() && wkv != "exact" && wkv != "official" && wkv != "official32" &&
      wkv != "official64") {
    return "--wkv is '" + wkv + "'; it must be exact, official, official32 or official64";
  }
  if (dtype != "float32" && dtype != "float64") {
    return "--dtype is '" + dtype + "'; it must be float32 or float64";
  }
  if (precision != "float32" && precision != "tf32" && precision != "bfloat16") {
    return "--precision is '" + precision + "'; it must be float32, tf32 or bfloat16";
  }
  if (precision != "float32" && dtype != "float32") {
    return "--precision " + precision + " is for tensors in float32; leave --dtype out";
  }
  return device.Check();
}

}  // namespace avocet::core
