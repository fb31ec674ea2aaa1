// SPDX-License-Identifier: Apache-2.0
// Models and segmentation, the part of Session that uses the engine.
#include <algorithm>
#include <cstdio>

#include "app/core/engine.h"
#include "app/core/machine.h"
#include "app/core/manifest.h"
#include "app/core/model_job.h"
#include "app/core/segment.h"
#include "app/core/shipped.h"
#include "app/gui/session.h"
#include "io/file_util.h"
#include "io/format.h"
#include "io/volume_io.h"

namespace avocet::gui {
namespace fs = std::filesystem;
namespace {

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

// Only files of their own can be handed to the job as they are.
bool IsPlainFile(const fs::path& path) {
  std::error_code ignored;
  return !path.empty() && fs::is_regular_file(path, ignored) && io::FormatByName(path) != nullptr;
}

// The job looks at the user's wish between batches: large slices go one by one.
int BatchFor(const models::ModelCard& card, const io::Geometry& g) {
  const models::Preprocessing& steps = card.preprocessing;
  double pixels = 0;
  for (int normal = 0; normal < 3; ++normal) {
    double area = 1;
    for (int a = 0; a < 3; ++a) {
      if (a == normal) continue;
      area *= static_cast<double>(g.size[a]) *
              (steps.resample == "spacing" ? g.spacing[a] / steps.pixel_mm : 1);
    }
    pixels = std::max(pixels, area);
  }
  if (steps.resample == "transunet") pixels = static_cast<double>(steps.size[0] * steps.size[1]);
  return static_cast<int>(std::clamp(8 * 96 * 96 / std::max(1.0, pixels), 1.0, 8.0));
}

std::string ReadIfThere(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) ? io::ReadTextFile(path) : "";
}

}  // namespace

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
        if (on_models) on_models();
      });
}

Session::Fit Session::FitOf(const CatalogueModel& model, const ImageLayer& image) {
  Fit fit;
  if (!model.problem.empty()) {
    fit.refusal = model.problem;
    return fit;
  }
  if (model.card.task != "segmentation") {
    fit.refusal = "its task is " + model.card.task + ", which this window does not run yet";
  } else if (image.volume->components != 1) {
    fit.refusal = "the image is a colour picture; the model needs one grey value a voxel";
  } else if (image.volume->frames != 1) {
    fit.refusal = "the image has several frames (4D)";
  }
  const bool ct = IsCt(*image.volume, image.statistics);
  const std::string modality = ct ? "CT" : image.volume->modality;
  if (!model.card.modality.empty() && !modality.empty() && model.card.modality != modality) {
    fit.warning = "made for " + model.card.modality + ", the image is " + modality;
  } else if (ct && model.card.modality == "MR") {
    fit.warning = "made for MR, the image looks like CT";
  }
  return fit;
}

std::string Session::MemoryForecast(const ImageLayer& image) {
  // As the job counts: the image as real values twice and the labels, and the file's own voxels.
  const double bytes =
      9.0 * image.volume->geometry.VoxelCount() + static_cast<double>(image.volume->data.size());
  // LibTorch, the network and one batch of slices.
  const double needed = bytes + 400e6;
  const auto free = static_cast<double>(core::AvailableMemoryBytes());
  char text[96];
  std::snprintf(text, sizeof text, "about %.1f GB of memory, %.1f GB are free%s", needed / 1e9,
                free / 1e9, free > 0 && needed > free ? ": too little" : "");
  return text;
}

int Session::Segment(int id, const CatalogueModel& model, const std::string& device, bool force) {
  const ImageLayer* image = document.Image(id);
  if (image == nullptr) return 0;
  const auto volume = image->volume;
  const fs::path source = image->path;
  const std::string image_name = image->name;
  const fs::path folder = journal_->folder() / ("segment-" + std::to_string(++results_));
  auto result = std::make_shared<std::unique_ptr<LabelLayer>>();
  auto summary = std::make_shared<std::vector<std::string>>();
  core::SegmentOptions options;
  options.model = model.path;
  options.device.text = device;
  options.force = force;
  options.batch = BatchFor(model.card, volume->geometry);
  const auto labels = model.card.labels;
  return tasks.Start(
      "Segment " + image_name,
      [=](Progress& progress) mutable {
        struct Cleaner {
          fs::path folder;
          ~Cleaner() {
            std::error_code error;
            fs::remove_all(folder, error);
          }
        } cleaner{folder};
        std::error_code ignored;
        fs::create_directories(folder, ignored);
        fs::path input = source;
        if (!IsPlainFile(source)) {
          UpdateOrThrow(progress, Progress::kUnknown, "preparing the image");
          input = folder / "image.nii";
          io::WriteVolume(*volume, input);
        }
        UpdateOrThrow(progress, Progress::kUnknown, "loading the compute engine");
        options.inputs = {input};
        options.output = folder / "mask.nii";
        const core::SegmentResult segmented = core::LoadEngine().segment(options, progress);
        auto layer = LabelsFromVolume(io::ReadVolume(options.output), io::StemOf(image_name));
        // The mask lies on the image; its header is the image's own.
        if (io::MaxCornerDistance(layer->geometry(), volume->geometry) < 1e-3) {
          layer->header = volume;
        }
        layer->name = io::StemOf(image_name) + " " + io::StemOf(options.model);
        for (const models::LabelInfo& label : labels) {
          if (label.value == 0) continue;
          LabelEntry& entry = layer->table[label.value];
          entry.name = label.name;
          entry.colour = label.colour;
        }
        for (const char* ending : {".manifest.json", ".labels.txt"}) {
          const std::string content = ReadIfThere(core::Beside(options.output, ending));
          if (!content.empty()) layer->companions.emplace_back(ending, content);
        }
        for (const auto& [name, ml] : segmented.cases.at(0).volumes_ml) {
          char line[160];
          std::snprintf(line, sizeof line, "%s: %.3f ml", name.c_str(), ml);
          summary->push_back(line);
        }
        *result = std::move(layer);
      },
      [this, result, summary, image_name](const TaskRunner::Outcome& outcome) {
        if (!outcome.error.empty()) {
          Tell(Message::Kind::kError, "Segment " + image_name, {outcome.error});
        } else if (!outcome.cancelled && *result) {
          if (!outcome.warnings.empty()) {
            Tell(Message::Kind::kWarning, "Segment " + image_name, outcome.warnings);
          }
          AddResult(std::move(*result));
          char seconds[48];
          std::snprintf(seconds, sizeof seconds, "took %.1f s", outcome.seconds);
          summary->push_back(seconds);
          Tell(Message::Kind::kReport, "Segment " + image_name, *summary);
        }
      });
}

}  // namespace avocet::gui
