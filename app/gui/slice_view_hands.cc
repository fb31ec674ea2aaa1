// SPDX-License-Identifier: Apache-2.0
// The hands on SliceView: mouse and keys, measuring, painting.
#include <QKeyEvent>
#include <QMouseEvent>
#include <QWheelEvent>
#include <algorithm>
#include <cmath>

#include "app/gui/brush.h"
#include "app/gui/slice_view.h"

namespace avocet::gui {

void SliceView::wheelEvent(QWheelEvent* event) {
  if (!plane_) return;
  const double notches = event->angleDelta().y() / 120.0;
  if (event->modifiers() & Qt::ControlModifier) {
    ZoomAbout(event->position(), std::pow(1.15, notches));
  } else {
    // Touch pads send parts of a notch.
    wheel_rest_ += notches;
    const double whole = std::trunc(wheel_rest_);
    wheel_rest_ -= whole;
    if (whole != 0) document_.StepSlice(orientation_, static_cast<int64_t>(whole));
  }
  event->accept();
}

void SliceView::ZoomAbout(const QPointF& pixel, double factor) {
  const Vec3 fixed = LpsFromPixel(pixel);
  const double fit = FitScale();
  const double now = state_.Scale(fit);
  state_.mm_per_pixel = std::clamp(now / factor, fit / 80, fit * 8);
  SetFocus(Add(focus_, Subtract(fixed, LpsFromPixel(pixel))));
  state_.Notify();
}

void SliceView::mousePressEvent(QMouseEvent* event) {
  setFocus(Qt::MouseFocusReason);
  if (!plane_) return;
  if (only_labels_ != 0) document_.SetActiveLabels(only_labels_);  // what is seen is painted on
  press_ = last_ = event->position();
  const Vec3 x = LpsFromPixel(press_);
  const auto modifiers = event->modifiers();
  if (event->button() == Qt::RightButton) {
    drag_ = Drag::kZoom;
  } else if (event->button() == Qt::MiddleButton ||
             (event->button() == Qt::LeftButton && (modifiers & Qt::ShiftModifier))) {
    drag_ = Drag::kPan;
  } else if (event->button() == Qt::LeftButton) {
    if ((modifiers & Qt::AltModifier) || state_.tool == Tool::kWindow) {
      drag_ = Drag::kWindow;
    } else if (state_.tool == Tool::kCrosshair) {
      drag_ = Drag::kCursor;
      document_.SetCursor(x);
    } else if (state_.tool == Tool::kBrush || state_.tool == Tool::kEraser) {
      drag_ = Drag::kPaint;
      BeginPainting();
      PaintAt(press_, press_);
    } else {
      drag_ = Drag::kMeasure;
      BeginMeasurement(x);
    }
  }
}

void SliceView::mouseMoveEvent(QMouseEvent* event) {
  if (!plane_) return;
  const QPointF now = event->position();
  const Vec3 x = LpsFromPixel(now);
  if (on_hover) on_hover(Describe(x));
  const QPointF delta = now - last_;
  switch (drag_) {
    case Drag::kNone:
      if (draft_ && !draft_->points.empty()) {  // an angle between its clicks
        draft_->points.back() = x;
        update();
      }
      break;
    case Drag::kCursor:
      document_.SetCursor(x);
      break;
    case Drag::kWindow:
      MoveWindow(delta);
      break;
    case Drag::kPan: {
      const double scale = Frame().mm_per_pixel * devicePixelRatioF();
      SetFocus(Subtract(focus_, Add(Scale(plane_->right, delta.x() * scale),
                                    Scale(plane_->down, delta.y() * scale))));
      break;
    }
    case Drag::kZoom:
      ZoomAbout(press_, std::exp(-delta.y() / 150));
      break;
    case Drag::kMeasure:
      if (draft_) {
        draft_->points.back() = x;
        Evaluate(*draft_, document_.ActiveImage(), *plane_);
        update();
      }
      break;
    case Drag::kPaint:
      PaintAt(last_, now);
      break;
  }
  last_ = now;
}

void SliceView::mouseReleaseEvent(QMouseEvent*) {
  if (drag_ == Drag::kMeasure && draft_) {
    const bool moved = (last_ - press_).manhattanLength() > 3;
    if (draft_->kind != MeasurementKind::kAngle) {
      if (moved) {
        FinishMeasurement();
      } else {
        draft_.reset();  // a click without a drag measures nothing
      }
    } else if (draft_->points.size() == 3) {
      FinishMeasurement();
    } else if (moved || !draft_is_new_) {
      draft_->points.push_back(draft_->points.back());
    }
    update();
  }
  if (drag_ == Drag::kPaint) EndPainting();
  drag_ = Drag::kNone;
}

void SliceView::BeginMeasurement(const Vec3& x) {
  draft_is_new_ = !draft_;
  draft_by_keys_ = false;
  if (draft_) {  // an angle's next click
    draft_->points.back() = x;
    return;
  }
  Measurement m;
  m.kind = state_.tool == Tool::kRuler   ? MeasurementKind::kRuler
           : state_.tool == Tool::kAngle ? MeasurementKind::kAngle
                                         : MeasurementKind::kRoi;
  m.orientation = orientation_;
  m.right = plane_->right;
  m.down = plane_->down;
  if (const ImageLayer* image = document_.ActiveImage()) {
    m.layer = image->id;
    m.image = image->name;
  }
  m.points = {x, x};
  draft_ = std::move(m);
}

void SliceView::FinishMeasurement() {
  Evaluate(*draft_, document_.ActiveImage(), *plane_);
  Measurement done = std::move(*draft_);
  draft_.reset();
  document_.AddMeasurement(std::move(done));
}

void SliceView::MoveWindow(const QPointF& delta) {
  ImageLayer* image = document_.ActiveImage();
  if (image == nullptr) return;
  // A view's width of travel doubles or halves the window a few times, whatever its size.
  image->window.width = std::max(image->window.width * std::exp(delta.x() / 200),
                                 1e-9 + std::abs(image->window.level) * 1e-9);
  image->window.level -= delta.y() / 300 * image->window.width;
  document_.Notify(kDisplayChanged);
}

void SliceView::BeginPainting() {
  unpainted_.clear();
  const LabelLayer* layer = document_.ActiveLabels();
  document_.BeginStroke(layer == nullptr ? 0 : layer->id, only_labels_ != 0);
}

void SliceView::PaintAt(const QPointF& from, const QPointF& to) {
  const LabelLayer* layer = document_.ActiveLabels();
  const int id = layer == nullptr ? 0 : layer->id;
  const int value = state_.tool == Tool::kEraser ? 0 : state_.brush_label;
  Unseen why = document_.WhyUnseen(id, value, only_labels_ != 0);
  if (why == Unseen::kSeen) {
    why = document_.PaintVoxels(BrushVoxels(layer->geometry(), *plane_, LpsFromPixel(from),
                                            LpsFromPixel(to), state_.brush_mm),
                                static_cast<uint16_t>(value));
  }
  unpainted_ = document_.UnseenText(why, id, value);
}

void SliceView::EndPainting() {
  const bool spared = document_.EndStroke();
  if (unpainted_.empty() && spared) {
    unpainted_ = "Voxels of hidden labels were left as they are.";
  }
  if (on_painted) on_painted(unpainted_);
}

// Whether the point lies in the part of the slice that is in view.
bool SliceView::Shows(const Vec3& x_in_lps) const {
  return rect().contains(PixelFromLps(x_in_lps).toPoint());
}

void SliceView::mouseDoubleClickEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton) return;
  draft_.reset();
  if (drag_ == Drag::kPaint) EndPainting();
  drag_ = Drag::kNone;
  if (on_maximise) on_maximise();
}

// Arrows with shift, and those to the sides: the crosshair moves within the slice, by a voxel; with
// control by ten.
bool SliceView::MoveCursorByKey(const QKeyEvent& event) {
  const bool across = event.key() == Qt::Key_Left || event.key() == Qt::Key_Right;
  const bool along = event.key() == Qt::Key_Up || event.key() == Qt::Key_Down;
  if (!across && !(along && (event.modifiers() & Qt::ShiftModifier))) return false;
  const auto& g = *document_.grid();
  const double step = *std::min_element(g.spacing.begin(), g.spacing.end());
  const bool backwards = event.key() == Qt::Key_Left || event.key() == Qt::Key_Up;
  const Vec3 towards = Scale(across ? plane_->right : plane_->down, backwards ? -step : step);
  const int times = event.modifiers() & Qt::ControlModifier ? 10 : 1;
  for (int time = 0; time < times; ++time) {
    // The cursor rests on voxel centres: far enough to reach the next one.
    const Vec3 before = document_.cursor();
    for (int tries = 1; tries <= 64 && before == document_.cursor(); ++tries) {
      document_.SetCursor(Add(before, Scale(towards, 0.5 + tries * 0.5)));
    }
  }
  return true;
}

// What a click does, at the crosshair.
void SliceView::PlaceByKey() {
  const Vec3 x = document_.cursor();
  switch (state_.tool) {
    case Tool::kCrosshair:
    case Tool::kWindow:
      return;
    case Tool::kBrush:
    case Tool::kEraser:
      if (only_labels_ != 0) document_.SetActiveLabels(only_labels_);
      if (!Shows(x)) {
        if (on_painted) {
          on_painted(
              "Nothing was painted: the crosshair is outside of this view. Shift+F brings it into "
              "the middle.");
        }
        return;
      }
      BeginPainting();
      PaintAt(PixelFromLps(x), PixelFromLps(x));
      EndPainting();
      return;
    case Tool::kRuler:
    case Tool::kAngle:
    case Tool::kRoi:
      break;
  }
  if (!draft_) {
    BeginMeasurement(x);
    draft_by_keys_ = true;
  } else {
    const size_t count = draft_->points.size();
    if (draft_->points[count - 1] == draft_->points[count - 2]) return;  // nothing between them
    if (draft_->kind == MeasurementKind::kAngle && count == 2) {
      draft_->points.push_back(draft_->points.back());
    } else {
      FinishMeasurement();
    }
  }
  update();
}

void SliceView::keyPressEvent(QKeyEvent* event) {
  if (!plane_) return QWidget::keyPressEvent(event);
  if (MoveCursorByKey(*event)) return;
  switch (event->key()) {
    case Qt::Key_Return:
    case Qt::Key_Enter:
      return PlaceByKey();
    case Qt::Key_Up:
      return document_.StepSlice(orientation_, 1);
    case Qt::Key_Down:
      return document_.StepSlice(orientation_, -1);
    case Qt::Key_PageUp:
      return document_.StepSlice(orientation_, 10);
    case Qt::Key_PageDown:
      return document_.StepSlice(orientation_, -10);
    case Qt::Key_Home:
      return document_.SetSlice(orientation_, plane_->grows_up ? plane_->count - 1 : 0);
    case Qt::Key_End:
      return document_.SetSlice(orientation_, plane_->grows_up ? 0 : plane_->count - 1);
    case Qt::Key_Escape:
      draft_.reset();
      if (drag_ == Drag::kPaint) EndPainting();  // what was painted can be undone
      drag_ = Drag::kNone;
      return update();
    default:
      QWidget::keyPressEvent(event);
  }
}

// Tab chooses the next label; shift+Tab and F6 leave the view.
bool SliceView::focusNextPrevChild(bool next) {
  if (!next || !on_next_label || document_.labels().empty()) {
    return QWidget::focusNextPrevChild(next);
  }
  on_next_label();
  return true;
}

void SliceView::leaveEvent(QEvent*) {
  if (on_hover) on_hover("");
}
void SliceView::focusInEvent(QFocusEvent*) { update(); }
void SliceView::focusOutEvent(QFocusEvent*) { update(); }

}  // namespace avocet::gui
