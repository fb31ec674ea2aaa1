// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "app/core/evaluate.h"

// Image against image: the part of `avocet evaluate` that scores translated volumes and pictures.
namespace avocet::core {

// PrepareTranslationProtocols; throws OptionError also when the pattern of subjects is no regular
// expression.
void PrepareTranslation(const EvaluateOptions& options, EvaluateResult& result);

// Scores one case (see LoadImages): regions "image" and, when a mask is given, "mask". Throws
// IoError, OptionError, Cancelled.
void ScoreTranslation(const EvaluateOptions& options,
                      const std::vector<metrics::Protocol>& protocols, EvaluatedCase& item,
                      Progress& progress);

// Subjects, and all slices together.
void SummariseTranslation(const EvaluateResult& result, EvaluatedSet& set);

}  // namespace avocet::core
