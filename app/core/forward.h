// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/core/device.h"

namespace avocet::core {

// Runs a network on a tensor file: `avocet forward`.
struct ForwardJobOptions {
  std::filesystem::path model;
  std::string architecture;           // "" = found from the tensors; "rwkv-unet-b", ..., "fs-rwkv"
  int classes = 0;                    // RWKV-UNet: 0 = from the file; otherwise must agree with it
  std::string geometry;               // FS-RWKV: "" = "native", or "official"
  std::filesystem::path input;        // safetensors, [N, C, H, W]
  std::string input_tensor;           // "" = the only (or first 4-D floating-point) tensor
  std::filesystem::path output;       // safetensors with one tensor, "output"
  std::string wkv;                    // "" = what the model says, else exact; "exact", "official"
  std::string dtype = "float32";      // "float32" or "float64"
  std::string precision = "float32";  // of RWKV-UNet's matrix products on the CPU; or "bfloat16"
  bool allow_missing = false;
  DeviceRequest device;

  std::string Check() const;
};

struct ForwardJobResult {
  std::vector<int64_t> input_shape;
  std::vector<int64_t> output_shape;
  double seconds = 0;
  std::string architecture;
  std::string wkv;
};

}  // namespace avocet::core
