// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <unordered_set>

#include "app/base/error.h"
#include "app/core/model_convert_checks.h"
#include "app/core/model_job.h"
#include "io/file_util.h"
#include "models/architecture/fs_rwkv_layout.h"
#include "models/checkpoint/convert.h"
#include "models/checkpoint/tensor_file.h"

namespace avocet::core {
namespace {

namespace fs = std::filesystem;
using models::LabelInfo;
using models::LayoutReport;
using models::ModelCard;
using models::StoredTensor;
using models::TensorFile;
using models::TensorType;

// Distinct on grey images; class 0 is background and black.
constexpr std::array<uint8_t, 3> kPalette[] = {{230, 25, 75},  {60, 180, 75},   {255, 225, 25},
                                               {67, 99, 216},  {245, 130, 49},  {66, 212, 244},
                                               {240, 50, 230}, {191, 239, 69},  {250, 190, 212},
                                               {70, 153, 144}, {220, 190, 255}, {154, 99, 36}};

std::vector<LabelInfo> MakeLabels(const std::vector<std::string>& texts) {
  std::vector<LabelInfo> labels;
  for (size_t c = 0; c < texts.size(); ++c) {
    LabelInfo label;
    label.value = static_cast<int>(c);
    label.name = texts[c];
    const size_t equals = texts[c].find('=');
    if (equals != std::string::npos) {
      label.name = texts[c].substr(equals + 1);
      const char* end = texts[c].data() + equals;
      const auto [stop, error] = std::from_chars(texts[c].data(), end, label.value);
      if (error != std::errc() || stop != end) {
        throw OptionError("--labels: '" + texts[c] + "' is neither NAME nor VALUE=NAME");
      }
    }
    if (c == 0) {
      label.colour = {0, 0, 0};
    } else {
      label.colour = kPalette[(c - 1) % (sizeof kPalette / sizeof kPalette[0])];
    }
    labels.push_back(std::move(label));
  }
  return labels;
}

// "5=600:3500" -> label 5 and its range of volumes. Throws OptionError.
std::pair<int, models::Interval> ParseVolume(const std::string& text) {
  int label = 0;
  models::Interval range;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%d=%lf:%lf%c", &label, &range.lowest, &range.highest, &rest) !=
          3 ||
      !(range.lowest <= range.highest)) {
    throw OptionError("--expect-volume: '" + text +
                      "' is not VALUE=LOWER:HIGHER, a label's value and two volumes in ml");
  }
  return {label, range};
}

// What the published data sets have in common, with room for other scanners and patients. Lengths
// in the slice: abdominal CT has fields of view of some 280 to 500 mm, cardiac cine MR of 250 to
// 500 mm. Volumes: of adults, from atrophy or contraction to marked enlargement; organs that may be
// absent, empty or only partly in the image have no lower end.
models::Expectations PresetExpectations(const std::string& preset) {
  models::Expectations e;
  if (preset == "synapse") {
    e.field_of_view_mm.rows = {150, 600};
    e.field_of_view_mm.columns = {200, 600};
    e.voxel_mm.rows = e.voxel_mm.columns = {0.3, 4};
    e.voxel_mm.slices = {0.3, 12};
    e.values = {-4096, 4096};
    e.correlation.lowest = 0.4;
    e.volumes_ml = {{1, {20, 600}},   {2, {0, 400}},  {3, {40, 700}},  {4, {40, 700}},
                    {5, {500, 4500}}, {6, {15, 300}}, {7, {30, 2500}}, {8, {15, 3000}}};
  } else {
    e.field_of_view_mm.rows = e.field_of_view_mm.columns = {150, 600};
    e.voxel_mm.rows = e.voxel_mm.columns = {0.5, 4};
    e.voxel_mm.slices = {1, 20};
    e.correlation.lowest = 0.4;
    e.volumes_ml = {{1, {10, 700}}, {2, {30, 600}}, {3, {5, 700}}};
  }
  return e;
}

// The published protocols: spec/rwkv_unet.md 14 and 16.1.
void ApplyPreset(const std::string& preset, ModelCard& card) {
  card.plane = "axial";
  card.input_channels = 1;
  card.preprocessing.resample = "transunet";
  card.preprocessing.size = {224, 224};
  if (preset == "synapse") {
    card.modality = "CT";
    card.labels = MakeLabels({"background", "aorta", "gallbladder", "left kidney", "right kidney",
                              "liver", "pancreas", "spleen", "stomach"});
    card.preprocessing.intensity = "window";
    card.preprocessing.lower = -125;
    card.preprocessing.upper = 275;
  } else {
    card.modality = "MR";
    card.labels = MakeLabels({"background", "right ventricle", "myocardium", "left ventricle"});
    // The scaling of the distributed data is not recorded; minimum to maximum is customary for it.
    card.preprocessing.intensity = "percentile";
    card.preprocessing.lower = 0;
    card.preprocessing.upper = 100;
  }
  card.expects = PresetExpectations(preset);
}

void ApplyExpectations(const ModelConvertOptions& options, models::Expectations& e) {
  const auto pair = [](const std::vector<double>& ends, models::Interval& into) {
    if (ends.size() == 2) into = {ends[0], ends[1]};
  };
  pair(options.expect_fov, e.field_of_view_mm.rows);
  pair(options.expect_fov, e.field_of_view_mm.columns);
  pair(options.expect_voxel, e.voxel_mm.rows);
  pair(options.expect_voxel, e.voxel_mm.columns);
  pair(options.expect_values, e.values);
  for (const std::string& text : options.expect_volumes) {
    const auto [label, range] = ParseVolume(text);
    e.volumes_ml[label] = range;
  }
}

bool IsTranslation(const LayoutReport& layout) { return layout.architecture == "fs-rwkv"; }

// The arithmetic of the CUDA kernel that the architecture's official code has.
std::string OfficialWkv(const LayoutReport& layout) {
  return IsTranslation(layout) ? "official64" : "official32";
}

void ApplyOptions(const ModelConvertOptions& options, const LayoutReport& layout, ModelCard& card) {
  if (!options.preset.empty()) ApplyPreset(options.preset, card);
  if (!options.name.empty()) card.name = options.name;
  if (!options.labels.empty()) {
    card.labels = MakeLabels(options.labels);
    card.expects.volumes_ml.clear();  // of other labels
  }
  if (!options.modality.empty()) card.modality = options.modality;
  if (!options.plane.empty()) card.plane = options.plane;
  if (!options.wkv.empty())
    card.wkv = options.wkv == "official" ? OfficialWkv(layout) : options.wkv;
  if (!options.intensity.empty()) card.preprocessing.intensity = options.intensity;
  if (options.range.size() == 2) {
    card.preprocessing.lower = options.range[0];
    card.preprocessing.upper = options.range[1];
  }
  if (!options.resample.empty()) card.preprocessing.resample = options.resample;
  if (options.size.size() == 2)
    std::copy_n(options.size.begin(), 2, card.preprocessing.size.begin());
  if (options.pixel_mm > 0) card.preprocessing.pixel_mm = options.pixel_mm;
  if (options.input_channels > 0) card.input_channels = options.input_channels;
  ApplyExpectations(options, card.expects);
  if (!options.tta.empty()) card.tta = options.tta;
  if (!options.licence.empty()) card.licence = options.licence;
  for (const std::string& entry : options.provenance) {
    const size_t equals = entry.find('=');
    card.provenance[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
}

ModelCard MakeCard(const ModelConvertOptions& options, const TensorFile& file,
                   const LayoutReport& layout) {
  ModelCard card;
  if (!options.card.empty()) {
    try {
      card = models::ModelCardFromJson(io::ReadTextFile(options.card, size_t{1} << 20));
    } catch (const ModelError& error) {
      throw ModelError("--card '" + options.card.string() + "': " + error.what());
    }
  } else {
    card = models::CardOf(file);
  }
  if (card.empty()) {
    card.architecture = layout.architecture;
    // Files without a card were trained with the official CUDA kernel.
    card.wkv = OfficialWkv(layout);
    if (IsTranslation(layout)) {
      card.task = "translation";
      card.modality = "MR";
      // The official program took 8-bit slices; scaling a volume to [0, 1] is what comes nearest.
      card.preprocessing.intensity = "percentile";
    } else {
      card.task = "segmentation";
      std::vector<std::string> names{"background"};
      for (int c = 1; c < layout.classes; ++c) names.push_back("class " + std::to_string(c));
      card.labels = MakeLabels(names);
    }
  }
  ApplyOptions(options, layout, card);
  if (card.architecture != layout.architecture) {
    throw ModelError("the card is for the architecture '" + card.architecture +
                     "', the tensors are '" + layout.architecture + "'");
  }
  if (!card.variant.empty() && card.variant != layout.variant) {
    throw ModelError("the card is for the variant '" + card.variant + "', the tensors are '" +
                     layout.variant + "'");
  }
  card.variant = layout.variant;
  if (IsTranslation(layout) != (card.task == "translation")) {
    throw ModelError("the card is for the task '" + card.task + "', which " + layout.architecture +
                     " does not do");
  }
  if (card.labels.size() != static_cast<size_t>(layout.classes)) {
    if (IsTranslation(layout)) {
      throw ModelError("a translation model has no classes; leave --labels and --preset out");
    }
    throw ModelError("the card has " + std::to_string(card.labels.size()) +
                     " labels, but the network has " + std::to_string(layout.classes) +
                     " classes; give one name a class with --labels, background first");
  }
  if (const std::string wrong = OptionWithoutEffect(options, card); !wrong.empty()) {
    throw OptionError(wrong);
  }
  card.provenance.emplace("converted_from", options.input.filename().string());
  card.provenance.emplace("converted_from_sha256", io::Sha256OfFile(options.input));
  return card;
}

TensorType TypeFromOption(const std::string& dtype) {
  if (dtype == "float16") return TensorType::kFloat16;
  if (dtype == "bfloat16") return TensorType::kBFloat16;
  return TensorType::kFloat32;
}

void ConvertTensors(const ModelConvertOptions& options, TensorFile& file, Progress& progress) {
  const TensorType type = TypeFromOption(options.dtype);
  size_t done = 0;
  for (auto& [name, tensor] : file.tensors) {
    UpdateOrThrow(progress, static_cast<double>(done++) / static_cast<double>(file.tensors.size()),
                  "converting");
    if (!models::IsFloating(tensor.type)) continue;
    int64_t overflowed = 0;
    StoredTensor converted = models::ConvertFloat(tensor, type, &overflowed);
    if (overflowed > 0) {
      throw ModelError("tensor '" + name + "' of '" + options.input.string() + "' has " +
                       std::to_string(overflowed) + " values beyond the range of " + options.dtype +
                       "; use --dtype bfloat16 or float32");
    }
    tensor = std::move(converted);
  }
}

// Removes what does not influence the result. Returns the names removed.
std::vector<std::string> DropUnused(const LayoutReport& layout, TensorFile& file) {
  std::unordered_set<std::string> unused;
  for (const auto& name : layout.unused) unused.insert(layout.NameInFile(name));
  std::vector<std::string> dropped;
  std::vector<std::pair<std::string, StoredTensor>> kept;
  for (auto& entry : file.tensors) {
    if (unused.count(entry.first) != 0) {
      dropped.push_back(entry.first);
    } else {
      kept.push_back(std::move(entry));
    }
  }
  file.tensors = std::move(kept);
  return dropped;
}

}  // namespace

std::string ModelConvertOptions::Check() const {
  if (output.extension() != ".safetensors") {
    return "the output '" + output.string() + "' must end in .safetensors";
  }
  std::error_code ignored;
  if (fs::equivalent(input, output, ignored)) {
    return "input and output are the same file, '" + input.string() + "'; give another output";
  }
  if (!dtype.empty() && dtype != "float32" && dtype != "float16" && dtype != "bfloat16") {
    return "--dtype is '" + dtype + "'; it must be float32, float16 or bfloat16";
  }
  if (!preset.empty() && preset != "synapse" && preset != "acdc") {
    return "--preset is '" + preset + "'; it must be synapse or acdc";
  }
  if (!range.empty() && range.size() != 2) return "--range takes two numbers, lower and upper";
  if (!size.empty() && size.size() != 2) return "--size takes two numbers, rows and columns";
  for (const auto& [name, ends] :
       {std::pair("--expect-fov", &expect_fov), std::pair("--expect-voxel", &expect_voxel),
        std::pair("--expect-values", &expect_values)}) {
    if (!ends->empty() && (ends->size() != 2 || !((*ends)[0] <= (*ends)[1]))) {
      return std::string(name) + " takes two numbers, the lower one first";
    }
  }
  for (const std::string& entry : provenance) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) {
      return "--provenance '" + entry + "' is not KEY=VALUE";
    }
  }
  return "";
}

ModelConvertResult ConvertModel(const ModelConvertOptions& options, Progress& progress) {
  const std::string wrong = options.Check();
  if (!wrong.empty()) throw OptionError(wrong);
  UpdateOrThrow(progress, 0, "reading " + options.input.filename().string());
  TensorFile file = models::ReadTensorFile(options.input);
  const auto layout = models::DetectArchitecture(file);
  ModelConvertResult result;
  result.output = options.output;

  if (!layout) {
    if (const std::string option = CardOption(options); !option.empty()) {
      throw ModelError("'" + options.input.string() +
                       "' fits no architecture that Avocet knows, so it cannot have a model card; "
                       "convert it without " +
                       option);
    }
    progress.Warn("the architecture of '" + options.input.string() +
                  "' is unknown: all tensors are kept, no model card is written");
    file.metadata.emplace("format", "pt");
  } else {
    if (!layout->Complete() && !options.allow_missing) {
      throw ModelError("'" + options.input.string() + "' is no complete " + layout->architecture +
                       " " + layout->variant + ": " + layout->Complaint() +
                       "; use --allow-missing to convert it all the same");
    }
    if (!layout->Complete()) {
      progress.Warn("'" + options.input.string() + "': " + layout->Complaint());
    }
    // A card describes a whole network; an encoder alone stays a plain tensor file.
    const bool whole = !layout->encoder_only && (layout->classes > 0 || IsTranslation(*layout));
    if (whole) {
      result.card = MakeCard(options, file, *layout);
      models::SetCard(file, result.card);
    } else if (const std::string option = CardOption(options); !option.empty()) {
      throw ModelError("'" + options.input.string() +
                       "' holds no whole network (no class layer), so it cannot have a model card; "
                       "convert it without " +
                       option);
    } else {
      file.metadata.emplace("format", "pt");
    }
    if (!options.keep_unused) {
      result.dropped = DropUnused(*layout, file);
    } else if (IsTranslation(*layout)) {
      models::AddWaveletFilters(file);  // the official code refuses a file without them
    }
  }
  if (!options.dtype.empty()) ConvertTensors(options, file, progress);
  for (const auto& [name, tensor] : file.tensors) {
    if (!models::IsFloating(tensor.type)) continue;
    const models::ValueSummary values = models::Summarise(tensor);
    if (values.nan + values.infinite > 0) {
      progress.Warn("tensor '" + name + "' has " + std::to_string(values.nan) + " NaN and " +
                    std::to_string(values.infinite) + " infinite values");
    }
  }
  UpdateOrThrow(progress, 1, "writing " + options.output.filename().string());
  models::WriteSafetensors(file, options.output);
  result.written = file.tensors.size();
  std::error_code ignored;
  result.bytes = fs::file_size(options.output, ignored);
  return result;
}

}  // namespace avocet::core
