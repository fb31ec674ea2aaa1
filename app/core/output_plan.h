// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/core/inputs.h"

namespace avocet::core {

// What a job calls the files that it makes, one of each input.
struct OutputNames {
  std::filesystem::path output;  // --output: a file, or a folder
  std::string suffix;            // of names in a folder, before the ending: "_synthetic"
  std::string format;            // ending of names in a folder, "nrrd"; "" = the input's, or nii.gz
  bool dicom_seg = false;        // .dcm is an ending too: a DICOM SEG of the input's series
  bool only_folder = false;      // the output is a folder, also of one input

  // What is wrong with `format`, as option --format; "" when nothing is.
  std::string Check() const;
};

struct PlannedOutput {
  std::filesystem::path input;
  std::filesystem::path output;
  std::string error;  // "" or why there will be none
};

struct OutputPlan {
  bool to_folder = false;
  std::vector<PlannedOutput> files;  // in the order of the inputs
};

// True when the output can be but one file, so that the inputs must be one image.
bool NamesOneFile(const OutputNames& names);

// Which input (ExpandInputs of `given`) becomes which file. One image and an output that is not an
// existing folder give that file (a folder of one image only where the output has the ending of a
// file); everything else goes into the output folder as NAME + suffix. Nothing is read or created.
// Throws OptionError: an output that is one of the inputs or a DICOM image, two inputs with one
// output, an ending that cannot be written, a DICOM SEG of what is no DICOM series; IoError: a
// single input that is not there.
OutputPlan PlanOutputs(const OutputNames& names, const std::vector<std::filesystem::path>& given,
                       const std::vector<JobInput>& inputs);

// Throws IoError when the file or the folder cannot be written; the folder may still have to be
// made. Asked before minutes of computing, not after.
void CheckOutput(const OutputPlan& plan, const std::filesystem::path& output);

}  // namespace avocet::core
