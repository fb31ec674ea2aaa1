// SPDX-License-Identifier: Apache-2.0
// The part of Session that runs models, through the engine.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/core/engine.h"
#include "app/core/segment.h"
#include "app/core/translate.h"
#include "app/gui/job_files.h"
#include "app/gui/session.h"
#include "app/gui/window_words.h"
#include "io/format.h"
#include "io/volume_io.h"

namespace avocet::gui {
namespace fs = std::filesystem;
namespace {

constexpr const char* kHowToForce = "tick 'Run anyway' if you know better";

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

// As `avocet translate` names files in a folder.
std::string SyntheticName(const std::string& image) {
  const io::Format* format = io::FormatByName(image);
  const bool same = format != nullptr && format->CanWrite();
  return io::StemOf(image) + "_synthetic" + (same ? io::VolumeExtension(image) : ".nii.gz");
}

// A job that read a copy names the copy; its manifest shall name what the copy is of.
void NameInput(const fs::path& input, const fs::path& source, const std::string& image,
               Companions& companions) {
  if (input == source) return;
  for (auto& [ending, content] : companions) {
    auto json = nlohmann::ordered_json::parse(content, nullptr, false);
    if (ending != ".manifest.json" || !json.is_object()) continue;
    // Folders are often called by a patient's name.
    std::error_code ignored;
    json["input"]["file"] = fs::is_directory(source, ignored) ? "DICOM series" : image;
    json["input"]["note"] =
        "read from another format; the hash is that of its voxels and grid as a NIfTI file";
    content = json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }
}

}  // namespace

int Session::Segment(int id, const CatalogueModel& model, const RunOptions& run) {
  const ImageLayer* image = document.Image(id);
  if (image == nullptr) return 0;
  const auto volume = image->volume;
  const fs::path source = image->path;
  const std::string image_name = image->name;
  const fs::path folder = NewWorkFolder("segment");
  auto result = std::make_shared<std::unique_ptr<LabelLayer>>();
  auto summary = std::make_shared<std::vector<std::string>>();
  core::SegmentOptions options;
  options.model = model.path;
  options.device.text = run.device;
  options.force = run.force;
  options.how_to_force = kHowToForce;
  options.known = {volume->modality, volume->assumed};
  options.batch = BatchFor(model.card, volume->geometry);
  const auto labels = model.card.labels;
  return tasks.Start(
      "Segment " + image_name,
      [=](Progress& progress) mutable {
        const WorkFolder work(folder);
        options.inputs = {FileForJob(source, *volume, work.File("image.nii"), progress)};
        UpdateOrThrow(progress, Progress::kUnknown, "loading the compute engine");
        options.output = work.File("mask.nii");
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
        layer->companions = ReadCompanions(options.output);
        NameInput(options.inputs.front(), source, image_name, layer->companions);
        for (const auto& [name, ml] : segmented.cases.at(0).volumes_ml) {
          char line[160];
          const auto& doubted = segmented.cases.at(0).implausible;
          const bool implausible =
              std::any_of(doubted.begin(), doubted.end(),
                          [n = name](const auto& each) { return each.label == n; });
          std::snprintf(line, sizeof line, "%s: %.3f ml%s", name.c_str(), ml,
                        implausible ? " (implausible)" : "");
          summary->push_back(line);
        }
        *result = std::move(layer);
      },
      [this, result, summary, image_name](const TaskRunner::Outcome& outcome) {
        if (!outcome.error.empty()) {
          Tell(Message::Kind::kError, "Segment " + image_name, {WindowWords(outcome.error)});
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

int Session::Translate(int id, const CatalogueModel& model, const RunOptions& run) {
  const ImageLayer* image = document.Image(id);
  if (image == nullptr) return 0;
  const std::string name = image->name;
  const fs::path folder = NewWorkFolder("translate");
  auto result = std::make_shared<std::unique_ptr<ImageLayer>>();
  auto summary = std::make_shared<std::vector<std::string>>();
  core::TranslateOptions options;
  options.model = model.path;
  options.device.text = run.device;
  options.force = run.force;
  options.how_to_force = kHowToForce;
  options.known = {image->volume->modality, image->volume->assumed};
  options.head_only = run.head_only;
  return tasks.Start(
      "Translate " + name,
      [=, source = image->path, volume = image->volume, window = image->window,
       colour_map = image->colour_map](Progress& progress) mutable {
        const WorkFolder work(folder);
        options.inputs = {FileForJob(source, *volume, work.File("image.nii"), progress)};
        UpdateOrThrow(progress, Progress::kUnknown, "loading the compute engine");
        options.output = work.File("synthetic.nii");
        const core::TranslateResult translated = core::LoadEngine().translate(options, progress);
        io::Volume made = io::ReadVolume(options.output);
        if (made.type != io::VoxelType::kFloat32 || made.geometry.size != volume->geometry.size) {
          throw IoError("the translated volume is not on the grid of '" + name + "'");
        }
        // It lies on the image; its header is the image's own.
        io::Volume own = io::ZerosLike(*volume, io::VoxelType::kFloat32);
        own.data = std::move(made.data);
        own.modality = volume->modality;
        own.description = core::TranslateDescription();
        auto layer = ImageFromVolume(std::move(own), SyntheticName(name));
        layer->synthetic = true;
        layer->window = window;  // the units are the same: what is dark there is dark here
        layer->colour_map = colour_map;
        layer->companions = ReadCompanions(options.output);
        NameInput(options.inputs.front(), source, name, layer->companions);
        const core::TranslateCase& item = translated.cases.at(0);
        char line[160];
        std::snprintf(line, sizeof line, "%s slices, mean change %.2f %% of the intensity range",
                      item.plane.c_str(), 100 * item.mean_change);
        summary->push_back(line);
        std::snprintf(line, sizeof line,
                      "neighbouring slices differ by %.2f %% (input %.2f %%, the change itself "
                      "%.2f %%)",
                      100 * item.slice_difference_output, 100 * item.slice_difference_input,
                      100 * item.slice_difference_change);
        summary->push_back(line);
        *result = std::move(layer);
      },
      [this, name, result, summary](const TaskRunner::Outcome& outcome) {
        if (!outcome.error.empty()) {
          Tell(Message::Kind::kError, "Translate " + name, {WindowWords(outcome.error)});
        } else if (!outcome.cancelled && *result) {
          std::vector<std::string> warnings;
          for (const std::string& warning : outcome.warnings) {
            warnings.push_back(WindowWords(warning));
          }
          Tell(Message::Kind::kWarning, "Translate " + name, warnings);
          AddResult(std::move(*result));
          char seconds[48];
          std::snprintf(seconds, sizeof seconds, "took %.1f s", outcome.seconds);
          summary->push_back(seconds);
          Tell(Message::Kind::kReport, "Translate " + name, *summary);
        }
      });
}

}  // namespace avocet::gui
