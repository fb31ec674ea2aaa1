// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "app/core/inputs.h"
#include "app/core/segment.h"

namespace avocet::core {

// True when the outputs go to a folder: the output is one, `options.inputs` are several images, or
// a folder is given and the output's name is not that of a mask.
bool WritesToFolder(const SegmentOptions& options, size_t images);

// True when --output can be but one mask, so that the inputs must be one image.
bool NamesOneMask(const SegmentOptions& options);

// Which input becomes which file. One input and an output that is not an existing folder give that
// file; everything else goes into the output folder under the input's own name (.nii.gz where the
// input's format is not written, or as options.format says). Nothing is read or created. Throws
// OptionError: output equals input, two inputs with one output, an ending that cannot be written,
// a DICOM SEG of what is no DICOM series.
std::vector<SegmentCase> PlanSegment(const SegmentOptions& options,
                                     const std::vector<JobInput>& inputs);

}  // namespace avocet::core
