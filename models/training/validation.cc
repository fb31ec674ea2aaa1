// SPDX-License-Identifier: Apache-2.0
#include "models/training/validation.h"

#include <map>

#include "app/base/error.h"

namespace avocet::models {

std::vector<double> DicePerClass(const std::vector<uint8_t>& predicted,
                                 const std::vector<uint8_t>& reference, int64_t classes) {
  if (predicted.size() != reference.size()) {
    throw ModelError("a prediction of " + std::to_string(predicted.size()) +
                     " voxels cannot be compared with a reference of " +
                     std::to_string(reference.size()));
  }
  std::vector<int64_t> both(classes), either(classes);
  for (size_t i = 0; i < predicted.size(); ++i) {
    ++either[predicted[i]];
    ++either[reference[i]];
    if (predicted[i] == reference[i]) ++both[predicted[i]];
  }
  std::vector<double> dice;
  for (int64_t c = 1; c < classes; ++c) {
    dice.push_back(either[c] == 0 ? 1.0 : 2.0 * both[c] / either[c]);
  }
  return dice;
}

ValidationScore Validate(const LogitsFunction& network, const ModelCard& card,
                         const std::vector<TrainingCase>& cases, int64_t batch,
                         const std::function<void()>& poll) {
  std::map<uint16_t, uint8_t> class_of_value;
  for (size_t c = 0; c < card.labels.size(); ++c) {
    class_of_value[static_cast<uint16_t>(card.labels[c].value)] = static_cast<uint8_t>(c);
  }
  const int64_t classes = static_cast<int64_t>(card.labels.size());
  PredictOptions options;
  options.batch = static_cast<int>(batch);
  ValidationScore score;
  score.class_mean.assign(classes - 1, 0);
  for (const TrainingCase& one : cases) {
    const Prediction prediction = PredictVolume(network, one.CardFor(card), one.View(), options,
                                                [&](int64_t, int64_t) { poll(); });
    std::vector<uint8_t> predicted(prediction.labels.size());
    for (size_t i = 0; i < predicted.size(); ++i) {
      predicted[i] = class_of_value.at(prediction.labels[i]);
    }
    score.cases.push_back(one.name);
    score.dice.push_back(DicePerClass(predicted, one.classes, classes));
    for (int64_t c = 0; c + 1 < classes; ++c) {
      score.class_mean[c] += score.dice.back()[c] / static_cast<double>(cases.size());
    }
  }
  for (const double value : score.class_mean)
    score.mean += value / static_cast<double>(classes - 1);
  return score;
}

}  // namespace avocet::models
