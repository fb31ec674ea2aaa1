// SPDX-License-Identifier: Apache-2.0
#include "app/gui/document.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <map>
#include <utility>

namespace avocet::gui {
namespace {

template <typename Layer>
Layer* Find(const std::vector<std::unique_ptr<Layer>>& layers, int id) {
  for (const auto& layer : layers) {
    if (layer->id == id) return layer.get();
  }
  return nullptr;
}

}  // namespace

void Document::Notify(unsigned changes) {
  for (const Observer& observer : observers_) observer(changes);
}

ImageLayer* Document::Image(int id) const { return Find(images_, id); }
LabelLayer* Document::Labels(int id) const { return Find(labels_, id); }

int Document::AddImage(std::unique_ptr<ImageLayer> layer) {
  ForgetClosed();
  layer->id = next_id_++;
  const int id = layer->id;
  images_.push_back(std::move(layer));
  if (ActiveImage() == nullptr) {
    active_image_ = selected_ = id;
    CentreCursor();
    Notify(kLayersChanged | kPlanesChanged | kCursorChanged);
  } else {
    Notify(kLayersChanged);
  }
  return id;
}

int Document::AddLabels(std::unique_ptr<LabelLayer> layer) {
  const bool first = grid() == nullptr;
  layer->id = next_id_++;
  const int id = layer->id;
  labels_.push_back(std::move(layer));
  active_labels_ = selected_ = id;
  if (first) CentreCursor();
  Notify(first ? kLayersChanged | kPlanesChanged | kCursorChanged : kLayersChanged);
  return id;
}

Document::Closed Document::TakeOut(int id) {
  Closed closed;
  const auto take = [&](auto& layers, auto& layer) {
    for (size_t place = 0; place < layers.size(); ++place) {
      if (layers[place]->id != id) continue;
      closed.place = place;
      layer = std::move(layers[place]);
      layers.erase(layers.begin() + static_cast<std::ptrdiff_t>(place));
      return;
    }
  };
  take(images_, closed.image);
  take(labels_, closed.labels);
  closed.active = id == active_image_ || id == active_labels_;
  closed.measurements = MeasurementsOf(id);
  measurements_.erase(std::remove_if(measurements_.begin(), measurements_.end(),
                                     [id](const Measurement& m) { return m.layer == id; }),
                      measurements_.end());
  if (fused_image == id) fused_image = 0;
  if (active_labels_ == id) {
    // One that is shown, if there is one.
    const auto shown = std::find_if(labels_.rbegin(), labels_.rend(),
                                    [](const auto& layer) { return layer->visible; });
    active_labels_ = labels_.empty()           ? 0
                     : shown != labels_.rend() ? (*shown)->id
                                               : labels_.back()->id;
  }
  if (active_image_ == id) active_image_ = images_.empty() ? 0 : images_.front()->id;
  if (selected_ == id) {
    const bool image = closed.image != nullptr;
    selected_ = image ? active_image_ : active_labels_;
    if (selected_ == 0) selected_ = image ? active_labels_ : active_image_;
  }
  if (grid() != nullptr) SetCursor(cursor_);
  Notify(kLayersChanged | kPlanesChanged |
         (closed.measurements.empty() ? 0u : unsigned{kMeasurementsChanged}));
  return closed;
}

void Document::PutBack(Closed& closed) {
  const auto put = [&](auto& layers, auto& layer, int& active) {
    const auto place = std::min(closed.place, layers.size());
    if (closed.active || active == 0) active = selected_ = layer->id;
    layers.insert(layers.begin() + static_cast<std::ptrdiff_t>(place), std::move(layer));
  };
  if (closed.image) put(images_, closed.image, active_image_);
  if (closed.labels) put(labels_, closed.labels, active_labels_);
  measurements_.insert(measurements_.end(), closed.measurements.begin(), closed.measurements.end());
  SetCursor(cursor_);
  Notify(kLayersChanged | kPlanesChanged |
         (closed.measurements.empty() ? 0u : unsigned{kMeasurementsChanged}));
  closed = {};
}

void Document::Remove(int id) {
  if (Image(id) == nullptr && Labels(id) == nullptr) return;
  ForgetClosed();
  const auto closed = std::make_shared<Closed>(TakeOut(id));
  Step step;
  step.text = "closing of a layer";
  step.undo = [this, closed] { PutBack(*closed); };
  step.redo = [this, closed, id] { *closed = TakeOut(id); };
  step.keeps_layer = true;
  Push(std::move(step));
  Notify(kLayersChanged);  // there is something to undo
}

void Document::Discard(int id) { TakeOut(id); }

// One closed layer is kept at most, and none when an image is opened: they are large.
void Document::ForgetClosed() {
  const auto last =
      std::find_if(undo_.rbegin(), undo_.rend(), [](const Step& step) { return step.keeps_layer; });
  // What came before it cannot be undone without it.
  undo_.erase(undo_.begin(), last.base());
}

bool Document::AssumesOrientation() const {
  if (const ImageLayer* image = ActiveImage()) return image->AssumesOrientation();
  return !labels_.empty() && labels_.front()->header->assumed.orientation;
}

void Document::SetActiveImage(int id) {
  if (Image(id) == nullptr || (id == active_image_ && id == selected_)) return;
  selected_ = id;
  if (id == active_image_) return Notify(kLayersChanged);
  active_image_ = id;
  if (fused_image == id) fused_image = 0;
  SetCursor(cursor_);
  Notify(kLayersChanged | kPlanesChanged | kDisplayChanged);
}

void Document::SetActiveLabels(int id) {
  if (Labels(id) == nullptr || (id == active_labels_ && id == selected_)) return;
  active_labels_ = selected_ = id;
  Notify(kLayersChanged);
}

bool Document::HasUnsaved() const {
  const auto unsaved = [](const auto& layer) { return layer->unsaved; };
  return std::any_of(labels_.begin(), labels_.end(), unsaved) ||
         std::any_of(images_.begin(), images_.end(), unsaved);
}

const io::Geometry* Document::grid() const {
  if (const ImageLayer* image = ActiveImage()) return &image->volume->geometry;
  return labels_.empty() ? nullptr : &labels_.front()->geometry();
}

SlicePlane Document::Plane(Orientation orientation) const {
  return patient_planes_ ? AnatomicalPlane(*grid(), orientation, convention_)
                         : OwnAxesPlane(*grid(), orientation, convention_);
}

void Document::SetConvention(Convention convention) {
  if (convention == convention_) return;
  convention_ = convention;
  Notify(kPlanesChanged);
}

void Document::SetPatientPlanes(bool on) {
  if (on == patient_planes_) return;
  patient_planes_ = on;
  Notify(kPlanesChanged);
}

void Document::SetCursor(const Vec3& x_in_lps) {
  const io::Geometry* g = grid();
  if (g == nullptr) return;
  auto index = g->IndexFromPhysical(x_in_lps);
  for (int axis = 0; axis < 3; ++axis) {
    index[axis] = std::clamp(index[axis], 0.0, static_cast<double>(g->size[axis] - 1));
    if (!std::isfinite(index[axis])) index[axis] = 0;
    // Own-axes slices are the file's slices, never something between two of them.
    if (!patient_planes_) index[axis] = std::floor(index[axis] + 0.5);
  }
  const Vec3 cursor = g->PhysicalFromIndex(index);
  if (Norm(Subtract(cursor, cursor_)) < 1e-9) return;
  cursor_ = cursor;
  Notify(kCursorChanged);
}

void Document::CentreCursor() {
  const io::Geometry* g = grid();
  if (g == nullptr) return;
  SetCursor(g->PhysicalFromIndex(
      {(g->size[0] - 1) / 2.0, (g->size[1] - 1) / 2.0, (g->size[2] - 1) / 2.0}));
}

int64_t Document::Slice(Orientation orientation) const {
  return grid() == nullptr ? 0 : Plane(orientation).NearestSlice(cursor_);
}

void Document::SetSlice(Orientation orientation, int64_t number) {
  if (grid() == nullptr) return;
  const SlicePlane plane = Plane(orientation);
  SetCursor(plane.MovedToSlice(cursor_, std::clamp<int64_t>(number, 0, plane.count - 1)));
}

void Document::StepSlice(Orientation orientation, int64_t steps) {
  if (grid() == nullptr) return;
  const SlicePlane plane = Plane(orientation);
  SetSlice(orientation, plane.NearestSlice(cursor_) + (plane.grows_up ? steps : -steps));
}

PictureContent Document::Content(int only_labels) const {
  PictureContent content;
  const auto add = [&](const ImageLayer* image) {
    if (image == nullptr || !image->visible) return;
    PictureImage one;
    one.volume = image->volume.get();
    one.frame = image->frame;
    one.window = image->window;
    one.colours = &ColourMaps()[image->colour_map];
    one.linear = linear;
    content.images.push_back(one);
  };
  add(ActiveImage());
  if (fused_image != active_image_) add(Image(fused_image));
  content.fusion = fusion;
  content.fusion_share = fusion_share;
  if (!overlays) return content;
  std::vector<const LabelLayer*> drawn;
  for (const auto& layer : labels_) {
    if (only_labels == 0 ? layer->visible : layer->id == only_labels) drawn.push_back(layer.get());
  }
  std::stable_partition(drawn.begin(), drawn.end(),
                        [this](const LabelLayer* layer) { return layer->id != active_labels_; });
  for (const LabelLayer* layer : drawn) {
    PictureLabels one;
    one.geometry = &layer->geometry();
    one.labels = layer->labels.get();
    one.colours = DrawingColours(layer->table);
    one.opacity = layer->opacity;
    one.outline = layer->outline;
    content.labels.push_back(std::move(one));
  }
  return content;
}

const ImageLayer* Document::FusedImage() const {
  const ImageLayer* fused = fused_image == active_image_ ? nullptr : Image(fused_image);
  return fused != nullptr && fused->visible ? fused : nullptr;
}

std::string Document::SyntheticNote() const {
  const ImageLayer* base = ActiveImage();
  const ImageLayer* fused = FusedImage();
  if (base != nullptr && !base->visible) base = nullptr;
  const bool first = base != nullptr && base->synthetic;
  const bool second = fused != nullptr && fused->synthetic;
  if (!first && !second) return "";
  const bool all = (first || base == nullptr) && (second || fused == nullptr);
  if (all) return "synthetic, not acquired";
  if (fusion == Fusion::kCurtain) {
    return second ? "right of the curtain synthetic" : "left of the curtain synthetic";
  }
  return "in part synthetic, not acquired";
}

int Document::AddMeasurement(Measurement measurement) {
  measurement.id = next_measurement_++;
  const Measurement kept = measurement;
  const auto put = [this, kept] {
    measurements_.push_back(kept);
    Notify(kMeasurementsChanged);
  };
  const auto take = [this, id = kept.id] {
    measurements_.erase(std::remove_if(measurements_.begin(), measurements_.end(),
                                       [id](const Measurement& m) { return m.id == id; }),
                        measurements_.end());
    Notify(kMeasurementsChanged);
  };
  Push({"measurement", take, put, false});
  put();
  return kept.id;
}

void Document::RemoveMeasurement(int id) {
  const auto found = std::find_if(measurements_.begin(), measurements_.end(),
                                  [id](const Measurement& m) { return m.id == id; });
  if (found == measurements_.end()) return;
  const Measurement kept = *found;
  const auto take = [this, id] {
    measurements_.erase(std::remove_if(measurements_.begin(), measurements_.end(),
                                       [id](const Measurement& m) { return m.id == id; }),
                        measurements_.end());
    Notify(kMeasurementsChanged);
  };
  const auto put = [this, kept] {
    measurements_.push_back(kept);
    Notify(kMeasurementsChanged);
  };
  Push({"removal of a measurement", put, take, false});
  take();
}

void Document::RestoreMeasurements(int layer, std::vector<Measurement> measurements) {
  const ImageLayer* image = Image(layer);
  if (image == nullptr || measurements.empty()) return;
  for (Measurement& m : measurements) {
    // The store and the journal may both have it.
    const bool there =
        std::any_of(measurements_.begin(), measurements_.end(), [&](const Measurement& other) {
          return other.layer == layer && other.kind == m.kind &&
                 other.orientation == m.orientation && other.points == m.points;
        });
    if (there) continue;
    m.id = next_measurement_++;
    m.layer = layer;
    m.image = image->name;
    measurements_.push_back(std::move(m));
  }
  Notify(kMeasurementsChanged);
}

std::vector<Measurement> Document::MeasurementsOf(int layer) const {
  std::vector<Measurement> all;
  std::copy_if(measurements_.begin(), measurements_.end(), std::back_inserter(all),
               [layer](const Measurement& m) { return m.layer == layer; });
  return all;
}

// Only name and colour of `entry` count.
void Document::ChangeEntry(int id, int value, const LabelEntry& entry, const std::string& text) {
  const LabelLayer* layer = Labels(id);
  if (layer == nullptr || layer->comparison || layer->table.count(value) == 0) return;
  const LabelEntry before = layer->table.at(value);
  if (before.name == entry.name && before.colour == entry.colour) return;
  const auto set = [this, id, value](const LabelEntry& to) {
    LabelLayer* changed = Labels(id);
    if (changed == nullptr) return;
    LabelEntry& now = changed->table[value];
    now.name = to.name;
    now.colour = to.colour;
    changed->unsaved = true;
    Notify(kDisplayChanged | kLayersChanged);
  };
  Push({text, [set, before] { set(before); }, [set, entry] { set(entry); }, false});
  set(entry);
}

void Document::RenameLabel(int layer, int value, const std::string& name) {
  const LabelLayer* labels = Labels(layer);
  if (labels == nullptr || labels->table.count(value) == 0) return;
  LabelEntry entry = labels->table.at(value);
  entry.name = name;
  ChangeEntry(layer, value, entry, "name of a label");
}

void Document::RecolourLabel(int layer, int value, const std::array<uint8_t, 3>& rgb) {
  const LabelLayer* labels = Labels(layer);
  if (labels == nullptr || labels->table.count(value) == 0) return;
  LabelEntry entry = labels->table.at(value);
  entry.colour = rgb;
  ChangeEntry(layer, value, entry, "colour of a label");
}

int Document::AddLabel(int id) {
  const LabelLayer* layer = Labels(id);
  if (layer == nullptr || layer->comparison) return 0;
  int value = 1;
  while (layer->table.count(value) != 0) ++value;
  if (value > 65535) return 0;
  const auto put = [this, id, value] {
    LabelLayer* changed = Labels(id);
    if (changed == nullptr) return;
    LabelEntry& entry = changed->table[value];
    entry.name = "Label " + std::to_string(value);
    entry.colour = DefaultLabelColour(value);
    changed->unsaved = true;
    Notify(kDisplayChanged | kLayersChanged);
  };
  const auto take = [this, id, value] {
    LabelLayer* changed = Labels(id);
    if (changed == nullptr) return;
    changed->table.erase(value);
    Notify(kDisplayChanged | kLayersChanged);
  };
  Push({"new label", take, put, false});
  put();
  return value;
}

}  // namespace avocet::gui
