// SPDX-License-Identifier: Apache-2.0
#include "app/core/montage_panel.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

namespace avocet::core {
namespace {

constexpr double kFillOpacity = 0.42;
constexpr int kSamples = 2;  // fills are sampled so many times along each side of a pixel

struct Plane {
  const char* name;
  std::array<const char*, 4> letters;
};
constexpr Plane kSagittal{"sagittal", {"A", "P", "S", "I"}};
constexpr Plane kCoronal{"coronal", {"R", "L", "S", "I"}};
constexpr Plane kAxial{"axial", {"R", "L", "A", "P"}};

models::VolumeView ViewOf(const io::Geometry& geometry) {
  models::VolumeView view;
  view.size = geometry.size;
  view.spacing = geometry.spacing;
  view.direction = geometry.direction;
  return view;
}

// Where the voxel (slice, row, column) lies in the buffer.
class Offsets {
 public:
  Offsets(const models::SliceLayout& layout, const io::Geometry& geometry) : layout_(layout) {
    const int64_t step[3] = {1, geometry.size[0], geometry.size[0] * geometry.size[1]};
    for (int part = 0; part < 3; ++part) {
      step_[part] = step[layout.axis[part]];
      if (!layout.reversed[part]) continue;
      begin_ += step_[part] * (layout.size[part] - 1);
      step_[part] = -step_[part];
    }
  }
  int64_t At(int64_t slice, int64_t row, int64_t column) const {
    return begin_ + slice * step_[0] + row * step_[1] + column * step_[2];
  }
  // The same with rows and columns clamped to the slice.
  int64_t Clamped(int64_t slice, int64_t row, int64_t column) const {
    return At(slice, std::clamp<int64_t>(row, 0, layout_.size[1] - 1),
              std::clamp<int64_t>(column, 0, layout_.size[2] - 1));
  }

 private:
  const models::SliceLayout& layout_;
  int64_t step_[3];
  int64_t begin_ = 0;
};

using Weights = std::array<double, 4>;  // of the samples floor(x) - 1 ... floor(x) + 2

// Keys' cubic convolution, a = -1/2: interpolates, keeps edges crisp. For grey values.
Weights KeysWeights(double f) {
  const auto near = [](double d) { return (1.5 * d - 2.5) * d * d + 1; };
  const auto far = [](double d) { return ((-0.5 * d + 2.5) * d - 4) * d + 2; };
  return {far(1 + f), near(f), near(1 - f), far(2 - f)};
}

// Halfway between linear interpolation and a cubic B-spline: rounds the stairs of a mask, and yet a
// single voxel stays visible (the B-spline alone would lose it at the level of one half).
Weights MaskWeights(double f) {
  const double g = 1 - f;
  return {0.5 * g * g * g / 6, 0.5 * ((3 * f * f * (f - 2) + 4) / 6 + g),
          0.5 * ((3 * g * g * (g - 2) + 4) / 6 + f), 0.5 * f * f * f / 6};
}

// Reads a panel at positions in pixels: a pixel's centre is at half-integers, voxel (row_begin,
// column_begin) covers the first spacing * scale pixels.
class Sampler {
 public:
  Sampler(const MontageCase& item, const Panel& panel, double scale)
      : panel_(panel),
        offsets_(panel.layout, item.geometry),
        row_scale_(1 / (panel.layout.spacing[1] * scale)),
        column_scale_(1 / (panel.layout.spacing[2] * scale)) {}

  double Grey(const std::vector<float>& image, double x, double y) const {
    return Sum(x, y, KeysWeights, [&](int64_t offset) -> double {
      return std::isfinite(image[offset]) ? image[offset] : 0;
    });
  }
  double Mask(const std::vector<uint16_t>& labels, int value, double x, double y) const {
    return Sum(x, y, MaskWeights,
               [&](int64_t offset) -> double { return labels[offset] == value; });
  }

 private:
  template <typename WeightsOf, typename Read>
  double Sum(double x, double y, WeightsOf weights_of, Read read) const {
    const double row = y * row_scale_ - 0.5 + panel_.row_begin;
    const double column = x * column_scale_ - 0.5 + panel_.column_begin;
    const double row0 = std::floor(row);
    const double column0 = std::floor(column);
    const Weights down = weights_of(row - row0);
    const Weights across = weights_of(column - column0);
    double sum = 0;
    for (int r = 0; r < 4; ++r) {
      for (int c = 0; c < 4; ++c) {
        sum += down[r] * across[c] *
               read(offsets_.Clamped(panel_.slice, static_cast<int64_t>(row0) + r - 1,
                                     static_cast<int64_t>(column0) + c - 1));
      }
    }
    return sum;
  }

  const Panel& panel_;
  Offsets offsets_;
  double row_scale_, column_scale_;
};

// Signed field of one label: positive where it outweighs every other label and the background.
double Advantage(const Sampler& sampler, const std::vector<uint16_t>& labels,
                 const std::vector<models::LabelInfo>& infos, size_t which, double x, double y) {
  double own = 0;
  double best_other = 0;
  double rest = 1;
  for (size_t c = 1; c < infos.size(); ++c) {
    const double value = sampler.Mask(labels, infos[c].value, x, y);
    rest -= value;
    if (c == which) {
      own = value;
    } else {
      best_other = std::max(best_other, value);
    }
  }
  return own - std::max(best_other, rest);
}

void DrawGreyAndFill(cairo_t* cairo, const MontageCase& item, const Sampler& sampler,
                     const GreyWindow& window, const std::vector<models::LabelInfo>& labels,
                     int width, int height) {
  cairo_surface_t* surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
  unsigned char* pixels = cairo_image_surface_get_data(surface);
  const int stride = cairo_image_surface_get_stride(surface);
  const double grey_scale = window.white > window.black ? 1 / (window.white - window.black) : 0;
  for (int y = 0; y < height; ++y) {
    auto* line = reinterpret_cast<uint32_t*>(pixels + static_cast<ptrdiff_t>(y) * stride);
    for (int x = 0; x < width; ++x) {
      double grey = (sampler.Grey(item.image, x + 0.5, y + 0.5) - window.black) * grey_scale;
      grey = std::clamp(grey, 0.0, 1.0);
      double colour[3] = {0, 0, 0};
      double covered = 0;
      for (int s = 0; s < kSamples * kSamples; ++s) {
        const int row = s / kSamples, column = s % kSamples;
        const double px = x + (column + 0.5) / kSamples;
        const double py = y + (row + 0.5) / kSamples;
        for (size_t c = 1; c < labels.size(); ++c) {
          if (sampler.Mask(item.prediction, labels[c].value, px, py) < 1e-3) continue;
          if (Advantage(sampler, item.prediction, labels, c, px, py) <= 0) continue;
          covered += 1;
          for (int channel = 0; channel < 3; ++channel)
            colour[channel] += labels[c].colour[channel];
          break;
        }
      }
      const double share = kFillOpacity * covered / (kSamples * kSamples);
      uint32_t packed = 0;
      for (int channel = 0; channel < 3; ++channel) {
        const double fill = covered > 0 ? colour[channel] / covered : 0;
        const double value = grey * 255 * (1 - share) + fill * share;
        packed = packed << 8 | static_cast<uint32_t>(std::lround(std::clamp(value, 0.0, 255.0)));
      }
      line[x] = packed;
    }
  }
  cairo_surface_mark_dirty(surface);
  cairo_set_source_surface(cairo, surface, 0, 0);
  cairo_paint(cairo);
  cairo_surface_destroy(surface);
}

// Adds the line field = 0 to the path: marching squares on a grid of one pixel.
void TraceZero(cairo_t* cairo, const std::vector<double>& field, int width, int height) {
  const auto at = [&](int x, int y) { return field[static_cast<size_t>(y) * width + x]; };
  for (int y = 0; y + 1 < height; ++y) {
    for (int x = 0; x + 1 < width; ++x) {
      const double corner[4] = {at(x, y), at(x + 1, y), at(x + 1, y + 1), at(x, y + 1)};
      constexpr int kX[4] = {0, 1, 1, 0};
      constexpr int kY[4] = {0, 0, 1, 1};
      double points[4][2];
      int count = 0;
      for (int e = 0; e < 4; ++e) {
        const int n = (e + 1) % 4;
        if ((corner[e] > 0) == (corner[n] > 0)) continue;
        const double t = corner[e] / (corner[e] - corner[n]);
        points[count][0] = x + 0.5 + kX[e] + t * (kX[n] - kX[e]);
        points[count][1] = y + 0.5 + kY[e] + t * (kY[n] - kY[e]);
        ++count;
      }
      for (int p = 0; p + 1 < count; p += 2) {
        cairo_move_to(cairo, points[p][0], points[p][1]);
        cairo_line_to(cairo, points[p + 1][0], points[p + 1][1]);
      }
    }
  }
}

void DrawOutlines(cairo_t* cairo, const MontageCase& item, const Sampler& sampler,
                  const std::vector<models::LabelInfo>& labels, int width, int height) {
  std::vector<double> field(static_cast<size_t>(width) * height);
  for (size_t c = 1; c < labels.size(); ++c) {
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        field[static_cast<size_t>(y) * width + x] =
            Advantage(sampler, item.reference, labels, c, x + 0.5, y + 0.5);
      }
    }
    cairo_set_line_cap(cairo, CAIRO_LINE_CAP_ROUND);
    // A dark seam keeps the line readable on bright tissue.
    cairo_push_group(cairo);
    TraceZero(cairo, field, width, height);
    cairo_set_line_width(cairo, 3.6);
    cairo_set_source_rgb(cairo, 0, 0, 0);
    cairo_stroke(cairo);
    cairo_pop_group_to_source(cairo);
    cairo_paint_with_alpha(cairo, 0.45);
    TraceZero(cairo, field, width, height);
    cairo_set_line_width(cairo, 1.7);
    const auto& colour = labels[c].colour;
    // Lighter than the fill, so that line and fill of one label are told apart.
    cairo_set_source_rgb(cairo, 0.45 + 0.55 * colour[0] / 255, 0.45 + 0.55 * colour[1] / 255,
                         0.45 + 0.55 * colour[2] / 255);
    cairo_stroke(cairo);
  }
}

void DrawLetters(cairo_t* cairo, const Panel& panel, int width, int height) {
  cairo_select_font_face(cairo, "sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
  cairo_set_font_size(cairo, 12);
  const double centres[4][2] = {{10, height / 2.0},
                                {width - 10.0, height / 2.0},
                                {width / 2.0, 10},
                                {width / 2.0, height - 10.0}};
  for (int side = 0; side < 4; ++side) {
    cairo_text_extents_t extents;
    const char* letter = panel.letters[side].c_str();
    cairo_text_extents(cairo, letter, &extents);
    const double x = centres[side][0] - extents.width / 2 - extents.x_bearing;
    const double y = centres[side][1] - extents.height / 2 - extents.y_bearing;
    cairo_move_to(cairo, x, y);
    cairo_text_path(cairo, letter);
    cairo_set_line_width(cairo, 2.5);
    cairo_set_source_rgba(cairo, 0, 0, 0, 0.6);
    cairo_stroke(cairo);
    cairo_move_to(cairo, x, y);
    cairo_set_source_rgb(cairo, 0.93, 0.86, 0.55);
    cairo_show_text(cairo, letter);
  }
}

// First index at which the cumulated counts reach `share` of all.
int64_t QuantileIndex(const std::vector<int64_t>& counts, double share) {
  int64_t total = 0;
  for (int64_t count : counts) total += count;
  double cumulated = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    cumulated += counts[i];
    if (total > 0 && cumulated >= share * total) return static_cast<int64_t>(i);
  }
  return static_cast<int64_t>(share * counts.size());
}

// Background and the labels that occur in the panel's slice: the others need no sampling.
std::vector<models::LabelInfo> Present(const std::vector<models::LabelInfo>& labels,
                                       const std::vector<uint16_t>& values, const Panel& panel,
                                       const io::Geometry& geometry) {
  std::vector<models::LabelInfo> present;
  if (values.empty() || labels.empty()) return present;
  const Offsets offsets(panel.layout, geometry);
  std::vector<bool> seen(65536, false);
  for (int64_t r = 0; r < panel.layout.size[1]; ++r) {
    for (int64_t c = 0; c < panel.layout.size[2]; ++c)
      seen[values[offsets.At(panel.slice, r, c)]] = true;
  }
  for (const models::LabelInfo& label : labels) {
    if (present.empty() || seen[label.value]) present.push_back(label);
  }
  return present;
}

// First index with a label and one past the last; everything when there is none.
std::pair<int64_t, int64_t> LabelBox(const std::vector<int64_t>& counts) {
  const auto used = [](int64_t n) { return n > 0; };
  const auto size = static_cast<int64_t>(counts.size());
  const int64_t begin = std::find_if(counts.begin(), counts.end(), used) - counts.begin();
  if (begin == size) return {0, size};
  return {begin, size - (std::find_if(counts.rbegin(), counts.rend(), used) - counts.rbegin())};
}

std::pair<int64_t, int64_t> Widened(std::pair<int64_t, int64_t> box, double margin, int64_t size) {
  const auto whole = static_cast<int64_t>(std::ceil(margin));
  return {std::max<int64_t>(0, box.first - whole), std::min(size, box.second + whole)};
}

}  // namespace

GreyWindow FindGreyWindow(const std::vector<float>& values) {
  std::vector<float> finite;
  finite.reserve(values.size());
  for (float value : values) {
    if (std::isfinite(value)) finite.push_back(value);
  }
  if (finite.empty()) return {};
  const auto at = [&](double share) {
    const auto nth = finite.begin() + static_cast<ptrdiff_t>(share * (finite.size() - 1));
    std::nth_element(finite.begin(), nth, finite.end());
    return static_cast<double>(*nth);
  };
  return {at(0.005), at(0.997)};
}

std::vector<Panel> ChoosePanels(const MontageCase& item, double margin_mm) {
  const auto any = [](const std::vector<uint16_t>& labels) {
    return std::any_of(labels.begin(), labels.end(), [](uint16_t value) { return value != 0; });
  };
  const std::vector<uint16_t>& labels = any(item.reference) ? item.reference : item.prediction;
  std::vector<Panel> panels;
  std::vector<std::pair<int64_t, int64_t>> label_rows;
  const std::pair<Plane, std::vector<double>> wanted[] = {
      {kSagittal, {0.35, 0.65}}, {kCoronal, {0.25, 0.75}}, {kAxial, {0.5}}};
  for (const auto& [plane, shares] : wanted) {
    Panel panel;
    panel.layout = models::FindSliceLayout(ViewOf(item.geometry), plane.name);
    for (int side = 0; side < 4; ++side) panel.letters[side] = plane.letters[side];
    const Offsets offsets(panel.layout, item.geometry);
    std::array<std::vector<int64_t>, 3> counts;
    for (int part = 0; part < 3; ++part) counts[part].assign(panel.layout.size[part], 0);
    for (int64_t s = 0; s < panel.layout.size[0]; ++s) {
      for (int64_t r = 0; r < panel.layout.size[1]; ++r) {
        for (int64_t c = 0; c < panel.layout.size[2]; ++c) {
          if (labels[offsets.At(s, r, c)] == 0) continue;
          ++counts[0][s];
          ++counts[1][r];
          ++counts[2][c];
        }
      }
    }
    const auto box = LabelBox(counts[1]);
    label_rows.insert(label_rows.end(), shares.size(), box);
    std::tie(panel.row_begin, panel.row_end) =
        Widened(box, margin_mm / panel.layout.spacing[1], panel.layout.size[1]);
    std::tie(panel.column_begin, panel.column_end) =
        Widened(LabelBox(counts[2]), margin_mm / panel.layout.spacing[2], panel.layout.size[2]);
    for (const double share : shares) {
      panel.slice = QuantileIndex(counts[0], share);
      panels.push_back(panel);
    }
  }
  // Panels of one height make a calm row: taller ones give up margin, but not labels.
  double lowest_mm = panels.front().HeightMm();
  for (const Panel& panel : panels) lowest_mm = std::min(lowest_mm, panel.HeightMm());
  for (size_t i = 0; i < panels.size(); ++i) {
    Panel& panel = panels[i];
    const double spacing = panel.layout.spacing[1];
    const auto keep = static_cast<int64_t>(std::ceil(0.25 * margin_mm / spacing));
    auto excess = static_cast<int64_t>((panel.HeightMm() - lowest_mm) / spacing);
    while (excess > 0) {
      const int64_t above = label_rows[i].first - panel.row_begin;
      const int64_t below = panel.row_end - label_rows[i].second;
      if (std::max(above, below) <= keep) break;
      if (above >= below) {
        ++panel.row_begin;
      } else {
        --panel.row_end;
      }
      --excess;
    }
  }
  return panels;
}

void DrawPanel(cairo_t* cairo, const MontageCase& item, const Panel& panel,
               const GreyWindow& window, const std::vector<models::LabelInfo>& labels, double x,
               double y, double scale) {
  const int width = static_cast<int>(std::lround(panel.WidthMm() * scale));
  const int height = static_cast<int>(std::lround(panel.HeightMm() * scale));
  if (width < 1 || height < 1) return;
  const Sampler sampler(item, panel, scale);
  cairo_save(cairo);
  cairo_translate(cairo, std::round(x), std::round(y));
  cairo_rectangle(cairo, 0, 0, width, height);
  cairo_clip(cairo);
  DrawGreyAndFill(cairo, item, sampler, window,
                  Present(labels, item.prediction, panel, item.geometry), width, height);
  DrawOutlines(cairo, item, sampler, Present(labels, item.reference, panel, item.geometry), width,
               height);
  DrawLetters(cairo, panel, width, height);
  cairo_restore(cairo);
}

}  // namespace avocet::core
