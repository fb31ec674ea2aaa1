// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "app/core/expectation_checks.h"
#include "models/model_card.h"

namespace avocet::core {

// What is written beside a result so that it can be traced and repeated. Holds file names and
// hashes, no folders (they often carry patient names) and nothing of the image's header.
struct Manifest {
  std::string job;  // "segment"
  std::filesystem::path input;
  std::string input_sha256;
  size_t input_files =
      1;  // more of a DICOM series: the hash is that of all, in order of the slices
  std::filesystem::path model;
  std::string model_sha256;
  std::string model_name;
  std::filesystem::path output;
  std::string output_sha256;
  std::vector<std::pair<std::string, std::string>> options;   // as given or by default
  std::vector<std::pair<std::string, std::string>> protocol;  // plane, preprocessing, wkv, ...
  std::string device;
  double seconds = 0;
  std::vector<std::pair<std::string, double>> volumes_ml;  // per foreground label
  std::vector<ImplausibleVolume> implausible;              // of those
  std::string overridden;  // "" or why the image was refused, had the user not insisted
  std::vector<std::pair<std::string, double>>
      figures;  // measured on the result, with units in names
  std::vector<std::string> warnings;
};

// JSON with the program's version and the time (UTC) added.
std::string ToJson(const Manifest& manifest);

// What a manifest says against its result.
struct ManifestDoubts {
  std::string overridden;                // as in Manifest
  std::vector<std::string> implausible;  // "liver: 2 ml, 600 to 3500 ml expected"

  bool Any() const { return !overridden.empty() || !implausible.empty(); }
};
ManifestDoubts DoubtsOf(const std::string& manifest_json);  // none of what is no manifest

// {"labels": [{"value", "name", "colour"}...]}: values found in a mask and what they mean.
std::string LabelsJson(const std::vector<models::LabelInfo>& labels);

// The label description file of ITK-SNAP (index, colour, opacity, visibility, mesh, quoted name).
std::string LabelsItkSnap(const std::vector<models::LabelInfo>& labels);

// "out/mask.nii.gz" + ".labels.json" -> "out/mask.labels.json".
std::filesystem::path Beside(const std::filesystem::path& volume, const std::string& ending);

}  // namespace avocet::core
