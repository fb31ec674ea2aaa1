// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "app/gui/contrast.h"
#include "app/gui/plane_sampler.h"
#include "io/volume.h"

namespace avocet::gui {

struct PictureImage {
  const io::Volume* volume = nullptr;
  int64_t frame = 0;
  Window window;
  const ColourMap* colours = nullptr;
  bool linear = true;
};

// How the second image is shown with the first.
enum class Fusion : int { kBlend, kCurtain, kCheckerboard, kDifference };

struct PictureLabels {
  const io::Geometry* geometry = nullptr;
  const std::vector<uint16_t>* labels = nullptr;
  std::vector<uint32_t> colours;  // by value; 0: not drawn
  double opacity = 0.5;
  bool outline = false;  // only the border of each label
  int outline_pixels = 2;
};

// Everything that lies in one picture, bottom to top.
struct PictureContent {
  std::vector<PictureImage> images;  // the first is the base; the last is fused over it
  Fusion fusion = Fusion::kBlend;
  double fusion_share = 0.5;  // opacity of the second image; position of the curtain;
                              // 0.5: differences as they are, 1: eightfold, 0: an eighth
  std::vector<PictureLabels> labels;
};

constexpr uint32_t kPictureBackground = 0xff000000u;

// Draws the slice into `pixels` (0xffRRGGBB, grid.width * grid.height, row by row). Labels are
// looked up in the patient, voxel by voxel, never by index, so that maps with another grid than the
// image lie where they belong. Colour images (3 or more components) are shown as stored.
void DrawPicture(const PictureContent& content, const PlaneGrid& grid,
                 std::vector<uint32_t>& pixels);

}  // namespace avocet::gui
