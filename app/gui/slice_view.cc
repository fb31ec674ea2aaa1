// SPDX-License-Identifier: Apache-2.0
#include "app/gui/slice_view.h"

#include <QPainter>
#include <QPainterPath>
#include <algorithm>
#include <cmath>
#include <cstdio>

namespace avocet::gui {
namespace {

constexpr double kMargin = 0.94;  // of the view that a fitted slice fills
constexpr int kSliderWidth = 14;

std::string Number(double value) {
  char text[48];
  std::snprintf(text, sizeof text, value == std::floor(value) ? "%.0f" : "%.4g", value);
  return text;
}

// Light text that stays readable on bone and on air.
void DrawText(QPainter& painter, const QPointF& at, const QString& text, const QColor& colour) {
  QPainterPath path;
  path.addText(at, painter.font(), text);
  painter.strokePath(path,
                     QPen(QColor(0, 0, 0, 190), 3, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
  painter.fillPath(path, colour);
}

}  // namespace

QColor PlaneColour(Orientation orientation) {
  switch (orientation) {
    case Orientation::kAxial:
      return QColor(242, 108, 100);
    case Orientation::kCoronal:
      return QColor(120, 200, 110);
    case Orientation::kSagittal:
      break;
  }
  return QColor(237, 205, 80);
}

SliceView::SliceView(Document& document, ViewState& state, Orientation orientation, QWidget* parent)
    : QWidget(parent),
      document_(document),
      state_(state),
      orientation_(orientation),
      slider_(new QSlider(Qt::Vertical, this)) {
  setObjectName(QString("view_") + NameOf(orientation));
  setAccessibleName(QString(NameOf(orientation)) + " view");
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setMinimumSize(160, 120);
  slider_->setFocusPolicy(Qt::NoFocus);  // the view itself takes the keys
  slider_->setAccessibleName(QString(NameOf(orientation)) + " slice");
  slider_->setToolTip("Slice: wheel, up and down, page up and page down, home and end");
  slider_->hide();
  connect(slider_, &QSlider::valueChanged, this, [this](int value) {
    if (!updating_slider_) document_.SetSlice(orientation_, value);
  });
  document_.AddObserver([this](unsigned changes) { OnDocument(changes); });
  state_.AddObserver([this] { Redraw(); });
}

void SliceView::OnDocument(unsigned changes) {
  if (changes & (kPlanesChanged | kLayersChanged)) {
    const bool had = plane_.has_value();
    if (document_.grid() == nullptr) {
      plane_.reset();
    } else {
      plane_ = document_.Plane(orientation_);
    }
    if (changes & kPlanesChanged) Recentre();
    if (had != plane_.has_value() || (changes & kPlanesChanged)) {
      if (on_fit_changed) on_fit_changed();
    }
    slider_->setVisible(plane_.has_value() && plane_->count > 1);
    if (plane_) {
      updating_slider_ = true;
      slider_->setRange(0, static_cast<int>(plane_->count - 1));
      slider_->setInvertedAppearance(!plane_->grows_up);
      updating_slider_ = false;
    }
  }
  if (plane_ && (changes & (kCursorChanged | kPlanesChanged | kLayersChanged))) {
    updating_slider_ = true;
    slider_->setValue(static_cast<int>(plane_->NearestSlice(document_.cursor())));
    updating_slider_ = false;
  }
  if (changes & ~unsigned{kCursorChanged | kMeasurementsChanged}) dirty_ = true;
  if (draft_ && draft_by_keys_ && plane_ && (changes & kCursorChanged)) {
    draft_->points.back() =
        plane_->MovedToSlice(document_.cursor(), plane_->NearestSlice(draft_->points.front()));
    if (draft_->points.size() > 1) Evaluate(*draft_, document_.ActiveImage(), *plane_);
  }
  update();
}

void SliceView::Redraw() {
  dirty_ = true;
  update();
}

void SliceView::ShowOnly(int labels) {
  only_labels_ = labels;
  Redraw();
}

void SliceView::SetFocus(const Vec3& focus) {
  focus_ = focus;
  Redraw();
  if (partner_ == nullptr) return;
  partner_->focus_ = focus;
  partner_->Redraw();
}

void SliceView::Recentre() {
  if (plane_) SetFocus(plane_->first);
}

void SliceView::CentreOn(const Vec3& x_in_lps) {
  if (plane_) SetFocus(x_in_lps);
}

void SliceView::Zoom(double factor) {
  if (plane_) ZoomAbout(PixelFromLps(document_.cursor()), factor);
}

double SliceView::FitScale() const {
  if (!plane_) return 1;
  const double w = std::max(40, width() - kSliderWidth) * kMargin;
  const double h = std::max(40, height()) * kMargin;
  return std::max(plane_->width_mm / w, plane_->height_mm / h);
}

ViewFrame SliceView::Frame() const {
  const double ratio = devicePixelRatioF();
  ViewFrame frame;
  frame.right = plane_->right;
  frame.down = plane_->down;
  frame.width = std::max(1, static_cast<int>(std::lround(width() * ratio)));
  frame.height = std::max(1, static_cast<int>(std::lround(height() * ratio)));
  frame.mm_per_pixel = state_.Scale(FitScale()) / ratio;
  frame.centre = plane_->MovedToSlice(focus_, plane_->NearestSlice(document_.cursor()));
  return frame;
}

QPointF SliceView::PixelFromLps(const Vec3& x_in_lps) const {
  const auto pixel = Frame().PixelFromLps(x_in_lps);
  return QPointF(pixel[0], pixel[1]) / devicePixelRatioF();
}

Vec3 SliceView::LpsFromPixel(const QPointF& pixel) const {
  const double ratio = devicePixelRatioF();
  return Frame().LpsFromPixel(pixel.x() * ratio, pixel.y() * ratio);
}

std::string SliceView::Describe(const Vec3& x) const {
  std::string line;
  const io::Geometry* g = document_.grid();
  if (g == nullptr) return line;
  const auto index = g->IndexFromPhysical(x);
  for (int a = 0; a < 3; ++a) {
    if (!(index[a] >= -0.5 && index[a] < g->size[a] - 0.5)) return "";
  }
  if (const ImageLayer* image = document_.ActiveImage()) {
    const int parts = image->volume->components >= 3 ? 3 : 1;
    for (int c = 0; c < parts; ++c) line += (c ? "/" : "") + Number(image->ValueAt(x, c));
    if (!image->Unit().empty()) line += " " + image->Unit();
  }
  for (const auto& layer : document_.labels()) {
    if (only_labels_ == 0 ? !layer->visible : layer->id != only_labels_) continue;
    const int value = layer->ValueAt(x);
    if (value == 0) continue;
    const auto entry = layer->table.find(value);
    line += "   " + (entry == layer->table.end() ? std::to_string(value) : entry->second.name) +
            " (" + std::to_string(value) + ")";
  }
  char place[96];
  std::snprintf(place, sizeof place, "   [%lld %lld %lld]",
                static_cast<long long>(std::floor(index[0] + 0.5)),
                static_cast<long long>(std::floor(index[1] + 0.5)),
                static_cast<long long>(std::floor(index[2] + 0.5)));
  if (const ImageLayer* image = document_.ActiveImage();
      image == nullptr || image->KnowsPosition()) {
    line += "   " + AxisPosition(x, 0) + ", " + AxisPosition(x, 1) + ", " + AxisPosition(x, 2);
  }
  return line + place;
}

void SliceView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.fillRect(rect(), Qt::black);
  if (!plane_) {
    DrawEmpty(painter);
    return;
  }
  DrawPictureInto(painter);
  painter.setRenderHint(QPainter::Antialiasing);
  if (state_.crosshair) DrawCrosshair(painter);
  if (document_.fusion == Fusion::kCurtain && document_.FusedImage() != nullptr) {
    painter.setPen(QPen(QColor(255, 255, 255, 150), 1, Qt::DotLine));
    const double x = width() * document_.fusion_share;
    painter.drawLine(QPointF(x, 0), QPointF(x, height()));
  }
  if (document_.overlays) DrawMeasurements(painter);
  DrawTexts(painter);
  DrawScaleBar(painter);
  if (hasFocus()) {
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.setPen(QPen(PlaneColour(orientation_), 1));
    painter.drawRect(rect().adjusted(0, 0, -1, -1));
  }
}

void SliceView::DrawPictureInto(QPainter& painter) {
  const ViewFrame frame = Frame();
  const int64_t slice = plane_->NearestSlice(document_.cursor());
  const QSize size(frame.width, frame.height);
  if (dirty_ || slice != drawn_slice_ || size != drawn_size_) {
    DrawPicture(document_.Content(only_labels_), GridOf(frame), pixels_);
    dirty_ = false;
    drawn_slice_ = slice;
    drawn_size_ = size;
  }
  QImage image(reinterpret_cast<const uchar*>(pixels_.data()), frame.width, frame.height,
               frame.width * 4, QImage::Format_RGB32);
  image.setDevicePixelRatio(devicePixelRatioF());
  painter.drawImage(QPointF(0, 0), image);
}

void SliceView::DrawCrosshair(QPainter& painter) {
  const QPointF at = PixelFromLps(document_.cursor());
  const double gap = 9;
  // Each line is the trace of another plane and takes its colour: the horizontal line of an axial
  // slice is the coronal plane.
  const Orientation across =
      orientation_ == Orientation::kAxial ? Orientation::kCoronal : Orientation::kAxial;
  const Orientation along =
      orientation_ == Orientation::kSagittal ? Orientation::kCoronal : Orientation::kSagittal;
  const auto pen = [](Orientation orientation) {
    QColor colour = PlaneColour(orientation);
    colour.setAlpha(170);
    return QPen(colour, 1);
  };
  painter.setPen(pen(across));
  painter.drawLine(QPointF(0, at.y()), QPointF(at.x() - gap, at.y()));
  painter.drawLine(QPointF(at.x() + gap, at.y()), QPointF(width(), at.y()));
  painter.setPen(pen(along));
  painter.drawLine(QPointF(at.x(), 0), QPointF(at.x(), at.y() - gap));
  painter.drawLine(QPointF(at.x(), at.y() + gap), QPointF(at.x(), height()));
}

void SliceView::DrawMeasurements(QPainter& painter) {
  const int64_t slice = plane_->NearestSlice(document_.cursor());
  for (const Measurement& m : document_.measurements()) {
    // Those of the images that are shown: another one may lie elsewhere.
    const ImageLayer* active = document_.ActiveImage();
    const bool shown = m.layer == 0 || m.layer == document_.fused_image ||
                       (active != nullptr && m.layer == active->id);
    if (!shown || m.orientation != orientation_) continue;
    bool here = true;
    for (const Vec3& point : m.points) {
      here = here && std::abs(plane_->SliceAt(point) - static_cast<double>(slice)) < 0.51;
    }
    if (here) DrawMeasurement(painter, m, false);
  }
  if (draft_) DrawMeasurement(painter, *draft_, true);
}

void SliceView::DrawMeasurement(QPainter& painter, const Measurement& m, bool draft) {
  const QColor colour(120, 220, 232);
  painter.setPen(QPen(colour, 1.5, draft ? Qt::DashLine : Qt::SolidLine));
  painter.setBrush(Qt::NoBrush);
  std::vector<QPointF> points;
  for (const Vec3& x : m.points) points.push_back(PixelFromLps(x));
  if (points.empty()) return;
  QPointF text_at = points.back() + QPointF(8, -6);
  if (m.kind == MeasurementKind::kRoi) {
    if (points.size() < 2) return;
    const QRectF box = QRectF(points[0], points[1]).normalized();
    painter.drawEllipse(box);
    text_at = box.bottomLeft() + QPointF(0, 16);
  } else {
    for (size_t i = 1; i < points.size(); ++i) painter.drawLine(points[i - 1], points[i]);
    for (const QPointF& p : points) painter.drawEllipse(p, 3, 3);
  }
  const bool complete = m.kind == MeasurementKind::kAngle ? points.size() == 3 : points.size() == 2;
  if (!complete) return;
  QFont font = painter.font();
  font.setPixelSize(12);
  painter.setFont(font);
  const QString text = QString::fromStdString(m.Summary());
  // Kept inside the view.
  const double longest = width() - kSliderWidth - 6 - QFontMetricsF(font).horizontalAdvance(text);
  text_at.setX(std::max(6.0, std::min(text_at.x(), longest)));
  text_at.setY(std::clamp(text_at.y(), 14.0, height() - 6.0));
  DrawText(painter, text_at, text, colour);
}

void SliceView::DrawTexts(QPainter& painter) {
  QFont font = painter.font();
  font.setPixelSize(13);
  font.setBold(true);
  painter.setFont(font);
  const int64_t slice = plane_->NearestSlice(document_.cursor());
  const Vec3 middle = plane_->MovedToSlice(plane_->first, slice);
  const double right_edge = width() - kSliderWidth - 4;
  // Letters stand on the middle of each side; they are never hidden.
  font.setPixelSize(15);
  painter.setFont(font);
  const QFontMetricsF metrics(font);
  const ImageLayer* active = document_.ActiveImage();
  const bool assumed = document_.AssumesOrientation();
  const QColor letter_colour = assumed ? QColor(216, 183, 101) : QColor(255, 255, 255);
  const auto letters = plane_->Letters(assumed);
  const auto text = [&](int side) { return QString::fromStdString(letters[side]); };
  DrawText(painter, QPointF(6, height() / 2.0 + 5), text(0), letter_colour);
  DrawText(painter, QPointF(right_edge - metrics.horizontalAdvance(text(1)), height() / 2.0 + 5),
           text(1), letter_colour);
  DrawText(painter, QPointF((width() - kSliderWidth) / 2.0 - 5, 18), text(2), letter_colour);
  DrawText(painter, QPointF((width() - kSliderWidth) / 2.0 - 5, height() - 7), text(3),
           letter_colour);

  font.setPixelSize(13);
  painter.setFont(font);
  char line[96];
  QString title = NameOf(orientation_);
  if (const LabelLayer* only = document_.Labels(only_labels_)) {
    title += "   " + QString::fromStdString(only->name);
  }
  DrawText(painter, QPointF(8, 18),
           QFontMetricsF(font).elidedText(title, Qt::ElideRight, width() / 2.0 - 24),
           PlaneColour(orientation_));
  font.setBold(false);
  font.setPixelSize(12);
  painter.setFont(font);
  const QColor plain(215, 220, 226);
  if (plane_->axis >= 0) {
    const std::string position = active != nullptr && !active->KnowsPosition()
                                     ? ""
                                     : AxisPosition(middle, PatientAxis(orientation_)) + "   ";
    std::snprintf(line, sizeof line, "%sslice %lld of %lld", position.c_str(),
                  static_cast<long long>(slice + 1), static_cast<long long>(plane_->count));
  } else {
    std::snprintf(line, sizeof line, "%spatient plane",
                  assumed ? "" : (AxisPosition(middle, PatientAxis(orientation_)) + "   ").c_str());
  }
  DrawText(painter, QPointF(8, 34), line, plain);
  const std::string synthetic = document_.SyntheticNote();
  if (!synthetic.empty()) {
    DrawText(painter, QPointF(8, 50), QString::fromStdString(synthetic), QColor(216, 183, 101));
  }
  if (!state_.corner_text) return;
  if (const ImageLayer* image = document_.ActiveImage()) {
    std::snprintf(line, sizeof line, "W %s  L %s", Number(image->window.width).c_str(),
                  Number(image->window.level).c_str());
    const QFontMetricsF small(font);
    DrawText(painter, QPointF(right_edge - small.horizontalAdvance(line), 18), line, plain);
  }
  const std::string under = Describe(document_.cursor());
  // The first part only: value and label; the rest stands in the status line.
  const size_t cut =
      std::min({under.find("   R "), under.find("   L "), under.find("   ["), size_t{40}});
  DrawText(painter, QPointF(8, height() - 7), QString::fromStdString(under.substr(0, cut)), plain);
}

void SliceView::DrawScaleBar(QPainter& painter) {
  const ImageLayer* image = document_.ActiveImage();
  const bool in_pixels = image != nullptr && image->AssumesLengths(plane_->axis);
  double scale = state_.Scale(FitScale());  // mm, or pixels of the image, a pixel of the screen
  if (in_pixels) scale /= PixelLength(image->volume->geometry, plane_->right);
  const double target = width() / 4.0 * scale;
  double length = std::pow(10, std::floor(std::log10(target)));
  for (const double factor : {5.0, 2.0}) {
    if (length * factor <= target) {
      length *= factor;
      break;
    }
  }
  const double pixels = length / scale;
  const double right = width() - kSliderWidth - 10;
  const double y = height() - 12;
  for (const auto& [colour, thickness] :
       {std::pair(QColor(0, 0, 0, 190), 4.0), std::pair(QColor(215, 220, 226), 1.6)}) {
    painter.setPen(QPen(colour, thickness));
    painter.drawLine(QPointF(right - pixels, y), QPointF(right, y));
    painter.drawLine(QPointF(right - pixels, y - 4), QPointF(right - pixels, y + 4));
    painter.drawLine(QPointF(right, y - 4), QPointF(right, y + 4));
  }
  QFont font = painter.font();
  font.setPixelSize(12);
  painter.setFont(font);
  const QString text = QString::fromStdString(ScaleBarText(length, in_pixels));
  DrawText(painter,
           QPointF(right - pixels / 2 - QFontMetricsF(font).horizontalAdvance(text) / 2, y - 7),
           text, QColor(215, 220, 226));
}

void SliceView::DrawEmpty(QPainter& painter) {
  painter.setPen(QColor(110, 118, 128));
  QFont font = painter.font();
  font.setPixelSize(13);
  painter.setFont(font);
  painter.drawText(rect(), Qt::AlignCenter, NameOf(orientation_));
}

void SliceView::resizeEvent(QResizeEvent*) {
  slider_->setGeometry(width() - kSliderWidth - 1, 26, kSliderWidth, std::max(20, height() - 60));
  if (on_fit_changed) on_fit_changed();
  Redraw();
}

}  // namespace avocet::gui
