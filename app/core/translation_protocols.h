// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "app/core/evaluate.h"

namespace avocet::core {

// What `avocet evaluate --task translation` measures: fills protocols, regions and slice columns of
// `result`. Known protocols: "default" (which stands for "fs-rwkv" where the prediction is a
// picture or a folder of them), "fs-rwkv", "scikit-image", "monai", and
// "lpips", which options.lpips adds. Throws OptionError naming them.
void PrepareTranslationProtocols(const EvaluateOptions& options, EvaluateResult& result);

// The protocols above, "default" first.
const std::vector<std::string>& TranslationProtocolNames();

}  // namespace avocet::core
