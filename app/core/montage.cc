// SPDX-License-Identifier: Apache-2.0
#include "app/core/montage.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "app/base/error.h"
#include "app/core/montage_panel.h"
#include "io/file_util.h"

#ifdef __SANITIZE_ADDRESS__
// Fontconfig keeps its configuration until the end of the process.
extern "C" const char* __lsan_default_suppressions() { return "leak:libfontconfig\n"; }
#endif

namespace avocet::core {
namespace {

constexpr double kEdge = 28;      // around everything
constexpr double kGap = 10;       // between panels
constexpr double kRowGap = 18;    // between cases
constexpr double kCaption = 190;  // width of the text beside a row
constexpr double kMarginMm = 12;  // around the labels
constexpr double kHeader = 92;
constexpr double kFooter = 84;

struct SurfaceDeleter {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
struct ContextDeleter {
  void operator()(cairo_t* cairo) const { cairo_destroy(cairo); }
};

struct Row {
  std::vector<Panel> panels;
  double height_mm = 0;
};

void Text(cairo_t* cairo, const std::string& text, double x, double y, double size, bool bold,
          double r, double g, double b) {
  cairo_select_font_face(cairo, "sans", CAIRO_FONT_SLANT_NORMAL,
                         bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cairo, size);
  cairo_set_source_rgb(cairo, r, g, b);
  cairo_move_to(cairo, x, y);
  cairo_show_text(cairo, text.c_str());
}

double TextWidth(cairo_t* cairo, const std::string& text, double size, bool bold) {
  cairo_select_font_face(cairo, "sans", CAIRO_FONT_SLANT_NORMAL,
                         bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cairo, size);
  cairo_text_extents_t extents;
  cairo_text_extents(cairo, text.c_str(), &extents);
  return extents.x_advance;
}

const models::LabelInfo* FindLabel(const std::vector<models::LabelInfo>& labels, int value) {
  for (const models::LabelInfo& label : labels) {
    if (label.value == value && value != 0) return &label;
  }
  return nullptr;
}

void DrawCaptions(cairo_t* cairo, const MontageCase& item, const MontageOptions& options, double x,
                  double y) {
  Text(cairo, item.name, x, y + 15, 15, true, 0.95, 0.95, 0.95);
  y += 40;
  for (const auto& [value, text] : item.captions) {
    const models::LabelInfo* label = FindLabel(options.labels, value);
    if (label != nullptr) {
      cairo_set_source_rgb(cairo, label->colour[0] / 255.0, label->colour[1] / 255.0,
                           label->colour[2] / 255.0);
      cairo_rectangle(cairo, x, y - 9, 10, 10);
      cairo_fill(cairo);
      Text(cairo, text, x + 18, y, 13, false, 0.86, 0.86, 0.88);
    } else {
      Text(cairo, text, x, y, 13, false, 0.62, 0.64, 0.67);
    }
    y += 21;
  }
}

// A bar of 1, 2, 5, 10, 20, 50 or 100 mm: the longest under 120 pixels.
double DrawScaleBar(cairo_t* cairo, double right, double y, double scale) {
  int length_mm = 1;
  for (const int candidate : {2, 5, 10, 20, 50, 100}) {
    if (candidate * scale <= 120) length_mm = candidate;
  }
  const double length = length_mm * scale;
  const std::string text = std::to_string(length_mm) + " mm";
  const double width = TextWidth(cairo, text, 13, false);
  const double left = right - width - 8 - length;
  cairo_set_source_rgb(cairo, 0.86, 0.86, 0.88);
  cairo_set_line_width(cairo, 2);
  cairo_set_line_cap(cairo, CAIRO_LINE_CAP_BUTT);
  cairo_move_to(cairo, left, y - 4.5);
  cairo_line_to(cairo, left + length, y - 4.5);
  for (const double end : {left + 1, left + length - 1}) {
    cairo_move_to(cairo, end, y - 9);
    cairo_line_to(cairo, end, y);
  }
  cairo_stroke(cairo);
  Text(cairo, text, right - width, y, 13, false, 0.86, 0.86, 0.88);
  return left;
}

void DrawLegend(cairo_t* cairo, const MontageOptions& options, bool references, double x,
                double y) {
  for (size_t c = 1; c < options.labels.size(); ++c) {
    const models::LabelInfo& label = options.labels[c];
    const double r = label.colour[0] / 255.0, g = label.colour[1] / 255.0,
                 b = label.colour[2] / 255.0;
    cairo_rectangle(cairo, x, y - 11, 20, 13);
    cairo_set_source_rgba(cairo, r, g, b, 0.55);
    cairo_fill_preserve(cairo);
    cairo_set_source_rgb(cairo, 0.45 + 0.55 * r, 0.45 + 0.55 * g, 0.45 + 0.55 * b);
    cairo_set_line_width(cairo, 1.7);
    cairo_stroke(cairo);
    Text(cairo, label.name, x + 28, y, 13, false, 0.86, 0.86, 0.88);
    x += 28 + TextWidth(cairo, label.name, 13, false) + 26;
  }
  Text(cairo, references ? "filled: computed     line: reference" : "filled: computed", x, y, 13,
       false, 0.62, 0.64, 0.67);
}

cairo_status_t WriteTo(void* closure, const unsigned char* data, unsigned int length) {
  static_cast<std::string*>(closure)->append(reinterpret_cast<const char*>(data), length);
  return CAIRO_STATUS_SUCCESS;
}

}  // namespace

void WriteMontage(const std::vector<MontageCase>& cases, const MontageOptions& options,
                  const std::filesystem::path& path) {
  std::vector<Row> rows;
  double tallest_mm = 0;
  std::vector<double> column_mm;  // panels stand in columns, each as wide as its widest
  bool references = false;
  for (const MontageCase& item : cases) {
    Row row;
    row.panels = ChoosePanels(item, kMarginMm);
    column_mm.resize(row.panels.size(), 0);
    for (size_t p = 0; p < row.panels.size(); ++p) {
      row.height_mm = std::max(row.height_mm, row.panels[p].HeightMm());
      column_mm[p] = std::max(column_mm[p], row.panels[p].WidthMm());
    }
    tallest_mm = std::max(tallest_mm, row.height_mm);
    references = references || !item.reference.empty();
    rows.push_back(std::move(row));
  }
  if (rows.empty() || !(tallest_mm > 0)) throw IoError("there is no case to draw a picture of");
  const double scale = options.row_height / tallest_mm;

  double width = 2 * kEdge + kCaption - kGap;
  for (const double millimetres : column_mm) width += std::ceil(millimetres * scale) + kGap;
  double height = kHeader + kFooter + kRowGap * (rows.size() - 1);
  for (const Row& row : rows) height += std::ceil(row.height_mm * scale);
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
  Text(cairo, options.title, kEdge, 44, 24, true, 0.97, 0.97, 0.97);
  Text(cairo, options.subtitle, kEdge, 70, 14, false, 0.70, 0.72, 0.75);

  double y = kHeader;
  for (size_t i = 0; i < rows.size(); ++i) {
    const double row_height = std::ceil(rows[i].height_mm * scale);
    DrawCaptions(cairo, cases[i], options, kEdge, y);
    const GreyWindow window = FindGreyWindow(cases[i].image);
    double x = kEdge + kCaption;
    for (size_t p = 0; p < rows[i].panels.size(); ++p) {
      const Panel& panel = rows[i].panels[p];
      const double top = y + (row_height - panel.HeightMm() * scale) / 2;
      const double left = x + (column_mm[p] - panel.WidthMm()) * scale / 2;
      DrawPanel(cairo, cases[i], panel, window, options.labels, left, top, scale);
      x += std::ceil(column_mm[p] * scale) + kGap;
    }
    y += row_height + kRowGap;
  }
  y += kFooter / 2 - kRowGap + 4;
  DrawLegend(cairo, options, references, kEdge, y);
  DrawScaleBar(cairo, width - kEdge, y, scale);
  Text(cairo, options.footer, kEdge, y + 24, 12, false, 0.55, 0.57, 0.60);

  std::string png;
  const cairo_status_t status = cairo_surface_write_to_png_stream(surface.get(), &WriteTo, &png);
  if (status != CAIRO_STATUS_SUCCESS) {
    throw IoError("the picture '" + path.string() +
                  "' cannot be made: " + cairo_status_to_string(status));
  }
  io::WriteFileAtomically(path, png);
}

}  // namespace avocet::core
