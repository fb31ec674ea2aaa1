// SPDX-License-Identifier: Apache-2.0
// Free of LibTorch, so that the command line is checked before the engine is loaded.
#include <algorithm>

#include "app/core/train.h"

namespace avocet::core {
namespace {

bool OneOf(const std::string& value, std::initializer_list<const char*> known) {
  return std::any_of(known.begin(), known.end(), [&](const char* k) { return value == k; });
}

}  // namespace

std::string TrainRunOptions::Check() const {
  if (data.empty()) return "no data folder is given";
  if (output.empty()) return "no output folder is given; add -o FOLDER";
  if (epochs < 1) return "--epochs is " + FieldText(epochs) + "; it must be at least 1";
  if (batch < 1) return "--batch is " + FieldText(batch) + "; it must be at least 1";
  if (!(learning_rate > 0)) return "--lr is " + FieldText(learning_rate) + "; it must be positive";
  if (!(warmup_epochs >= 0))
    return "--warmup is " + FieldText(warmup_epochs) + "; it must be 0 or more";
  if (!(weight_decay >= 0))
    return "--weight-decay is " + FieldText(weight_decay) + "; it must be 0 or more";
  if (!(clip >= 0)) return "--clip is " + FieldText(clip) + "; it must be 0 (off) or more";
  if (!OneOf(plane, {"axial", "coronal", "sagittal"})) {
    return "--plane is '" + plane + "'; it must be axial, coronal or sagittal";
  }
  if (!(validation_fraction >= 0 && validation_fraction < 1)) {
    return "--validation-fraction is " + FieldText(validation_fraction) +
           "; it must be 0 to below 1";
  }
  if (validate_every < 1) {
    return "--validate-every is " + FieldText(validate_every) + "; it must be at least 1";
  }
  if (!(max_minutes >= 0)) return "--max-minutes must be 0 (no limit) or more";
  if (!(checkpoint_minutes > 0)) return "--checkpoint-minutes must be positive";
  if (!(ema >= 0 && ema < 1)) {
    return "--ema is " + FieldText(ema) + "; it must be 0 (off) to below 1";
  }
  return device.Check();
}

std::string TrainOptions::Check() const {
  if (!OneOf(variant, {"", "T", "S", "B"}))
    return "--variant is '" + variant + "'; it must be T, S or B";
  if (std::string wrong = TrainRunOptions::Check(); !wrong.empty()) return wrong;
  if (!(ce_weight >= 0 && ce_weight <= 1))
    return "--ce-weight is " + FieldText(ce_weight) + "; it must be 0 to 1";
  if (flips.find_first_not_of("rcs") != std::string::npos) {
    return "--flips is '" + flips +
           "'; it takes the letters r (rows), c (columns), s (slice order)";
  }
  // Only our own recipes have a geometry that can be mirrored.
  if (flips.find_first_of("rc") != std::string::npos &&
      !OneOf(augmentation, {"default", "default-strong"})) {
    return "--flips " + flips + " has no effect with --augmentation " + augmentation +
           "; mirroring rows or columns needs default or default-strong";
  }
  if (flips.find('s') != std::string::npos && context == 0) {
    return "--flips " + flips +
           " has no effect with --context 0: there is no order of slices to "
           "reverse; leave the letter s out, or use --context 1";
  }
  if (!(background_share >= 0 && background_share <= 1)) {
    return "--background-share is " + FieldText(background_share) + "; it must be 0 to 1";
  }
  if (!(pixel_mm >= 0))
    return "--pixel-mm is " + FieldText(pixel_mm) + "; it must be 0 (native) or more";
  if (context < 0 || context > 1)
    return "--context is " + FieldText(context) + "; it must be 0 or 1";
  if (!OneOf(intensity, {"none", "percentile", "zscore", "window"})) {
    return "--intensity is '" + intensity + "'; it must be none, percentile, zscore or window";
  }
  if (intensity == "window" && (window.size() != 2 || !(window[1] > window[0]))) {
    return "--intensity window needs --window LOWER UPPER, the first smaller than the second";
  }
  if (intensity != "window" && !window.empty()) {
    return "--window has no effect with --intensity " + intensity +
           "; leave it out, or use --intensity window";
  }
  if (!canvas.empty() && (canvas.size() != 2 || canvas[0] < 16 || canvas[1] < 16 ||
                          canvas[0] % 16 != 0 || canvas[1] % 16 != 0)) {
    return "--canvas must be two multiples of 16, ROWS COLUMNS";
  }
  if (drop_path >= 1) return "--drop-path is " + FieldText(drop_path) + "; it must be below 1";
  if (!OneOf(precision, {"float32", "bfloat16"})) {
    return "--precision is '" + precision + "'; it must be float32 or bfloat16";
  }
  return "";
}

}  // namespace avocet::core
