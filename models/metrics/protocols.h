// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/metrics/segmentation_metrics.h"
#include "models/metrics/surface_elements.h"

// Named evaluation protocols. The same two masks have a different "Dice" and "HD95" in different
// libraries; a protocol fixes the definitions, the unit and what happens with empty masks, and each
// column carries all of that in its name and description.
namespace avocet::metrics {

// Which of the two masks of a class has voxels.
enum class Presence { kBoth, kMissed, kSpurious, kBothEmpty };  // kMissed: only the reference has
Presence PresenceOf(const ClassCounts& counts);

enum class ValueState {
  kDefined,      // as the definition gives it; may be infinite where the library says so
  kUndefined,    // no value (NaN in the library)
  kRaises,       // no value: the library throws an error here
  kSubstituted,  // put in place of an undefined value by the rule of the protocol
};

struct MetricValue {
  double value = 0;
  ValueState state = ValueState::kDefined;
  bool HasValue() const {
    return state == ValueState::kDefined || state == ValueState::kSubstituted;
  }
};

// What protocols need of one class of one case; each part is computed when first asked for and then
// kept. Not thread-safe: one object, one thread (the object itself uses `threads`).
class ClassMeasurements {
 public:
  template <typename Label>
  ClassMeasurements(const LabelPair<Label>& pair, const ClassRegion& region, DistanceQuery& query,
                    int threads);

  int label() const { return label_; }
  const ClassCounts& counts() const { return counts_; }
  Presence presence() const { return PresenceOf(counts_); }
  const Spacing3& spacing_mm() const { return spacing_mm_; }
  // Largest distance that two voxel centres of the image can have.
  double diagonal_mm() const { return diagonal_mm_; }

  int64_t prediction_border();
  int64_t reference_border();
  const SurfaceDistances& SurfaceVoxel();
  const SurfaceDistances& SurfaceMm();
  const SurfaceElements& ElementsVoxel();
  const SurfaceElements& ElementsMm();
  ItkHausdorff ItkHausdorffMm();

 private:
  const BorderPair& Borders();

  int label_;
  ClassCounts counts_;
  Spacing3 spacing_mm_;
  double diagonal_mm_;
  bool unit_spacing_;
  DistanceQuery& query_;
  int threads_;
  MaskPair masks_;
  std::optional<BorderPair> borders_;
  std::optional<SurfaceDistances> surface_voxel_, surface_mm_;
  std::optional<SurfaceElements> elements_voxel_, elements_mm_;
};

struct MetricColumn {
  std::string name;        // "hd95_mm_maxdir"
  std::string unit;        // "mm", "voxel", "ml", "1" (a ratio), "count"
  std::string definition;  // a sentence
  bool higher_is_better = true;
  bool is_score = true;  // false: a size or a count, not averaged into a headline
  std::function<MetricValue(ClassMeasurements&)> compute;
};

struct ProtocolOptions {
  double nsd_tolerance_mm = 1;
  // Distance that stands for a class that only one mask has, where the protocol substitutes one;
  // 0 = the image diagonal.
  double worst_case_mm = 0;

  std::string Check() const;  // "" or what is wrong
};

struct Protocol {
  std::string name;
  std::string description;
  std::string empty_rule;  // what happens when a mask is empty
  std::vector<MetricColumn> columns;
};

// transunet, medpy-mm, medpy-voxel, monai-mm, monai-voxel, metrics-reloaded, deepmind, nnunet,
// simpleitk, default.
std::vector<std::string> ProtocolNames();
// Throws OptionError naming the known protocols.
Protocol MakeProtocol(const std::string& name, const ProtocolOptions& options = {});

struct ClassScores {
  int label = 0;
  ClassCounts counts;
  Presence presence = Presence::kBoth;
  std::vector<std::vector<MetricValue>> values;  // [protocol][column]
};

// Scores of all `classes` under all `protocols`, in that order; classes run side by side, large
// ones with threads inside. The result does not depend on `threads` (0 = all).
template <typename Label>
std::vector<ClassScores> Score(const LabelPair<Label>& pair, const std::vector<int>& classes,
                               const std::vector<Protocol>& protocols, int threads = 0);

// A class that is in neither map; only size, spacing and dims of `pair` are used.
template <typename Label>
ClassScores ScoreAbsent(const LabelPair<Label>& pair, int label,
                        const std::vector<Protocol>& protocols);

}  // namespace avocet::metrics
