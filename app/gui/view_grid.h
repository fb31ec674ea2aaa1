// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QGridLayout>
#include <QWidget>
#include <array>

#include "app/gui/session.h"
#include "app/gui/slice_view.h"
#include "app/gui/volume_view.h"

namespace avocet::gui {

// The four linked views; one of them may fill the whole, or two of one orientation, each with a
// label map of its own.
class ViewGrid : public QWidget {
 public:
  explicit ViewGrid(Session& session, QWidget* parent = nullptr);

  SliceView& slice(Orientation orientation) { return *slices_[static_cast<int>(orientation)]; }
  // The right one of two views side by side.
  SliceView& partner(Orientation orientation) { return *partners_[static_cast<int>(orientation)]; }
  VolumeView& volume() { return *volume_; }
  // 0 axial, 1 coronal, 2 sagittal, 3 three dimensions; -1 all four, which ends a comparison, as
  // three dimensions do.
  void Maximise(int view);
  int maximised() const { return maximised_; }
  // Two label maps side by side, in the orientation that fills the whole, else axial; 0, 0: no
  // longer.
  void Compare(int left_labels, int right_labels);
  bool comparing() const { return left_ != 0; }
  bool Compares(int labels) const { return labels != 0 && (labels == left_ || labels == right_); }
  void Fit();    // scale and place of the slices
  void Reset();  // and the crosshair, the 3D camera
  void Zoom(double factor);
  void CentreOnCursor();
  std::function<void(const std::string&)> on_hover;
  std::function<void()> on_next_label;
  std::function<void(const std::string&)> on_painted;  // as SliceView's
  std::function<void()> on_layout;                     // other views are shown

 private:
  SliceView* NewSlice(Orientation orientation);
  void Arrange();
  void UpdateFit();

  Session& session_;
  std::array<SliceView*, 3> slices_{}, partners_{};
  VolumeView* volume_;
  QGridLayout* layout_;
  int maximised_ = -1;
  int left_ = 0, right_ = 0;  // label layers side by side
};

}  // namespace avocet::gui
