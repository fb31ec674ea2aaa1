// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <set>

#include "app/base/error.h"
#include "io/dicom_plan.h"

namespace avocet::io::dicom {
namespace {

using Vector = std::array<double, 3>;

double Dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

std::string Mm(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g mm", value);
  return text;
}

// Names a slice by its file, and by its frame when the file has several.
std::string NameOf(const FrameRef& frame) {
  const Instance& instance = *frame.instance;
  std::string name = "'" + instance.path.filename().string() + "'";
  if (instance.mosaic.tiles > 0) return name + " tile " + std::to_string(frame.info().tile + 1);
  if (instance.frame_count > 1) name += " frame " + std::to_string(frame.info().frame + 1);
  return name;
}

std::string SizeText(const Instance& instance) {
  const bool mosaic = instance.mosaic.tiles > 0;
  return std::to_string(mosaic ? instance.mosaic.columns : instance.format.columns) + " x " +
         std::to_string(mosaic ? instance.mosaic.rows : instance.format.rows);
}

void MakePicture(DicomPlan& plan) {
  const FrameRef& first = plan.frames[0];
  const PixelFormat& format = first.instance->format;
  plan.geometry.size = {format.columns, format.rows, 1};
  plan.assumed = {true, !first.info().has_spacing || first.info().magnified, true};
  if (first.info().has_spacing) {
    plan.geometry.spacing = {first.info().spacing[0], first.info().spacing[1], 1};
    plan.notes.push_back(
        "it has no complete position in the patient: axes L, P, S and origin 0 are assumed");
  } else {
    plan.notes.push_back(
        "it has no voxel size and no complete position in the patient: 1 mm, axes L, P, S and "
        "origin 0 are assumed");
  }
}

void SetDirection(const FrameInfo& frame, const Vector& normal, Geometry& geometry) {
  for (int row = 0; row < 3; ++row) {
    geometry.direction[row * 3] = frame.cosines[row];
    geometry.direction[row * 3 + 1] = frame.cosines[3 + row];
    geometry.direction[row * 3 + 2] = normal[row];
  }
}

// Tells missing from uneven slices, by name.
std::string DescribeGaps(const DicomPlan& plan, const std::vector<double>& gaps, double smallest) {
  size_t widest = 0, whole = 0;
  int64_t missing = 0;
  for (size_t i = 0; i < gaps.size(); ++i) {
    if (gaps[i] > gaps[widest]) widest = i;
    const double times = std::round(gaps[i] / smallest);
    if (std::abs(gaps[i] - times * smallest) <= 0.02 * smallest * times) ++whole;
    missing += static_cast<int64_t>(times) - 1;
  }
  const std::string where =
      "between " + NameOf(plan.frames[widest]) + " and " + NameOf(plan.frames[widest + 1]);
  if (whole == gaps.size()) {
    const std::string count =
        missing == 1 ? "1 slice seems" : std::to_string(missing) + " slices seem";
    return count + " to be missing, " + where + " the gap is " + Mm(gaps[widest]) + " and not " +
           Mm(smallest);
  }
  return "its slices are unevenly spaced, from " + Mm(smallest) + " to " + Mm(gaps[widest]) + " " +
         where;
}

}  // namespace

std::string Mismatch(const FrameRef& a, const FrameRef& b) {
  if (a.instance->format.rows != b.instance->format.rows ||
      a.instance->format.columns != b.instance->format.columns ||
      a.instance->mosaic.tiles != b.instance->mosaic.tiles) {
    return "its slices differ in size: " + NameOf(a) + " has " + SizeText(*a.instance) + ", " +
           NameOf(b) + " has " + SizeText(*b.instance);
  }
  if (!a.instance->format.SameValues(b.instance->format)) {
    return "its slices differ in the type of their values: " + NameOf(a) + " and " + NameOf(b);
  }
  const FrameInfo &p = a.info(), &q = b.info();
  for (int i = 0; i < 2; ++i) {
    if (std::abs(p.spacing[i] - q.spacing[i]) > 1e-3 * p.spacing[i]) {
      return "its slices differ in pixel size: " + NameOf(a) + " has " + Mm(p.spacing[i]) + ", " +
             NameOf(b) + " has " + Mm(q.spacing[i]);
    }
  }
  double cosine = 1;
  for (int axis = 0; axis < 2; ++axis) {
    double dot = 0;
    for (int i = 0; i < 3; ++i) dot += p.cosines[3 * axis + i] * q.cosines[3 * axis + i];
    cosine = std::min(cosine, dot);
  }
  const double degrees = std::acos(std::clamp(cosine, -1.0, 1.0)) * 180 / M_PI;
  if (degrees > 0.1) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", degrees);
    return "its slices differ in orientation: " + NameOf(b) + " is turned by " + text +
           " degrees against " + NameOf(a);
  }
  return "";
}

Vector NormalOf(const FrameInfo& frame) {
  const auto& c = frame.cosines;
  Vector n{c[1] * c[5] - c[2] * c[4], c[2] * c[3] - c[0] * c[5], c[0] * c[4] - c[1] * c[3]};
  const double length = std::sqrt(Dot(n, n));
  for (double& x : n) x /= length;
  return n;
}

void MakeGrid(DicomPlan& plan) {
  std::set<std::string> told;
  for (const FrameRef& frame : plan.frames) {
    for (const std::string& note : frame.instance->notes) {
      if (told.size() < 20 && told.insert(note).second) plan.notes.push_back(note);
    }
  }
  if (plan.picture) return MakePicture(plan);
  for (const FrameRef& frame : plan.frames) {
    plan.problem = Mismatch(plan.frames[0], frame);
    if (!plan.problem.empty()) return;
  }
  const Vector normal = NormalOf(plan.frames[0].info());
  const auto along = [&](const FrameRef& frame) { return Dot(frame.info().position, normal); };
  std::stable_sort(plan.frames.begin(), plan.frames.end(),
                   [&](const FrameRef& a, const FrameRef& b) { return along(a) < along(b); });
  const FrameRef& first = plan.frames.front();
  const FrameInfo& info = first.info();
  const Instance& instance = *first.instance;
  const bool mosaic = instance.mosaic.tiles > 0;
  const size_t count = plan.frames.size();
  Geometry& g = plan.geometry;
  g.size = {mosaic ? instance.mosaic.columns : instance.format.columns,
            mosaic ? instance.mosaic.rows : instance.format.rows, static_cast<int64_t>(count)};
  g.spacing = {info.spacing[0], info.spacing[1], 1};
  g.origin = info.position;
  SetDirection(info, normal, g);
  plan.assumed.orientation = instance.order_assumed;
  plan.assumed.in_plane_size = std::any_of(plan.frames.begin(), plan.frames.end(),
                                           [](const FrameRef& f) { return f.info().magnified; });
  if (count == 1) {
    if (info.slice_spacing > 1e-6 && info.slice_spacing < 1e4) {
      g.spacing[2] = info.slice_spacing;
      plan.notes.push_back("one slice: its depth is SpacingBetweenSlices");
    } else if (info.thickness > 1e-6 && info.thickness < 1e4) {
      g.spacing[2] = info.thickness;
      plan.notes.push_back("one slice: its depth is SliceThickness");
    } else {
      plan.assumed.slice_distance = true;
      plan.notes.push_back("one slice of unknown depth: 1 mm is assumed");
    }
    plan.stack = true;
    return;
  }

  std::vector<double> gaps(count - 1);
  for (size_t i = 0; i + 1 < count; ++i) {
    gaps[i] = along(plan.frames[i + 1]) - along(plan.frames[i]);
  }
  double smallest = *std::min_element(gaps.begin(), gaps.end());
  const double widest = *std::max_element(gaps.begin(), gaps.end());
  if (smallest < 0.01) {
    const size_t at =
        static_cast<size_t>(std::min_element(gaps.begin(), gaps.end()) - gaps.begin());
    plan.problem = "several slices lie at one place: " + NameOf(plan.frames[at]) + " and " +
                   NameOf(plan.frames[at + 1]) + "; remove the one that does not belong";
    return;
  }
  plan.stack = true;
  const double extent = along(plan.frames.back()) - along(first);
  const double step = extent / static_cast<double>(count - 1);
  // Slices shifted within their plane: against the first, in mm.
  double drift = 0, uneven = 0;
  size_t drifted = 0;
  for (size_t i = 0; i < count; ++i) {
    Vector shift;
    for (int a = 0; a < 3; ++a) shift[a] = plan.frames[i].info().position[a] - info.position[a];
    const double depth = Dot(shift, normal);
    uneven = std::max(uneven, std::abs(depth - static_cast<double>(i) * step));
    for (int a = 0; a < 3; ++a) shift[a] -= depth * normal[a];
    const double lateral = std::sqrt(Dot(shift, shift));
    if (lateral > drift) {
      drift = lateral;
      drifted = i;
    }
  }
  const bool is_uneven = uneven > std::max(0.01, 0.02 * step);
  const bool is_tilted = drift > 0.1 * std::min(info.spacing[0], info.spacing[1]);
  if (!is_uneven && !is_tilted) {
    g.spacing[2] = step;
    if (uneven > 0.01) {
      plan.notes.push_back("the slice positions are up to " + Mm(uneven) + " off an even grid of " +
                           Mm(step));
    }
    return;
  }
  if (is_tilted) {
    const double depth = along(plan.frames[drifted]) - along(first);
    char angle[32];
    std::snprintf(angle, sizeof angle, "%.1f", std::atan2(drift, depth) * 180 / M_PI);
    plan.problem = std::string("the gantry was tilted: its slices are shifted in their plane, ") +
                   NameOf(plan.frames[drifted]) + " by " + Mm(drift) + " against " + NameOf(first) +
                   " (" + angle + " degrees)";
  }
  if (is_uneven) {
    plan.problem += (is_tilted ? ", and " : "") + DescribeGaps(plan, gaps, smallest);
  }
  plan.can_regularise = widest <= 10 * smallest && drift <= 2 * extent;
  if (!plan.can_regularise) plan.problem += ", too wide to be filled by resampling";
}

namespace {

// One slice of the source as it lies against the target grid.
struct Layer {
  double depth = 0;  // along the normal from the first
  double right = 0;  // of the first pixel, in columns of the target
  double down = 0;   // in rows of the target
};

template <typename T>
void Resample(const Volume& source, const std::vector<Layer>& layers, double fill, Volume& target) {
  const int64_t columns = source.geometry.size[0], rows = source.geometry.size[1];
  const int components = source.components;
  const auto& size = target.geometry.size;
  const T* from = source.As<T>();
  T* to = target.As<T>();
  const auto store = [](double value) {
    if constexpr (std::is_floating_point_v<T>) return static_cast<T>(value);
    const double low = static_cast<double>(std::numeric_limits<T>::lowest());
    const double high = static_cast<double>(std::numeric_limits<T>::max());
    return static_cast<T>(std::clamp(std::round(value), low, high));
  };
  // Bilinear; false outside the slice or where a voxel that counts is padding.
  const auto sample = [&](size_t layer, double x, double y, int c, double& value) {
    x -= layers[layer].right;
    y -= layers[layer].down;
    constexpr double kEdge = 1e-6;
    if (x < -kEdge || y < -kEdge || x > static_cast<double>(columns - 1) + kEdge ||
        y > static_cast<double>(rows - 1) + kEdge) {
      return false;
    }
    const auto i =
        static_cast<int64_t>(std::clamp(std::floor(x), 0.0, static_cast<double>(columns - 1)));
    const auto j =
        static_cast<int64_t>(std::clamp(std::floor(y), 0.0, static_cast<double>(rows - 1)));
    const double a = std::clamp(x - static_cast<double>(i), 0.0, 1.0);
    const double b = std::clamp(y - static_cast<double>(j), 0.0, 1.0);
    const T* plane = from + static_cast<int64_t>(layer) * columns * rows * components;
    value = 0;
    for (int corner = 0; corner < 4; ++corner) {
      const double weight = (corner & 1 ? a : 1 - a) * (corner & 2 ? b : 1 - b);
      if (weight <= kEdge) continue;
      const T v = plane[((j + (corner >> 1)) * columns + i + (corner & 1)) * components + c];
      if (static_cast<double>(v) == fill) return false;
      value += weight * static_cast<double>(v);
    }
    return true;
  };
  size_t upper = 1;
  for (int64_t k = 0; k < size[2]; ++k) {
    const double depth = static_cast<double>(k) * target.geometry.spacing[2];
    while (upper + 1 < layers.size() && layers[upper].depth < depth) ++upper;
    const size_t lower = upper - 1;
    const double t = std::clamp(
        (depth - layers[lower].depth) / (layers[upper].depth - layers[lower].depth), 0.0, 1.0);
    for (int64_t j = 0; j < size[1]; ++j) {
      for (int64_t i = 0; i < size[0]; ++i) {
        for (int c = 0; c < components; ++c, ++to) {
          const auto x = static_cast<double>(i), y = static_cast<double>(j);
          double below = 0, above = 0;
          const bool has_below = t < 1 - 1e-6 && sample(lower, x, y, c, below);
          const bool has_above = t > 1e-6 && sample(upper, x, y, c, above);
          // A slice that counts and does not reach here leaves the voxel empty.
          const bool complete = (has_below || t >= 1 - 1e-6) && (has_above || t <= 1e-6);
          const double weight = t < 1e-6 ? 0 : (t > 1 - 1e-6 ? 1 : t);
          *to = store(complete ? (1 - weight) * below + weight * above : fill);
        }
      }
    }
  }
}

template <typename T>
double Lowest(const Volume& volume) {
  const T* values = volume.As<T>();
  return static_cast<double>(*std::min_element(values, values + volume.ValueCount()));
}

}  // namespace

namespace {

struct RegularGrid {
  Geometry grid;
  std::vector<Layer> layers;  // one a frame of the plan
};

RegularGrid MakeRegularGrid(const DicomPlan& plan) {
  const FrameInfo& first = plan.frames[0].info();
  const Vector normal = NormalOf(first);
  RegularGrid result;
  std::vector<Layer>& layers = result.layers;
  layers.resize(plan.frames.size());
  double left = 0, right = 0, top = 0, bottom = 0, smallest = INFINITY;
  for (size_t i = 0; i < layers.size(); ++i) {
    Vector shift;
    for (int a = 0; a < 3; ++a) shift[a] = plan.frames[i].info().position[a] - first.position[a];
    layers[i].depth = Dot(shift, normal);
    for (int a = 0; a < 3; ++a) {
      layers[i].right += shift[a] * first.cosines[a] / first.spacing[0];
      layers[i].down += shift[a] * first.cosines[3 + a] / first.spacing[1];
    }
    left = std::min(left, layers[i].right);
    right = std::max(right, layers[i].right);
    top = std::min(top, layers[i].down);
    bottom = std::max(bottom, layers[i].down);
    if (i > 0) smallest = std::min(smallest, layers[i].depth - layers[i - 1].depth);
  }
  // Whole pixels, so that the first slice keeps its own pixels.
  left = std::floor(left + 1e-6);
  top = std::floor(top + 1e-6);
  Geometry& grid = result.grid;
  grid = plan.geometry;
  grid.size[0] += static_cast<int64_t>(std::ceil(right - 1e-6) - left);
  grid.size[1] += static_cast<int64_t>(std::ceil(bottom - 1e-6) - top);
  const double extent = layers.back().depth;
  const auto intervals = static_cast<int64_t>(std::llround(extent / smallest));
  grid.size[2] = intervals + 1;
  grid.spacing[2] = extent / static_cast<double>(intervals);
  for (int a = 0; a < 3; ++a) {
    grid.origin[a] +=
        left * first.spacing[0] * first.cosines[a] + top * first.spacing[1] * first.cosines[3 + a];
  }
  for (Layer& layer : layers) {
    layer.right -= left;
    layer.down -= top;
  }
  return result;
}

}  // namespace

Geometry RegularGridOf(const DicomPlan& plan) { return MakeRegularGrid(plan).grid; }

Volume Regularise(const DicomPlan& plan, const Volume& slices, bool has_fill, double fill) {
  const RegularGrid regular = MakeRegularGrid(plan);
  const Geometry& grid = regular.grid;
  const std::vector<Layer>& layers = regular.layers;
  Volume target = slices;
  target.data.clear();
  target.data.shrink_to_fit();
  target.geometry = grid;
  target.resampled = true;
  uint64_t bytes = SizeOf(slices.type) * static_cast<uint64_t>(slices.components);
  for (const int64_t n : grid.size) bytes *= static_cast<uint64_t>(n);
  target.data.resize(bytes);
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    if (!has_fill) fill = Lowest<T>(slices);
    Resample<T>(slices, layers, has_fill ? fill : std::nextafter(fill, -INFINITY), target);
  };
  switch (slices.type) {
    case VoxelType::kUInt8:
      run(uint8_t{});
      break;
    case VoxelType::kInt8:
      run(int8_t{});
      break;
    case VoxelType::kUInt16:
      run(uint16_t{});
      break;
    case VoxelType::kInt16:
      run(int16_t{});
      break;
    case VoxelType::kUInt32:
      run(uint32_t{});
      break;
    case VoxelType::kInt32:
      run(int32_t{});
      break;
    case VoxelType::kFloat64:
      run(double{});
      break;
    default:
      run(float{});
      break;
  }
  char text[200];
  std::snprintf(text, sizeof text,
                "resampled linearly from %zu slices onto a regular grid of %lld slices, %.4g mm "
                "apart; voxels that no slice covers hold %g as stored",
                layers.size(), static_cast<long long>(grid.size[2]), grid.spacing[2], fill);
  target.notes.push_back(text);
  return target;
}

}  // namespace avocet::io::dicom
