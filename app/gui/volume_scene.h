// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/gui/contrast.h"
#include "app/gui/vec3.h"
#include "io/surface.h"
#include "io/volume.h"

class QImage;
class QOffscreenSurface;

namespace avocet::gui {

// Where a person looks from. Starts anterior, superior up.
struct Camera {
  double azimuth = 0;     // degrees to the patient's left
  double elevation = 0;   // degrees towards superior, -89..89
  double distance = 0.8;  // 1: the sphere round the volume fits
  Vec3 focus{};           // LPS mm
  double radius = 100;    // mm, half the size of what is looked at
};

enum class VolumePreset : int { kOff, kSoftTissue, kBone, kAngiography, kBright };
const char* NameOf(VolumePreset preset);

struct SceneSurface {
  std::shared_ptr<const io::Surface> surface;
  std::array<uint8_t, 3> colour{};
  double opacity = 1;
};

// All that one picture in three dimensions shows.
struct Scene {
  int width = 1, height = 1;  // pixels
  bool fast = false;          // coarse, while the hand moves
  Camera camera;
  std::vector<SceneSurface> surfaces;
  std::shared_ptr<const io::Volume> volume;
  int64_t frame = 0;
  VolumePreset preset = VolumePreset::kOff;
  Window window;  // of the image, for kBright
  // Half spaces that are kept: dot(normal, x - point) >= 0.
  std::vector<std::array<Vec3, 2>> clip;  // {point, normal}
};

// Draws scenes with VTK in a thread of its own, into memory, so that a slow OpenGL never holds up
// the window and a missing one costs the third dimension only.
class VolumeScene {
 public:
  // `receive` is called in the drawing thread with each picture, or with a null one and the reason
  // why there is none. Must be made and destroyed in the window's thread.
  using Receive = std::function<void(const QImage& picture, const std::string& error)>;
  explicit VolumeScene(Receive receive);
  ~VolumeScene();
  VolumeScene(const VolumeScene&) = delete;
  VolumeScene& operator=(const VolumeScene&) = delete;

  // The newest scene is drawn next; older ones that wait are forgotten.
  void Show(Scene scene);

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace avocet::gui
