// SPDX-License-Identifier: Apache-2.0
#include "io/volume.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include "app/base/error.h"

namespace avocet::io {
namespace {

using Matrix = std::array<double, 9>;

double Determinant(const Matrix& m) {
  return m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
         m[2] * (m[3] * m[7] - m[4] * m[6]);
}

// The caller guarantees a determinant that is not zero; readers refuse such headers.
std::array<double, 3> Solve(const Matrix& m, const std::array<double, 3>& b) {
  const double det = Determinant(m);
  std::array<double, 3> x{};
  for (int column = 0; column < 3; ++column) {
    Matrix replaced = m;
    for (int row = 0; row < 3; ++row) replaced[row * 3 + column] = b[row];
    x[column] = Determinant(replaced) / det;
  }
  return x;
}

// Calls f with a null pointer of the C++ type that `type` stands for.
template <typename F>
auto Dispatch(VoxelType type, F&& f) {
  switch (type) {
    case VoxelType::kUInt8:
      return f(static_cast<uint8_t*>(nullptr));
    case VoxelType::kInt8:
      return f(static_cast<int8_t*>(nullptr));
    case VoxelType::kUInt16:
      return f(static_cast<uint16_t*>(nullptr));
    case VoxelType::kInt16:
      return f(static_cast<int16_t*>(nullptr));
    case VoxelType::kUInt32:
      return f(static_cast<uint32_t*>(nullptr));
    case VoxelType::kInt32:
      return f(static_cast<int32_t*>(nullptr));
    case VoxelType::kUInt64:
      return f(static_cast<uint64_t*>(nullptr));
    case VoxelType::kInt64:
      return f(static_cast<int64_t*>(nullptr));
    case VoxelType::kFloat32:
      return f(static_cast<float*>(nullptr));
    case VoxelType::kFloat64:
      break;
  }
  return f(static_cast<double*>(nullptr));
}

void CheckScalar(const Volume& volume, int64_t frame) {
  if (volume.components != 1) {
    throw IoError("the image has " + std::to_string(volume.components) +
                  " values in each voxel (colour); one value a voxel is needed");
  }
  if (frame < 0 || frame >= volume.frames) {
    throw IoError("frame " + std::to_string(frame) + " was asked for, but the image has " +
                  std::to_string(volume.frames));
  }
  const size_t needed = static_cast<size_t>(volume.ValueCount()) * SizeOf(volume.type);
  if (volume.data.size() < needed)
    throw IoError("the volume holds fewer voxels than its size says");
}

}  // namespace

size_t SizeOf(VoxelType type) {
  switch (type) {
    case VoxelType::kUInt8:
    case VoxelType::kInt8:
      return 1;
    case VoxelType::kUInt16:
    case VoxelType::kInt16:
      return 2;
    case VoxelType::kUInt32:
    case VoxelType::kInt32:
    case VoxelType::kFloat32:
      return 4;
    case VoxelType::kUInt64:
    case VoxelType::kInt64:
    case VoxelType::kFloat64:
      return 8;
  }
  return 0;
}

const char* NameOf(VoxelType type) {
  static constexpr const char* kNames[] = {"uint8", "int8",   "uint16", "int16",   "uint32",
                                           "int32", "uint64", "int64",  "float32", "float64"};
  return kNames[static_cast<int>(type)];
}

std::array<double, 3> Geometry::PhysicalFromIndex(const std::array<double, 3>& index) const {
  std::array<double, 3> x = origin;
  for (int row = 0; row < 3; ++row) {
    for (int axis = 0; axis < 3; ++axis) {
      x[row] += direction[row * 3 + axis] * spacing[axis] * index[axis];
    }
  }
  return x;
}

std::array<double, 3> Geometry::IndexFromPhysical(const std::array<double, 3>& x_in_lps) const {
  const std::array<double, 3> offset{x_in_lps[0] - origin[0], x_in_lps[1] - origin[1],
                                     x_in_lps[2] - origin[2]};
  std::array<double, 3> index = Solve(direction, offset);
  for (int axis = 0; axis < 3; ++axis) index[axis] /= spacing[axis];
  return index;
}

std::string Geometry::OrientationLetters() const {
  // Of the six ways to give each image axis an anatomical axis of its own, the one with the largest
  // sum of cosines; near 45 degrees two image axes may have the same nearest axis.
  std::array<int, 3> axis_of{0, 1, 2};
  std::array<int, 3> best = axis_of;
  double best_sum = -1;
  do {
    double sum = 0;
    for (int column = 0; column < 3; ++column) {
      sum += std::abs(direction[axis_of[column] * 3 + column]);
    }
    if (sum > best_sum + 1e-12) {
      best_sum = sum;
      best = axis_of;
    }
  } while (std::next_permutation(axis_of.begin(), axis_of.end()));
  static constexpr const char* kTowards[] = {"LR", "PA", "SI"};  // + and - along x, y, z of LPS
  std::string letters;
  for (int column = 0; column < 3; ++column) {
    letters += kTowards[best[column]][direction[best[column] * 3 + column] < 0];
  }
  return letters;
}

bool Geometry::IsOrthonormal(double tolerance) const {
  for (int a = 0; a < 3; ++a) {
    for (int b = a; b < 3; ++b) {
      double dot = 0;
      for (int row = 0; row < 3; ++row) dot += direction[row * 3 + a] * direction[row * 3 + b];
      if (!(std::abs(dot - (a == b ? 1 : 0)) <= tolerance)) return false;
    }
  }
  return true;
}

double MaxCornerDistance(const Geometry& a, const Geometry& b) {
  if (a.size != b.size) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (int corner = 0; corner < 8; ++corner) {
    std::array<double, 3> index{};
    for (int axis = 0; axis < 3; ++axis) {
      index[axis] = (corner >> axis & 1) ? static_cast<double>(a.size[axis] - 1) : 0.0;
    }
    const auto in_a = a.PhysicalFromIndex(index);
    const auto in_b = b.PhysicalFromIndex(index);
    largest =
        std::max(largest, std::hypot(in_a[0] - in_b[0], in_a[1] - in_b[1], in_a[2] - in_b[2]));
  }
  return largest;
}

Volume Volume::Zeros(const Geometry& geometry, VoxelType type) {
  size_t bytes = SizeOf(type);
  for (const int64_t extent : geometry.size) {
    if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<size_t>(extent), &bytes) ||
        bytes > static_cast<size_t>(std::numeric_limits<int64_t>::max())) {
      throw IoError("a volume of " + std::to_string(geometry.size[0]) + " x " +
                    std::to_string(geometry.size[1]) + " x " + std::to_string(geometry.size[2]) +
                    " voxels cannot be held in memory");
    }
  }
  Volume volume;
  volume.geometry = geometry;
  volume.type = type;
  try {
    volume.data.resize(bytes);
  } catch (const std::exception&) {  // bad_alloc or length_error
    throw IoError("not enough memory for a volume of " + std::to_string(bytes >> 20) +
                  " MB; close other programs or use a smaller image");
  }
  return volume;
}

std::vector<float> Volume::ToFloat(int64_t frame) const {
  CheckScalar(*this, frame);
  const int64_t count = geometry.VoxelCount();
  std::vector<float> values(static_cast<size_t>(count));
  Dispatch(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    const T* stored = As<T>() + frame * count;
    if (scaling.IsIdentity()) {
      for (int64_t i = 0; i < count; ++i) values[i] = static_cast<float>(stored[i]);
    } else {
      for (int64_t i = 0; i < count; ++i) {
        values[i] =
            static_cast<float>(static_cast<double>(stored[i]) * scaling.slope + scaling.inter);
      }
    }
  });
  return values;
}

std::vector<uint16_t> Volume::ToLabels(const std::string& name) const {
  if (frames != 1) {
    throw IoError("'" + name + "' has " + std::to_string(frames) +
                  " frames; a label map must be one 3D volume");
  }
  if (components != 1) {
    throw IoError("'" + name + "' is a colour image; a label map must have one value a voxel");
  }
  CheckScalar(*this, 0);
  const int64_t count = geometry.VoxelCount();
  std::vector<uint16_t> labels(static_cast<size_t>(count));
  Dispatch(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    const T* stored = As<T>();
    for (int64_t i = 0; i < count; ++i) {
      const double value = static_cast<double>(stored[i]) * scaling.slope + scaling.inter;
      const double nearest = std::nearbyint(value);
      // Written so that NaN fails too.
      if (!(nearest >= 0 && nearest <= 65535 && std::abs(value - nearest) <= 1e-3)) {
        char text[32];
        std::snprintf(text, sizeof text, "%.9g", value);
        throw IoError("'" + name + "' is not a label map: it holds the value " + text +
                      ", but labels are whole numbers from 0 to 65535; was an image given in "
                      "place of a label file?");
      }
      labels[i] = static_cast<uint16_t>(nearest);
    }
  });
  return labels;
}

namespace {

struct AssumptionName {
  const char* name;
  bool Assumptions::*field;
};
constexpr AssumptionName kAssumptionNames[] = {{"orientation", &Assumptions::orientation},
                                               {"in_plane_size", &Assumptions::in_plane_size},
                                               {"slice_distance", &Assumptions::slice_distance}};

}  // namespace

std::string NamesOf(const Assumptions& assumed) {
  std::string names;
  for (const AssumptionName& one : kAssumptionNames) {
    if (assumed.*one.field) names += (names.empty() ? "" : " ") + std::string(one.name);
  }
  return names;
}

Assumptions AssumptionsFromNames(std::string_view names) {
  Assumptions assumed;
  while (!names.empty()) {
    const size_t end = std::min(names.find(' '), names.size());
    for (const AssumptionName& one : kAssumptionNames) {
      if (names.substr(0, end) == one.name) assumed.*one.field = true;
    }
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return assumed;
}

void NoteIfComputed(std::string_view text, Volume& volume) {
  for (const char* word : {"synthetic", "simulated"}) {
    if (text.substr(0, std::string_view(word).size()) != word) continue;
    volume.description = std::string(word) + ", not acquired";
    volume.notes.push_back(std::string("the header says that this image is ") + word +
                           ": computed, not acquired");
  }
}

}  // namespace avocet::io
