// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "app/core/device.h"
#include "app/core/image_checks.h"
#include "app/core/output_plan.h"

namespace avocet::core {

// Turns MR volumes of one kind into another (3T to 7T-like): `avocet translate`.
struct TranslateOptions {
  std::vector<std::filesystem::path> inputs;  // files or folders, DICOM too: see ExpandInputs
  std::filesystem::path model;
  std::filesystem::path output;  // a file for one input image, otherwise a folder
  std::string format;       // ending of outputs in a folder, "nrrd"; "" = the input's, or nii.gz
  std::string series;       // of DICOM inputs: as in io::ChooseSeries
  bool regularise = false;  // of DICOM inputs: as in io::DicomReadOptions
  // "auto": the plane of acquisition where voxels are not isotropic, else the model's.
  std::string plane = "auto";
  int batch = 0;            // slices computed at once; 0 = 1 on a CPU, 8 on a GPU
  std::string wkv;          // "" = what the model says
  bool head_only = false;   // outside of the head the input is kept
  bool plain_name = false;  // files in a folder keep their names, without "_synthetic"
  bool picture = false;     // also write NAME.png: middle slices of input, output, difference
  bool force = false;       // run although the image does not fit the model's card
  std::string how_to_force = "use --force if you know better";  // in the front end's own words
  KnownOfImage known;                                           // of all inputs
  DeviceRequest device;

  std::string Check() const;
  OutputNames Names() const;
};

struct TranslateCase {
  std::filesystem::path input;
  std::filesystem::path output;
  std::string error;  // "" on success
  double seconds = 0;
  std::string plane;
  // What TranslateVolume measured, shares of the intensity range.
  double mean_change = 0;
  double slice_difference_input = 0;
  double slice_difference_output = 0;
  double slice_difference_change = 0;
};

struct TranslateResult {
  std::vector<TranslateCase> cases;
  int failed = 0;
};

// What every run says once.
extern const char* const kTranslateNotice;

// What the header of a translated volume says: that it is synthetic, and what made it.
std::string TranslateDescription();

}  // namespace avocet::core
