// SPDX-License-Identifier: Apache-2.0
#include "app/gui/measurement.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace avocet::gui {
double PixelLength(const io::Geometry& g, const Vec3& direction) {
  return 1 / Norm(Subtract(g.IndexFromPhysical(direction), g.IndexFromPhysical({0, 0, 0})));
}

namespace {

constexpr double kPi = 3.14159265358979323846;

std::string Format(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

void EvaluateRegion(Measurement& roi, const ImageLayer* image, const SlicePlane& plane) {
  const Vec3 middle = Scale(Add(roi.points[0], roi.points[1]), 0.5);
  const Vec3 half = Scale(Subtract(roi.points[1], roi.points[0]), 0.5);
  const double a = std::abs(Dot(half, roi.right));
  const double b = std::abs(Dot(half, roi.down));
  roi.area_mm2 = kPi * a * b;
  if (roi.in_pixels) {
    roi.area_mm2 /= PixelLength(image->volume->geometry, roi.right) *
                    PixelLength(image->volume->geometry, roi.down);
  }
  roi.voxels = 0;
  if (image == nullptr || a == 0 || b == 0 || image->volume->components != 1) return;
  const io::Geometry& g = image->volume->geometry;
  const auto centre = g.IndexFromPhysical(middle);
  // The box of indices around the ellipse, then each voxel centre on its own.
  std::array<int64_t, 3> low{}, high{};
  for (int axis = 0; axis < 3; ++axis) {
    double reach = 0;
    for (const double sx : {-1.0, 1.0}) {
      for (const double sy : {-1.0, 1.0}) {
        const Vec3 corner = Add(middle, Add(Scale(roi.right, sx * a), Scale(roi.down, sy * b)));
        reach = std::max(reach, std::abs(g.IndexFromPhysical(corner)[axis] - centre[axis]));
      }
    }
    low[axis] = std::max<int64_t>(0, static_cast<int64_t>(std::ceil(centre[axis] - reach - 1e-9)));
    high[axis] = std::min<int64_t>(g.size[axis] - 1,
                                   static_cast<int64_t>(std::floor(centre[axis] + reach + 1e-9)));
  }
  if (plane.axis >= 0) {
    const auto slice = static_cast<int64_t>(std::floor(centre[plane.axis] + 0.5));
    if (slice < 0 || slice >= g.size[plane.axis]) return;
    low[plane.axis] = high[plane.axis] = slice;
  }
  double sum = 0, squares = 0;
  for (int64_t k = low[2]; k <= high[2]; ++k) {
    for (int64_t j = low[1]; j <= high[1]; ++j) {
      for (int64_t i = low[0]; i <= high[0]; ++i) {
        const Vec3 x = g.PhysicalFromIndex(
            {static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)});
        const Vec3 offset = Subtract(x, middle);
        const double u = Dot(offset, roi.right) / a;
        const double v = Dot(offset, roi.down) / b;
        if (u * u + v * v > 1) continue;
        const double value = image->ValueAt(x);
        if (!std::isfinite(value)) continue;
        if (roi.voxels == 0) roi.minimum = roi.maximum = value;
        roi.minimum = std::min(roi.minimum, value);
        roi.maximum = std::max(roi.maximum, value);
        sum += value;
        squares += value * value;
        ++roi.voxels;
      }
    }
  }
  if (roi.voxels == 0) return;
  const auto n = static_cast<double>(roi.voxels);
  roi.value = sum / n;
  roi.deviation = std::sqrt(std::max(0.0, squares / n - roi.value * roi.value));
}

}  // namespace

std::string ScaleBarText(double length, bool in_pixels) {
  if (in_pixels) return Format("%.6g px", length);
  return length >= 10 ? Format("%.6g cm", length / 10) : Format("%.6g mm", length);
}

std::string Measurement::Name() const {
  static constexpr const char* kNames[] = {"Ruler", "Angle", "Region"};
  return std::string(kNames[static_cast<int>(kind)]) + " " + std::to_string(id);
}

std::string Measurement::Summary() const {
  if (kind == MeasurementKind::kRuler) return Format("%.1f ", value) + unit;
  if (kind == MeasurementKind::kAngle) return Format("%.1f", value) + "\u00b0";
  const std::string area = Format("%.0f ", area_mm2) + (in_pixels ? "px\u00b2" : "mm\u00b2");
  if (voxels == 0) return area + ", no voxel centre inside";
  const std::string space = unit.empty() ? "" : " " + unit;
  return Format("mean %.4g", value) + space + Format(", SD %.3g", deviation) + ", " + area;
}

void Evaluate(Measurement& m, const ImageLayer* image, const SlicePlane& plane) {
  m.value = 0;
  // While it is being drawn: an angle with one leg measures nothing yet.
  if (m.points.size() < (m.kind == MeasurementKind::kAngle ? 3u : 2u)) return;
  m.in_pixels = image != nullptr && image->AssumesLengths(plane.axis);
  switch (m.kind) {
    case MeasurementKind::kRuler: {
      m.unit = m.in_pixels ? "px" : "mm";
      m.value = Norm(Subtract(m.points[1], m.points[0]));
      if (!m.in_pixels) return;
      const io::Geometry& g = image->volume->geometry;
      m.value = Norm(Subtract(g.IndexFromPhysical(m.points[1]), g.IndexFromPhysical(m.points[0])));
      return;
    }
    case MeasurementKind::kAngle: {
      m.unit = "degrees";
      const Vec3 a = Subtract(m.points[0], m.points[1]);
      const Vec3 b = Subtract(m.points[2], m.points[1]);
      // atan2 stays exact near 0 and 180 degrees.
      m.value = std::atan2(Norm(Cross(a, b)), Dot(a, b)) * 180 / kPi;
      return;
    }
    case MeasurementKind::kRoi:
      m.unit = image == nullptr ? "" : image->Unit();
      EvaluateRegion(m, image, plane);
  }
}

std::string MeasurementsCsv(const std::vector<Measurement>& measurements) {
  std::string csv =
      "name,kind,image,plane,length_mm,angle_degrees,mean,sd,min,max,value_unit,voxels,area_mm2,"
      "points_lps_mm,length_px,area_px2\n";
  static constexpr const char* kKinds[] = {"ruler", "angle", "roi"};
  const auto quoted = [](const std::string& text) {
    std::string result = "\"";
    for (const char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
    return result + "\"";
  };
  for (const Measurement& m : measurements) {
    const bool roi = m.kind == MeasurementKind::kRoi;
    csv += m.Name() + "," + kKinds[static_cast<int>(m.kind)] + "," + quoted(m.image) + "," +
           NameOf(m.orientation) + ",";
    const std::string length =
        m.kind == MeasurementKind::kRuler ? Format("%.6g", m.value) : std::string();
    const std::string area = roi ? Format("%.6g", m.area_mm2) : std::string();
    csv += (m.in_pixels ? "" : length) + ",";
    csv += (m.kind == MeasurementKind::kAngle ? Format("%.6g", m.value) : "") + ",";
    for (const double value : {m.value, m.deviation, m.minimum, m.maximum}) {
      csv += (roi && m.voxels > 0 ? Format("%.9g", value) : "") + ",";
    }
    csv += (roi ? m.unit : "") + "," + (roi ? std::to_string(m.voxels) : "") + "," +
           (m.in_pixels ? "" : area) + ",\"";
    for (size_t p = 0; p < m.points.size(); ++p) {
      csv += (p ? "; " : "") + Format("%.6f", m.points[p][0]) + Format(" %.6f", m.points[p][1]) +
             Format(" %.6f", m.points[p][2]);
    }
    csv += "\"," + (m.in_pixels ? length + "," + area : ",") + "\n";
  }
  return csv;
}

}  // namespace avocet::gui
