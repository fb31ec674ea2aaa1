// SPDX-License-Identifier: Apache-2.0
#include "app/gui/volume_scene.h"

#include <QImage>
#include <QOffscreenSurface>
#include <QOpenGLContext>
#include <QSurfaceFormat>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "app/gui/scene_renderer.h"

namespace avocet::gui {

const char* NameOf(VolumePreset preset) {
  static constexpr const char* kNames[] = {"Off", "CT soft tissue", "CT bone", "CT angiography",
                                           "Bright parts"};
  return kNames[static_cast<int>(preset)];
}

class VolumeScene::Worker {
 public:
  explicit Worker(Receive receive) : receive_(std::move(receive)) {
    QSurfaceFormat format;
    format.setVersion(3, 2);
    format.setProfile(QSurfaceFormat::CoreProfile);
    surface_.setFormat(format);
    surface_.create();
    thread_ = std::thread([this] { Run(); });
  }

  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void Show(Scene scene) {
    {
      const std::lock_guard lock(mutex_);
      next_ = std::move(scene);
    }
    wake_.notify_one();
  }

 private:
  void Run() {
    QOpenGLContext context;
    context.setFormat(surface_.format());
    std::string error;
    if (!QOpenGLContext::supportsThreadedOpenGL()) {
      error = "this system's OpenGL cannot draw in a thread of its own";
    } else if (!surface_.isValid() || !context.create() || !context.makeCurrent(&surface_)) {
      error = "OpenGL 3.2 is not available";
    }
    std::unique_ptr<SceneRenderer> renderer;
    if (error.empty()) {
      try {
        renderer = std::make_unique<SceneRenderer>();
      } catch (const std::exception& failure) {
        error = failure.what();
      }
    }
    if (!error.empty()) receive_(QImage(), error);
    for (;;) {
      Scene scene;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stop_ || next_.has_value(); });
        if (stop_) break;
        scene = std::move(*next_);
        next_.reset();
      }
      if (!renderer) continue;
      QImage picture(scene.width, scene.height, QImage::Format_RGB32);
      renderer->Draw(scene, reinterpret_cast<uint32_t*>(picture.bits()));
      receive_(picture, "");
    }
    renderer.reset();
    context.doneCurrent();
  }

  Receive receive_;
  QOffscreenSurface surface_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Scene> next_;
  bool stop_ = false;
  std::thread thread_;
};

VolumeScene::VolumeScene(Receive receive) : worker_(std::make_unique<Worker>(std::move(receive))) {}
VolumeScene::~VolumeScene() = default;
void VolumeScene::Show(Scene scene) { worker_->Show(std::move(scene)); }

}  // namespace avocet::gui
