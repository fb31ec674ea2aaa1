// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <string>

#include "app/base/field_table.h"
#include "models/architecture/fs_rwkv_layout.h"
#include "models/forward_options.h"
#include "models/parameters.h"

namespace avocet::models {

// Where FSO-Shift believes its tokens to lie (shared/spec/fs_rwkv.md 3.1).
enum class FsGeometry {
  kNative,    // on the image's own grid
  kOfficial,  // on a square of floor(sqrt(T)), as the official code has it
};
FsGeometry FsGeometryFromName(const std::string& name);  // "native", "official"
const char* NameOf(FsGeometry geometry);

struct FsRwkvConfig {
  FsRwkvSizes sizes;
  WkvMode wkv = WkvMode::kExact;
  FsGeometry geometry = FsGeometry::kNative;
};
inline auto FieldsOf(const FsRwkvConfig& c) {
  return std::make_tuple(Decides("sizes", c.sizes), Decides("wkv", c.wkv),
                         Decides("geometry", c.geometry));
}

// FS-RWKV (3T to 7T translation) as a function of named tensors: names and shapes are those of the
// official state dictionary, so that any checkpoint can be loaded, saved and compared by name. The
// Haar filters of the official modules are constants here.
class FsRwkv {
 public:
  // Parameters start as zeros; call Initialise or fill them from a file (LoadFsRwkv). Throws
  // ModelError for sizes that do not exist.
  explicit FsRwkv(const FsRwkvConfig& config);

  const FsRwkvConfig& config() const { return config_; }
  void set_wkv_mode(WkvMode mode) { config_.wkv = mode; }
  void set_geometry(FsGeometry geometry) { config_.geometry = geometry; }
  ParameterStore& parameters() { return parameters_; }
  const ParameterStore& parameters() const { return parameters_; }

  // Fills the parameters as the official code initialises them (section 2.5; a stage of one block
  // takes rho = 0).
  void Initialise(at::Generator& generator);

  // image: [B, 1, H, W], float32 or float64 like the parameters, intensities in [0, 1] as the model
  // was trained. Returns [B, 1, H, W] of the same type, not clamped.
  //
  // Native geometry: any H, W >= 1. Images whose sides are multiples of 8 run as they are; other
  // sides are extended at their end by reflection to the next multiple of 16, and cropped after.
  // Official geometry: H and W multiples of 8 and H * W a square, as the official code asks; throws
  // OptionError for others. When H = W the two are the same.
  //
  // float32 images on the CPU take fused kernels, other ones for inference than for training;
  // results differ from the plain path by rounding only, and without gradients do not depend on the
  // number of threads. Arithmetic is float32 under autocast too. Thread-safe in evaluation mode.
  at::Tensor Forward(const at::Tensor& image, const ForwardOptions& options = {}) const;

 private:
  FsRwkvConfig config_;
  ParameterStore parameters_;
};

}  // namespace avocet::models
