// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <QImage>
#include <QTimer>
#include <QWidget>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "app/gui/document.h"
#include "app/gui/task_runner.h"
#include "app/gui/volume_scene.h"

namespace avocet::gui {

// The labels as smooth surfaces and the image as a cloud, in the patient. Surfaces are computed by
// tasks; pictures come from VolumeScene. Left drag turns, right drag or wheel zooms, middle drag
// pans.
class VolumeView : public QWidget {
 public:
  VolumeView(Document& document, TaskRunner& tasks, QWidget* parent = nullptr);
  ~VolumeView() override;

  void SetPreset(VolumePreset preset);
  VolumePreset preset() const { return preset_; }
  // Cuts away what lies between the eye and the plane of that slice; -1: nothing.
  void SetClip(int orientation);
  int clip() const { return clip_; }
  void Reset();
  bool drawn() const { return !picture_.isNull(); }
  const std::string& error() const { return error_; }
  size_t surface_count() const { return surfaces_.size(); }

  std::function<void()> on_maximise;

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  struct Key {
    int layer, label;
    bool operator<(const Key& other) const {
      return layer != other.layer ? layer < other.layer : label < other.label;
    }
  };
  void OnDocument(unsigned changes);
  void StartSurfaces();
  void Ask(bool fast);
  void ResetCamera();

  Document& document_;
  TaskRunner& tasks_;
  std::unique_ptr<VolumeScene> scene_;
  QImage picture_;
  std::string error_;
  Camera camera_;
  VolumePreset preset_ = VolumePreset::kOff;
  int clip_ = -1;
  std::map<Key, std::shared_ptr<const io::Surface>> surfaces_;
  QTimer refine_;   // a fine picture after the hand rests
  QTimer rebuild_;  // surfaces, a moment after the last stroke
  int surface_task_ = 0;
  QPointF last_;
  Qt::MouseButton button_ = Qt::NoButton;
};

}  // namespace avocet::gui
