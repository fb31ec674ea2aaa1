// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/base/progress.h"
#include "app/core/inputs.h"
#include "io/volume.h"
#include "models/metrics/aggregate.h"
#include "models/metrics/detail_measures.h"
#include "models/metrics/protocols.h"
#include "models/metrics/statistics.h"

namespace avocet::core {

// Scores predictions against references: `avocet evaluate`.
struct EvaluateOptions {
  // A file, or a folder whose files are paired by name. Masks may be DICOM SEG and RTSTRUCT: their
  // values are segment numbers, or the positions of ROIs from 1. Images of a translation may be
  // DICOM series: see ExpandInputs.
  std::filesystem::path prediction;
  std::filesystem::path reference;    // the same kind
  std::filesystem::path compare;      // "" or a second set of predictions, compared case by case
  std::string task = "segmentation";  // or "translation" (also called "image-quality")
  std::vector<std::string> protocols{"default"};  // models/metrics/protocols.h
  double nsd_tolerance_mm = 1;
  double worst_case_mm = 0;           // 0 = image diagonal
  std::filesystem::path label_names;  // "" = CASE.labels.json beside a prediction, if there is one
  std::vector<int> labels;            // only these; empty = named ones and all that occur
  int dims = 0;                       // 0 = 2 for images of one slice, otherwise 3

  // Translation only.
  double data_range = 0;  // 0 = 255 for 8-bit pictures, else maximum - minimum of the reference
  std::filesystem::path mask;  // "": none; "head": found in the reference; a file, or a folder of
                               // namesakes: also measured where it is not 0
  std::string plane = "auto";  // of slices: "axial", "coronal", "sagittal", "auto" = as acquired
  // Side to which the published pipeline (protocol fs-rwkv) resizes pictures; 0 = not at all.
  int image_size = 256;
  // Weights for protocol "lpips", which they ask for; see LpipsOptions. Empty: not measured.
  std::vector<std::filesystem::path> lpips;
  // Regular expression whose first group in a case's name is its subject; "" = BIDS "sub-X", else
  // the whole name.
  std::string subjects;
  std::filesystem::path slices_csv;  // "" = not written

  // Two grids are the same when no voxel corner moves by more than this share of the smallest voxel
  // side.
  double geometry_tolerance = 0.01;
  int resamples = 2000;  // bootstrap, with `compare`
  uint64_t seed = 1234;
  int threads = 0;                      // 0 = all
  std::filesystem::path source_series;  // images of DICOM masks: where both files are such masks
  std::string series;       // which of the series there; of a translation, which of DICOM images
  bool regularise = false;  // translation: of DICOM images, as in io::DicomReadOptions
  // Compare DICOM masks with images or masks of another frame of reference all the same; such cases
  // are marked (EvaluatedCase::forced).
  bool force = false;
  std::filesystem::path csv, json;  // "" = not written

  std::string Check() const;
};

// One 2-D slice of a translated image; columns are EvaluateResult::slice_columns, NaN = undefined.
struct EvaluatedSlice {
  int64_t slice = 0;  // index along the stored axis across the plane
  std::vector<double> values;
};

struct EvaluatedCase {
  std::string name;
  std::filesystem::path prediction, reference;
  std::string error;               // "" when it was scored
  std::vector<std::string> notes;  // what the user should know: what values of DICOM masks mean
  bool other_space = false;  // refused: a mask of another frame of reference (OtherSpaceError)
  bool forced = false;       // compared although the frames of reference differ
  std::array<int64_t, 3> size{0, 0, 0};
  std::array<double, 3> spacing_mm{1, 1, 1};
  int dims = 3;
  std::vector<metrics::ClassScores> classes;  // in the order of EvaluateResult::classes

  // Translation only.
  JobInput prediction_input, reference_input;
  std::string subject;
  std::string plane;
  double data_range = 0;
  std::vector<EvaluatedSlice> slices;
  std::vector<metrics::SpectrumRing> spectrum;  // whole image
};

// Means over the cases of one subject.
struct EvaluatedSubject {
  std::string name;
  int64_t cases = 0;
  std::vector<std::vector<std::vector<double>>>
      values;  // [protocol][class][column], NaN: undefined
};

struct EvaluatedClass {
  int label = 0;
  std::string name;  // "label 3" when it has none
};

struct EvaluatedSet {
  std::vector<EvaluatedCase> cases;
  std::vector<std::string> unpaired_predictions, unpaired_references;  // file names
  int failed = 0;
  // [protocol][class][column], over the cases that were scored.
  std::vector<std::vector<std::vector<metrics::ClassSummary>>> summaries;
  // [protocol][column]: mean over cases for each class, then over classes.
  std::vector<std::vector<metrics::Aggregate>> overall;

  // Translation only.
  std::vector<EvaluatedSubject> subjects;
  std::vector<std::vector<std::vector<metrics::ClassSummary>>> subject_summaries;  // as `summaries`
  std::vector<metrics::ClassSummary> slice_summaries;  // over all slices of all cases
};

// One metric of one class (or of the mean over classes), set `compare` (b) against `prediction`
// (a).
struct PairedComparison {
  std::string protocol, column, class_name;
  int64_t n = 0;  // cases in which both have a value
  double mean_a = 0, mean_b = 0;
  double difference = 0;       // mean of b - a
  metrics::Interval interval;  // bootstrap percentile interval of it, 95 %
  metrics::WilcoxonResult wilcoxon;
  bool higher_is_better = true;
};

struct EvaluateResult {
  std::string task;
  std::string prediction_name, compare_name;  // last parts of the paths
  std::vector<metrics::Protocol> protocols;
  std::vector<EvaluatedClass> classes;  // of a translation: the regions "image" and "mask"
  std::vector<metrics::MetricColumn> slice_columns;  // translation only
  EvaluatedSet set;
  EvaluatedSet compared;  // empty without `compare`
  std::vector<PairedComparison> comparisons;
  int resamples = 0;
  uint64_t seed = 0;
};

// One bad case does not stop the others; if there is but one case, its error is thrown. Writes the
// files that `options` name. Throws OptionError, IoError, Cancelled.
EvaluateResult RunEvaluate(const EvaluateOptions& options, Progress& progress);

// Throws IoError that says in which of size, spacing, origin and direction the grids differ, and by
// how many millimetres, unless they are the same within the tolerance (see EvaluateOptions).
void RequireSameGrid(const io::Geometry& prediction, const io::Geometry& reference,
                     double tolerance, const std::string& prediction_name,
                     const std::string& reference_name);

}  // namespace avocet::core
