// SPDX-License-Identifier: Apache-2.0
#include "app/core/demo.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>

#include "app/core/engine.h"
#include "app/core/montage.h"
#include "app/core/shipped.h"
#include "io/volume_io.h"
#include "models/checkpoint/tensor_file.h"
#include "models/model_card.h"

namespace avocet::core {
namespace fs = std::filesystem;
namespace {

constexpr const char* kShippedCases = "hippocampus";
constexpr const char* kShippedModel = "hippocampus-rwkv-unet-t";

fs::path FindCases(const fs::path& wanted) {
  std::vector<fs::path> candidates;
  if (!wanted.empty()) {
    candidates.push_back(wanted);
  } else {
    for (const fs::path& folder : DataFolders()) candidates.push_back(folder / kShippedCases);
  }
  std::error_code error;
  for (const fs::path& folder : candidates) {
    if (fs::is_directory(folder / "images", error) && fs::is_directory(folder / "labels", error)) {
      return folder;
    }
  }
  if (!wanted.empty()) {
    throw IoError("'" + wanted.string() + "' holds no folders images/ and labels/ with the cases");
  }
  throw IoError(
      "the sample cases are not with this program (data/hippocampus of the source); "
      "name a folder that holds images/ and labels/ with --data");
}

// What one case and label got in one column of the first protocol; nothing when undefined.
std::string Score(const EvaluateResult& scores, const metrics::ClassScores& row,
                  const std::string& column, int digits) {
  const auto& columns = scores.protocols.at(0).columns;
  for (size_t c = 0; c < columns.size(); ++c) {
    if (columns[c].name.rfind(column, 0) != 0) continue;
    const metrics::MetricValue& value = row.values.at(0).at(c);
    if (!value.HasValue()) return "-";
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", digits, value.value);
    return text;
  }
  return "-";
}

std::string Mean(const EvaluateResult& scores, size_t which, const std::string& column,
                 int digits) {
  const auto& columns = scores.protocols.at(0).columns;
  for (size_t c = 0; c < columns.size(); ++c) {
    if (columns[c].name.rfind(column, 0) != 0) continue;
    const metrics::ClassSummary& summary = scores.set.summaries.at(0).at(which).at(c);
    if (summary.n == 0) return "-";
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", digits, summary.summary.mean);
    return text;
  }
  return "-";
}

MontageCase PictureRow(const SegmentCase& item, const EvaluatedCase& scored,
                       const EvaluateResult& scores) {
  MontageCase row;
  row.name = scored.name;
  const io::Volume image = io::ReadVolume(item.input);
  row.geometry = image.geometry;
  row.image = image.ToFloat();
  row.prediction = io::ReadVolume(scored.prediction).ToLabels(scored.prediction.string());
  row.reference = io::ReadVolume(scored.reference).ToLabels(scored.reference.string());
  for (size_t c = 0; c < scored.classes.size(); ++c) {
    row.captions.emplace_back(
        scores.classes[c].label,
        scores.classes[c].name + "  Dice " + Score(scores, scored.classes[c], "dice", 3));
  }
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.1f s", item.seconds);
  row.captions.emplace_back(0, seconds);
  return row;
}

void DrawPicture(const DemoResult& result, const models::ModelCard& card, bool shipped_cases,
                 Progress& progress) {
  std::map<std::string, const SegmentCase*> by_name;
  for (const SegmentCase& item : result.segmented.cases) {
    by_name[io::StemOf(item.output)] = &item;
  }
  MontageOptions options;
  options.title = "Avocet: hippocampus in MR";
  options.labels = card.labels;
  options.subtitle = result.model_name + ", " + std::to_string(result.scores.set.cases.size()) +
                     (shipped_cases ? " held-out cases; mean Dice" : " cases; mean Dice");
  for (size_t c = 0; c < result.scores.classes.size(); ++c) {
    options.subtitle += (c == 0 ? " " : ", ") + result.scores.classes[c].name + " " +
                        Mean(result.scores, c, "dice", 3);
  }
  options.footer =
      "Radiological orientation (the patient's right is on the left). Research use, not "
      "for diagnosis.";
  std::vector<MontageCase> rows;
  for (const EvaluatedCase& scored : result.scores.set.cases) {
    UpdateOrThrow(progress, Progress::kUnknown, "drawing " + scored.name);
    const auto item = by_name.find(scored.name);
    if (!scored.error.empty() || item == by_name.end()) continue;
    rows.push_back(PictureRow(*item->second, scored, result.scores));
  }
  WriteMontage(rows, options, result.picture);
}

models::ModelCard CardOfModel(const fs::path& path) {
  const models::TensorFile file = models::ReadTensorFile(path);
  const auto text = file.metadata.find("avocet");
  if (text == file.metadata.end()) {
    throw ModelError("model '" + path.string() + "' has no model card; the demo needs its labels");
  }
  return models::ModelCardFromJson(text->second);
}

}  // namespace

std::string DemoOptions::Check() const {
  if (output.empty()) return "no output folder is given; name one with --output";
  return device.Check();
}

DemoResult RunDemo(const DemoOptions& options, Progress& progress) {
  if (const std::string wrong = options.Check(); !wrong.empty()) throw OptionError(wrong);
  const auto start = std::chrono::steady_clock::now();
  const fs::path cases = FindCases(options.data);
  SegmentOptions segment;
  segment.inputs = {cases / "images"};
  segment.model = FindModel(options.model.empty() ? kShippedModel : options.model);
  segment.output = options.output / "masks";
  segment.device = options.device;

  DemoResult result;
  result.masks = segment.output;
  result.table = options.output / "scores.csv";
  result.picture = options.output / "montage.png";
  const models::ModelCard card = CardOfModel(segment.model);
  result.model_name = card.name.empty() ? segment.model.stem().string() : card.name;
  PartOf first(progress, 0, 0.8);
  result.segmented = LoadEngine().segment(segment, first);
  // A demo that cannot read its own cases has nothing to show.
  for (const SegmentCase& item : result.segmented.cases) {
    if (!item.error.empty()) throw IoError(item.error);
  }

  EvaluateOptions evaluate;
  evaluate.prediction = result.masks;
  evaluate.reference = cases / "labels";
  evaluate.threads = options.device.threads;
  evaluate.csv = result.table;
  PartOf second(progress, 0.8, 0.9);
  result.scores = RunEvaluate(evaluate, second);

  PartOf third(progress, 0.9, 1);
  DrawPicture(result, card, options.data.empty() && options.model.empty(), third);
  progress.Update(1, "done");
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

std::string DemoText(const DemoResult& result) {
  size_t case_width = 6;
  size_t label_width = 6;
  for (const EvaluatedCase& item : result.scores.set.cases) {
    case_width = std::max(case_width, item.name.size());
  }
  for (const EvaluatedClass& item : result.scores.classes) {
    label_width = std::max(label_width, item.name.size());
  }
  std::string text;
  const auto line = [&](const std::string& name, const std::string& label,
                        const std::vector<std::string>& cells) {
    std::string row = name;
    row.resize(case_width + 2, ' ');
    row += label;
    row.resize(case_width + label_width + 4, ' ');
    for (const std::string& cell : cells)
      row += std::string(cell.size() < 12 ? 12 - cell.size() : 1, ' ') + cell;
    text += row + "\n";
  };
  const auto cells = [&](const auto& score) -> std::vector<std::string> {
    return {score("dice", 3), score("hd95_mm", 2), score("assd_mm", 2), score("volume_pred_ml", 2),
            score("volume_ref_ml", 2)};
  };
  line("case", "label", {"Dice", "HD95 mm", "ASSD mm", "volume ml", "expert ml"});
  for (const EvaluatedCase& item : result.scores.set.cases) {
    if (!item.error.empty()) {
      text += item.name + "  " + item.error + "\n";
      continue;
    }
    for (size_t c = 0; c < item.classes.size(); ++c) {
      line(c == 0 ? item.name : "", result.scores.classes[c].name,
           cells([&](const char* column, int digits) {
             return Score(result.scores, item.classes[c], column, digits);
           }));
    }
  }
  for (size_t c = 0; c < result.scores.classes.size(); ++c) {
    line(c == 0 ? "mean" : "", result.scores.classes[c].name,
         cells([&](const char* column, int digits) {
           return Mean(result.scores, c, column, digits);
         }));
  }
  double slowest = 0;
  for (const SegmentCase& item : result.segmented.cases) slowest = std::max(slowest, item.seconds);
  char summary[160];
  std::snprintf(summary, sizeof summary,
                "\n%zu cases in %.1f s (the slowest mask took %.1f s), model %s\n",
                result.segmented.cases.size(), result.seconds, slowest, result.model_name.c_str());
  text += summary;
  text += "masks    " + result.masks.string() + "\n";
  text += "scores   " + result.table.string() + "\n";
  text += "picture  " + result.picture.string() + "\n";
  return text;
}

}  // namespace avocet::core
