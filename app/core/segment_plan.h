// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "app/core/segment.h"

namespace avocet::core {

// Which file becomes which: folders are expanded, outputs named. One input file and an output that
// is not an existing folder give that file; everything else goes into the output folder under the
// input's own name (.nii.gz where the input's format is not written). Nothing is read or created.
// Throws OptionError (output equals input, two inputs with one output, an ending that cannot be
// written) or IoError (a single input that is missing, a folder without images).
std::vector<SegmentCase> PlanSegment(const SegmentOptions& options);

// True when the outputs go to a folder: several inputs, or a folder among them.
bool WritesToFolder(const SegmentOptions& options);

}  // namespace avocet::core
