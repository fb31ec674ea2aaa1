// SPDX-License-Identifier: Apache-2.0
// The part of Document that paints, and takes steps back and forth.
#include <map>
#include <set>
#include <utility>

#include "app/gui/document.h"

namespace avocet::gui {
namespace {

constexpr size_t kUndoSteps = 100;
constexpr double kFaintest = 0.05;  // opacity of a fill below which nobody sees it
constexpr double kUsualOpacity = 0.5;

bool IsHidden(const LabelTable& table, int value) {
  const auto entry = table.find(value);
  return entry != table.end() && !entry->second.visible;
}

}  // namespace

Unseen Document::WhyUnseen(int id, int value, bool alone) const {
  const LabelLayer* layer = Labels(id);
  if (layer == nullptr) return Unseen::kNoLayer;
  if (layer->comparison) return Unseen::kComparison;
  if (!overlays) return Unseen::kOverlaysOff;
  if (!alone && !layer->visible) return Unseen::kLayerHidden;
  // Outlines are drawn whatever the opacity of the fill.
  if (!layer->outline && layer->opacity < kFaintest) return Unseen::kTransparent;
  if (IsHidden(layer->table, value)) return Unseen::kLabelHidden;
  return Unseen::kSeen;
}

std::string Document::UnseenText(Unseen why, int id, int value) const {
  const LabelLayer* layer = Labels(id);
  const std::string name = layer == nullptr ? "" : "'" + layer->name + "'";
  switch (why) {
    case Unseen::kSeen:
      return "";
    case Unseen::kNoLayer:
      return "Nothing was painted: there is no label map. Make one in the menu Tools.";
    case Unseen::kComparison:
      return "Nothing was painted: " + name +
             " is computed from two label maps. Choose one of them in the list of layers.";
    case Unseen::kOverlaysOff:
      return "Nothing was painted: the labels are switched off. The space bar shows them.";
    case Unseen::kLayerHidden:
      return "Nothing was painted: " + name +
             " is hidden. Tick it in the list of layers to show it.";
    case Unseen::kTransparent:
      return "Nothing was painted: " + name +
             " is too faint to be seen. Raise its opacity with the slider or the key ].";
    case Unseen::kLabelHidden: {
      const auto entry = layer->table.find(value);
      return "Nothing was painted: the label '" +
             (entry == layer->table.end() ? std::to_string(value) : entry->second.name) +
             "' is hidden. Tick it in the list of labels to show it.";
    }
  }
  return "";
}

void Document::BeginStroke(int layer, bool alone) {
  EndStroke();  // one that was broken off stays an undo step
  stroke_layer_ = layer;
  stroke_alone_ = alone;
}

// Looks each time whether it can be seen: labels may be switched off in the middle of a stroke.
Unseen Document::PaintVoxels(const std::vector<size_t>& voxels, uint16_t value) {
  const Unseen why = WhyUnseen(stroke_layer_, value, stroke_alone_);
  if (why != Unseen::kSeen) return why;
  LabelLayer* layer = Labels(stroke_layer_);
  layer->OwnLabels();
  auto& labels = *layer->labels;
  // Asked once a value, not once a voxel.
  int asked = -1;
  bool hidden = false;
  bool changed = false;
  for (const size_t at : voxels) {
    if (at >= labels.size() || labels[at] == value) continue;
    if (labels[at] != asked) {
      asked = labels[at];
      hidden = IsHidden(layer->table, asked);
    }
    if (hidden) {
      stroke_spared_ = true;
      continue;
    }
    if (stroke_.voxels.empty()) {
      stroke_.state_before = layer->state;
      stroke_.state_after = layer->state = ++last_state_;
      stroke_.edited_before = layer->edited;
    }
    stroke_.voxels.push_back(at);
    stroke_.before.push_back(labels[at]);
    stroke_.after.push_back(value);
    labels[at] = value;
    changed = true;
  }
  if (!changed) return why;
  layer->unsaved = true;
  layer->edited = true;
  Notify(kVoxelsChanged);
  return why;
}

bool Document::EndStroke() {
  const bool spared = std::exchange(stroke_spared_, false);
  if (stroke_.voxels.empty()) return spared;
  const int layer = stroke_layer_;
  const auto stroke = std::make_shared<const Stroke>(std::move(stroke_));
  stroke_ = {};
  Push({"painting", [this, layer, stroke] { ApplyStroke(layer, *stroke, false); },
        [this, layer, stroke] { ApplyStroke(layer, *stroke, true); }, false});
  if (LabelLayer* painted = Labels(layer)) Recount(*painted, *stroke, true);
  Notify(kLayersChanged | kDisplayChanged);
  return spared;
}

// Only what the stroke changed: counting a whole volume takes longer than a picture may.
void Document::Recount(LabelLayer& layer, const Stroke& stroke, bool forward) {
  std::map<int, int64_t> change;
  for (size_t n = 0; n < stroke.voxels.size(); ++n) {
    --change[forward ? stroke.before[n] : stroke.after[n]];
    ++change[forward ? stroke.after[n] : stroke.before[n]];
  }
  const double voxel_ml = layer.VoxelMl();
  for (const auto& [value, difference] : change) {
    if (value == 0 || difference == 0) continue;
    const bool known = layer.table.count(value) != 0;
    LabelEntry& entry = layer.table[value];
    if (!known) {
      entry.name = "Label " + std::to_string(value);
      entry.colour = DefaultLabelColour(value);
    }
    entry.voxels += difference;
    entry.volume_ml = static_cast<double>(entry.voxels) * voxel_ml;
  }
}

void Document::ApplyStroke(int id, const Stroke& stroke, bool forward) {
  LabelLayer* layer = Labels(id);
  if (layer == nullptr) return;
  layer->OwnLabels();
  auto& labels = *layer->labels;
  const size_t count = stroke.voxels.size();
  for (size_t n = 0; n < count; ++n) {
    // Backwards when undoing: a voxel may have been painted twice.
    const size_t at = forward ? n : count - 1 - n;
    labels[stroke.voxels[at]] = forward ? stroke.after[at] : stroke.before[at];
  }
  layer->unsaved = true;
  layer->state = forward ? stroke.state_after : stroke.state_before;
  layer->edited = forward || stroke.edited_before;
  Recount(*layer, stroke, forward);
  ShowStroke(*layer, stroke);
  Notify(kVoxelsChanged | kLayersChanged | kDisplayChanged);
}

// What a step back or forth changed is shown, whatever was hidden meanwhile.
void Document::ShowStroke(LabelLayer& layer, const Stroke& stroke) {
  const auto show = [this](bool& shown) {
    undone_.revealed = undone_.revealed || !shown;
    shown = true;
  };
  undone_.layer = layer.id;
  active_labels_ = selected_ = layer.id;  // drawn over the others
  show(overlays);
  show(layer.visible);
  if (!layer.outline && layer.opacity < kFaintest) {
    layer.opacity = kUsualOpacity;
    undone_.revealed = true;
  }
  for (const auto* values : {&stroke.before, &stroke.after}) {
    for (const uint16_t value : std::set<uint16_t>(values->begin(), values->end())) {
      const auto entry = layer.table.find(value);
      if (entry != layer.table.end()) show(entry->second.visible);
    }
  }
  if (grid() == nullptr) return;
  const auto& size = layer.geometry().size;
  const auto place = [&](size_t voxel) {
    return layer.geometry().PhysicalFromIndex({static_cast<double>(voxel % size[0]),
                                               static_cast<double>(voxel / size[0] % size[1]),
                                               static_cast<double>(voxel / (size[0] * size[1]))});
  };
  for (const Orientation orientation : kOrientations) {
    const SlicePlane plane = Plane(orientation);
    const int64_t shown = plane.NearestSlice(cursor_);
    for (const size_t voxel : stroke.voxels) {
      if (plane.NearestSlice(place(voxel)) == shown) return;
    }
  }
  SetCursor(place(stroke.voxels[stroke.voxels.size() / 2]));
}

void Document::Push(Step step) {
  undo_.push_back(std::move(step));
  if (undo_.size() > kUndoSteps) undo_.erase(undo_.begin());
  redo_.clear();
}

Document::Undone Document::Undo() {
  EndStroke();
  undone_ = {};
  if (undo_.empty()) return undone_;
  Step step = std::move(undo_.back());
  undo_.pop_back();
  undone_.text = step.text;
  step.undo();
  redo_.push_back(std::move(step));
  Notify(kLayersChanged);
  return undone_;
}

Document::Undone Document::Redo() {
  EndStroke();
  undone_ = {};
  if (redo_.empty()) return undone_;
  Step step = std::move(redo_.back());
  redo_.pop_back();
  undone_.text = step.text;
  step.redo();
  undo_.push_back(std::move(step));
  Notify(kLayersChanged);
  return undone_;
}

}  // namespace avocet::gui
