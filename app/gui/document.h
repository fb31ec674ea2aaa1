// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/gui/layers.h"
#include "app/gui/measurement.h"
#include "app/gui/slice_picture.h"
#include "app/gui/slice_plane.h"

namespace avocet::gui {

// What has changed, for those who show the document.
enum Change : unsigned {
  kLayersChanged = 1,  // added, removed, another active image, names, saved or not
  kPlanesChanged = 2,  // slices lie elsewhere: convention, patient planes, active image
  kCursorChanged = 4,
  kDisplayChanged = 8,  // windows, colours, opacity, visibility
  kVoxelsChanged = 16,  // labels were painted
  kMeasurementsChanged = 32,
};

// Why a change of a label map would not be seen.
enum class Unseen {
  kSeen,
  kNoLayer,
  kComparison,   // an error map is computed, not edited
  kOverlaysOff,  // no labels are drawn at all
  kLayerHidden,
  kTransparent,  // filled with an opacity that cannot be seen
  kLabelHidden,
};

// What is open and how it is looked at; no window in it. One thread only.
class Document {
 public:
  using Observer = std::function<void(unsigned changes)>;

  // Observers are called after each change, as often as they were added.
  void AddObserver(Observer observer) { observers_.push_back(std::move(observer)); }

  // --- layers. Ids are never used twice. The first image becomes the active one.
  int AddImage(std::unique_ptr<ImageLayer> layer);
  int AddLabels(std::unique_ptr<LabelLayer> layer);
  // Closes a layer, with the measurements of an image; an undo step that keeps it in memory until
  // another is closed or opened. Discard is without undo.
  void Remove(int id);
  void Discard(int id);
  const std::vector<std::unique_ptr<ImageLayer>>& images() const { return images_; }
  const std::vector<std::unique_ptr<LabelLayer>>& labels() const { return labels_; }
  ImageLayer* Image(int id) const;  // null when there is none
  LabelLayer* Labels(int id) const;
  ImageLayer* ActiveImage() const { return Image(active_image_); }
  // True when the sides of the patient were assumed by the reader: of the active image or, where
  // none is open, of the first label map.
  bool AssumesOrientation() const;
  LabelLayer* ActiveLabels() const { return Labels(active_labels_); }
  void SetActiveImage(int id);
  void SetActiveLabels(int id);
  // The layer that lists highlight: the image or label map that was chosen last, or came into view
  // last; 0: none.
  int selected() const { return selected_; }
  bool HasUnsaved() const;
  // To be called after something in a layer was changed directly.
  void Notify(unsigned changes);

  // --- geometry. The grid of the active image, else of the first label map.
  const io::Geometry* grid() const;
  SlicePlane Plane(Orientation orientation) const;  // requires grid()
  Convention convention() const { return convention_; }
  void SetConvention(Convention convention);
  bool patient_planes() const { return patient_planes_; }
  void SetPatientPlanes(bool on);

  // --- cursor, LPS mm; always inside the grid.
  const Vec3& cursor() const { return cursor_; }
  void SetCursor(const Vec3& x_in_lps);
  void CentreCursor();
  int64_t Slice(Orientation orientation) const;
  void SetSlice(Orientation orientation, int64_t number);
  // Towards superior, anterior or left for positive steps.
  void StepSlice(Orientation orientation, int64_t steps);

  // --- display
  bool overlays = true;
  bool linear = true;
  Fusion fusion = Fusion::kBlend;
  double fusion_share = 0.5;
  int fused_image = 0;  // id of the second image, 0: none
  // What a slice view draws; `only_labels`: of the label maps only this one, 0: all that are shown.
  // The active map is drawn last, over the others.
  PictureContent Content(int only_labels = 0) const;
  // Which of what is shown was made by a network: "synthetic, not acquired", "right of the curtain
  // synthetic", ...; "" when nothing was.
  std::string SyntheticNote() const;
  const ImageLayer* FusedImage() const;  // shown with the active one; null when there is none

  // --- measurements
  const std::vector<Measurement>& measurements() const { return measurements_; }
  int AddMeasurement(Measurement measurement);
  void RemoveMeasurement(int id);
  // Measurements of an earlier session, of the image `layer`, but for those that are there; no undo
  // step.
  void RestoreMeasurements(int layer, std::vector<Measurement> measurements);
  std::vector<Measurement> MeasurementsOf(int layer) const;

  // --- labels; each an undo step.
  void RenameLabel(int layer, int value, const std::string& name);
  void RecolourLabel(int layer, int value, const std::array<uint8_t, 3>& rgb);
  // A label of the lowest value that is free; returns it, 0 when there is no such layer or value.
  int AddLabel(int layer);

  // --- painting and undo. A stroke is one undo step. Only what can be seen is painted.
  // Why painting `value` (0: erasing) on a label map would not be seen. `alone`: in a view that
  // draws this map alone, whether it is ticked in the list or not.
  Unseen WhyUnseen(int layer, int value, bool alone = false) const;
  // The same as a sentence that says what to do; "" for kSeen.
  std::string UnseenText(Unseen why, int layer, int value) const;
  void BeginStroke(int layer, bool alone = false);
  // Sets voxels (indices into the layer's labels) to `value`; nothing when that would not be seen.
  // Voxels of hidden labels stay as they are.
  Unseen PaintVoxels(const std::vector<size_t>& voxels, uint16_t value);
  // Returns whether voxels of hidden labels were left as they are.
  bool EndStroke();
  bool CanUndo() const { return !undo_.empty(); }
  bool CanRedo() const { return !redo_.empty(); }
  std::string UndoText() const { return undo_.empty() ? "" : undo_.back().text; }
  std::string RedoText() const { return redo_.empty() ? "" : redo_.back().text; }
  // What a step back or forth did. Strokes are never undone unseen: a hidden layer or label is
  // shown again, the layer becomes the active one, and the cursor goes to the place.
  struct Undone {
    std::string text;       // of the step; "" when there was none
    int layer = 0;          // whose voxels changed; 0: no voxels did
    bool revealed = false;  // something hidden is shown again
  };
  Undone Undo();
  Undone Redo();

 private:
  struct Step {
    std::string text;
    std::function<void()> undo, redo;
    bool keeps_layer = false;
  };
  // A layer that was closed, and where it stood.
  struct Closed {
    std::unique_ptr<ImageLayer> image;
    std::unique_ptr<LabelLayer> labels;
    size_t place = 0;
    bool active = false;
    std::vector<Measurement> measurements;
  };
  struct Stroke {
    std::vector<size_t> voxels;
    std::vector<uint16_t> before;
    std::vector<uint16_t> after;
    // Of the layer: which state it was in and whether it had been edited, and the state after.
    uint64_t state_before = 0, state_after = 0;
    bool edited_before = false;
  };
  void Push(Step step);
  void ChangeEntry(int layer, int value, const LabelEntry& entry, const std::string& text);
  Closed TakeOut(int id);
  void PutBack(Closed& closed);
  void ForgetClosed();
  static void Recount(LabelLayer& layer, const Stroke& stroke, bool forward);
  void ApplyStroke(int layer, const Stroke& stroke, bool forward);
  void ShowStroke(LabelLayer& layer, const Stroke& stroke);

  std::vector<Observer> observers_;
  std::vector<std::unique_ptr<ImageLayer>> images_;
  std::vector<std::unique_ptr<LabelLayer>> labels_;
  std::vector<Measurement> measurements_;
  int next_id_ = 1;
  int next_measurement_ = 1;
  int active_image_ = 0;
  int active_labels_ = 0;
  int selected_ = 0;
  Vec3 cursor_{};
  Convention convention_ = Convention::kRadiological;
  bool patient_planes_ = false;
  std::vector<Step> undo_, redo_;
  int stroke_layer_ = 0;
  bool stroke_alone_ = false;
  bool stroke_spared_ = false;  // it came across hidden labels
  Stroke stroke_;
  uint64_t last_state_ = 0;
  Undone undone_;
};

}  // namespace avocet::gui
