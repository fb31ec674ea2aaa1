// SPDX-License-Identifier: Apache-2.0
#include "app/gui/slice_picture.h"

#include <algorithm>
#include <cmath>

namespace avocet::gui {
namespace {

uint32_t Mix(uint32_t under, uint32_t over, uint32_t share256) {
  const uint32_t keep = 256 - share256;
  const uint32_t red_blue =
      ((under & 0xff00ffu) * keep + (over & 0xff00ffu) * share256) >> 8 & 0xff00ffu;
  const uint32_t green =
      ((under & 0x00ff00u) * keep + (over & 0x00ff00u) * share256) >> 8 & 0x00ff00u;
  return 0xff000000u | red_blue | green;
}

uint32_t Share(double opacity) {
  return static_cast<uint32_t>(std::lround(std::clamp(opacity, 0.0, 1.0) * 256));
}

// Pixels of one image; alpha 0 outside it.
void Colourise(const PictureImage& image, const PlaneGrid& grid, std::vector<uint32_t>& pixels) {
  SampleOptions options;
  options.frame = image.frame;
  options.linear = image.linear;
  const size_t count = static_cast<size_t>(grid.width) * grid.height;
  pixels.assign(count, 0);
  std::vector<float> values;
  if (image.volume->components >= 3) {
    for (int c = 0; c < 3; ++c) {
      options.component = c;
      SampleImage(*image.volume, options, grid, values);
      for (size_t i = 0; i < count; ++i) {
        if (std::isnan(values[i])) continue;
        const auto byte = static_cast<uint32_t>(std::clamp(values[i] + 0.5f, 0.0f, 255.0f));
        pixels[i] |= 0xff000000u | byte << (16 - 8 * c);
      }
    }
    return;
  }
  SampleImage(*image.volume, options, grid, values);
  const uint32_t* colours = image.colours->colours.data();
  const double low = image.window.Low();
  const double scale = 256 / image.window.width;
  for (size_t i = 0; i < count; ++i) {
    if (std::isnan(values[i])) continue;
    const double step = (values[i] - low) * scale;
    pixels[i] = colours[step <= 0 ? 0 : step >= 255 ? 255 : static_cast<int>(step)];
  }
}

// Both images windowed, then one minus the other: grey where they agree, warm where the second is
// brighter, cool where it is darker.
void Difference(const PictureImage& first, const PictureImage& second, double gain,
                const PlaneGrid& grid, std::vector<uint32_t>& pixels) {
  std::vector<float> a, b;
  SampleOptions options;
  options.linear = first.linear;
  options.frame = first.frame;
  SampleImage(*first.volume, options, grid, a);
  options.frame = second.frame;
  SampleImage(*second.volume, options, grid, b);
  static const std::vector<uint32_t>& colours = ColourMaps()[3].colours;
  for (size_t i = 0; i < pixels.size(); ++i) {
    if (std::isnan(a[i]) || std::isnan(b[i])) continue;
    const auto part = [](float value, const Window& window) {
      return std::clamp((value - window.Low()) / window.width, 0.0, 1.0);
    };
    const double difference = gain * (part(b[i], second.window) - part(a[i], first.window));
    pixels[i] =
        colours[static_cast<int>(std::lround(127.5 + 127.5 * std::clamp(difference, -1.0, 1.0)))];
  }
}

void Fuse(const PictureContent& content, const PlaneGrid& grid, std::vector<uint32_t>& pixels) {
  const PictureImage& second = content.images.back();
  if (content.fusion == Fusion::kDifference) {
    const double gain = std::exp2(6 * (std::clamp(content.fusion_share, 0.0, 1.0) - 0.5));
    Difference(content.images.front(), second, gain, grid, pixels);
    return;
  }
  std::vector<uint32_t> over;
  Colourise(second, grid, over);
  const uint32_t share = Share(content.fusion_share);
  const int curtain = static_cast<int>(std::lround(grid.width * content.fusion_share));
  const int field = std::max(24, grid.width / 10);
  for (int y = 0; y < grid.height; ++y) {
    for (int x = 0; x < grid.width; ++x) {
      const size_t i = static_cast<size_t>(y) * grid.width + x;
      if (over[i] == 0) continue;
      switch (content.fusion) {
        case Fusion::kCurtain:
          if (x >= curtain) pixels[i] = over[i];
          break;
        case Fusion::kCheckerboard:
          if ((x / field + y / field) % 2 == 1) pixels[i] = over[i];
          break;
        default:
          pixels[i] = Mix(pixels[i], over[i], share);
      }
    }
  }
}

void Overlay(const PictureLabels& layer, const PlaneGrid& grid, std::vector<uint32_t>& pixels) {
  std::vector<uint16_t> labels;
  SampleLabels(*layer.geometry, *layer.labels, grid, labels);
  const uint32_t share = Share(layer.opacity);
  const auto colour_of = [&](uint16_t value) {
    return value < layer.colours.size() ? layer.colours[value] : 0u;
  };
  if (!layer.outline) {
    for (size_t i = 0; i < pixels.size(); ++i) {
      if (labels[i] == 0) continue;
      if (const uint32_t colour = colour_of(labels[i])) pixels[i] = Mix(pixels[i], colour, share);
    }
    return;
  }
  const int reach = std::max(1, layer.outline_pixels);
  const int width = grid.width;
  const int height = grid.height;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const size_t i = static_cast<size_t>(y) * width + x;
      const uint16_t value = labels[i];
      if (value == 0) continue;
      const uint32_t colour = colour_of(value);
      if (colour == 0) continue;
      bool border = false;
      for (int d = 1; d <= reach && !border; ++d) {
        border = (x >= d && labels[i - d] != value) || (x + d < width && labels[i + d] != value) ||
                 (y >= d && labels[i - static_cast<size_t>(d) * width] != value) ||
                 (y + d < height && labels[i + static_cast<size_t>(d) * width] != value);
      }
      // An outline stays readable when the fill is made faint.
      if (border) pixels[i] = Mix(pixels[i], colour, std::max(share, 200u));
    }
  }
}

}  // namespace

void DrawPicture(const PictureContent& content, const PlaneGrid& grid,
                 std::vector<uint32_t>& pixels) {
  const size_t count = static_cast<size_t>(grid.width) * grid.height;
  if (content.images.empty()) {
    pixels.assign(count, kPictureBackground);
  } else {
    Colourise(content.images.front(), grid, pixels);
    for (uint32_t& pixel : pixels) {
      if (pixel == 0) pixel = kPictureBackground;
    }
    if (content.images.size() > 1) Fuse(content, grid, pixels);
  }
  for (const PictureLabels& layer : content.labels) {
    if (layer.labels != nullptr) Overlay(layer, grid, pixels);
  }
}

}  // namespace avocet::gui
