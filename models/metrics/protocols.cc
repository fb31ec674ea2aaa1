// SPDX-License-Identifier: Apache-2.0
#include "models/metrics/protocols.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>

#include "app/base/error.h"
#include "models/metrics/parallel.h"

namespace avocet::metrics {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

MetricValue Defined(double value) {
  return {value, std::isnan(value) ? ValueState::kUndefined : ValueState::kDefined};
}
const MetricValue kUndefinedValue{kNan, ValueState::kUndefined};
const MetricValue kRaisesValue{kNan, ValueState::kRaises};
MetricValue Substituted(double value) { return {value, ValueState::kSubstituted}; }

using Compute = std::function<MetricValue(ClassMeasurements&)>;

// "1", "2.5": for column names.
std::string ShortNumber(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

// A value of the counts alone, with the values for a missed, a spurious and an absent class.
struct EmptyValues {
  MetricValue missed, spurious, both;
};
Compute FromCounts(double (*function)(const ClassCounts&)) {
  return [function](ClassMeasurements& m) { return Defined(function(m.counts())); };
}
Compute WithEmpty(Compute compute, EmptyValues empty) {
  return [compute = std::move(compute), empty](ClassMeasurements& m) {
    switch (m.presence()) {
      case Presence::kMissed:
        return empty.missed;
      case Presence::kSpurious:
        return empty.spurious;
      case Presence::kBothEmpty:
        return empty.both;
      case Presence::kBoth:
        break;
    }
    return compute(m);
  };
}

template <typename Function>
Compute OnSurfaceMm(Function function) {
  return [function](ClassMeasurements& m) { return Defined(function(m.SurfaceMm())); };
}
template <typename Function>
Compute OnSurfaceVoxel(Function function) {
  return [function](ClassMeasurements& m) { return Defined(function(m.SurfaceVoxel())); };
}
Compute OnSurface(bool mm, double (*function)(const SurfaceDistances&)) {
  return mm ? OnSurfaceMm(function) : OnSurfaceVoxel(function);
}

double Hd95Pooled(const SurfaceDistances& d) { return HausdorffPooled(d, 95); }
double Hd95MaxOfDirected(const SurfaceDistances& d) { return HausdorffMaxOfDirected(d, 95); }
double Hd95MaxOfDirectedSingle(const SurfaceDistances& d) {
  return HausdorffMaxOfDirectedSingle(d, 95);
}
double MeanPredictionToReference(const SurfaceDistances& d) {
  return Mean(d.prediction_to_reference);
}
double MeanReferenceToPrediction(const SurfaceDistances& d) {
  return Mean(d.reference_to_prediction);
}

const char kDice[] = "2 |P and R| / (|P| + |R|)";
const char kIou[] = "|P and R| / |P or R|";
const char kPrecision[] = "|P and R| / |P|";
const char kSensitivity[] = "|P and R| / |R| (recall)";
const char kSpecificity[] = "TN / (TN + FP) over the whole image";
const char kRavd[] = "(|P| - |R|) / |R|";
const char kHd[] = "largest distance of a border voxel to the other border, both directions";
const char kHdPooled[] =
    "95th percentile of the distances of the border voxels of both masks to the other border, the "
    "two lists pooled; linear interpolation";
const char kHdMaxdir[] =
    "larger of the 95th percentiles of the two directed lists of border distances; linear "
    "interpolation";
const char kAsdPr[] =
    "mean distance of the border voxels of the prediction to the reference border";
const char kAsdRp[] =
    "mean distance of the border voxels of the reference to the prediction border";
const char kAssdPooled[] = "mean of both lists of border distances pooled";
const char kMasd[] = "mean of the two directed mean border distances";

MetricColumn Ratio(std::string name, std::string definition, Compute compute, bool higher = true) {
  return {std::move(name), "1", std::move(definition), higher, true, std::move(compute)};
}
MetricColumn Distance(std::string name, bool mm, std::string definition, Compute compute) {
  return {std::move(name),   mm ? "mm" : "voxel", std::move(definition), false, true,
          std::move(compute)};
}
MetricColumn Count(std::string name, std::string definition,
                   std::function<int64_t(const ClassCounts&)> count) {
  return {std::move(name),
          "count",
          std::move(definition),
          false,
          false,
          [count = std::move(count)](ClassMeasurements& m) {
            return MetricValue{static_cast<double>(count(m.counts())), ValueState::kDefined};
          }};
}

void AddVolumes(std::vector<MetricColumn>& columns) {
  const auto volume = [](bool prediction) {
    return [prediction](ClassMeasurements& m) {
      return Defined(
          VolumeMl(prediction ? m.counts().prediction : m.counts().reference, m.spacing_mm()));
    };
  };
  columns.push_back({"volume_pred_ml", "ml", "voxels of the prediction times the voxel volume",
                     false, false, volume(true)});
  columns.push_back({"volume_ref_ml", "ml", "voxels of the reference times the voxel volume", false,
                     false, volume(false)});
}

Protocol TransUnet() {
  Protocol p;
  p.description =
      "Evaluation of TransUNet, RWKV-UNet and relatives: MedPy Dice and HD95 without spacing.";
  p.empty_rule =
      "only the prediction present: Dice 1, HD95 0; prediction empty (whatever the reference): "
      "Dice "
      "0, HD95 0";
  p.columns.push_back(
      Ratio("dice", kDice,
            WithEmpty(FromCounts(Dice), {Substituted(0), Substituted(1), Substituted(0)})));
  p.columns.push_back(Distance(
      "hd95_vox_pooled", false, kHdPooled,
      WithEmpty(OnSurfaceVoxel(Hd95Pooled), {Substituted(0), Substituted(0), Substituted(0)})));
  return p;
}

Protocol MedPy(bool mm) {
  Protocol p;
  p.description =
      mm ? "MedPy with voxelspacing = the spacing of the image (values as with NumPy < 2.3)."
         : "MedPy without spacing: distances in voxels (values as with NumPy < 2.3).";
  p.empty_rule =
      "both empty: Dice 1, Jaccard 1; precision and sensitivity 0 where their denominator is 0; "
      "distances (and the volume difference without reference) raise an error: undefined";
  const MetricValue zero = Defined(0), one = Defined(1);
  p.columns.push_back(Ratio("dice", kDice, WithEmpty(FromCounts(Dice), {zero, zero, one})));
  p.columns.push_back(Ratio("iou", kIou, WithEmpty(FromCounts(Jaccard), {zero, zero, one})));
  p.columns.push_back(
      Ratio("precision", kPrecision, WithEmpty(FromCounts(Precision), {zero, zero, zero})));
  p.columns.push_back(
      Ratio("sensitivity", kSensitivity, WithEmpty(FromCounts(Sensitivity), {zero, zero, zero})));
  p.columns.push_back(Ratio("specificity", kSpecificity, [](ClassMeasurements& m) {
    const double value = Specificity(m.counts());
    return Defined(std::isnan(value) ? 0 : value);
  }));
  p.columns.push_back(Ratio(
      "ravd", kRavd,
      WithEmpty(FromCounts(RelativeVolumeDifference), {Defined(-1), kRaisesValue, kRaisesValue}),
      false));
  const std::string unit = mm ? "mm" : "vox";
  const EmptyValues raises{kRaisesValue, kRaisesValue, kRaisesValue};
  const auto add = [&](const std::string& name, const char* definition,
                       double (*function)(const SurfaceDistances&)) {
    p.columns.push_back(Distance(name, mm, definition, WithEmpty(OnSurface(mm, function), raises)));
  };
  add("hd_" + unit, kHd, HausdorffMax);
  add("hd95_" + unit + "_pooled", kHdPooled, Hd95Pooled);
  add("asd_" + unit + "_pred_to_ref", kAsdPr, MeanPredictionToReference);
  add("asd_" + unit + "_ref_to_pred", kAsdRp, MeanReferenceToPrediction);
  add("assd_" + unit + "_pooled", kAssdPooled, AverageDistancePooled);
  return p;
}

Compute SurfaceDiceOn(bool mm, double tolerance) {
  const auto dice = [tolerance](const SurfaceDistances& d) { return SurfaceDice(d, tolerance); };
  return mm ? OnSurfaceMm(dice) : OnSurfaceVoxel(dice);
}

const char kNsd[] =
    "share of the border voxels of both masks that lie within the tolerance of the other border";

Protocol Monai(bool mm, const ProtocolOptions& options) {
  Protocol p;
  p.description = mm ? "MONAI with spacing = the spacing of the image, its defaults otherwise."
                     : "MONAI without spacing (its default): distances in voxels.";
  p.empty_rule =
      "Dice and IoU undefined where the reference is empty (ignore_empty); HD95 undefined where a "
      "mask is empty; other distances infinite where one mask is empty, undefined where both are";
  const MetricValue zero = Defined(0);
  p.columns.push_back(
      Ratio("dice", kDice, WithEmpty(FromCounts(Dice), {zero, kUndefinedValue, kUndefinedValue})));
  p.columns.push_back(
      Ratio("iou", kIou, WithEmpty(FromCounts(Jaccard), {zero, kUndefinedValue, kUndefinedValue})));
  p.columns.push_back(Ratio("precision", kPrecision, FromCounts(Precision)));
  p.columns.push_back(Ratio("sensitivity", kSensitivity, FromCounts(Sensitivity)));
  const std::string unit = mm ? "mm" : "vox";
  const MetricValue infinite = Defined(kInfinity);
  const EmptyValues far{infinite, infinite, kUndefinedValue};
  const EmptyValues undefined{kUndefinedValue, kUndefinedValue, kUndefinedValue};
  const auto add = [&](const std::string& name, const char* definition,
                       double (*function)(const SurfaceDistances&), const EmptyValues& empty) {
    p.columns.push_back(Distance(name, mm, definition, WithEmpty(OnSurface(mm, function), empty)));
  };
  add("hd_" + unit, kHd, HausdorffMax, far);
  add("hd95_" + unit + "_maxdir", kHdMaxdir, Hd95MaxOfDirectedSingle, undefined);
  add("asd_" + unit + "_pred_to_ref", kAsdPr, MeanPredictionToReference, far);
  add("asd_" + unit + "_ref_to_pred", kAsdRp, MeanReferenceToPrediction, far);
  add("assd_" + unit + "_pooled", kAssdPooled, AverageDistancePooled, far);
  p.columns.push_back(
      Ratio("nsd_at_" + ShortNumber(options.nsd_tolerance_mm) + unit, kNsd,
            WithEmpty(SurfaceDiceOn(mm, options.nsd_tolerance_mm), {zero, zero, kUndefinedValue})));
  return p;
}

// The worst-case distance: the option, or the diagonal of the image.
Compute WorstCase(const ProtocolOptions& options) {
  return [worst = options.worst_case_mm](ClassMeasurements& m) {
    return Substituted(worst > 0 ? worst : m.diagonal_mm());
  };
}
Compute DistanceOrWorst(double (*function)(const SurfaceDistances&), const ProtocolOptions& options,
                        MetricValue both_empty) {
  return [function, worst = WorstCase(options), both_empty](ClassMeasurements& m) {
    if (m.presence() == Presence::kBothEmpty) return both_empty;
    if (m.presence() != Presence::kBoth) return worst(m);
    return Defined(function(m.SurfaceMm()));
  };
}
std::string WorstCaseText(const ProtocolOptions& options) {
  return options.worst_case_mm > 0 ? ShortNumber(options.worst_case_mm) + " mm"
                                   : "the largest distance two voxels of the image can have";
}

Protocol MetricsReloaded(const ProtocolOptions& options) {
  Protocol p;
  p.description = "MetricsReloaded, with its advice for empty masks carried out.";
  p.empty_rule =
      "both empty: Dice, IoU and NSD 1, distances 0; one empty: Dice, IoU and NSD 0, "
      "distances set to the worst case, " +
      WorstCaseText(options);
  const MetricValue zero = Defined(0), one = Defined(1);
  p.columns.push_back(Ratio("dice", kDice, WithEmpty(FromCounts(Dice), {zero, zero, one})));
  p.columns.push_back(Ratio("iou", kIou, WithEmpty(FromCounts(Jaccard), {zero, zero, one})));
  const auto add = [&](const std::string& name, const char* definition,
                       double (*function)(const SurfaceDistances&)) {
    p.columns.push_back(Distance(name, true, definition, DistanceOrWorst(function, options, zero)));
  };
  add("hd_mm", kHd, HausdorffMax);
  add("hd95_mm_maxdir", kHdMaxdir, Hd95MaxOfDirected);
  add("assd_mm_pooled", kAssdPooled, AverageDistancePooled);
  add("masd_mm_meandir", kMasd, AverageDistanceMeanOfDirected);
  p.columns.push_back(
      Ratio("nsd_at_" + ShortNumber(options.nsd_tolerance_mm) + "mm", kNsd,
            WithEmpty(SurfaceDiceOn(true, options.nsd_tolerance_mm), {zero, zero, one})));
  return p;
}

Protocol DeepMind(const ProtocolOptions& options) {
  Protocol p;
  p.description =
      "DeepMind surface-distance: area-weighted surface elements on the grid of voxel corners.";
  p.empty_rule =
      "Dice and surface Dice undefined where both are empty; Hausdorff distances infinite where a "
      "mask is empty; averages and overlaps of an empty mask undefined";
  const double tolerance = options.nsd_tolerance_mm;
  const std::string at = "at_" + ShortNumber(tolerance) + "mm_area";
  const auto elements = [](auto function) {
    return [function](ClassMeasurements& m) { return Defined(function(m.ElementsMm())); };
  };
  p.columns.push_back(Ratio("dice", kDice, FromCounts(Dice)));
  p.columns.push_back(
      Distance("hd_mm_area", true, "largest distance of a surface element to the other surface",
               elements([](const SurfaceElements& s) { return RobustHausdorff(s, 100); })));
  p.columns.push_back(
      Distance("hd95_mm_area", true,
               "larger of the two directed distances at which 95 % of the surface area is reached",
               elements([](const SurfaceElements& s) { return RobustHausdorff(s, 95); })));
  p.columns.push_back(Distance(
      "asd_mm_ref_to_pred_area", true, "area-weighted mean distance, reference to prediction",
      elements([](const SurfaceElements& s) { return AverageDistance(s.reference); })));
  p.columns.push_back(Distance(
      "asd_mm_pred_to_ref_area", true, "area-weighted mean distance, prediction to reference",
      elements([](const SurfaceElements& s) { return AverageDistance(s.prediction); })));
  p.columns.push_back(Ratio(
      "nsd_" + at,
      "share of the surface area of both masks within the tolerance of the other surface",
      elements([tolerance](const SurfaceElements& s) { return SurfaceDiceByArea(s, tolerance); })));
  p.columns.push_back(Ratio("overlap_ref_" + at,
                            "share of the reference's surface area within the tolerance",
                            elements([tolerance](const SurfaceElements& s) {
                              return SurfaceOverlap(s.reference, tolerance);
                            })));
  p.columns.push_back(Ratio("overlap_pred_" + at,
                            "share of the prediction's surface area within the tolerance",
                            elements([tolerance](const SurfaceElements& s) {
                              return SurfaceOverlap(s.prediction, tolerance);
                            })));
  return p;
}

Protocol NnUnet() {
  Protocol p;
  p.description = "nnU-Net v2: overlap and counts.";
  p.empty_rule = "both empty: undefined, left out of the means; one empty: 0";
  p.columns.push_back(Ratio("dice", kDice, FromCounts(Dice)));
  p.columns.push_back(Ratio("iou", kIou, FromCounts(Jaccard)));
  p.columns.push_back(
      Count("tp", "voxels in both masks", [](const ClassCounts& c) { return c.true_positive; }));
  p.columns.push_back(Count("fp", "voxels in the prediction only",
                            [](const ClassCounts& c) { return c.FalsePositive(); }));
  p.columns.push_back(Count("fn", "voxels in the reference only",
                            [](const ClassCounts& c) { return c.FalseNegative(); }));
  p.columns.push_back(
      Count("tn", "voxels in neither mask", [](const ClassCounts& c) { return c.TrueNegative(); }));
  p.columns.push_back(Count("n_pred", "voxels of the prediction",
                            [](const ClassCounts& c) { return c.prediction; }));
  p.columns.push_back(
      Count("n_ref", "voxels of the reference", [](const ClassCounts& c) { return c.reference; }));
  return p;
}

Protocol SimpleItk() {
  Protocol p;
  p.description =
      "ITK's LabelOverlapMeasures (source = prediction, target = reference) and HausdorffDistance "
      "filters; the latter measures from all foreground voxels, not from borders.";
  p.empty_rule =
      "overlap of an absent class 0, a division by zero 1.8e308; Hausdorff raises an error where a "
      "mask is empty: undefined";
  const auto overlap = [](double ItkOverlap::*member) {
    return
        [member](ClassMeasurements& m) { return Defined(ItkOverlapMeasures(m.counts()).*member); };
  };
  p.columns.push_back(Ratio("dice", "2 IoU / (1 + IoU)", overlap(&ItkOverlap::dice)));
  p.columns.push_back(Ratio("iou", kIou, overlap(&ItkOverlap::jaccard)));
  p.columns.push_back(Ratio("volume_similarity", "2 (|P| - |R|) / (|P| + |R|)",
                            overlap(&ItkOverlap::volume_similarity), false));
  p.columns.push_back(Ratio("false_negative_error", "|R without P| / |R|",
                            overlap(&ItkOverlap::false_negative_error), false));
  p.columns.push_back(Ratio("false_positive_error", "FP / (FP + TN)",
                            overlap(&ItkOverlap::false_positive_error), false));
  const EmptyValues raises{kRaisesValue, kRaisesValue, kRaisesValue};
  p.columns.push_back(Distance(
      "hd_mm_allvoxels", true, "largest distance of a foreground voxel to the other mask",
      WithEmpty([](ClassMeasurements& m) { return Defined(m.ItkHausdorffMm().maximum); }, raises)));
  p.columns.push_back(Distance(
      "ahd_mm_allvoxels", true,
      "mean of the two directed mean distances of all foreground voxels to the other mask",
      WithEmpty([](ClassMeasurements& m) { return Defined(m.ItkHausdorffMm().average); }, raises)));
  return p;
}

Protocol Default(const ProtocolOptions& options) {
  Protocol p;
  p.description = "Avocet's default for people: overlap, surface distances in mm, volumes.";
  p.empty_rule =
      "both empty: undefined, counted and left out; one empty: Dice, IoU, NSD 0 and distances set "
      "to "
      "the worst case, " +
      WorstCaseText(options);
  const MetricValue zero = Defined(0);
  p.columns.push_back(Ratio("dice", kDice, FromCounts(Dice)));
  p.columns.push_back(Ratio("iou", kIou, FromCounts(Jaccard)));
  p.columns.push_back(Distance("hd95_mm_maxdir", true, kHdMaxdir,
                               DistanceOrWorst(Hd95MaxOfDirected, options, kUndefinedValue)));
  p.columns.push_back(Distance("assd_mm_pooled", true, kAssdPooled,
                               DistanceOrWorst(AverageDistancePooled, options, kUndefinedValue)));
  p.columns.push_back(Ratio(
      "nsd_at_" + ShortNumber(options.nsd_tolerance_mm) + "mm", kNsd,
      WithEmpty(SurfaceDiceOn(true, options.nsd_tolerance_mm), {zero, zero, kUndefinedValue})));
  AddVolumes(p.columns);
  return p;
}

}  // namespace

Presence PresenceOf(const ClassCounts& counts) {
  if (counts.prediction > 0) return counts.reference > 0 ? Presence::kBoth : Presence::kSpurious;
  return counts.reference > 0 ? Presence::kMissed : Presence::kBothEmpty;
}

template <typename Label>
ClassMeasurements::ClassMeasurements(const LabelPair<Label>& pair, const ClassRegion& region,
                                     DistanceQuery& query, int threads)
    : label_(region.label), spacing_mm_(pair.spacing), query_(query), threads_(threads) {
  counts_.prediction = region.prediction_voxels;
  counts_.reference = region.reference_voxels;
  counts_.total = VoxelCount(pair.size);
  double square = 0;
  for (int a = 0; a < pair.dims; ++a) {
    const double side = static_cast<double>(pair.size[a] - 1) * pair.spacing[a];
    square += side * side;
  }
  diagonal_mm_ = std::sqrt(square);
  unit_spacing_ = pair.spacing[0] == 1 && pair.spacing[1] == 1 && pair.spacing[2] == 1;
  if (!region.empty()) {
    masks_ = CutMasks(pair, region, threads);
    counts_.true_positive = masks_.true_positive;
  } else {
    // Two empty masks: one background voxel is enough.
    masks_.dims = pair.dims;
    masks_.size = {3, 3, pair.dims == 3 ? 3 : 1};
    masks_.prediction.assign(static_cast<size_t>(VoxelCount(masks_.size)), 0);
    masks_.reference = masks_.prediction;
  }
}

const BorderPair& ClassMeasurements::Borders() {
  if (!borders_) borders_.emplace(masks_, threads_);
  return *borders_;
}
int64_t ClassMeasurements::prediction_border() { return Borders().prediction_border(); }
int64_t ClassMeasurements::reference_border() { return Borders().reference_border(); }

const SurfaceDistances& ClassMeasurements::SurfaceVoxel() {
  if (!surface_voxel_) surface_voxel_ = Borders().Distances({1, 1, 1}, query_);
  return *surface_voxel_;
}
const SurfaceDistances& ClassMeasurements::SurfaceMm() {
  if (unit_spacing_) return SurfaceVoxel();
  if (!surface_mm_) surface_mm_ = Borders().Distances(spacing_mm_, query_);
  return *surface_mm_;
}
const SurfaceElements& ClassMeasurements::ElementsVoxel() {
  if (!elements_voxel_) elements_voxel_ = FindSurfaceElements(masks_, {1, 1, 1}, query_, threads_);
  return *elements_voxel_;
}
const SurfaceElements& ClassMeasurements::ElementsMm() {
  if (unit_spacing_) return ElementsVoxel();
  if (!elements_mm_) elements_mm_ = FindSurfaceElements(masks_, spacing_mm_, query_, threads_);
  return *elements_mm_;
}
ItkHausdorff ClassMeasurements::ItkHausdorffMm() {
  return ItkHausdorffDistance(masks_, spacing_mm_, query_);
}

std::string ProtocolOptions::Check() const {
  if (!(nsd_tolerance_mm >= 0) || !std::isfinite(nsd_tolerance_mm))
    return "the NSD tolerance must be a length of 0 mm or more";
  if (!(worst_case_mm >= 0) || !std::isfinite(worst_case_mm))
    return "the worst-case distance must be a length above 0 mm (or 0 for the image diagonal)";
  return "";
}

std::vector<std::string> ProtocolNames() {
  return {"default",     "transunet",        "medpy-mm", "medpy-voxel", "monai-mm",
          "monai-voxel", "metrics-reloaded", "deepmind", "nnunet",      "simpleitk"};
}

Protocol MakeProtocol(const std::string& name, const ProtocolOptions& options) {
  const std::string wrong = options.Check();
  if (!wrong.empty()) throw OptionError(wrong);
  Protocol p;
  if (name == "default") {
    p = Default(options);
  } else if (name == "transunet") {
    p = TransUnet();
  } else if (name == "medpy-mm" || name == "medpy-voxel") {
    p = MedPy(name == "medpy-mm");
  } else if (name == "monai-mm" || name == "monai-voxel") {
    p = Monai(name == "monai-mm", options);
  } else if (name == "metrics-reloaded") {
    p = MetricsReloaded(options);
  } else if (name == "deepmind") {
    p = DeepMind(options);
  } else if (name == "nnunet") {
    p = NnUnet();
  } else if (name == "simpleitk") {
    p = SimpleItk();
  } else {
    std::string known;
    for (const std::string& n : ProtocolNames()) known += (known.empty() ? "" : ", ") + n;
    throw OptionError("'" + name + "' is not an evaluation protocol; choose one of " + known);
  }
  p.name = name;
  return p;
}

namespace {
template <typename Label>
ClassScores ScoreRegion(const LabelPair<Label>& pair, const ClassRegion& region,
                        const std::vector<Protocol>& protocols, DistanceQuery& query, int threads) {
  ClassMeasurements m(pair, region, query, threads);
  ClassScores out;
  out.label = m.label();
  out.counts = m.counts();
  out.presence = m.presence();
  for (const Protocol& protocol : protocols) {
    std::vector<MetricValue> values;
    for (const MetricColumn& column : protocol.columns) values.push_back(column.compute(m));
    out.values.push_back(std::move(values));
  }
  return out;
}
}  // namespace

template <typename Label>
ClassScores ScoreAbsent(const LabelPair<Label>& pair, int label,
                        const std::vector<Protocol>& protocols) {
  ClassRegion region;
  region.label = label;
  DistanceQuery query(1);
  return ScoreRegion(pair, region, protocols, query, 1);
}

template <typename Label>
std::vector<ClassScores> Score(const LabelPair<Label>& pair, const std::vector<int>& classes,
                               const std::vector<Protocol>& protocols, int threads) {
  threads = ResolveThreads(threads);
  const std::vector<ClassRegion> regions = FindRegions(pair, classes, threads);
  std::vector<ClassScores> scores(classes.size());
  const auto score_class = [&](size_t c, DistanceQuery& query, int inner_threads) {
    scores[c] = ScoreRegion(pair, regions[c], protocols, query, inner_threads);
  };
  // A class that is a good part of the work gets all threads to itself, one after the other, which
  // also keeps memory to one large grid; the small ones then run side by side.
  int64_t total = 0;
  for (const ClassRegion& region : regions) total += region.BoxVoxels();
  std::vector<size_t> small;
  {
    DistanceQuery query(threads);
    for (size_t c = 0; c < regions.size(); ++c) {
      if (threads > 1 &&
          regions[c].BoxVoxels() > std::max<int64_t>(total / (4 * threads), 500000)) {
        score_class(c, query, threads);
      } else {
        small.push_back(c);
      }
    }
  }
  std::sort(small.begin(), small.end(),
            [&](size_t a, size_t b) { return regions[a].BoxVoxels() > regions[b].BoxVoxels(); });
  ParallelFor(static_cast<int64_t>(small.size()), threads, [&](int64_t n) {
    DistanceQuery query(1);
    score_class(small[n], query, 1);
  });
  return scores;
}

template ClassMeasurements::ClassMeasurements(const LabelPair<uint8_t>&, const ClassRegion&,
                                              DistanceQuery&, int);
template ClassMeasurements::ClassMeasurements(const LabelPair<uint16_t>&, const ClassRegion&,
                                              DistanceQuery&, int);
template ClassScores ScoreAbsent(const LabelPair<uint8_t>&, int, const std::vector<Protocol>&);
template ClassScores ScoreAbsent(const LabelPair<uint16_t>&, int, const std::vector<Protocol>&);
template std::vector<ClassScores> Score(const LabelPair<uint8_t>&, const std::vector<int>&,
                                        const std::vector<Protocol>&, int);
template std::vector<ClassScores> Score(const LabelPair<uint16_t>&, const std::vector<int>&,
                                        const std::vector<Protocol>&, int);

}  // namespace avocet::metrics
