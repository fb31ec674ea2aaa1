// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "app/gui/volume_scene.h"

namespace avocet::gui {

// VTK behind a wall: draws scenes into memory with the OpenGL context that is current. One thread.
class SceneRenderer {
 public:
  SceneRenderer();
  ~SceneRenderer();

  // `pixels`: scene.width * scene.height of 0xffRRGGBB, first row on top.
  void Draw(const Scene& scene, uint32_t* pixels);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace avocet::gui
