// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/model_card.h"
#include "models/predict/predictor.h"
#include "models/predict/slicing.h"

namespace avocet::models {

// A network in evaluation mode: float32 [N, 1, H, W] on the CPU, scaled as it was trained, any H
// and W
// -> the translated images, the same shape, of any floating type on any device. Padding to sizes
// the network can take, and moving to its device, are the function's business.
using ImageFunction = std::function<at::Tensor(const at::Tensor& image)>;

struct TranslateVolumeOptions {
  int batch = 1;                // slices a batch, >= 1
  std::string plane = "axial";  // "axial", "coronal", "sagittal"
  Preprocessing preprocessing;  // intensity and its bounds; slices keep their pixels
  const uint8_t* head =
      nullptr;  // not 0 = translated; elsewhere the input is kept; null = everywhere
};

// How alike neighbouring slices are; a network that sees one slice at a time can make them flicker.
// Means of |v(s + 1) - v(s)| over all pixels of all pairs of neighbouring slices, as shares of the
// intensity range (upper - lower bound of the scale). 0 for a single slice.
struct SliceConsistency {
  double input = 0;
  double output = 0;
  double change = 0;  // of output - input: what the network added differently to neighbours
};

struct Translation {
  std::vector<float> values;  // in the volume's own index order and units
  IntensityScale scale;
  int64_t slices = 0;
  // Passed through, for there is nothing in them: all pixels equal, or none above 0.08 of the
  // range.
  int64_t empty_slices = 0;
  SliceConsistency consistency;
  double mean_change = 0;  // mean |output - input| as a share of the intensity range
};

// Translates a volume slice by slice: scaled by one scale for the whole volume, run through the
// network, and brought back to the input's units,
//   output = x + (network(s) - s) / factor,   s = (clip(x) - offset) * factor,
// so that what clipping removed from the brightest voxels is kept, and a network that changes
// nothing gives back the input bit for bit. Values that are not finite count as the lower bound.
// Memory: input and output volume and one batch. Throws ModelError when the network returns another
// shape or values that are not finite, OptionError on wrong options.
Translation TranslateVolume(const ImageFunction& network, const VolumeView& volume,
                            const TranslateVolumeOptions& options, const SliceProgress& progress);

}  // namespace avocet::models
