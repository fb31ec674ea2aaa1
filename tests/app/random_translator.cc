// SPDX-License-Identifier: Apache-2.0
#include "tests/app/random_translator.h"

#include <cmath>
#include <cstring>
#include <random>

#include "models/architecture/fs_rwkv_layout.h"
#include "tests/support/test_support.h"

namespace avocet::test {
namespace {

bool EndsWith(const std::string& text, const std::string& ending) {
  return text.size() >= ending.size() &&
         text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

models::StoredTensor RandomTensor(const models::TensorSpec& spec, double strength,
                                  std::mt19937& random) {
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
  const bool one = EndsWith(spec.name, "running_var") || EndsWith(spec.name, "gamma1") ||
                   EndsWith(spec.name, "gamma2") ||
                   (spec.shape.size() == 1 && EndsWith(spec.name, "weight"));
  const bool zero = EndsWith(spec.name, "running_mean") || EndsWith(spec.name, "bias");
  for (float& value : values) value = one ? 1 : zero ? 0 : normal(random);
  if (spec.name == "output.weight") {
    for (float& value : values) value *= static_cast<float>(strength);
  }
  tensor.data.resize(values.size() * sizeof(float));
  std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
  return tensor;
}

}  // namespace

models::ModelCard TranslatorCard() {
  models::ModelCard card;
  card.architecture = "fs-rwkv";
  card.task = "translation";
  card.name = "random test model";
  card.modality = "MR";
  card.plane = "sagittal";
  card.preprocessing.intensity = "percentile";
  card.preprocessing.lower = 0;
  card.preprocessing.upper = 99.5;
  card.licence = "Apache-2.0";
  return card;
}

models::TensorFile RandomTranslator(const models::ModelCard& card, double strength) {
  models::FsRwkvSizes sizes;
  sizes.dim = 8;
  sizes.blocks = {1, 1, 1, 1};
  sizes.refinement = 1;
  std::mt19937 random(11);
  models::TensorFile file;
  for (const models::TensorSpec& spec : models::FsRwkvTensors(sizes)) {
    if (spec.used) file.tensors.emplace_back(spec.name, RandomTensor(spec, strength, random));
  }
  file.metadata["avocet"] = models::ToJson(card);
  return file;
}

std::filesystem::path WriteRandomTranslator(const models::ModelCard& card, double strength,
                                            const std::string& name) {
  const auto path = TemporaryFolder() / name;
  models::WriteSafetensors(RandomTranslator(card, strength), path);
  return path;
}

}  // namespace avocet::test
