// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

namespace avocet::models {

// Which arithmetic of the Bi-WKV operator a network runs (shared/spec/wkv.md 1.3): the definition,
// or what the official CUDA kernel computes with 32 or 64 token chunks.
enum class WkvMode : int { kExact = 0, kOfficial32 = 32, kOfficial64 = 64 };
// "exact", "official32", "official64", and "official" = the one that the network's official code
// has: 32 for RWKV-UNet, 64 for FS-RWKV.
WkvMode WkvModeFromName(const std::string& name, WkvMode official = WkvMode::kOfficial32);
const char* NameOf(WkvMode mode);

// Receives intermediate results by name ("encoder.stage3.1", "ccm.channel", "decoder2", ...).
using ActivationHook = std::function<void(const std::string& name, const at::Tensor& value)>;

// How a network runs.
struct ForwardOptions {
  bool training = false;               // batch statistics, running-average update, drop-path
  at::Generator* generator = nullptr;  // for drop-path; without one, drop-path is off
  const ActivationHook* hook = nullptr;
};

}  // namespace avocet::models
