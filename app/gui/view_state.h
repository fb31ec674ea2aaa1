// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

namespace avocet::gui {

enum class Tool : int { kCrosshair, kWindow, kRuler, kAngle, kRoi, kBrush, kEraser };

// What the linked slice views share besides the document: the tool in hand, one scale in mm per
// pixel, and what is drawn over the picture.
class ViewState {
 public:
  Tool tool = Tool::kCrosshair;
  double mm_per_pixel = 0;      // logical pixels; 0: fit
  double fit_mm_per_pixel = 0;  // at which all visible views show their whole slice; 0: not known
  bool crosshair = true;
  bool corner_text = true;
  double brush_mm = 4;  // diameter
  int brush_label = 1;

  double Scale(double own_fit) const {
    if (mm_per_pixel > 0) return mm_per_pixel;
    return fit_mm_per_pixel > 0 ? fit_mm_per_pixel : own_fit;
  }

  void AddObserver(std::function<void()> observer) { observers_.push_back(std::move(observer)); }
  void Notify() {
    for (const auto& observer : observers_) observer();
  }

 private:
  std::vector<std::function<void()>> observers_;
};

}  // namespace avocet::gui
