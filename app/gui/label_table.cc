// SPDX-License-Identifier: Apache-2.0
#include "app/gui/label_table.h"

#include <cmath>

namespace avocet::gui {

std::array<uint8_t, 3> DefaultLabelColour(int value) {
  // Paul Tol's bright and muted schemes, ordered for contrast on grey.
  static constexpr std::array<std::array<uint8_t, 3>, 12> kFirst{{{238, 102, 119},
                                                                  {68, 170, 153},
                                                                  {221, 204, 119},
                                                                  {102, 204, 238},
                                                                  {170, 51, 119},
                                                                  {153, 203, 59},
                                                                  {228, 120, 40},
                                                                  {90, 120, 220},
                                                                  {204, 102, 119},
                                                                  {34, 136, 51},
                                                                  {170, 68, 153},
                                                                  {187, 187, 187}}};
  if (value >= 1 && value <= 12) return kFirst[value - 1];
  // Golden-ratio steps round the hue circle keep neighbours apart.
  const double hue = std::fmod(value * 0.61803398875, 1.0) * 6;
  const double low = (value / 7 % 3) * 0.15 + 0.2;
  const double rise = low + (0.92 - low) * (1 - std::abs(std::fmod(hue, 2) - 1));
  const std::array<std::array<double, 3>, 6> wheel{{{0.92, rise, low},
                                                    {rise, 0.92, low},
                                                    {low, 0.92, rise},
                                                    {low, rise, 0.92},
                                                    {rise, low, 0.92},
                                                    {0.92, low, rise}}};
  const auto& rgb = wheel[static_cast<int>(hue) % 6];
  return {static_cast<uint8_t>(rgb[0] * 255), static_cast<uint8_t>(rgb[1] * 255),
          static_cast<uint8_t>(rgb[2] * 255)};
}

void CountLabels(const std::vector<uint16_t>& labels, double voxel_ml, LabelTable& table) {
  std::vector<int64_t> counts(65536, 0);
  for (const uint16_t value : labels) ++counts[value];
  for (int value = 1; value < 65536; ++value) {
    const auto known = table.find(value);
    if (counts[value] == 0 && known == table.end()) continue;
    LabelEntry& entry = table[value];
    if (known == table.end()) {
      entry.name = "Label " + std::to_string(value);
      entry.colour = DefaultLabelColour(value);
    }
    entry.voxels = counts[value];
    entry.volume_ml = static_cast<double>(counts[value]) * voxel_ml;
  }
}

std::vector<uint32_t> DrawingColours(const LabelTable& table) {
  std::vector<uint32_t> colours(table.empty() ? 1 : table.rbegin()->first + 1, 0);
  for (const auto& [value, entry] : table) {
    if (!entry.visible) continue;
    colours[value] = 0xff000000u | static_cast<uint32_t>(entry.colour[0]) << 16 |
                     static_cast<uint32_t>(entry.colour[1]) << 8 | entry.colour[2];
  }
  return colours;
}

}  // namespace avocet::gui
