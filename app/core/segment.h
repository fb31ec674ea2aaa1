// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/core/device.h"
#include "app/core/expectation_checks.h"
#include "app/core/image_checks.h"
#include "app/core/output_plan.h"

namespace avocet::core {

struct SegmentOptions {
  std::vector<std::filesystem::path> inputs;  // files or folders, DICOM too: see ExpandInputs
  std::filesystem::path model;
  // A file for one input image, otherwise a folder. A name in .dcm gives a DICOM SEG of the image's
  // series.
  std::filesystem::path output;
  std::string format;  // ending of masks in a folder, "nrrd", "dcm"; "" = the input's, or nii.gz
  std::string series;  // of DICOM inputs: as in io::ChooseSeries
  bool regularise = false;            // of DICOM inputs: as in io::DicomReadOptions
  bool keep_patient = false;          // of DICOM SEG outputs: as in io::SegWriteOptions
  bool probabilities = false;         // also write NAME_prob_<label>.nii.gz (float32)
  std::string tta = "none";           // "none", "flip", "flip-rot"
  int batch = 8;                      // slices a batch, >= 1
  std::string precision = "float32";  // of matrix products; also "bfloat16", on a GPU "tf32"
  std::string wkv;                    // "" = what the model says
  bool force = false;                 // run although the image does not fit the model's card
  std::string how_to_force = "use --force if you know better";  // in the front end's own words
  KnownOfImage known;                                           // of all inputs
  DeviceRequest device;

  std::string Check() const;
  OutputNames Names() const;
};

struct SegmentCase {
  std::filesystem::path input;
  std::filesystem::path output;
  std::string error;  // "" on success
  double seconds = 0;
  std::vector<std::pair<std::string, double>>
      volumes_ml;  // per foreground label; empty where the size of a voxel is not known
  std::vector<ImplausibleVolume> implausible;  // those that the model's card doubts
};

struct SegmentResult {
  std::vector<SegmentCase> cases;
  int failed = 0;
};

}  // namespace avocet::core
