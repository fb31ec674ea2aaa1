// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QImage>
#include <QSlider>
#include <QWidget>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/gui/document.h"
#include "app/gui/view_state.h"

namespace avocet::gui {

// One slice of the document: picture, crosshair, letters, scale bar, measurements, and the hands on
// them. Drawn by the processor, at device pixels; no OpenGL.
class SliceView : public QWidget {
 public:
  SliceView(Document& document, ViewState& state, Orientation orientation,
            QWidget* parent = nullptr);

  Orientation orientation() const { return orientation_; }
  // Draws this label map alone and names it; 0: all that are shown.
  void ShowOnly(int labels);
  // Two views of one orientation are panned together.
  void PanWith(SliceView* partner) { partner_ = partner; }
  // The middle of the slice comes to the middle of the view.
  void Recentre();
  void CentreOn(const Vec3& x_in_lps);
  // About the crosshair.
  void Zoom(double factor);
  // Scale, in mm per logical pixel, at which the whole slice is seen.
  double FitScale() const;
  // What is shown, in device pixels; requires an open document.
  ViewFrame Frame() const;
  // Positions in logical pixels of the widget.
  QPointF PixelFromLps(const Vec3& x_in_lps) const;
  Vec3 LpsFromPixel(const QPointF& pixel) const;
  // The value, label and place under the pointer as one line; "" outside.
  std::string Describe(const Vec3& x_in_lps) const;

  std::function<void()> on_maximise;
  std::function<void(const std::string&)> on_hover;
  std::function<void()> on_next_label;  // the Tab key
  // Why nothing, or not all, was painted, a sentence; "" once something was.
  std::function<void(const std::string&)> on_painted;
  std::function<void()> on_fit_changed;  // the fitting scale is another one (size, planes)

  QSize sizeHint() const override { return {420, 320}; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void leaveEvent(QEvent* event) override;
  bool focusNextPrevChild(bool next) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;

 private:
  enum class Drag { kNone, kCursor, kWindow, kPan, kZoom, kMeasure, kPaint };

  void OnDocument(unsigned changes);
  void Redraw();
  void DrawPictureInto(QPainter& painter);
  void DrawCrosshair(QPainter& painter);
  void DrawMeasurements(QPainter& painter);
  void DrawMeasurement(QPainter& painter, const Measurement& measurement, bool draft);
  void DrawTexts(QPainter& painter);
  void DrawScaleBar(QPainter& painter);
  void DrawEmpty(QPainter& painter);
  void ZoomAbout(const QPointF& pixel, double factor);
  void SetFocus(const Vec3& focus);
  bool MoveCursorByKey(const QKeyEvent& event);
  void PlaceByKey();
  void BeginMeasurement(const Vec3& x_in_lps);
  void FinishMeasurement();
  void BeginPainting();
  void PaintAt(const QPointF& from, const QPointF& to);
  void EndPainting();
  bool Shows(const Vec3& x_in_lps) const;
  void MoveWindow(const QPointF& delta);

  Document& document_;
  ViewState& state_;
  const Orientation orientation_;
  QSlider* slider_;
  std::optional<SlicePlane> plane_;  // of the document, kept until it changes
  Vec3 focus_{};                     // what stays in the middle; moved into the shown slice
  bool dirty_ = true;
  int64_t drawn_slice_ = -1;
  std::vector<uint32_t> pixels_;
  QSize drawn_size_;
  Drag drag_ = Drag::kNone;
  std::string unpainted_;  // why the stroke under way paints nothing
  QPointF press_, last_;
  double wheel_rest_ = 0;
  std::optional<Measurement> draft_;
  bool draft_is_new_ = false;  // begun by the press under way
  bool draft_by_keys_ = false;
  int only_labels_ = 0;
  SliceView* partner_ = nullptr;
  bool updating_slider_ = false;
};

// The colour by which a plane is known: axial red, coronal green, sagittal yellow.
QColor PlaneColour(Orientation orientation);

}  // namespace avocet::gui
