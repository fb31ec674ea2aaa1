// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "app/base/error.h"
#include "io/file_util.h"
#include "io/surface.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

std::string ExtensionOf(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

template <typename T>
void Append(std::string& bytes, T value) {  // little endian, as this machine
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  bytes.append(raw, sizeof(T));
}

void AppendPoint(std::string& bytes, const std::array<double, 3>& point) {
  for (const double x : point) Append(bytes, static_cast<float>(x));
}

std::string Stl(const std::vector<Surface>& surfaces, uint32_t triangles) {
  // The first bytes must not read "solid": that would announce the text form.
  std::string bytes = "Avocet surface, LPS millimetres";
  bytes.resize(80, ' ');
  Append(bytes, triangles);
  for (const Surface& surface : surfaces) {
    for (const auto& t : surface.triangles) {
      const auto& a = surface.vertices[t[0]];
      const auto& b = surface.vertices[t[1]];
      const auto& c = surface.vertices[t[2]];
      std::array<double, 3> normal{(b[1] - a[1]) * (c[2] - a[2]) - (b[2] - a[2]) * (c[1] - a[1]),
                                   (b[2] - a[2]) * (c[0] - a[0]) - (b[0] - a[0]) * (c[2] - a[2]),
                                   (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])};
      const double length =
          std::sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]);
      if (length > 0)
        for (double& x : normal) x /= length;
      AppendPoint(bytes, normal);
      AppendPoint(bytes, a);
      AppendPoint(bytes, b);
      AppendPoint(bytes, c);
      Append(bytes, uint16_t{0});
    }
  }
  return bytes;
}

std::string Obj(const std::vector<Surface>& surfaces) {
  std::string text = "# Avocet surface, LPS millimetres\n";
  char line[128];
  uint64_t first = 1;
  for (const Surface& surface : surfaces) {
    std::string name = surface.name;
    for (char& c : name)
      if (std::isspace(static_cast<unsigned char>(c)) || static_cast<unsigned char>(c) < 32)
        c = '_';
    text += "g " + name + "\n";
    // Colours of vertices, as many programs read them.
    for (const auto& v : surface.vertices) {
      std::snprintf(line, sizeof line, "v %.6g %.6g %.6g %.4g %.4g %.4g\n", v[0], v[1], v[2],
                    surface.rgb[0] / 255.0, surface.rgb[1] / 255.0, surface.rgb[2] / 255.0);
      text += line;
    }
    for (const auto& t : surface.triangles) {
      std::snprintf(line, sizeof line, "f %llu %llu %llu\n",
                    static_cast<unsigned long long>(first + t[0]),
                    static_cast<unsigned long long>(first + t[1]),
                    static_cast<unsigned long long>(first + t[2]));
      text += line;
    }
    first += surface.vertices.size();
  }
  return text;
}

std::string Ply(const std::vector<Surface>& surfaces, uint32_t triangles) {
  uint64_t vertices = 0;
  for (const Surface& surface : surfaces) vertices += surface.vertices.size();
  if (vertices > 0x7FFFFFFF) throw IoError("the surface has too many vertices for a PLY file");
  std::string bytes =
      "ply\nformat binary_little_endian 1.0\ncomment Avocet surface, LPS millimetres\n"
      "element vertex " +
      std::to_string(vertices) +
      "\nproperty float x\nproperty float y\nproperty float z\nproperty uchar red\nproperty uchar "
      "green\nproperty uchar blue\nelement face " +
      std::to_string(triangles) +
      "\nproperty list uchar int vertex_indices\nproperty ushort label\nend_header\n";
  for (const Surface& surface : surfaces)
    for (const auto& v : surface.vertices) {
      AppendPoint(bytes, v);
      for (const uint8_t c : surface.rgb) Append(bytes, c);
    }
  uint32_t first = 0;
  for (const Surface& surface : surfaces) {
    for (const auto& t : surface.triangles) {
      Append(bytes, uint8_t{3});
      for (const uint32_t v : t) Append(bytes, static_cast<int32_t>(first + v));
      Append(bytes, static_cast<uint16_t>(surface.label));
    }
    first += static_cast<uint32_t>(surface.vertices.size());
  }
  return bytes;
}

}  // namespace

bool HasSurfaceExtension(const fs::path& path) {
  const std::string extension = ExtensionOf(path);
  return extension == ".stl" || extension == ".obj" || extension == ".ply";
}

void WriteSurfaces(const std::vector<Surface>& surfaces, const fs::path& path) {
  if (!HasSurfaceExtension(path))
    throw IoError(path.string() + " is not a surface file name; use .stl, .obj or .ply");
  uint64_t triangles = 0;
  for (const Surface& surface : surfaces) triangles += surface.triangles.size();
  if (triangles == 0)
    throw IoError(path.string() + " would be empty: the mask holds none of the labels asked for");
  if (triangles > 0x7FFFFFFF) throw IoError(path.string() + " would have too many triangles");
  const auto count = static_cast<uint32_t>(triangles);
  const std::string extension = ExtensionOf(path);
  WriteFileAtomically(path, extension == ".stl"   ? Stl(surfaces, count)
                            : extension == ".obj" ? Obj(surfaces)
                                                  : Ply(surfaces, count));
}

}  // namespace avocet::io
