// SPDX-License-Identifier: Apache-2.0
// The part of Session that knows models: which there are, which suit an image, what they need.
#include <algorithm>
#include <cstdio>

#include "app/core/machine.h"
#include "app/core/model_job.h"
#include "app/core/shipped.h"
#include "app/gui/session.h"
#include "app/gui/window_words.h"
#include "io/format.h"

namespace avocet::gui {
namespace fs = std::filesystem;
namespace {

// Looking closer takes a copy of the image as real values, for translation a few; larger images are
// looked at by the job itself.
constexpr int64_t kLookedAtVoxels = 100 << 20;
constexpr int64_t kLookedAtVoxelsToTranslate = 12 << 20;

CatalogueModel Inspect(const fs::path& path) {
  CatalogueModel model;
  model.path = path;
  try {
    const core::ModelInfo info = core::DescribeModel(path);
    model.card = info.card;
    model.problem = info.problem;
    if (model.problem.empty() && info.card.empty()) {
      model.problem = "the file does not say what its labels are (no model card)";
    }
  } catch (const Error& error) {
    model.problem = error.what();
  }
  return model;
}

}  // namespace

std::string CatalogueModel::Name() const {
  return card.name.empty() ? path.stem().string() : card.name;
}

void Session::FindModels() {
  auto found = std::make_shared<std::vector<CatalogueModel>>();
  tasks.Start(
      "Find models",
      [found](Progress& progress) {
        for (const fs::path& folder : core::ModelFolders()) {
          std::error_code error;
          std::vector<fs::path> files;
          for (const auto& entry : fs::directory_iterator(folder, error)) {
            if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
          }
          std::sort(files.begin(), files.end());
          for (const fs::path& file : files) {
            UpdateOrThrow(progress, Progress::kUnknown, file.filename().string());
            found->push_back(Inspect(file));
          }
        }
      },
      [this, found](const TaskRunner::Outcome& outcome) {
        if (outcome.cancelled) return;
        catalogue_ = std::move(*found);
        models_known_ = true;
        LookCloser();
        if (on_models) on_models();
      },
      /*quiet=*/true);
}

void Session::AddModel(const fs::path& path) {
  auto found = std::make_shared<CatalogueModel>();
  tasks.Start(
      "Look at " + path.filename().string(), [found, path](Progress&) { *found = Inspect(path); },
      [this, found](const TaskRunner::Outcome& outcome) {
        if (outcome.cancelled) return;
        catalogue_.erase(std::remove_if(catalogue_.begin(), catalogue_.end(),
                                        [&](const auto& m) { return m.path == found->path; }),
                         catalogue_.end());
        catalogue_.push_back(std::move(*found));
        LookCloser();
        if (on_models) on_models();
      });
}

namespace {

// What can be said at once.
Session::Fit FitAtOnce(const CatalogueModel& model, const ImageLayer& image) {
  Session::Fit fit;
  const std::string& task = model.card.task;
  if (!model.problem.empty()) {
    fit.refusal = model.problem;
  } else if (task != "segmentation" && task != "translation") {
    fit.refusal = "its task is '" + task + "', which this window does not run";
  } else if (image.volume->components != 1) {
    fit.refusal = "the image is a colour picture; the model needs one grey value a voxel";
  } else if (image.volume->frames != 1) {
    fit.refusal = "the image has several frames (4D)";
  }
  if (!fit.refusal.empty()) return fit;
  const bool ct = IsCt(*image.volume, image.statistics);
  const std::string modality = ct ? "CT" : image.volume->modality;
  std::string wanted = model.card.modality;
  if (wanted.empty() && model.Translates()) wanted = "MR";
  if (!wanted.empty() && wanted != "OT" && !modality.empty() && modality != "OT" &&
      wanted != modality) {
    fit.objection = "it was made for " + wanted + ", and the image " +
                    (image.volume->modality == modality ? "is " : "looks like ") + modality;
  } else if (image.volume->assumed.in_plane_size || image.volume->assumed.slice_distance) {
    fit.warning = "the image does not say how large its voxels are";
  } else if (image.AssumesOrientation()) {
    fit.warning = "the image does not say how the patient lies";
  } else if (image.synthetic) {
    fit.warning = "the image is itself synthetic";
  }
  return fit;
}

bool WantsCloserLook(const CatalogueModel& model, const ImageLayer& image) {
  const int64_t most = model.Translates() ? kLookedAtVoxelsToTranslate : kLookedAtVoxels;
  if (image.volume->geometry.VoxelCount() > most) return false;
  const Session::Fit fit = FitAtOnce(model, image);
  return fit.refusal.empty() && fit.objection.empty();
}

}  // namespace

Session::Fit Session::FitOf(const CatalogueModel& model, const ImageLayer& image) const {
  Fit fit = FitAtOnce(model, image);
  const std::pair<int, std::string> key(image.id, model.path.string());
  fit.looking = looking_.count(key) != 0;
  const auto found = checks_.find(key);
  fit.unseen = found == checks_.end() && fit.refusal.empty() && fit.objection.empty();
  if (!fit.refusal.empty() || found == checks_.end()) return fit;
  if (!found->second.refusal.empty()) fit.objection = found->second.refusal;
  for (const std::string& warning : found->second.warnings) {
    fit.warning += (fit.warning.empty() ? "" : "; ") + WindowWords(warning);
  }
  return fit;
}

// Looks at the active image's values for the models that ask for it.
void Session::LookCloser() {
  const ImageLayer* image = document.ActiveImage();
  if (image == nullptr) return;
  std::vector<std::pair<std::string, models::ModelCard>> wanted;
  for (const CatalogueModel& model : catalogue_) {
    const std::pair<int, std::string> key(image->id, model.path.string());
    if (checks_.count(key) || looking_.count(key) || !WantsCloserLook(model, *image)) continue;
    looking_.insert(key);
    wanted.emplace_back(key.second, model.card);
  }
  if (wanted.empty()) return;
  const int id = image->id;
  auto found = std::make_shared<std::map<std::string, core::ImageCheck>>();
  tasks.Start(
      "Look at " + image->name,
      [volume = image->volume, wanted, found](Progress& progress) {
        const std::vector<float> values = volume->ToFloat();
        for (const auto& [path, card] : wanted) {
          UpdateOrThrow(progress, Progress::kUnknown, card.name);
          (*found)[path] = core::CheckImage(*volume, values, card);
        }
      },
      [this, id, wanted, found](const TaskRunner::Outcome& outcome) {
        for (const auto& [path, card] : wanted) looking_.erase({id, path});
        if (outcome.error.empty() && !outcome.cancelled) {
          for (auto& [path, check] : *found) checks_[{id, path}] = std::move(check);
        }
        if (on_fits) on_fits();
      },
      /*quiet=*/true);
}

std::string Session::MemoryForecast(const CatalogueModel& model, const ImageLayer& image) {
  const io::Geometry& g = image.volume->geometry;
  const auto voxels = static_cast<double>(g.VoxelCount());
  double needed = 0;
  if (model.Translates()) {
    // As the job counts, the result, and the activations of one slice of the network (measured:
    // 131 bytes a pixel and channel).
    int channels = 48;
    std::sscanf(model.card.variant.c_str(), "dim%d", &channels);
    const auto longest = *std::max_element(g.size.begin(), g.size.end());
    const auto shortest = *std::min_element(g.size.begin(), g.size.end());
    const double pixels = voxels / static_cast<double>(std::max<int64_t>(1, shortest));
    needed = (17.0 + 4.0) * voxels + 131.0 * channels * std::max(pixels, 1.0 * longest) + 200e6;
  } else {
    // As the job counts: the image as real values twice and the labels; LibTorch, the network and
    // one batch of slices.
    needed = 9.0 * voxels + 400e6;
  }
  needed += static_cast<double>(image.volume->data.size());  // the job reads the file anew
  const auto free = static_cast<double>(core::AvailableMemoryBytes());
  char text[96];
  std::snprintf(text, sizeof text, "about %.1f GB of memory, %.1f GB are free%s", needed / 1e9,
                free / 1e9, free > 0 && needed > free ? ": too little" : "");
  return text;
}

}  // namespace avocet::gui
