// SPDX-License-Identifier: Apache-2.0
// Free of LibTorch, so that the command line is checked before the engine is loaded.
#include "app/core/train.h"

#include <algorithm>

namespace avocet::core {

std::string TrainOptions::Check() const {
  const auto number = [](double value) {
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    if (!text.empty() && text.back() == '.') text.pop_back();
    return text;
  };
  const auto one_of = [](const std::string& value, std::initializer_list<const char*> known) {
    return std::any_of(known.begin(), known.end(), [&](const char* k) { return value == k; });
  };
  if (data.empty()) return "no data folder is given";
  if (output.empty()) return "no output folder is given; add -o FOLDER";
  if (!one_of(variant, {"T", "S", "B"}))
    return "--variant is '" + variant + "'; it must be T, S or B";
  if (epochs < 1) return "--epochs is " + std::to_string(epochs) + "; it must be at least 1";
  if (batch < 1) return "--batch is " + std::to_string(batch) + "; it must be at least 1";
  if (!(learning_rate > 0)) return "--lr is " + number(learning_rate) + "; it must be positive";
  if (!(warmup_epochs >= 0))
    return "--warmup is " + number(warmup_epochs) + "; it must be 0 or more";
  if (!(weight_decay >= 0))
    return "--weight-decay is " + number(weight_decay) + "; it must be 0 or more";
  if (!(clip >= 0)) return "--clip is " + number(clip) + "; it must be 0 (off) or more";
  if (!(ce_weight >= 0 && ce_weight <= 1))
    return "--ce-weight is " + number(ce_weight) + "; it must be 0 to 1";
  if (flips.find_first_not_of("rcs") != std::string::npos) {
    return "--flips is '" + flips +
           "'; it takes the letters r (rows), c (columns), s (slice order)";
  }
  if (!(background_share >= 0 && background_share <= 1)) {
    return "--background-share is " + number(background_share) + "; it must be 0 to 1";
  }
  if (!one_of(plane, {"axial", "coronal", "sagittal"})) {
    return "--plane is '" + plane + "'; it must be axial, coronal or sagittal";
  }
  if (!(pixel_mm >= 0))
    return "--pixel-mm is " + number(pixel_mm) + "; it must be 0 (native) or more";
  if (context < 0 || context > 1)
    return "--context is " + std::to_string(context) + "; it must be 0 or 1";
  if (!one_of(intensity, {"none", "percentile", "zscore", "window"})) {
    return "--intensity is '" + intensity + "'; it must be none, percentile, zscore or window";
  }
  if (intensity == "window" && (window.size() != 2 || !(window[1] > window[0]))) {
    return "--intensity window needs --window LOWER UPPER, the first smaller than the second";
  }
  if (!canvas.empty() && (canvas.size() != 2 || canvas[0] < 16 || canvas[1] < 16 ||
                          canvas[0] % 16 != 0 || canvas[1] % 16 != 0)) {
    return "--canvas must be two multiples of 16, ROWS COLUMNS";
  }
  if (drop_path >= 1) return "--drop-path is " + number(drop_path) + "; it must be below 1";
  if (!(validation_fraction >= 0 && validation_fraction < 1)) {
    return "--validation-fraction is " + number(validation_fraction) + "; it must be 0 to below 1";
  }
  if (validate_every < 1) {
    return "--validate-every is " + std::to_string(validate_every) + "; it must be at least 1";
  }
  if (!(max_minutes >= 0)) return "--max-minutes must be 0 (no limit) or more";
  if (!(checkpoint_minutes > 0)) return "--checkpoint-minutes must be positive";
  if (!one_of(precision, {"float32", "bfloat16"})) {
    return "--precision is '" + precision + "'; it must be float32 or bfloat16";
  }
  if (!(ema >= 0 && ema < 1)) return "--ema is " + number(ema) + "; it must be 0 (off) to below 1";
  return device.Check();
}

}  // namespace avocet::core
