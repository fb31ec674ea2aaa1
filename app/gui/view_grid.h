// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QGridLayout>
#include <QWidget>
#include <array>

#include "app/gui/session.h"
#include "app/gui/slice_view.h"
#include "app/gui/volume_view.h"

namespace avocet::gui {

// The four linked views; one of them may fill the whole.
class ViewGrid : public QWidget {
 public:
  explicit ViewGrid(Session& session, QWidget* parent = nullptr);

  SliceView& slice(Orientation orientation) { return *slices_[static_cast<int>(orientation)]; }
  VolumeView& volume() { return *volume_; }
  // 0 axial, 1 coronal, 2 sagittal, 3 three dimensions; -1 all four.
  void Maximise(int view);
  int maximised() const { return maximised_; }
  void Fit();    // scale and place of the slices
  void Reset();  // and the crosshair, the 3D camera
  std::function<void(const std::string&)> on_hover;
  std::function<void()> on_next_label;

 private:
  void UpdateFit();

  Session& session_;
  std::array<SliceView*, 3> slices_{};
  VolumeView* volume_;
  QGridLayout* layout_;
  int maximised_ = -1;
};

}  // namespace avocet::gui
