// SPDX-License-Identifier: Apache-2.0
#include "tests/app/random_model.h"

#include <cmath>
#include <cstring>
#include <random>

#include "models/architecture/rwkv_unet_layout.h"
#include "tests/support/test_support.h"

namespace avocet::test {
namespace {

bool EndsWith(const std::string& text, const std::string& ending) {
  return text.size() >= ending.size() &&
         text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

models::StoredTensor RandomTensor(const models::TensorSpec& spec, std::mt19937& random) {
  models::StoredTensor tensor;
  tensor.shape = spec.shape;
  if (EndsWith(spec.name, "num_batches_tracked")) {
    tensor.type = models::TensorType::kInt64;
    tensor.data.resize(sizeof(int64_t) * spec.Numel());
    return tensor;
  }
  std::vector<float> values(spec.Numel());
  double fan_in = 1;
  for (size_t d = 1; d < spec.shape.size(); ++d) fan_in *= spec.shape[d];
  std::normal_distribution<float> normal(0, static_cast<float>(1 / std::sqrt(fan_in)));
  const bool one = EndsWith(spec.name, "running_var") ||
                   (spec.shape.size() == 1 && EndsWith(spec.name, "weight"));
  const bool zero = EndsWith(spec.name, "running_mean") || EndsWith(spec.name, "bias");
  for (float& value : values) value = one ? 1 : zero ? 0 : normal(random);
  tensor.data.resize(values.size() * sizeof(float));
  std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
  return tensor;
}

}  // namespace

models::ModelCard ExampleCard() {
  models::ModelCard card;
  card.architecture = "rwkv-unet";
  card.variant = "T";
  card.task = "segmentation";
  card.name = "random test model";
  card.labels = {
      {0, "background", {0, 0, 0}}, {1, "front", {230, 159, 0}}, {2, "back", {0, 158, 115}}};
  card.plane = "sagittal";
  card.preprocessing.intensity = "percentile";
  card.licence = "Apache-2.0";
  return card;
}

models::TensorFile RandomModel(const models::ModelCard& card) {
  // With other seeds the three channels of the stem may all die on images, which are positive.
  std::mt19937 random(7);
  models::TensorFile file;
  for (const models::TensorSpec& spec : models::RwkvUnetTensors(
           card.variant, static_cast<int>(card.labels.size()), models::RwkvUnetLayout::kUsed)) {
    file.tensors.emplace_back(spec.name, RandomTensor(spec, random));
  }
  file.metadata["avocet"] = models::ToJson(card);
  return file;
}

std::filesystem::path WriteRandomModel(const models::ModelCard& card, const std::string& name) {
  const auto path = TemporaryFolder() / name;
  models::WriteSafetensors(RandomModel(card), path);
  return path;
}

}  // namespace avocet::test
