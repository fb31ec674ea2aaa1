// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "app/core/device.h"
#include "app/core/evaluate.h"
#include "app/core/segment.h"

namespace avocet::core {

// Segments the sample cases that ship, scores them against the experts' labels, draws a picture.
struct DemoOptions {
  std::filesystem::path output = "avocet-demo";  // folder: masks/, scores.csv, montage.png
  std::filesystem::path data;   // "" = the shipped hippocampus cases; holds images/ and labels/
  std::filesystem::path model;  // "" = the shipped hippocampus model
  DeviceRequest device;

  std::string Check() const;
};

struct DemoResult {
  std::string model_name;
  SegmentResult segmented;
  EvaluateResult scores;
  std::filesystem::path masks, table, picture;
  double seconds = 0;  // all of it, from start to files
};

// Throws IoError where data or model are missing, and what the jobs behind it throw.
DemoResult RunDemo(const DemoOptions& options, Progress& progress);

// Scores per case and label, their means, times and files, for people.
std::string DemoText(const DemoResult& result);

}  // namespace avocet::core
