// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "app/core/model_job.h"

namespace avocet::core {

// The first option given that describes the model card; "" when there is none. A file without a
// whole network gets no card, and would leave such an option without effect.
std::string CardOption(const ModelConvertOptions& options);

// "" when each option given shows in `card`, the card with the options applied; otherwise a
// sentence on the first that has no effect.
std::string OptionWithoutEffect(const ModelConvertOptions& options, const models::ModelCard& card);

}  // namespace avocet::core
