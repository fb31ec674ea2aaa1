// SPDX-License-Identifier: Apache-2.0
#include "app/gui/layers.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

#include "app/core/image_checks.h"
#include "app/core/label_names.h"
#include "app/core/manifest.h"
#include "app/core/mask_file.h"
#include "app/gui/origin.h"
#include "app/gui/plane_sampler.h"
#include "io/dicom.h"
#include "io/file_util.h"
#include "io/nifti.h"
#include "io/rtstruct.h"
#include "io/segment_codes.h"
#include "io/volume_io.h"

namespace avocet::gui {
namespace fs = std::filesystem;
namespace {

// Whole numbers from 0 to 65535 in a sample of the values: only then is a closer look worth its
// memory.
bool MayBeLabels(const io::Volume& volume, const ValueStatistics& statistics) {
  return volume.components == 1 && volume.frames == 1 && statistics.integers &&
         statistics.minimum >= 0 && statistics.maximum <= 65535 && statistics.maximum >= 1;
}

// Colours that the file beside a mask names, in the form that LabelsJson writes.
void ApplyColours(const fs::path& beside, LabelTable& table) {
  const auto json = nlohmann::json::parse(io::ReadTextFile(beside), nullptr, false);
  if (!json.is_object() || !json.contains("labels") || !json["labels"].is_array()) return;
  for (const auto& label : json["labels"]) {
    if (!label.is_object() || !label.contains("value") || !label.contains("colour")) continue;
    const auto& colour = label["colour"];
    if (!label["value"].is_number_integer() || !colour.is_array() || colour.size() != 3) continue;
    const auto entry = table.find(label["value"].get<int>());
    if (entry == table.end()) continue;
    for (size_t c = 0; c < 3; ++c) {
      if (colour[c].is_number_unsigned()) entry->second.colour[c] = colour[c].get<uint8_t>();
    }
  }
}

void ApplyNames(const fs::path& path, LabelLayer& layer, std::vector<std::string>& report) {
  std::map<int, std::string> names;
  const fs::path beside = core::Beside(path, ".labels.json");
  std::error_code ignored;
  if (fs::is_regular_file(beside, ignored)) {
    try {
      names = core::ReadLabelNames(beside);
    } catch (const IoError& error) {
      report.push_back(error.what());
    }
  }
  for (auto& [value, entry] : layer.table) {
    const auto found = names.find(value);
    if (found == names.end()) continue;
    entry.name = found->second;
    const io::SegmentMeaning meaning = io::MeaningOfLabel(entry.name, value);
    entry.colour = meaning.known ? meaning.rgb : DefaultLabelColour(value);
  }
  if (!names.empty()) ApplyColours(beside, layer.table);
}

std::string Size(const io::Geometry& g) {
  char text[96];
  std::snprintf(text, sizeof text, "%lld x %lld x %lld voxels of %.3g x %.3g x %.3g mm",
                static_cast<long long>(g.size[0]), static_cast<long long>(g.size[1]),
                static_cast<long long>(g.size[2]), g.spacing[0], g.spacing[1], g.spacing[2]);
  return text;
}

void DescribeGeometry(const io::Volume& volume, std::vector<std::string>& report) {
  std::string line = Size(volume.geometry) + ", axes towards " +
                     volume.geometry.OrientationLetters() + ", " + io::NameOf(volume.type);
  if (volume.assumed.Any()) line += ", " + AssumedText(volume.assumed);
  if (volume.resampled) line += ", resampled onto an even grid";
  if (volume.frames > 1) line += ", " + std::to_string(volume.frames) + " frames";
  report.push_back(line);
  report.insert(report.end(), volume.notes.begin(), volume.notes.end());
  if (!volume.geometry.IsOrthonormal()) {
    report.push_back(
        "the axes are not perpendicular (sheared); slices are drawn in their true shape");
  }
}

}  // namespace

std::string AssumedText(const io::Assumptions& assumed) {
  std::string text;
  const auto add = [&](bool is_assumed, const char* name) {
    if (is_assumed) text += (text.empty() ? "" : ", ") + std::string(name);
  };
  add(assumed.orientation, "orientation");
  add(assumed.in_plane_size, "pixel size");
  add(assumed.slice_distance, "slice distance");
  return text.empty() ? "" : text + " not stated by the file";
}

namespace {

std::vector<SeriesChoice> SeriesIn(const fs::path& folder, Progress& progress) {
  std::vector<SeriesChoice> choices;
  const io::DicomTree tree = io::ScanDicom(folder, progress);
  int number = 0;
  for (const io::DicomSeries* series : tree.AllSeries()) {
    ++number;
    if (!series->problem.empty() && !series->can_regularise) continue;
    char size[64];
    std::snprintf(size, sizeof size, "%lld x %lld x %lld", static_cast<long long>(series->size[0]),
                  static_cast<long long>(series->size[1]), static_cast<long long>(series->size[2]));
    SeriesChoice choice;
    choice.selector = std::to_string(number);
    for (const std::string& part :
         {series->modality, series->description, series->split, std::string(size)}) {
      if (!part.empty()) choice.text += (choice.text.empty() ? "" : ", ") + part;
    }
    if (!series->problem.empty()) choice.text += ", tilted or uneven slices";
    choices.push_back(std::move(choice));
  }
  return choices;
}

// A translation that was saved says so in its manifest; the suffix is what `avocet translate` adds.
bool SaysSynthetic(const fs::path& path, const Companions& companions) {
  const std::string stem = io::StemOf(path);
  static constexpr std::string_view kSuffix = "_synthetic";
  if (stem.size() >= kSuffix.size() &&
      stem.compare(stem.size() - kSuffix.size(), kSuffix.size(), kSuffix) == 0) {
    return true;
  }
  for (const auto& [ending, content] : companions) {
    if (ending != ".manifest.json") continue;
    const auto json = nlohmann::json::parse(content, nullptr, false);
    if (!json.is_object()) continue;
    const auto job = json.find("job");
    if (job != json.end() && *job == "translate") return true;
  }
  return false;
}

// What the manifest says of the output is made true of the file that was written.
std::string ManifestFor(const fs::path& path, const std::string& content, bool edited) {
  auto json = nlohmann::ordered_json::parse(content, nullptr, false);
  if (!json.is_object()) return content;
  json["output"] = {{"file", path.filename().string()}, {"sha256", io::Sha256OfFile(path)}};
  json.erase("edited");
  if (edited) json["edited"] = "by hand, after the job";
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

bool ImageLayer::AssumesOrientation() const { return volume->assumed.orientation; }

bool ImageLayer::AssumesSize() const { return volume->assumed.in_plane_size; }

bool ImageLayer::KnowsPosition() const {
  const io::Assumptions& assumed = volume->assumed;
  return !assumed.orientation && !assumed.in_plane_size &&
         !(assumed.slice_distance && volume->geometry.size[2] > 1);
}

bool ImageLayer::AssumesLengths(int axis) const {
  const io::Assumptions& assumed = volume->assumed;
  return assumed.in_plane_size || (axis != 2 && assumed.slice_distance);
}

double ImageLayer::ValueAt(const std::array<double, 3>& x_in_lps, int component) const {
  PlaneGrid grid;
  grid.origin = x_in_lps;
  grid.width = grid.height = 1;
  SampleOptions options;
  options.frame = frame;
  options.component = component;
  options.linear = false;
  std::vector<float> value;
  SampleImage(*volume, options, grid, value);
  return value[0];
}

std::string ImageLayer::Unit() const { return IsCt(*volume, statistics) ? "HU" : ""; }

void LabelLayer::OwnLabels() {
  if (labels.use_count() > 1) {
    labels = std::make_shared<std::vector<uint16_t>>(*labels);
  } else {
    // What a task read before it let go of its copy comes before what is written now.
    std::atomic_thread_fence(std::memory_order_acquire);
  }
}

double LabelLayer::VoxelMl() const {
  const auto& g = geometry();
  const auto& d = g.direction;
  const double determinant = d[0] * (d[4] * d[8] - d[5] * d[7]) -
                             d[1] * (d[3] * d[8] - d[5] * d[6]) +
                             d[2] * (d[3] * d[7] - d[4] * d[6]);
  return std::abs(determinant) * g.spacing[0] * g.spacing[1] * g.spacing[2] / 1000;
}

int LabelLayer::ValueAt(const std::array<double, 3>& x_in_lps) const {
  const auto index = geometry().IndexFromPhysical(x_in_lps);
  int64_t at[3];
  for (int a = 0; a < 3; ++a) {
    if (!(index[a] >= -0.5 && index[a] < geometry().size[a] - 0.5)) return 0;
    at[a] = static_cast<int64_t>(std::floor(index[a] + 0.5));
  }
  return (*labels)[(at[2] * geometry().size[1] + at[1]) * geometry().size[0] + at[0]];
}

std::unique_ptr<LabelLayer> LabelsFromVolume(io::Volume volume, const std::string& name) {
  auto layer = std::make_unique<LabelLayer>();
  layer->name = name;
  layer->labels = std::make_shared<std::vector<uint16_t>>(volume.ToLabels(name));
  std::vector<std::byte>().swap(volume.data);
  layer->header = std::make_shared<const io::Volume>(std::move(volume));
  CountLabels(*layer->labels, layer->VoxelMl(), layer->table);
  return layer;
}

std::unique_ptr<ImageLayer> ImageFromVolume(io::Volume volume, const std::string& name) {
  auto image = std::make_unique<ImageLayer>();
  image->name = name;
  image->statistics = Measure(volume);
  image->window = DefaultWindow(volume, image->statistics);
  image->volume = std::make_shared<const io::Volume>(std::move(volume));
  return image;
}

Companions ReadCompanions(const fs::path& path) {
  Companions companions;
  for (const char* ending : {".manifest.json", ".labels.txt"}) {
    const fs::path beside = core::Beside(path, ending);
    std::error_code ignored;
    if (!fs::is_regular_file(beside, ignored)) continue;
    try {
      companions.emplace_back(ending, io::ReadTextFile(beside));
    } catch (const IoError&) {
      // The image itself is what matters.
    }
  }
  return companions;
}

namespace {

// Which job made a mask, where a manifest beside it is about this very file.
void TakeManifest(const fs::path& path, LabelLayer& layer, std::vector<std::string>& report) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return;
  Companions companions = ReadCompanions(path);
  for (const auto& [ending, content] : companions) {
    if (ending != ".manifest.json") continue;
    if (!IsManifestOf(content, path)) {
      report.push_back(
          "the manifest beside it is of another file or of an earlier state of this one, so it is "
          "not known what made this mask");
      return;
    }
    layer.edited = SaysEdited(content);
    layer.companions = std::move(companions);
    report.push_back(Describe(OriginOf(layer)));
    return;
  }
}

// DICOM SEG and RTSTRUCT: names and colours are their own.
LoadedFile LoadDicomMask(const fs::path& path, const std::string& name, const OpenImage* image) {
  core::MaskGrid on;
  if (image != nullptr) {
    on.geometry = &image->grid;
    on.space = image->space;
    on.force = image->force;
  }
  if (image == nullptr && io::IsRtStruct(path)) {
    throw IoError("'" + path.string() +
                  "' holds contours, no voxels; open the images that they were drawn on first");
  }
  LoadedFile loaded;
  core::MaskFile mask;
  try {
    mask = core::ReadMaskFile(path, on);
  } catch (const core::OtherSpaceError& error) {
    loaded.other_space = error.what();
    return loaded;
  }
  for (io::Volume& volume : mask.volumes) {
    DescribeGeometry(volume, loaded.report);
    auto layer = LabelsFromVolume(std::move(volume), name);
    layer->path = path;
    layer->other_space = mask.forced;
    for (auto& [value, entry] : layer->table) {
      const auto found = mask.names.find(value);
      if (found != mask.names.end() && !found->second.empty()) entry.name = found->second;
      const io::SegmentMeaning meaning = io::MeaningOfLabel(entry.name, value);
      entry.colour = meaning.known ? meaning.rgb : DefaultLabelColour(value);
      const auto segment = mask.segments.find(value);
      if (segment != mask.segments.end() && segment->second.has_rgb) {
        entry.colour = segment->second.rgb;
      }
    }
    if (!loaded.labels) {
      loaded.labels = std::move(layer);
    } else {
      layer->name += " (" + std::to_string(loaded.more_labels.size() + 2) + ")";
      loaded.more_labels.push_back(std::move(layer));
    }
  }
  for (const std::string& note : mask.notes) {  // a part of them stands in the volumes too
    if (std::find(loaded.report.begin(), loaded.report.end(), note) == loaded.report.end())
      loaded.report.push_back(note);
  }
  if (!loaded.labels) throw IoError("'" + path.string() + "' holds no segment");
  if (!loaded.more_labels.empty()) {
    loaded.report.push_back("segments that overlap are in label maps of their own");
  }
  return loaded;
}

}  // namespace

LoadedFile LoadFile(const fs::path& path, LoadAs as, Progress& progress, const std::string& series,
                    const OpenImage* image, bool resampled) {
  LoadedFile loaded;
  fs::path plain = path;
  while (plain.has_parent_path() && plain.filename().empty()) plain = plain.parent_path();
  const std::string name = plain.filename().string();
  UpdateOrThrow(progress, Progress::kUnknown, "reading " + name);
  std::error_code ignored;
  if (as != LoadAs::kImage && fs::is_regular_file(path, ignored) && core::IsDicomMask(path)) {
    return LoadDicomMask(path, name, image);
  }
  // A file may be a DICOMDIR, or hold several stacks.
  if (series.empty() && (fs::is_directory(path, ignored) || io::IsDicomFile(path))) {
    loaded.choices = SeriesIn(path, progress);
    if (loaded.choices.size() > 1) return loaded;
    loaded.choices.clear();
  }
  io::ReadOptions read;
  read.progress = &progress;
  read.series = series;
  read.regularise = resampled;
  io::Volume volume;
  try {
    volume = io::ReadVolume(path, read);
  } catch (const UnevenSeriesError& error) {
    loaded.uneven = error.fault();
    return loaded;
  }
  if (volume.geometry.VoxelCount() == 0) throw IoError("'" + path.string() + "' has no voxels");
  DescribeGeometry(volume, loaded.report);
  UpdateOrThrow(progress, Progress::kUnknown, "looking at the values of " + name);
  ValueStatistics statistics = Measure(volume);
  bool labels = as == LoadAs::kLabels;
  if (as == LoadAs::kGuess && MayBeLabels(volume, statistics)) {
    labels = volume.modality == "SEG" || volume.modality == "RTSTRUCT" ||
             core::LooksLikeLabelMap(volume.ToFloat(), volume.geometry.size);
  }
  if (labels) {
    loaded.labels = LabelsFromVolume(std::move(volume), name);
    loaded.labels->path = path;
    ApplyNames(path, *loaded.labels, loaded.report);
    TakeManifest(path, *loaded.labels, loaded.report);
    loaded.report.push_back("opened as a label map with " +
                            std::to_string(loaded.labels->table.size()) + " labels");
    return loaded;
  }
  Companions companions;
  bool synthetic = !volume.description.empty();  // the header says so
  if (fs::is_regular_file(path, ignored)) {
    companions = ReadCompanions(path);
    synthetic = synthetic || SaysSynthetic(path, companions);
  }
  if (synthetic) {
    if (volume.description.empty()) volume.description = "synthetic, not acquired";
    loaded.report.push_back("synthetic: made by a network, not acquired");
  } else {
    companions.clear();
  }
  // Only the grid of the header is wanted again: its text may name a patient.
  if (const auto nifti = std::dynamic_pointer_cast<const io::NiftiSource>(volume.source)) {
    volume.source = nifti->GridOnly();
  }
  auto layer = std::make_unique<ImageLayer>();
  layer->name = name;
  layer->path = path;
  layer->series = series;
  layer->window = DefaultWindow(volume, statistics);
  layer->statistics = std::move(statistics);
  layer->volume = std::make_shared<const io::Volume>(std::move(volume));
  layer->synthetic = synthetic;
  layer->companions = std::move(companions);
  loaded.image = std::move(layer);
  return loaded;
}

void SaveImage(const ImageLayer& layer, const fs::path& path) {
  io::WriteVolume(*layer.volume, path);
  for (const auto& [ending, content] : layer.companions) {
    const bool manifest = ending == ".manifest.json";
    io::WriteFileAtomically(core::Beside(path, ending),
                            manifest ? ManifestFor(path, content, false) : content);
  }
}

void SaveLabels(const LabelLayer& layer, const fs::path& path) {
  uint16_t highest = 0;
  for (const uint16_t value : *layer.labels) highest = std::max(highest, value);
  const bool bytes = highest <= 255;
  io::Volume mask =
      io::ZerosLike(*layer.header, bytes ? io::VoxelType::kUInt8 : io::VoxelType::kUInt16);
  if (bytes) {
    std::transform(layer.labels->begin(), layer.labels->end(), mask.As<uint8_t>(),
                   [](uint16_t value) { return static_cast<uint8_t>(value); });
  } else {
    std::copy(layer.labels->begin(), layer.labels->end(), mask.As<uint16_t>());
  }
  io::WriteVolume(mask, path);
  std::vector<models::LabelInfo> names{{0, "background", {0, 0, 0}}};
  for (const auto& [value, entry] : layer.table) names.push_back({value, entry.name, entry.colour});
  io::WriteFileAtomically(core::Beside(path, ".labels.json"), core::LabelsJson(names));
  for (const auto& [ending, content] : layer.companions) {
    std::string text = content;
    if (ending == ".manifest.json") text = ManifestFor(path, content, layer.edited);
    if (ending == ".labels.txt") text = core::LabelsItkSnap(names);  // names may be new
    io::WriteFileAtomically(core::Beside(path, ending), text);
  }
}

}  // namespace avocet::gui
