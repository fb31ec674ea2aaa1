// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "app/core/evaluate.h"

// Image against image: the part of `avocet evaluate` that scores translated volumes and pictures.
namespace avocet::core {

// Protocols, regions and slice columns. Known protocols: "default" (which stands for "fs-rwkv"
// where the prediction is a picture or a folder of them), "fs-rwkv", "scikit-image", "monai".
// Throws OptionError naming them, or when the pattern of subjects is no regular expression.
void PrepareTranslation(const EvaluateOptions& options, EvaluateResult& result);

// The protocols above, "default" first.
const std::vector<std::string>& TranslationProtocolNames();

// Scores one case: regions "image" and, when a mask is given, "mask". Volumes must lie on the same
// grid; pictures must have the same size (after the published pipeline's resize). Throws IoError.
void ScoreTranslation(const EvaluateOptions& options,
                      const std::vector<metrics::Protocol>& protocols, EvaluatedCase& item);

// Subjects, and all slices together.
void SummariseTranslation(const EvaluateResult& result, EvaluatedSet& set);

}  // namespace avocet::core
