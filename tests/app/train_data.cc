// SPDX-License-Identifier: Apache-2.0
#include "tests/app/train_data.h"

#include <cmath>
#include <string>

#include "io/file_util.h"
#include "io/volume_io.h"

namespace avocet::test {
namespace {
namespace fs = std::filesystem;

void WriteHead(const fs::path& path, double noise, uint32_t seed) {
  io::Geometry geometry;
  geometry.size = {40, 36, 9};
  geometry.spacing = {1, 1, 3};
  io::Volume image = io::Volume::Zeros(geometry, io::VoxelType::kFloat32);
  float* value = image.As<float>();
  uint32_t state = seed;
  for (int k = 0; k < 9; ++k)
    for (int j = 0; j < 36; ++j)
      for (int i = 0; i < 40; ++i) {
        state = state * 1664525u + 1013904223u;
        const double r = std::hypot(i - 18, j - 18, 2 * (k - 4));
        const double clean = r < 14 ? 200 + 60 * std::sin(0.6 * i) + 3 * j : 0;
        *value++ = static_cast<float>(std::abs(clean + noise * ((state >> 24) / 128.0 - 1)));
      }
  fs::create_directories(path.parent_path());
  io::WriteVolume(image, path);
}

}  // namespace

void WriteDiscs(const fs::path& folder, int count, int classes, int seed) {
  fs::create_directories(folder / "imagesTr");
  fs::create_directories(folder / "labelsTr");
  std::string labels = R"("0": "background")";
  for (int c = 1; c < classes; ++c) {
    labels += ", \"" + std::to_string(c) + "\": \"part " + std::to_string(c) + "\"";
  }
  io::WriteFileAtomically(
      folder / "dataset.json",
      R"({"name": "Discs", "modality": {"0": "MRI"}, "labels": {)" + labels + "}}");
  io::Geometry geometry;
  geometry.size = {20, 24, 6};
  for (int n = 0; n < count; ++n) {
    io::Volume image = io::Volume::Zeros(geometry, io::VoxelType::kInt16);
    io::Volume label = io::Volume::Zeros(geometry, io::VoxelType::kUInt8);
    for (int k = 0; k < 6; ++k) {
      for (int j = 0; j < 24; ++j) {
        for (int i = 0; i < 20; ++i) {
          const int at = (k * 24 + j) * 20 + i;
          const bool inside = (i - 10) * (i - 10) + (j - 12) * (j - 12) < 30;
          image.As<int16_t>()[at] = static_cast<int16_t>(
              (inside ? 200 : 40) + (i * 7 + j * 13 + k * 29 + (n + seed) * 31) % 17);
          label.As<uint8_t>()[at] = static_cast<uint8_t>(inside ? 1 + j % (classes - 1) : 0);
        }
      }
    }
    const std::string file = "c" + std::to_string(n) + ".nii.gz";
    io::WriteVolume(image, folder / "imagesTr" / file);
    io::WriteVolume(label, folder / "labelsTr" / file);
  }
}

void WriteHeadPairs(const fs::path& folder, uint32_t seed) {
  for (const char* name : {"a", "b", "c"}) {
    WriteHead(folder / "source" / (std::string(name) + ".nii.gz"), 40, seed++);
    WriteHead(folder / "target" / (std::string(name) + ".nii.gz"), 0, 0);
  }
}

}  // namespace avocet::test
