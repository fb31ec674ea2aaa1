// SPDX-License-Identifier: Apache-2.0
#include "app/gui/volume_view.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QPointer>
#include <QWheelEvent>
#include <algorithm>
#include <cmath>
#include <cstring>

namespace avocet::gui {

VolumeView::VolumeView(Document& document, TaskRunner& tasks, QWidget* parent)
    : QWidget(parent), document_(document), tasks_(tasks) {
  setObjectName("view_3D");
  setAccessibleName("3D view");
  setFocusPolicy(Qt::StrongFocus);
  setMinimumSize(160, 120);
  refine_.setSingleShot(true);
  refine_.setInterval(250);
  connect(&refine_, &QTimer::timeout, this, [this] { Ask(false); });
  rebuild_.setSingleShot(true);
  rebuild_.setInterval(400);
  connect(&rebuild_, &QTimer::timeout, this, [this] { StartSurfaces(); });
  document_.AddObserver([this](unsigned changes) { OnDocument(changes); });
  // Now, before the window is shown: the first use of OpenGL takes a tenth of a second.
  scene_ = std::make_unique<VolumeScene>([this](const QImage& picture, const std::string& error) {
    // From the drawing thread, which ends before the view does.
    QMetaObject::invokeMethod(
        this,
        [this, picture, error] {
          if (error.empty()) {
            picture_ = picture;
          } else {
            error_ = error;
          }
          update();
        },
        Qt::QueuedConnection);
  });
}

VolumeView::~VolumeView() = default;

void VolumeView::OnDocument(unsigned changes) {
  if (changes & kPlanesChanged) ResetCamera();
  if (changes & (kLayersChanged | kVoxelsChanged)) {
    if (changes & kVoxelsChanged) {
      // Painted labels get new surfaces.
      if (const LabelLayer* layer = document_.ActiveLabels()) {
        for (auto it = surfaces_.begin(); it != surfaces_.end();) {
          it = it->first.layer == layer->id ? surfaces_.erase(it) : std::next(it);
        }
      }
    }
    rebuild_.start();
  }
  if (changes & (kLayersChanged | kDisplayChanged | kPlanesChanged) ||
      (clip_ >= 0 && (changes & kCursorChanged))) {
    Ask(true);
    refine_.start();
  }
}

void VolumeView::StartSurfaces() {
  if (tasks_.IsRunning(surface_task_)) return rebuild_.start();
  for (auto it = surfaces_.begin(); it != surfaces_.end();) {
    it = document_.Labels(it->first.layer) == nullptr ? surfaces_.erase(it) : std::next(it);
  }
  for (const auto& layer : document_.labels()) {
    if (!layer->visible) continue;
    for (const auto& [value, entry] : layer->table) {
      const Key key{layer->id, value};
      if (!entry.visible || entry.voxels == 0 || surfaces_.count(key)) continue;
      // Painting may go on meanwhile: it makes a copy of its own.
      auto volume = std::make_shared<io::Volume>();
      auto result = std::make_shared<io::Surface>();
      const auto header = layer->header;
      const std::shared_ptr<const std::vector<uint16_t>> labels = layer->labels;
      surface_task_ = tasks_.Start(
          "Surface of " + entry.name,
          [volume, result, header, labels, value = value](Progress& progress) {
            UpdateOrThrow(progress, Progress::kUnknown, "computing a surface");
            *volume = io::Volume::Zeros(header->geometry, io::VoxelType::kUInt16);
            std::memcpy(volume->data.data(), labels->data(), labels->size() * sizeof(uint16_t));
            *result = io::SurfaceOfLabel(*volume, value);
          },
          [view = QPointer<QWidget>(this), this, key, result](const TaskRunner::Outcome& outcome) {
            if (view == nullptr || document_.Labels(key.layer) == nullptr) return;
            if (!outcome.cancelled) surfaces_[key] = result;  // an empty one is not tried again
            Ask(false);
            StartSurfaces();  // the next label
          },
          /*quiet=*/true);
      return;
    }
  }
}

void VolumeView::ResetCamera() {
  const io::Geometry* g = document_.grid();
  if (g == nullptr) return;
  camera_ = Camera();
  camera_.focus = g->PhysicalFromIndex(
      {(g->size[0] - 1) / 2.0, (g->size[1] - 1) / 2.0, (g->size[2] - 1) / 2.0});
  camera_.radius =
      Norm({g->size[0] * g->spacing[0], g->size[1] * g->spacing[1], g->size[2] * g->spacing[2]}) /
      2;
}

void VolumeView::Reset() {
  ResetCamera();
  Ask(false);
}

void VolumeView::SetPreset(VolumePreset preset) {
  preset_ = preset;
  Ask(true);
  refine_.start();
}

void VolumeView::SetClip(int orientation) {
  clip_ = orientation;
  Ask(false);
}

void VolumeView::Ask(bool fast) {
  if (document_.grid() == nullptr) {
    picture_ = QImage();
    return update();
  }
  if (!isVisible() || !error_.empty()) return;
  const double ratio = devicePixelRatioF();
  Scene scene;
  scene.width = std::max(1, static_cast<int>(width() * ratio));
  scene.height = std::max(1, static_cast<int>(height() * ratio));
  scene.fast = fast;
  scene.camera = camera_;
  if (const ImageLayer* image = document_.ActiveImage()) {
    scene.volume = image->volume;
    scene.frame = image->frame;
    scene.window = image->window;
    scene.preset = preset_;
  }
  if (document_.overlays) {
    for (const auto& layer : document_.labels()) {
      if (!layer->visible) continue;
      for (const auto& [value, entry] : layer->table) {
        const auto found = surfaces_.find({layer->id, value});
        if (!entry.visible || found == surfaces_.end() || found->second->triangles.empty())
          continue;
        scene.surfaces.push_back({found->second, entry.colour, entry.surface_opacity});
      }
    }
  }
  if (clip_ >= 0) {
    const SlicePlane plane = document_.Plane(static_cast<Orientation>(clip_));
    const Vec3 normal = Unit(Cross(plane.right, plane.down));
    const double azimuth = camera_.azimuth * 3.14159265358979 / 180;
    const double elevation = camera_.elevation * 3.14159265358979 / 180;
    const Vec3 from{std::sin(azimuth) * std::cos(elevation),
                    -std::cos(azimuth) * std::cos(elevation), std::sin(elevation)};
    // What lies behind the plane, seen from the eye, stays.
    scene.clip.push_back({document_.cursor(), Dot(normal, from) > 0 ? Scale(normal, -1) : normal});
  }
  scene_->Show(std::move(scene));
}

void VolumeView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.fillRect(rect(), QColor(16, 18, 21));
  QFont font = painter.font();
  font.setPixelSize(13);
  painter.setFont(font);
  if (!error_.empty()) {
    painter.setPen(QColor(170, 176, 184));
    painter.drawText(
        rect().adjusted(20, 20, -20, -20), Qt::AlignCenter | Qt::TextWordWrap,
        "No 3D picture: " + QString::fromStdString(error_) + ". The slices do not need it.");
    return;
  }
  if (!picture_.isNull() && document_.grid() != nullptr) painter.drawImage(rect(), picture_);
  font.setBold(true);
  painter.setFont(font);
  painter.setPen(document_.grid() == nullptr ? QColor(110, 118, 128) : QColor(130, 170, 235));
  painter.drawText(QPointF(8, 18), "3D");
  font.setBold(false);
  font.setPixelSize(12);
  painter.setFont(font);
  if (document_.grid() != nullptr) {
    painter.setPen(QColor(215, 220, 226));
    // Which sides the screen's left and right are, from the camera.
    const double azimuth = camera_.azimuth * 3.14159265358979 / 180;
    const Vec3 right{std::cos(azimuth), std::sin(azimuth), 0};
    const std::string mark = document_.AssumesOrientation() ? "?" : "";
    painter.drawText(QRectF(6, 0, 40, height()), Qt::AlignVCenter | Qt::AlignLeft,
                     QString::fromStdString(SideLetters(Scale(right, -1)) + mark));
    painter.drawText(QRectF(width() - 46, 0, 40, height()), Qt::AlignVCenter | Qt::AlignRight,
                     QString::fromStdString(SideLetters(right) + mark));
    if (document_.overlays && surfaces_.empty() && preset_ == VolumePreset::kOff) {
      painter.setPen(QColor(110, 118, 128));
      painter.drawText(
          rect(), Qt::AlignCenter,
          document_.labels().empty() ? "Labels appear here as surfaces" : "Computing surfaces");
    }
  }
  if (hasFocus()) {
    painter.setPen(QPen(QColor(130, 170, 235), 1));
    painter.drawRect(rect().adjusted(0, 0, -1, -1));
  }
}

void VolumeView::resizeEvent(QResizeEvent*) {
  Ask(true);
  refine_.start();
}

void VolumeView::wheelEvent(QWheelEvent* event) {
  camera_.distance =
      std::clamp(camera_.distance * std::pow(1.1, -event->angleDelta().y() / 120.0), 0.05, 10.0);
  Ask(true);
  refine_.start();
  event->accept();
}

void VolumeView::mousePressEvent(QMouseEvent* event) {
  setFocus(Qt::MouseFocusReason);
  last_ = event->position();
  button_ = event->button();
  update();
}

void VolumeView::mouseMoveEvent(QMouseEvent* event) {
  if (button_ == Qt::NoButton) return;
  const QPointF delta = event->position() - last_;
  last_ = event->position();
  const bool pan = button_ == Qt::MiddleButton || (event->modifiers() & Qt::ShiftModifier);
  if (button_ == Qt::RightButton) {
    camera_.distance = std::clamp(camera_.distance * std::exp(delta.y() / 150), 0.05, 10.0);
  } else if (pan) {
    const double mm =
        2 * camera_.radius * camera_.distance / std::max(1, std::min(width(), height()));
    const double azimuth = camera_.azimuth * 3.14159265358979 / 180;
    const double elevation = camera_.elevation * 3.14159265358979 / 180;
    const Vec3 right{std::cos(azimuth), std::sin(azimuth), 0};
    const Vec3 from{std::sin(azimuth) * std::cos(elevation),
                    -std::cos(azimuth) * std::cos(elevation), std::sin(elevation)};
    const Vec3 up = Cross(from, right);
    camera_.focus =
        Add(camera_.focus, Add(Scale(right, -delta.x() * mm), Scale(up, delta.y() * mm)));
  } else {
    camera_.azimuth = std::fmod(camera_.azimuth - delta.x() * 0.5, 360);
    camera_.elevation = std::clamp(camera_.elevation + delta.y() * 0.5, -89.0, 89.0);
  }
  Ask(true);
  update();
}

void VolumeView::mouseReleaseEvent(QMouseEvent*) {
  button_ = Qt::NoButton;
  Ask(false);
}

void VolumeView::mouseDoubleClickEvent(QMouseEvent* event) {
  if (event->button() == Qt::LeftButton && on_maximise) on_maximise();
}

void VolumeView::keyPressEvent(QKeyEvent* event) {
  switch (event->key()) {
    case Qt::Key_Left:
      camera_.azimuth -= 10;
      break;
    case Qt::Key_Right:
      camera_.azimuth += 10;
      break;
    case Qt::Key_Up:
      camera_.elevation = std::min(89.0, camera_.elevation + 10);
      break;
    case Qt::Key_Down:
      camera_.elevation = std::max(-89.0, camera_.elevation - 10);
      break;
    case Qt::Key_PageUp:
    case Qt::Key_PageDown:
      camera_.distance =
          std::clamp(camera_.distance * (event->key() == Qt::Key_PageUp ? 0.8 : 1.25), 0.05, 10.0);
      break;
    case Qt::Key_Home:
      camera_.azimuth = camera_.elevation = 0;
      break;
    default:
      return QWidget::keyPressEvent(event);
  }
  Ask(true);
  refine_.start();
  update();
}

}  // namespace avocet::gui
