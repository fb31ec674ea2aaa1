// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/model_card.h"
#include "models/predict/slicing.h"

namespace avocet::models {

// A network in evaluation mode: float32 [N, C, H, W] on the CPU -> logits [N, classes, H, W] of any
// floating type on any device. Moving to the device is the callback's business.
using LogitsFunction = std::function<at::Tensor(const at::Tensor& image)>;

struct PredictOptions {
  int batch = 8;  // slices a batch, >= 1
  // Test-time augmentation; logits of the passes are averaged before softmax and argmax.
  // "none"; "flip": the slice and its mirror image along columns (2 passes); "flip-rot": both, as
  // they are and turned by a quarter (4 passes; the turn follows the flip and is undone first).
  std::string tta = "none";
  bool probabilities = false;

  std::string Check() const;  // "" or what is wrong
};

struct Prediction {
  // Label values (ModelCard::labels[class].value) in the volume's own index order.
  std::vector<uint16_t> labels;
  // Softmax probabilities per class, each in the volume's index order; empty unless asked for.
  std::vector<std::vector<float>> probabilities;
};

// Receives (slices done, slices in all) after each batch; may throw to cancel.
using SliceProgress = std::function<void(int64_t done, int64_t total)>;

// Segments a volume slice by slice as `card` says. Memory: the label map, one batch of slices and
// its logits, and the probabilities if asked for. The result does not depend on the axis order of
// the volume, except under the "transunet" resampling, which takes the array as stored.
// Throws ModelError when the card and the network do not fit, OptionError on wrong options.
Prediction PredictVolume(const LogitsFunction& network, const ModelCard& card,
                         const VolumeView& volume, const PredictOptions& options,
                         const SliceProgress& progress);

// Mean logits of a batch of slices under a test-time augmentation, float32.
at::Tensor AugmentedLogits(const LogitsFunction& network, const at::Tensor& image,
                           const std::string& tta);

}  // namespace avocet::models
