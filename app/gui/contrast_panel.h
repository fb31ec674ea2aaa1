// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QComboBox>
#include <QDoubleSpinBox>
#include <QSpinBox>
#include <QWidget>

#include "app/gui/histogram_view.h"
#include "app/gui/session.h"

namespace avocet::gui {

// Window and level of the chosen image: presets, numbers, histogram, colours; its frame when there
// are several.
class ContrastPanel : public QWidget {
 public:
  explicit ContrastPanel(Session& session, QWidget* parent = nullptr);

 private:
  void Refresh();
  void SetWindow(const Window& window);

  Session& session_;
  HistogramView* histogram_;
  QComboBox* preset_;
  QComboBox* colours_;
  QDoubleSpinBox* width_;
  QDoubleSpinBox* level_;
  QSpinBox* frame_;
  QWidget* frame_row_;
  bool updating_ = false;
};

}  // namespace avocet::gui
