// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/volume.h"

namespace avocet::gui {

// The values that become black and white: level - width / 2 and level + width / 2, in the file's
// real values (HU for CT).
struct Window {
  double width = 1;
  double level = 0.5;

  double Low() const { return level - width / 2; }
  double High() const { return level + width / 2; }
  static Window Between(double low, double high);  // at least a little wide
};

struct WindowPreset {
  const char* name;
  Window window;
};
// Usual windows for CT, in HU.
const std::vector<WindowPreset>& CtPresets();

// What the values of an image are like; computed once, away from the window's thread.
struct ValueStatistics {
  double minimum = 0;
  double maximum = 0;
  double low = 0;                  // 0.5 percentile of the finite values that are not zero
  double high = 1;                 // 99.5 percentile of them
  std::vector<int64_t> histogram;  // of the sampled values, between minimum and maximum
  bool integers = true;
};

// Every value counts for the range; percentiles and histogram come from at most `samples` values,
// evenly spread. Component 0 of `frame`.
ValueStatistics Measure(const io::Volume& volume, int64_t frame = 0, int64_t samples = 1 << 20);

// CT: soft tissue. Others: the percentiles of `statistics`.
Window DefaultWindow(const io::Volume& volume, const ValueStatistics& statistics);
bool IsCt(const io::Volume& volume, const ValueStatistics& statistics);

// 256 colours from low to high, 0xffRRGGBB.
struct ColourMap {
  std::string name;
  std::vector<uint32_t> colours;
};
// Grey, inverted grey, hot, cool to warm, and a perceptually even one. They live as long as the
// process.
const std::vector<ColourMap>& ColourMaps();

}  // namespace avocet::gui
