// SPDX-License-Identifier: Apache-2.0
#include "app/core/comparison_strip.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "app/base/error.h"
#include "app/core/montage_panel.h"
#include "io/file_util.h"
#include "models/predict/slice_layout.h"

namespace avocet::core {
namespace {

constexpr double kPanelHeight = 300;  // pixels of the tallest
constexpr double kGap = 8;
constexpr double kEdge = 16;
constexpr double kHeader = 34;
constexpr double kFooter = 30;

struct SurfaceDeleter {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
struct ContextDeleter {
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};

cairo_status_t WriteTo(void* closure, const unsigned char* data, unsigned int length) {
  static_cast<std::string*>(closure)->append(reinterpret_cast<const char*>(data), length);
  return CAIRO_STATUS_SUCCESS;
}

struct Row {
  models::SliceLayout layout;
  const char* letters[2];  // left and top of the picture
  double width_mm = 0, height_mm = 0;
};

void Text(cairo_t* cairo, const std::string& text, double x, double y, double size) {
  cairo_select_font_face(cairo, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cairo, size);
  cairo_set_source_rgb(cairo, 0.85, 0.86, 0.88);
  cairo_move_to(cairo, x, y);
  cairo_show_text(cairo, text.c_str());
}

// The middle slice of `row` with grey(x) in [0, 1] of each voxel.
template <typename Grey>
void DrawSlice(cairo_t* cairo, const io::Geometry& geometry, const Row& row, double x, double y,
               double scale, const Grey& grey) {
  const models::SliceLayout& layout = row.layout;
  const auto rows = static_cast<int>(layout.size[1]), cols = static_cast<int>(layout.size[2]);
  const std::unique_ptr<cairo_surface_t, SurfaceDeleter> slice(
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, cols, rows));
  unsigned char* bytes = cairo_image_surface_get_data(slice.get());
  if (bytes == nullptr) throw std::bad_alloc();
  const int stride = cairo_image_surface_get_stride(slice.get());
  const std::array<int64_t, 3> step{1, geometry.size[0], geometry.size[0] * geometry.size[1]};
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < cols; ++c) {
      const std::array<int64_t, 3> at{layout.size[0] / 2, r, c};
      int64_t index = 0;
      for (int part = 0; part < 3; ++part) {
        const int64_t n = layout.reversed[part] ? layout.size[part] - 1 - at[part] : at[part];
        index += n * step[layout.axis[part]];
      }
      const auto level =
          static_cast<unsigned char>(std::lround(255 * std::clamp(grey(index), 0.0, 1.0)));
      unsigned char* pixel = bytes + r * stride + 4 * c;
      pixel[0] = pixel[1] = pixel[2] = level;
    }
  }
  cairo_surface_mark_dirty(slice.get());
  cairo_save(cairo);
  cairo_translate(cairo, x, y);
  cairo_scale(cairo, scale * layout.spacing[2], scale * layout.spacing[1]);
  cairo_set_source_surface(cairo, slice.get(), 0, 0);
  cairo_pattern_set_filter(cairo_get_source(cairo), CAIRO_FILTER_GOOD);
  cairo_paint(cairo);
  cairo_restore(cairo);
}

std::vector<Row> Rows(const io::Geometry& geometry) {
  models::VolumeView view{nullptr, geometry.size, geometry.spacing, geometry.direction};
  std::vector<Row> rows;
  for (const char* plane : {"axial", "coronal", "sagittal"}) {
    Row row;
    row.layout = models::FindSliceLayout(view, plane);
    if (row.layout.size[1] < 2 || row.layout.size[2] < 2) continue;
    const bool sagittal = plane[0] == 's';
    row.letters[0] = sagittal ? "A" : "R";
    row.letters[1] = plane[0] == 'a' ? "A" : "S";
    row.height_mm = static_cast<double>(row.layout.size[1]) * row.layout.spacing[1];
    row.width_mm = static_cast<double>(row.layout.size[2]) * row.layout.spacing[2];
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

void WriteComparisonStrip(const io::Geometry& geometry, const std::vector<StripImage>& images,
                          const std::string& footer, const std::filesystem::path& path,
                          const io::Assumptions& assumed) {
  const std::vector<Row> rows = Rows(geometry);
  if (rows.empty() || images.size() < 2) throw IoError("there is no slice to draw a picture of");
  double tallest = 0, widest = 0;
  for (const Row& row : rows) {
    tallest = std::max(tallest, row.height_mm);
    widest = std::max(widest, row.width_mm);
  }
  const double scale = kPanelHeight / std::max(tallest, widest);
  const double column = std::ceil(widest * scale) + kGap;
  const double width = 2 * kEdge + static_cast<double>(images.size() + 1) * column - kGap;
  double height = kHeader + kFooter + kEdge;
  for (const Row& row : rows) height += std::ceil(row.height_mm * scale) + kGap;
  const std::unique_ptr<cairo_surface_t, SurfaceDeleter> surface(cairo_image_surface_create(
      CAIRO_FORMAT_RGB24, static_cast<int>(width), static_cast<int>(std::ceil(height))));
  const std::unique_ptr<cairo_t, ContextDeleter> context(cairo_create(surface.get()));
  cairo_t* cairo = context.get();
  if (cairo_status(cairo) != CAIRO_STATUS_SUCCESS) {
    throw IoError("the picture '" + path.string() +
                  "' cannot be drawn: " + cairo_status_to_string(cairo_status(cairo)));
  }
  cairo_set_source_rgb(cairo, 0.055, 0.063, 0.078);
  cairo_paint(cairo);

  const std::vector<float>& first = *images.front().values;
  const std::vector<float>& last = *images.back().values;
  const GreyWindow window = FindGreyWindow(first);
  const double range = window.white > window.black ? window.white - window.black : 1;
  double x = kEdge;
  for (size_t c = 0; c <= images.size(); ++c, x += column) {
    const bool difference = c == images.size();
    Text(cairo, difference ? "difference (4 x)" : images[c].title, x, kHeader - 12, 14);
    double y = kHeader;
    for (const Row& row : rows) {
      const double left = x + (widest - row.width_mm) * scale / 2;
      DrawSlice(cairo, geometry, row, left, y, scale, [&](int64_t index) {
        const double value = difference ? 0.5 + 2 * (last[index] - first[index]) / range
                                        : ((*images[c].values)[index] - window.black) / range;
        return std::isfinite(value) ? value : 0.0;
      });
      if (c == 0) {
        const std::string mark = assumed.orientation ? "?" : "";
        Text(cairo, row.letters[0] + mark, left + 4, y + row.height_mm * scale / 2, 12);
        Text(cairo, row.letters[1] + mark, left + row.width_mm * scale / 2, y + 14, 12);
      }
      y += std::ceil(row.height_mm * scale) + kGap;
    }
  }
  Text(cairo, footer, kEdge, height - 14, 12);
  std::string png;
  const cairo_status_t status = cairo_surface_write_to_png_stream(surface.get(), &WriteTo, &png);
  if (status != CAIRO_STATUS_SUCCESS) {
    throw IoError("the picture '" + path.string() +
                  "' cannot be made: " + cairo_status_to_string(status));
  }
  io::WriteFileAtomically(path, png);
}

}  // namespace avocet::core
