// SPDX-License-Identifier: Apache-2.0
#include "models/predict/predictor.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstring>

#include "app/base/error.h"

namespace avocet::models {
namespace {

constexpr int64_t kRows = 2;
constexpr int64_t kColumns = 3;

at::Tensor CheckedLogits(const LogitsFunction& network, const at::Tensor& image) {
  at::Tensor logits = network(image.contiguous());
  if (logits.dim() != 4 || logits.size(0) != image.size(0) || logits.size(2) != image.size(2) ||
      logits.size(3) != image.size(3)) {
    throw ModelError("the network returned a tensor that does not match its input of " +
                     std::to_string(image.size(2)) + " x " + std::to_string(image.size(3)) +
                     " pixels; the model file and its card do not fit together");
  }
  return logits.to(at::kFloat);
}

std::vector<float> StoredFloats(const at::Tensor& canonical, const SliceLayout& layout) {
  const at::Tensor stored = StoredFromCanonical(canonical, layout);
  const float* begin = stored.const_data_ptr<float>();
  return {begin, begin + stored.numel()};
}

}  // namespace

std::string PredictOptions::Check() const {
  if (batch < 1) return "--batch is " + std::to_string(batch) + "; it must be at least 1";
  if (tta != "none" && tta != "flip" && tta != "flip-rot") {
    return "--tta is '" + tta + "'; it must be none, flip or flip-rot";
  }
  return "";
}

at::Tensor AugmentedLogits(const LogitsFunction& network, const at::Tensor& image,
                           const std::string& tta) {
  at::Tensor sum = CheckedLogits(network, image);
  if (tta == "none") return sum;
  const bool turns = tta == "flip-rot";
  int passes = 1;
  for (const bool flip : {false, true}) {
    for (const bool turn : {false, true}) {
      if ((!flip && !turn) || (turn && !turns)) continue;
      at::Tensor input = flip ? image.flip(kColumns) : image;
      if (turn) input = at::rot90(input, 1, {kRows, kColumns});
      at::Tensor logits = CheckedLogits(network, input);
      if (turn) logits = at::rot90(logits, -1, {kRows, kColumns});
      if (flip) logits = logits.flip(kColumns);
      sum = sum + logits;
      ++passes;
    }
  }
  return sum / passes;
}

Prediction PredictVolume(const LogitsFunction& network, const ModelCard& card,
                         const VolumeView& volume, const PredictOptions& options,
                         const SliceProgress& progress) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  const at::NoGradGuard no_gradients;
  const SliceSource source(volume, card);
  const SliceLayout& layout = source.layout();
  const auto classes = static_cast<int64_t>(card.labels.size());
  at::Tensor class_map =
      at::empty({layout.size[0], layout.size[1], layout.size[2]},
                at::TensorOptions().dtype(classes <= 256 ? at::kByte : at::kInt));
  at::Tensor probabilities;
  if (options.probabilities) {
    probabilities =
        at::empty({classes, layout.size[0], layout.size[1], layout.size[2]}, at::kFloat);
  }

  for (int64_t first = 0; first < source.slices(); first += options.batch) {
    const int64_t count = std::min<int64_t>(options.batch, source.slices() - first);
    const at::Tensor logits = AugmentedLogits(network, source.Batch(first, count), options.tta);
    if (logits.size(1) != classes) {
      throw ModelError("the network has " + std::to_string(logits.size(1)) +
                       " classes, but the model's card names " + std::to_string(classes) +
                       "; convert the model again with the right labels");
    }
    class_map.narrow(0, first, count).copy_(source.Labels(logits));
    if (options.probabilities) {
      probabilities.narrow(1, first, count).copy_(source.Probabilities(logits).transpose(0, 1));
    }
    if (progress) progress(first + count, source.slices());
  }

  std::vector<uint16_t> value_of_class;
  for (const LabelInfo& label : card.labels) {
    value_of_class.push_back(static_cast<uint16_t>(label.value));
  }
  Prediction prediction;
  const at::Tensor stored = StoredFromCanonical(class_map, layout);
  prediction.labels.resize(stored.numel());
  const auto translate = [&](const auto* class_of_voxel) {
    std::transform(class_of_voxel, class_of_voxel + stored.numel(), prediction.labels.begin(),
                   [&](auto c) { return value_of_class[c]; });
  };
  if (classes <= 256) {
    translate(stored.const_data_ptr<uint8_t>());
  } else {
    translate(stored.const_data_ptr<int32_t>());
  }
  if (options.probabilities) {
    for (int64_t c = 0; c < classes; ++c) {
      prediction.probabilities.push_back(StoredFloats(probabilities[c], layout));
    }
  }
  return prediction;
}

}  // namespace avocet::models
