// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QWidget>
#include <functional>

#include "app/gui/contrast.h"

namespace avocet::gui {

// The values of an image and the two limits of its window, which can be dragged; arrows move the
// level, with shift the width.
class HistogramView : public QWidget {
 public:
  explicit HistogramView(QWidget* parent = nullptr);

  void Show(const ValueStatistics* statistics, const Window& window);  // null: nothing
  std::function<void(const Window&)> on_window;

  QSize sizeHint() const override { return {220, 84}; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  double XOf(double value) const;
  double ValueAt(double x) const;

  ValueStatistics statistics_;
  bool there_ = false;
  Window window_;
  double low_ = 0, high_ = 1;  // of the axis
  int dragged_ = 0;            // -1 low, 1 high, 2 both
  double grip_ = 0;
};

}  // namespace avocet::gui
