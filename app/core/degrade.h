// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "app/core/output_plan.h"
#include "models/preprocess/degrade.h"

namespace avocet::core {

// Simulates a weaker scanner on real volumes, for training pairs and for judging: `avocet degrade`.
struct DegradeJobOptions {
  std::vector<std::filesystem::path> inputs;  // files or folders, DICOM too: see ExpandInputs
  std::filesystem::path output;  // a file for one input image, otherwise a folder; names are kept
  std::string format;       // ending of outputs in a folder, "nrrd"; "" = the input's, or nii.gz
  std::string series;       // of DICOM inputs: as in io::ChooseSeries
  bool regularise = false;  // of DICOM inputs: as in io::DicomReadOptions
  preprocess::DegradeOptions degrade;  // the seed is combined with the input's name

  std::string Check() const;
  OutputNames Names() const;
};

struct DegradeCase {
  std::filesystem::path input;
  std::filesystem::path output;
  std::string error;  // "" on success
  std::array<int64_t, 3> matrix{0, 0, 0};
  double signal = 0, noise = 0;
};

struct DegradeResult {
  std::vector<DegradeCase> cases;
  int failed = 0;
};

// Writes float32 volumes in the input's geometry (that of the acquired matrix with
// Reconstruction::kAcquired) and a manifest beside each. One bad file of several does not stop the
// rest. Throws OptionError, IoError, Cancelled.
DegradeResult RunDegrade(const DegradeJobOptions& options, Progress& progress);

}  // namespace avocet::core
