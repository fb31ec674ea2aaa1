// SPDX-License-Identifier: Apache-2.0
#include "app/core/evaluate.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <set>

#include "app/core/evaluate_pairs.h"
#include "app/core/evaluate_report.h"
#include "app/core/evaluate_translation.h"
#include "app/core/label_names.h"
#include "app/core/mask_file.h"
#include "io/file_util.h"
#include "io/rtstruct.h"
#include "io/volume_io.h"

namespace avocet::core {
namespace {

namespace fs = std::filesystem;
using metrics::ClassScores;
using metrics::MetricValue;
using metrics::Protocol;
using metrics::ValueState;

std::string Text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string Triple(const std::array<double, 3>& v) {
  return Text(v[0]) + " x " + Text(v[1]) + " x " + Text(v[2]);
}

// Numbers of segments need not be the values of the label map that they were made from.
std::string MeaningOfValues(const MaskFile& mask, const fs::path& path) {
  std::string text = "the values of '" + path.filename().string() + "' are the numbers of its " +
                     "segments or ROIs: ";
  size_t n = 0;
  for (const auto& [value, name] : mask.names) {
    if (n == 12) return text + ", ...";
    text += (n++ ? ", " : "") + std::to_string(value) + " " + name;
  }
  return text;
}

// Scores one case for the labels that occur in it (and those wanted).
class CaseScorer {
 public:
  CaseScorer(const EvaluateOptions& options, const std::vector<Protocol>& protocols,
             const std::map<int, std::string>& names)
      : options_(options), protocols_(protocols) {
    for (const auto& [value, name] : names) named_.push_back(value);
  }

  void Run(EvaluatedCase& item, Progress& progress) const {
    if (options_.task == "translation") {
      ScoreTranslation(options_, protocols_, item, progress);
      return;
    }
    io::Volume prediction, reference;
    ReadPair(item, prediction, reference);
    const double side =
        *std::min_element(reference.geometry.spacing.begin(), reference.geometry.spacing.end());
    if (io::MaxCornerDistance(prediction.geometry, reference.geometry) >
            options_.geometry_tolerance * side &&
        ToCommonBox(prediction, reference)) {
      item.notes.push_back(
          "the two masks cover different parts of one grid; where one of them has no slice it is "
          "taken as empty");
    }
    RequireSameGrid(prediction.geometry, reference.geometry, options_.geometry_tolerance,
                    item.prediction.filename().string(), item.reference.filename().string());
    item.size = reference.geometry.size;
    item.spacing_mm = reference.geometry.spacing;
    item.dims = options_.dims != 0 ? options_.dims : item.size[2] == 1 ? 2 : 3;
    if (item.dims == 2 && item.size[2] != 1)
      throw OptionError(item.reference.filename().string() + " has " +
                        std::to_string(item.size[2]) +
                        " slices; --dims 2 is for images of one slice");
    const std::vector<uint16_t> p = prediction.ToLabels(item.prediction.string());
    const std::vector<uint16_t> r = reference.ToLabels(item.reference.string());
    const metrics::LabelPair<uint16_t> pair{p.data(), r.data(), item.size, item.spacing_mm,
                                            item.dims};
    std::vector<int> labels = options_.labels;
    if (labels.empty()) {
      labels = metrics::LabelsPresent(pair, options_.threads);
      labels.insert(labels.end(), named_.begin(), named_.end());
      std::sort(labels.begin(), labels.end());
      labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
    }
    item.classes = metrics::Score(pair, labels, protocols_, options_.threads);
  }

  // Brings the classes of a scored case to the order of `classes`; those that do not occur in it
  // are scored as absent from both masks.
  void Complete(EvaluatedCase& item, const std::vector<EvaluatedClass>& classes) const {
    if (options_.task == "translation") return;
    std::map<int, ClassScores> by_label;
    for (ClassScores& scores : item.classes) by_label[scores.label] = std::move(scores);
    item.classes.clear();
    for (const EvaluatedClass& c : classes) {
      const auto found = by_label.find(c.label);
      if (found != by_label.end()) {
        item.classes.push_back(std::move(found->second));
        continue;
      }
      metrics::LabelPair<uint16_t> nothing;
      nothing.size = item.size;
      nothing.spacing = item.spacing_mm;
      nothing.dims = item.dims;
      item.classes.push_back(metrics::ScoreAbsent(nothing, c.label, protocols_));
    }
  }

 private:
  // A DICOM SEG or RTSTRUCT lies on the grid of the other file, or on that of --source-series.
  void ReadPair(EvaluatedCase& item, io::Volume& prediction, io::Volume& reference) const {
    const bool mask_p = IsDicomMask(item.prediction), mask_r = IsDicomMask(item.reference);
    MaskGrid grid;
    grid.force = options_.force;
    io::SourceSeries series;
    if ((mask_p || mask_r) && !options_.source_series.empty()) {
      SilentProgress silent;
      series = SeriesOfMask(mask_r ? item.reference : item.prediction, options_.source_series,
                            options_.series, silent);
      grid.series = &series;
    }
    const auto read = [&](const fs::path& path, bool is_mask) {
      if (!is_mask) return io::ReadVolume(path);
      MaskFile mask = ReadMaskFile(path, grid);
      item.forced = item.forced || mask.forced;
      item.notes.insert(item.notes.end(), mask.notes.begin(), mask.notes.end());
      if (!mask.names.empty()) item.notes.push_back(MeaningOfValues(mask, path));
      return OnlyVolume(std::move(mask), path);
    };
    // First the one that has voxels of its own.
    if (mask_r && (!mask_p || io::IsRtStruct(item.reference))) {
      prediction = read(item.prediction, mask_p);
      grid.geometry = &prediction.geometry;
      grid.space = io::SpaceOf(prediction);
      reference = read(item.reference, mask_r);
    } else {
      reference = read(item.reference, mask_r);
      grid.geometry = &reference.geometry;
      grid.space = io::SpaceOf(reference);
      prediction = read(item.prediction, mask_p);
    }
  }

  const EvaluateOptions& options_;
  const std::vector<Protocol>& protocols_;
  std::vector<int> named_;
};

void ScoreSet(const CaseScorer& scorer, const std::string& what, EvaluatedSet& set,
              Progress& progress) {
  for (size_t n = 0; n < set.cases.size(); ++n) {
    EvaluatedCase& item = set.cases[n];
    UpdateOrThrow(progress, static_cast<double>(n) / static_cast<double>(set.cases.size()),
                  what + " " + item.name);
    const double share = 1.0 / static_cast<double>(set.cases.size());
    PartOf part(progress, static_cast<double>(n) * share, static_cast<double>(n + 1) * share);
    try {
      if (!item.error.empty()) throw IoError(item.error);
      scorer.Run(item, part);
      for (const std::string& note : item.notes) progress.Warn(item.name + ": " + note);
    } catch (const Cancelled&) {
      throw;
    } catch (const Error& error) {
      if (set.cases.size() == 1) throw;
      item.error = error.what();
      item.other_space = dynamic_cast<const OtherSpaceError*>(&error) != nullptr;
      ++set.failed;
    } catch (const std::bad_alloc&) {
      if (set.cases.size() == 1) throw;
      item.error = item.name + ": not enough memory";
      ++set.failed;
    }
  }
  const auto warn = [&](const std::vector<std::string>& files, const char* one, const char* many) {
    if (files.empty()) return;
    std::string text =
        files.size() == 1 ? std::string(one) : std::to_string(files.size()) + " " + many;
    text += files.size() == 1 ? ": " : ", among them ";
    for (size_t n = 0; n < std::min<size_t>(files.size(), 3); ++n)
      text += (n ? ", " : "") + files[n];
    progress.Warn(text);
  };
  warn(set.unpaired_predictions, "a prediction has no reference and is left out",
       "predictions have no reference and are left out");
  // A reference that nobody predicted may be a case forgotten: never passed over in silence.
  warn(set.unpaired_references, "a reference has no prediction and is left out",
       "references have no prediction and are left out");
}

void Summarise(const std::vector<Protocol>& protocols, size_t class_count, EvaluatedSet& set) {
  for (size_t p = 0; p < protocols.size(); ++p) {
    const size_t columns = protocols[p].columns.size();
    set.summaries.emplace_back(class_count, std::vector<metrics::ClassSummary>(columns));
    set.overall.emplace_back(columns);
    for (size_t m = 0; m < columns; ++m) {
      std::vector<std::vector<double>> table;
      for (const EvaluatedCase& item : set.cases) {
        if (!item.error.empty()) continue;
        table.emplace_back();
        for (size_t c = 0; c < class_count; ++c) {
          const MetricValue& v = item.classes[c].values[p][m];
          table.back().push_back(v.HasValue() ? v.value : std::numeric_limits<double>::quiet_NaN());
        }
      }
      set.overall[p][m] = metrics::AggregateTable(table, metrics::AggregationOrder::kClassThenMean);
      for (size_t c = 0; c < class_count; ++c) {
        std::vector<MetricValue> values;
        std::vector<metrics::Presence> presence;
        for (const EvaluatedCase& item : set.cases) {
          if (!item.error.empty()) continue;
          values.push_back(item.classes[c].values[p][m]);
          presence.push_back(item.classes[c].presence);
        }
        set.summaries[p][c][m] = metrics::SummariseClass(values, presence);
      }
    }
  }
}

// Values of both sets in the cases that both have, by case name. `class_index` of classes.size()
// means the mean over the classes that have a value in both.
struct PairedValues {
  std::vector<double> a, b;
};
PairedValues Pair(const EvaluateResult& result, size_t protocol, size_t column,
                  size_t class_index) {
  std::map<std::string, const EvaluatedCase*> others;
  for (const EvaluatedCase& item : result.compared.cases)
    if (item.error.empty()) others[item.name] = &item;
  PairedValues out;
  for (const EvaluatedCase& item : result.set.cases) {
    const auto other = others.find(item.name);
    if (!item.error.empty() || other == others.end()) continue;
    const size_t first = class_index < result.classes.size() ? class_index : 0;
    const size_t last =
        class_index < result.classes.size() ? class_index + 1 : result.classes.size();
    double a = 0, b = 0;
    int n = 0;
    for (size_t c = first; c < last; ++c) {
      const MetricValue& va = item.classes[c].values[protocol][column];
      const MetricValue& vb = other->second->classes[c].values[protocol][column];
      if (!va.HasValue() || !vb.HasValue() || !std::isfinite(va.value) || !std::isfinite(vb.value))
        continue;
      a += va.value;
      b += vb.value;
      ++n;
    }
    if (n == 0) continue;
    out.a.push_back(a / n);
    out.b.push_back(b / n);
  }
  return out;
}

void Compare(const EvaluateOptions& options, EvaluateResult& result) {
  result.resamples = options.resamples;
  result.seed = options.seed;
  for (size_t p = 0; p < result.protocols.size(); ++p) {
    for (size_t m = 0; m < result.protocols[p].columns.size(); ++m) {
      const metrics::MetricColumn& column = result.protocols[p].columns[m];
      if (!column.is_score) continue;
      const size_t rows = result.classes.size() + (result.classes.size() > 1 ? 1 : 0);
      for (size_t c = 0; c < rows; ++c) {
        const PairedValues values = Pair(result, p, m, c);
        PairedComparison row;
        row.protocol = result.protocols[p].name;
        row.column = column.name;
        row.class_name = c < result.classes.size() ? result.classes[c].name : "mean of classes";
        row.higher_is_better = column.higher_is_better;
        row.n = static_cast<int64_t>(values.a.size());
        const double nan = std::numeric_limits<double>::quiet_NaN();
        row.mean_a = metrics::Summarise(values.a).mean;
        row.mean_b = metrics::Summarise(values.b).mean;
        row.wilcoxon = metrics::WilcoxonSignedRank(values.a, values.b);
        row.interval = {nan, nan};
        std::vector<double> difference(values.a.size());
        for (size_t n = 0; n < difference.size(); ++n) difference[n] = values.b[n] - values.a[n];
        row.difference = metrics::Summarise(difference).mean;
        if (row.n > 1) {
          const auto index = metrics::ResampleIndices(row.n, options.resamples, options.seed);
          row.interval = metrics::PercentileInterval(
              metrics::ResampledEstimates(difference, index, metrics::Estimator::kMean));
        }
        result.comparisons.push_back(std::move(row));
      }
    }
  }
}

std::map<int, std::string> LabelNames(const EvaluateOptions& options, const EvaluatedSet& set) {
  if (!options.label_names.empty()) return ReadLabelNames(options.label_names);
  for (const EvaluatedCase& item : set.cases) {
    const fs::path beside =
        item.prediction.parent_path() / (io::StemOf(item.prediction) + ".labels.json");
    if (fs::exists(beside)) return ReadLabelNames(beside);
  }
  return {};
}

// The first option that has a value other than its default and that the task does not know.
std::string ForeignOption(const EvaluateOptions& o) {
  const EvaluateOptions plain;
  const bool translation = o.task != "segmentation";
  struct Known {
    const char* option;
    bool by_translation;  // else by segmentation
    bool given;
  };
  const Known known[] = {
      {"--labels", false, !o.label_names.empty()},
      {"--classes", false, !o.labels.empty()},
      {"--nsd-tolerance", false, o.nsd_tolerance_mm != plain.nsd_tolerance_mm},
      {"--worst-case", false, o.worst_case_mm != plain.worst_case_mm},
      {"--source-series", false, !o.source_series.empty()},
      {"--data-range", true, o.data_range != plain.data_range},
      {"--mask", true, !o.mask.empty()},
      {"--plane", true, o.plane != plain.plane},
      {"--image-size", true, o.image_size != plain.image_size},
      {"--lpips", true, !o.lpips.empty()},
      {"--subjects", true, !o.subjects.empty()},
      {"--slices-csv", true, !o.slices_csv.empty()},
      {"--regularise", true, o.regularise},
  };
  for (const Known& one : known) {
    if (one.given && one.by_translation != translation) return one.option;
  }
  return "";
}

}  // namespace

std::string EvaluateOptions::Check() const {
  if (task != "segmentation" && task != "translation" && task != "image-quality")
    return "--task is '" + task + "'; it must be segmentation or translation";
  if (const std::string foreign = ForeignOption(*this); !foreign.empty()) {
    const bool masks = task == "segmentation";
    return foreign + " has no effect with --task " + (masks ? "segmentation" : "translation") +
           ": it is for --task " + (masks ? "translation" : "segmentation") + "; leave it out";
  }
  if (plane != "auto" && plane != "axial" && plane != "coronal" && plane != "sagittal")
    return "--plane is '" + plane + "'; it must be auto, axial, coronal or sagittal";
  if (image_size != 0 && (image_size < 16 || image_size > 4096))
    return "--image-size must be 0 (off) or between 16 and 4096";
  if (protocols.empty()) return "--protocol names no protocol";
  if (task == "segmentation" && source_series.empty() && !series.empty())
    return "--series chooses among the images of --source-series, which is not given";
  if (dims != 0 && dims != 2 && dims != 3) return "--dims must be 2 or 3";
  for (const int label : labels)
    if (label < 1 || label > 65535) return "--classes must be labels between 1 and 65535";
  if (!(data_range >= 0) || !std::isfinite(data_range)) return "--data-range must be above 0";
  if (!(geometry_tolerance >= 0) || !std::isfinite(geometry_tolerance))
    return "--geometry-tolerance must be 0 or more (in voxels)";
  if (resamples < 100 || resamples > 1000000) return "--resamples must be between 100 and 1000000";
  metrics::ProtocolOptions protocol_options;
  protocol_options.nsd_tolerance_mm = nsd_tolerance_mm;
  protocol_options.worst_case_mm = worst_case_mm;
  return protocol_options.Check();
}

void RequireSameGrid(const io::Geometry& prediction, const io::Geometry& reference,
                     double tolerance, const std::string& prediction_name,
                     const std::string& reference_name) {
  const double side = *std::min_element(reference.spacing.begin(), reference.spacing.end());
  const double distance = io::MaxCornerDistance(prediction, reference);
  if (distance <= tolerance * side) return;
  std::string what;
  const auto add = [&](const std::string& text) { what += (what.empty() ? "" : ", ") + text; };
  if (prediction.size != reference.size) {
    const auto size = [](const io::Geometry& g) {
      return std::to_string(g.size[0]) + " x " + std::to_string(g.size[1]) + " x " +
             std::to_string(g.size[2]);
    };
    add("size " + size(prediction) + " against " + size(reference) + " voxels");
  }
  double spacing = 0, direction = 0, offset = 0;
  for (int a = 0; a < 3; ++a) {
    spacing = std::max(spacing, std::abs(prediction.spacing[a] - reference.spacing[a]));
    offset = std::hypot(offset, prediction.origin[a] - reference.origin[a]);
  }
  for (int n = 0; n < 9; ++n)
    direction = std::max(direction, std::abs(prediction.direction[n] - reference.direction[n]));
  if (spacing > 1e-4 * side)
    add("spacing " + Triple(prediction.spacing) + " against " + Triple(reference.spacing) + " mm");
  if (offset > tolerance * side) add("origin off by " + Text(offset) + " mm");
  if (direction > 1e-4) add("direction cosines off by up to " + Text(direction));
  if (prediction.size == reference.size) {
    add("voxels up to " + Text(distance) + " mm apart");
  } else {
    // Sizes differ: the physical extents still have a difference in millimetres.
    double extent = 0;
    for (int a = 0; a < 3; ++a)
      extent = std::max(extent,
                        std::abs(static_cast<double>(prediction.size[a]) * prediction.spacing[a] -
                                 static_cast<double>(reference.size[a]) * reference.spacing[a]));
    add("extents differ by up to " + Text(extent) + " mm");
  }
  throw IoError(prediction_name + " and " + reference_name + " do not lie on the same grid: " +
                what + "; resample the prediction to the reference first");
}

EvaluateResult RunEvaluate(const EvaluateOptions& given, Progress& progress) {
  EvaluateOptions options = given;
  if (options.task == "image-quality") options.task = "translation";
  const std::string wrong = options.Check();
  if (!wrong.empty()) throw OptionError(wrong);
  EvaluateResult result;
  result.task = options.task;
  result.prediction_name = NameOfPath(options.prediction);
  const bool translation = options.task == "translation";
  if (translation) {
    PrepareTranslation(options, result);
  } else {
    metrics::ProtocolOptions protocol_options;
    protocol_options.nsd_tolerance_mm = options.nsd_tolerance_mm;
    protocol_options.worst_case_mm = options.worst_case_mm;
    std::set<std::string> seen;
    for (const std::string& name : options.protocols)
      if (seen.insert(name).second)
        result.protocols.push_back(metrics::MakeProtocol(name, protocol_options));
  }
  SilentProgress silent;  // the share of the search in the whole is not known
  const auto pairs = [&](const fs::path& prediction) {
    return translation ? FindImagePairs(options, prediction, silent)
                       : FindMaskPairs(prediction, options.reference);
  };
  result.set = pairs(options.prediction);
  if (!options.compare.empty()) {
    result.compare_name = NameOfPath(options.compare);
    result.compared = pairs(options.compare);
    if (result.set.cases.size() == 1 && result.compared.cases.size() == 1)
      result.compared.cases[0].name = result.set.cases[0].name;
  }
  std::map<int, std::string> names;
  if (options.task == "segmentation") names = LabelNames(options, result.set);

  const CaseScorer scorer(options, result.protocols, names);
  ScoreSet(scorer, "evaluating", result.set, progress);
  if (!options.compare.empty())
    ScoreSet(scorer, "evaluating " + result.compare_name + ":", result.compared, progress);

  if (!translation) {
    std::set<int> labels(options.labels.begin(), options.labels.end());
    if (labels.empty()) {
      for (const auto& [value, name] : names) labels.insert(value);
      for (const EvaluatedSet* set : {&result.set, &result.compared})
        for (const EvaluatedCase& item : set->cases)
          for (const ClassScores& scores : item.classes) labels.insert(scores.label);
    }
    for (const int label : labels) {
      const auto name = names.find(label);
      result.classes.push_back(
          {label, name != names.end() ? name->second : "label " + std::to_string(label)});
    }
  }
  for (EvaluatedSet* set : {&result.set, &result.compared}) {
    for (EvaluatedCase& item : set->cases)
      if (item.error.empty()) scorer.Complete(item, result.classes);
    Summarise(result.protocols, result.classes.size(), *set);
    if (translation) SummariseTranslation(result, *set);
  }
  if (!options.compare.empty()) Compare(options, result);
  UpdateOrThrow(progress, 1, "evaluated");

  if (!options.csv.empty()) io::WriteFileAtomically(options.csv, EvaluateCsv(result));
  if (!options.json.empty()) io::WriteFileAtomically(options.json, EvaluateJson(result));
  if (!options.slices_csv.empty())
    io::WriteFileAtomically(options.slices_csv, EvaluateSlicesCsv(result));
  return result;
}

}  // namespace avocet::core
