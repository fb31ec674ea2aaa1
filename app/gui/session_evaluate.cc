// SPDX-License-Identifier: Apache-2.0
// The part of Session that scores one layer against another and shows where they differ.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "app/gui/job_files.h"
#include "app/gui/label_comparison.h"
#include "app/gui/session.h"

namespace avocet::gui {
namespace fs = std::filesystem;
namespace {

// A copy for the job, without what would only be written beside it.
std::shared_ptr<LabelLayer> Plain(const LabelLayer& layer) {
  auto copy = std::make_shared<LabelLayer>(layer);
  copy->companions.clear();
  return copy;
}

}  // namespace

int Session::Evaluate(int prediction, int reference, const std::string& protocol) {
  const LabelLayer* p = document.Labels(prediction);
  const LabelLayer* r = document.Labels(reference);
  if (p == nullptr || r == nullptr || p == r || p->comparison || r->comparison) return 0;
  auto evaluation = std::make_shared<Evaluation>();
  evaluation->prediction = prediction;
  evaluation->reference = reference;
  evaluation->prediction_name = p->name;
  evaluation->reference_name = r->name;
  evaluation->states = {{prediction, p->state}, {reference, r->state}};
  // Through files: the job is the one that the command line runs.
  const auto p_copy = Plain(*p);
  const auto r_copy = Plain(*r);
  const fs::path folder = NewWorkFolder("evaluate");
  auto result = std::make_shared<core::EvaluateResult>();
  return tasks.Start(
      "Evaluate " + p->name,
      [p_copy, r_copy, folder, protocol, result](Progress& progress) {
        const WorkFolder work(folder);
        core::EvaluateOptions options;
        options.prediction = folder / "prediction.nii";
        options.reference = folder / "reference.nii";
        options.protocols = {protocol};
        UpdateOrThrow(progress, Progress::kUnknown, "preparing");
        SaveLabels(*p_copy, options.prediction);
        SaveLabels(*r_copy, options.reference);
        *result = core::RunEvaluate(options, progress);
      },
      [this, evaluation, result](const TaskRunner::Outcome& outcome) {
        if (!outcome.error.empty()) {
          Tell(Message::Kind::kError, "Evaluate", {outcome.error});
          return;
        }
        if (outcome.cancelled) return;
        if (!outcome.warnings.empty()) {
          Tell(Message::Kind::kWarning, "Evaluate", outcome.warnings);
        }
        evaluation->result = std::move(*result);
        evaluation_ = std::move(*evaluation);
        if (on_evaluated) on_evaluated();
      });
}

bool Session::IsEvaluationStale() const {
  if (!evaluation_) return false;
  for (const auto& [id, state] : evaluation_->states) {
    const LabelLayer* layer = document.Labels(id);
    if (layer == nullptr || layer->state != state) return true;
  }
  for (const int id : {evaluation_->prediction, evaluation_->reference}) {
    if (document.Labels(id) == nullptr && document.Image(id) == nullptr) return true;
  }
  return false;
}

// The map says so when one of the two that it compares is no longer what it was.
void Session::NameErrorMap() {
  LabelLayer* map = document.Labels(error_layer_);
  if (map == nullptr) return;
  const bool stale =
      std::any_of(error_states_.begin(), error_states_.end(), [this](const auto& compared) {
        const LabelLayer* layer = document.Labels(compared.first);
        return layer == nullptr || layer->state != compared.second;
      });
  const std::string name = error_name_ + (stale ? " (before the last edit)" : "");
  if (map->name == name) return;
  map->name = name;
  document.Notify(kLayersChanged);
}

bool Session::ShowErrors(int label) {
  if (!evaluation_) return false;
  LabelLayer* p = document.Labels(evaluation_->prediction);
  LabelLayer* r = document.Labels(evaluation_->reference);
  if (p == nullptr || r == nullptr) return false;
  std::unique_ptr<LabelLayer> map;
  try {
    map = ErrorMap(*p, *r, label);
  } catch (const Error& error) {
    Tell(Message::Kind::kError, "Errors", {error.what()});
    return false;
  }
  const auto entry = r->table.find(label);
  error_name_ = "Errors: " + (label == 0                ? std::string("all labels")
                              : entry == r->table.end() ? "label " + std::to_string(label)
                                                        : entry->second.name);
  error_states_ = {{p->id, p->state}, {r->id, r->state}};
  map->name = error_name_;
  Vec3 worst{};
  const SlicePlane plane =
      OwnAxesPlane(map->geometry(), Orientation::kAxial, document.convention());
  const bool any = WorstSlice(*map, plane, worst);
  if (document.Labels(error_layer_) != nullptr) {
    document.Discard(error_layer_);
  } else {
    hidden_by_errors_.clear();
  }
  for (LabelLayer* layer : {p, r}) {
    if (std::exchange(layer->visible, false)) hidden_by_errors_.push_back(layer->id);
  }
  // It is what is shown, so it is what the list highlights.
  error_layer_ = document.AddLabels(std::move(map));
  document.Notify(kDisplayChanged | kLayersChanged);
  if (any) document.SetCursor(worst);
  return any;
}

int Session::EvaluateImages(int prediction, int reference, const std::string& protocol,
                            Region region) {
  const ImageLayer* p = document.Image(prediction);
  const ImageLayer* r = document.Image(reference);
  if (p == nullptr || r == nullptr || p == r) return 0;
  const LabelLayer* mask = region.labels == 0 ? nullptr : document.Labels(region.labels);
  auto evaluation = std::make_shared<Evaluation>();
  evaluation->prediction = prediction;
  evaluation->reference = reference;
  evaluation->prediction_name = p->name;
  evaluation->reference_name = r->name;
  evaluation->images = true;
  evaluation->region = region;
  if (mask != nullptr) evaluation->states[mask->id] = mask->state;
  const auto p_copy = std::make_shared<ImageLayer>(*p);
  const auto r_copy = std::make_shared<ImageLayer>(*r);
  const auto mask_copy = mask == nullptr ? nullptr : Plain(*mask);
  const fs::path folder = NewWorkFolder("evaluate");
  auto result = std::make_shared<core::EvaluateResult>();
  return tasks.Start(
      "Evaluate " + p->name,
      [p_copy, r_copy, mask_copy, folder, protocol, region, result](Progress& progress) {
        const WorkFolder work(folder);
        core::EvaluateOptions options;
        options.task = "translation";
        options.prediction =
            FileForJob(p_copy->path, *p_copy->volume, work.File("prediction.nii"), progress);
        options.reference =
            FileForJob(r_copy->path, *r_copy->volume, work.File("reference.nii"), progress);
        options.protocols = {protocol};
        if (region.head) options.mask = "head";
        if (mask_copy) {
          options.mask = work.File("mask.nii");
          SaveLabels(*mask_copy, options.mask);
        }
        *result = core::RunEvaluate(options, progress);
      },
      [this, evaluation, result](const TaskRunner::Outcome& outcome) {
        if (!outcome.error.empty()) {
          Tell(Message::Kind::kError, "Evaluate", {outcome.error});
          return;
        }
        if (outcome.cancelled) return;
        if (!outcome.warnings.empty()) {
          Tell(Message::Kind::kWarning, "Evaluate", outcome.warnings);
        }
        evaluation->result = std::move(*result);
        evaluation_ = std::move(*evaluation);
        if (on_evaluated) on_evaluated();
      });
}

namespace {

// The figure of a slice that goes with a figure of the volume; -1: none.
int SliceColumnOf(const core::EvaluateResult& result, const std::string& column) {
  for (const char* kind : {"psnr", "ssim", "nmse", "rmse", "mae"}) {
    const std::string part = kind;
    if (column.find(part) == std::string::npos &&
        !(part == "rmse" && column.find("mse") != std::string::npos)) {
      continue;
    }
    for (size_t c = 0; c < result.slice_columns.size(); ++c) {
      if (result.slice_columns[c].name.rfind(part, 0) == 0) return static_cast<int>(c);
    }
  }
  return -1;
}

Orientation OrientationOf(const std::string& plane) {
  return plane == "coronal"    ? Orientation::kCoronal
         : plane == "sagittal" ? Orientation::kSagittal
                               : Orientation::kAxial;
}

}  // namespace

std::string Session::ShowWorstSlice(size_t column) {
  if (!evaluation_ || !evaluation_->images) return "";
  const ImageLayer* p = document.Image(evaluation_->prediction);
  const ImageLayer* r = document.Image(evaluation_->reference);
  const core::EvaluateResult& result = evaluation_->result;
  if (p == nullptr || r == nullptr || result.set.cases.empty()) return "";
  const auto& columns = result.protocols.front().columns;
  const core::EvaluatedCase& scored = result.set.cases.front();
  const int by = column < columns.size() ? SliceColumnOf(result, columns[column].name) : -1;
  // The second image is drawn with the first, on the first's slices.
  document.SetActiveImage(r->id);
  document.fused_image = p->id;
  document.fusion = Fusion::kDifference;
  document.Notify(kDisplayChanged | kLayersChanged);
  if (by < 0) return "";
  const metrics::MetricColumn& figure = result.slice_columns[by];
  const core::EvaluatedSlice* worst = nullptr;
  for (const core::EvaluatedSlice& slice : scored.slices) {
    const double value = slice.values[by];
    if (!std::isfinite(value)) continue;
    if (worst == nullptr ||
        (figure.higher_is_better ? value < worst->values[by] : value > worst->values[by])) {
      worst = &slice;
    }
  }
  if (worst == nullptr) return "";
  const io::Geometry& g = r->volume->geometry;
  const Orientation orientation = OrientationOf(scored.plane);
  const SlicePlane plane = OwnAxesPlane(g, orientation, document.convention());
  auto index = g.IndexFromPhysical(document.cursor());
  index[plane.axis] = static_cast<double>(worst->slice);
  document.SetCursor(g.PhysicalFromIndex(index));
  char text[160];
  std::snprintf(text, sizeof text, "Worst %s slice by %s: %.4g%s%s", NameOf(orientation),
                figure.name.c_str(), worst->values[by], figure.unit == "1" ? "" : " ",
                figure.unit == "1"       ? ""
                : figure.unit == "image" ? "(image units)"
                                         : figure.unit.c_str());
  return text;
}

}  // namespace avocet::gui
