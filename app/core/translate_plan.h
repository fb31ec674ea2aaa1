// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "app/core/translate.h"

namespace avocet::core {

// Which file becomes which. One input file and an output that is not an existing folder give
// exactly that file; everything else goes into the output folder as NAME_synthetic (.nii.gz where
// the input's format is not written). Nothing is read or created. Throws OptionError (output equals
// input, two inputs with one output, an ending that cannot be written) or IoError (a single input
// that is missing, a folder without images).
std::vector<TranslateCase> PlanTranslate(const TranslateOptions& options);

bool WritesToFolder(const TranslateOptions& options);

}  // namespace avocet::core
