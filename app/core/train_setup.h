// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>

#include "app/base/progress.h"
#include "app/core/train.h"
#include "models/checkpoint/tensor_file.h"
#include "models/model_card.h"

// What the trainings of both tasks do before they read any data.
namespace avocet::core {

// Refuses GPUs, schedules that do not exist, and an output folder that does not suit
// TrainRunOptions::resume.
void CheckRun(const TrainRunOptions& options, Progress& progress);

// The checkpoint to start from, as a file.
struct StartFile {
  std::filesystem::path path;
  std::string sha256;
  models::TensorFile file;
};
// Nothing when TrainRunOptions::init is "". Throws IoError when the file is not there.
std::optional<StartFile> ReadStart(const TrainRunOptions& options);

// Settings in which `start`, the card of the model that a training starts from, differs from its
// own: a sentence each.
std::vector<std::string> DifferencesOfStart(const models::ModelCard& start,
                                            const models::ModelCard& own);

// One sentence for the card's provenance.
std::string DescribeStart(const TrainStart& start);

}  // namespace avocet::core
