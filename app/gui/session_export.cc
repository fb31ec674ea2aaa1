// SPDX-License-Identifier: Apache-2.0
// The part of Session that writes label maps for other programs: surfaces, DICOM.
#include <algorithm>

#include "app/core/export.h"
#include "app/core/manifest.h"
#include "app/gui/job_files.h"
#include "app/gui/origin.h"
#include "app/gui/session.h"
#include "app/gui/window_words.h"
#include "io/dicom.h"
#include "io/dicom_seg.h"
#include "io/rtstruct.h"
#include "io/surface.h"

namespace avocet::gui {
namespace fs = std::filesystem;
namespace {

// Segment Algorithm Name holds 64 characters (VR LO); a name too long loses its end, not the word
// that it was edited.
std::string AlgorithmName(const Origin& origin) {
  constexpr size_t kLongest = 64;
  const std::string edited = origin.edited ? ", edited by hand" : "";
  std::string name = "Avocet";
  if (!origin.model.empty()) name += " " + origin.model;
  if (name.size() + edited.size() > kLongest) {
    size_t end = kLongest - edited.size();
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;  // UTF-8
    name.resize(end);
  }
  return name + edited;
}

// What may be replaced: nothing but an object of the kind that is written.
bool MayWrite(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return true;
  try {
    return io::IsDicomSeg(path) || io::IsRtStruct(path);
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void Session::ExportSurfaces(int id, const fs::path& path) {
  const LabelLayer* layer = document.Labels(id);
  if (layer == nullptr) return;
  auto copy = std::make_shared<LabelLayer>(*layer);
  tasks.Start(
      "Export " + path.filename().string(),
      [copy, path](Progress& progress) {
        io::Volume volume = io::Volume::Zeros(copy->geometry(), io::VoxelType::kUInt16);
        std::copy(copy->labels->begin(), copy->labels->end(), volume.As<uint16_t>());
        std::vector<io::Surface> surfaces;
        for (const auto& [value, entry] : copy->table) {
          if (!entry.visible || entry.voxels == 0) continue;
          UpdateOrThrow(progress, static_cast<double>(surfaces.size()) / copy->table.size(),
                        entry.name);
          surfaces.push_back(io::SurfaceOfLabel(volume, value));
          surfaces.back().name = entry.name;
          surfaces.back().rgb = entry.colour;
        }
        io::WriteSurfaces(surfaces, path);
      },
      [this, path](const TaskRunner::Outcome& outcome) {
        if (!outcome.error.empty()) {
          Tell(Message::Kind::kError, path.filename().string(), {outcome.error});
        } else if (!outcome.cancelled) {
          Tell(Message::Kind::kReport, path.filename().string(),
               {"surfaces of the visible labels, LPS mm"});
        }
      });
}

int Session::AddResult(std::unique_ptr<ImageLayer> layer) {
  layer->unsaved = true;
  const int id = document.AddImage(std::move(layer));
  document.SetActiveImage(id);
  KeepInJournal();
  return id;
}

const ImageLayer* Session::DicomImage() const {
  const auto is = [](const ImageLayer* image) {
    return image != nullptr && !image->path.empty() &&
           dynamic_cast<const io::DicomSource*>(image->volume->source.get()) != nullptr;
  };
  if (is(document.ActiveImage())) return document.ActiveImage();
  for (const auto& image : document.images()) {
    if (is(image.get())) return image.get();
  }
  return nullptr;
}

void Session::ExportDicom(int id, const fs::path& path, const DicomExport& wanted,
                          std::function<void(bool)> then) {
  const LabelLayer* layer = document.Labels(id);
  if (layer == nullptr) return;
  const std::string name = path.filename().string();
  if (!MayWrite(path)) {
    Tell(Message::Kind::kError, name,
         {"'" + path.string() +
          "' is there and is no DICOM SEG or RTSTRUCT; choose another name, images are never "
          "written over"});
    if (then) then(false);
    return;
  }
  core::ExportOptions options;
  options.output = path;
  options.source_series = wanted.images;
  options.series = wanted.series;
  options.rtstruct = wanted.rtstruct;
  options.keep_patient = wanted.keep_patient;
  const Origin origin = OriginOf(*layer);
  options.algorithm_type = AlgorithmType(origin);
  options.algorithm_name = AlgorithmName(origin);
  // The mask goes through a file that cannot name its frame of reference. Whoever shows a mask on
  // an image of another one was asked.
  options.space = io::SpaceOf(*layer->header);
  options.force = layer->other_space;
  auto copy = std::make_shared<LabelLayer>(*layer);
  copy->companions.clear();
  auto report = std::make_shared<std::vector<std::string>>();
  if (const std::string how = Describe(origin); !how.empty()) {
    report->push_back(how + ": " + options.algorithm_type);
  } else {
    report->push_back("nothing says how this mask was made: " + options.algorithm_type +
                      " is written");
  }
  const fs::path folder = NewWorkFolder("export");
  tasks.Start(
      "Export " + name,
      [copy, options, folder, report](Progress& progress) mutable {
        const WorkFolder work(folder);
        options.mask = work.File("mask.nii");
        UpdateOrThrow(progress, Progress::kUnknown, "preparing");
        SaveLabels(*copy, options.mask);
        options.labels = core::Beside(options.mask, ".labels.json");
        const core::ExportResult result = core::RunExport(options, progress);
        report->push_back(result.summary);
        for (const std::string& note : result.notes) report->push_back(WindowWords(note));
      },
      [this, name, report, then](const TaskRunner::Outcome& outcome) {
        const bool done = outcome.error.empty() && !outcome.cancelled;
        if (!outcome.error.empty()) {
          Tell(Message::Kind::kError, name, {WindowWords(outcome.error)});
        } else if (done) {
          Tell(Message::Kind::kReport, name, *report);
        }
        if (then) then(done);
      });
}

}  // namespace avocet::gui
