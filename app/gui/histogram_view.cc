// SPDX-License-Identifier: Apache-2.0
#include "app/gui/histogram_view.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <algorithm>
#include <cmath>

namespace avocet::gui {

HistogramView::HistogramView(QWidget* parent) : QWidget(parent) {
  setObjectName("histogram");
  setAccessibleName("Histogram with the limits of the window");
  setFocusPolicy(Qt::StrongFocus);
  setFixedHeight(84);
  setToolTip("Drag a limit, or the band between them; arrows move the level, shift the width");
}

void HistogramView::Show(const ValueStatistics* statistics, const Window& window) {
  there_ = statistics != nullptr;
  if (there_) {
    statistics_ = *statistics;
    window_ = window;
    // Limits beyond the values stay within reach.
    low_ = std::min(statistics_.minimum, window.Low());
    high_ = std::max(statistics_.maximum, window.High());
    if (!(high_ > low_)) high_ = low_ + 1;
  }
  update();
}

double HistogramView::XOf(double value) const {
  return 4 + (value - low_) / (high_ - low_) * (width() - 8);
}
double HistogramView::ValueAt(double x) const {
  return low_ + (x - 4) / (width() - 8) * (high_ - low_);
}

void HistogramView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.fillRect(rect(), QColor(24, 26, 30));
  if (!there_) return;
  const double bottom = height() - 4;
  int64_t top = 1;
  // The first bin is air or padding more often than not; it may stand out of the picture.
  for (size_t i = 1; i < statistics_.histogram.size(); ++i) {
    top = std::max(top, statistics_.histogram[i]);
  }
  const double log_top = std::log1p(static_cast<double>(top));
  const auto bins = static_cast<double>(statistics_.histogram.size());
  painter.setPen(QColor(112, 122, 135));
  for (int x = 4; x < width() - 4; ++x) {
    // The tallest of the bins under this pixel: whole numbers leave every other one empty.
    const double span = std::max(1e-300, statistics_.maximum - statistics_.minimum);
    const double from = (ValueAt(x) - statistics_.minimum) / span * bins;
    const double to = (ValueAt(x + 1) - statistics_.minimum) / span * bins;
    int64_t count = 0;
    for (double bin = std::max(0.0, std::floor(from)); bin < std::min(bins, std::max(to, from + 1));
         ++bin) {
      count = std::max(count, statistics_.histogram[static_cast<size_t>(bin)]);
    }
    const double part = std::min(1.0, std::log1p(static_cast<double>(count)) / log_top);
    painter.drawLine(QPointF(x, bottom), QPointF(x, bottom - part * (height() - 12)));
  }
  const double a = XOf(window_.Low()), b = XOf(window_.High());
  painter.fillRect(QRectF(a, 2, b - a, height() - 4), QColor(74, 132, 196, 46));
  painter.setPen(QPen(hasFocus() ? QColor(143, 193, 245) : QColor(98, 152, 212), 2));
  painter.drawLine(QPointF(a, 2), QPointF(a, height() - 2));
  painter.drawLine(QPointF(b, 2), QPointF(b, height() - 2));
}

void HistogramView::mousePressEvent(QMouseEvent* event) {
  if (!there_) return;
  const double x = event->position().x();
  const double to_low = std::abs(x - XOf(window_.Low()));
  const double to_high = std::abs(x - XOf(window_.High()));
  const bool near = std::min(to_low, to_high) < 8;
  const bool inside = x > XOf(window_.Low()) && x < XOf(window_.High());
  dragged_ = near || !inside ? (to_low < to_high ? -1 : 1) : 2;
  grip_ = ValueAt(x) - window_.level;
  mouseMoveEvent(event);
}

void HistogramView::mouseMoveEvent(QMouseEvent* event) {
  if (!there_ || !(event->buttons() & Qt::LeftButton)) return;
  const double value = ValueAt(std::clamp(event->position().x(), 4.0, width() - 4.0));
  Window window = window_;
  if (dragged_ == -1) window = Window::Between(std::min(value, window_.High()), window_.High());
  if (dragged_ == 1) window = Window::Between(window_.Low(), std::max(value, window_.Low()));
  if (dragged_ == 2) window.level = value - grip_;
  if (on_window) on_window(window);
}

void HistogramView::keyPressEvent(QKeyEvent* event) {
  const int key = event->key();
  if (!there_ || (key != Qt::Key_Left && key != Qt::Key_Right)) {
    return QWidget::keyPressEvent(event);
  }
  Window window = window_;
  const double step = (high_ - low_) / 100 * (key == Qt::Key_Right ? 1 : -1);
  if (event->modifiers() & Qt::ShiftModifier) {
    window.width = std::max(window.width + step, (high_ - low_) / 1000);
  } else {
    window.level += step;
  }
  if (on_window) on_window(window);
}

}  // namespace avocet::gui
