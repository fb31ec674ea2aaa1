// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "app/core/evaluate.h"

namespace avocet::core {

// Last part of a path, also of "folder/".
std::string NameOfPath(const std::filesystem::path& path);

// What `avocet evaluate` compares with what: two files, or those of two folders that have the same
// name ("_synthetic" at the end of a prediction's does not count), with what was left over. Masks:
// volumes, DICOM SEG and RTSTRUCT. Throws IoError, OptionError.
EvaluatedSet FindMaskPairs(const std::filesystem::path& prediction,
                           const std::filesystem::path& reference);

// The same of images: what ExpandInputs finds in either, chosen by options.series where it is
// DICOM. One image on either side are a pair whatever they are called, unless both are folders of
// files. Throws IoError, OptionError, Cancelled.
EvaluatedSet FindImagePairs(const EvaluateOptions& options, const std::filesystem::path& prediction,
                            Progress& progress);

}  // namespace avocet::core
