// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "app/core/montage.h"
#include "models/predict/slice_layout.h"

struct _cairo;  // NOLINT(bugprone-reserved-identifier): cairo's own name

// One slice of a montage: which part of which slice, and how it is drawn.
namespace avocet::core {

// Grey values that become black and white.
struct GreyWindow {
  double black = 0;
  double white = 1;
};

// The 0.5 and 99.7 percentiles of the finite values: robust against single bright vessels.
GreyWindow FindGreyWindow(const std::vector<float>& values);

// A part of a canonical slice, in voxels of that slice.
struct Panel {
  models::SliceLayout layout;
  std::array<std::string, 4> letters;  // left, right, top, bottom
  int64_t slice = 0;
  int64_t row_begin = 0, row_end = 0;
  int64_t column_begin = 0, column_end = 0;

  double WidthMm() const { return (column_end - column_begin) * layout.spacing[2]; }
  double HeightMm() const { return (row_end - row_begin) * layout.spacing[1]; }
};

// Panels through the labels of the reference (of the prediction without one; of the whole volume
// where both are empty): sagittal at 35 and 65, coronal at 25 and 75, axial at 50 percent of the
// labelled volume along that axis, cropped to the labels' box and `margin_mm` around it.
std::vector<Panel> ChoosePanels(const MontageCase& item, double margin_mm);

// Draws the panel with its upper left corner at (x, y), `scale` pixels per millimetre.
void DrawPanel(_cairo* cairo, const MontageCase& item, const Panel& panel, const GreyWindow& window,
               const std::vector<models::LabelInfo>& labels, double x, double y, double scale);

}  // namespace avocet::core
