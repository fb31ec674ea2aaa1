// SPDX-License-Identifier: Apache-2.0
#include "app/core/degrade.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "app/base/error.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {
namespace fs = std::filesystem;

io::Volume Head() {
  io::Geometry geometry;
  geometry.size = {24, 26, 20};
  geometry.spacing = {1, 1.5, 2};
  geometry.origin = {3, -4, 5};
  geometry.direction = {0, 0, 1, -1, 0, 0, 0, -1, 0};
  io::Volume image = io::Volume::Zeros(geometry, io::VoxelType::kInt16);
  int16_t* value = image.As<int16_t>();
  for (int k = 0; k < 20; ++k)
    for (int j = 0; j < 26; ++j)
      for (int i = 0; i < 24; ++i)
        *value++ = static_cast<int16_t>(
            std::hypot(i - 12, j - 13, k - 10) < 9 ? 800 + 100 * std::sin(i) : 0);
  return image;
}

TEST(DegradeJob, FolderKeepsNamesAndGeometryAndIsRepeatable) {
  const fs::path folder = test::TemporaryFolder();
  fs::create_directory(folder / "in");
  io::WriteVolume(Head(), folder / "in/a.nii.gz");
  io::WriteVolume(Head(), folder / "in/b.nii.gz");
  std::ofstream(folder / "in/c.nii") << "broken";
  DegradeJobOptions options;
  options.inputs = {folder / "in"};
  options.output = folder / "out";
  SilentProgress progress;
  const DegradeResult result = RunDegrade(options, progress);
  EXPECT_EQ(result.failed, 1);
  const io::Volume given = io::ReadVolume(folder / "in/a.nii.gz");
  const io::Volume a = io::ReadVolume(folder / "out/a.nii.gz");
  const io::Volume b = io::ReadVolume(folder / "out/b.nii.gz");
  EXPECT_EQ(a.type, io::VoxelType::kFloat32);
  EXPECT_EQ(io::MaxCornerDistance(a.geometry, given.geometry), 0);
  EXPECT_NE(a.ToFloat(), b.ToFloat());  // noise of its own
  options.output = folder / "again";
  options.inputs = {folder / "in/b.nii.gz"};
  options.output = folder / "b2.nii.gz";
  RunDegrade(options, progress);
  EXPECT_EQ(io::ReadVolume(options.output).ToFloat(), b.ToFloat());
  const auto manifest = nlohmann::json::parse(io::ReadTextFile(folder / "out/a.manifest.json"));
  EXPECT_EQ(manifest["job"], "degrade");
  EXPECT_EQ(manifest["options"]["coarser"], "1.6 1.6 1.6");
  EXPECT_EQ(manifest["figures"]["matrix_i"], 15);
}

TEST(DegradeJob, AcquiredMatrixHasItsOwnGrid) {
  const fs::path folder = test::TemporaryFolder();
  io::WriteVolume(Head(), folder / "a.nii.gz");
  DegradeJobOptions options;
  options.inputs = {folder / "a.nii.gz"};
  options.output = folder / "small.nii.gz";
  options.degrade.coarser = {2, 2, 1};
  options.degrade.reconstruction = preprocess::Reconstruction::kAcquired;
  SilentProgress progress;
  RunDegrade(options, progress);
  const io::Volume small = io::ReadVolume(options.output);
  EXPECT_EQ(small.geometry.size, (std::array<int64_t, 3>{11, 13, 20}));
  EXPECT_NEAR(small.geometry.spacing[0], 24.0 / 11, 1e-5);
  EXPECT_NEAR(small.geometry.origin[2], 5, 1e-4);
  // The centre of the ball is where it was.
  const io::Volume given = io::ReadVolume(folder / "a.nii.gz");
  const auto centre = [](const io::Volume& v) {
    const auto values = v.ToFloat();
    std::array<double, 3> sum{0, 0, 0};
    double mass = 0;
    size_t x = 0;
    for (int64_t k = 0; k < v.geometry.size[2]; ++k)
      for (int64_t j = 0; j < v.geometry.size[1]; ++j)
        for (int64_t i = 0; i < v.geometry.size[0]; ++i, ++x) {
          if (values[x] < 300) continue;  // the noise's floor
          const auto p = v.geometry.PhysicalFromIndex({1.0 * i, 1.0 * j, 1.0 * k});
          for (int c = 0; c < 3; ++c) sum[c] += values[x] * p[c];
          mass += values[x];
        }
    for (double& s : sum) s /= mass;
    return sum;
  };
  const auto a = centre(given), b = centre(small);
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(a[c], b[c], 0.3);
}

TEST(DegradeCommand, RunsAndChecksOptions) {
  const fs::path folder = test::TemporaryFolder();
  io::WriteVolume(Head(), folder / "a.nii.gz");
  const std::string in = (folder / "a.nii.gz").string(), out = (folder / "b.nii.gz").string();
  auto run = test::RunAvocet({"degrade", in, "-o", out, "--coarser", "2", "2", "1", "--snr", "0"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.out.find("matrix 11 x 13 x 20"), std::string::npos) << run.out;
  EXPECT_EQ(test::RunAvocet({"degrade", in, "-o", in}).exit_code, 2);
  EXPECT_EQ(test::RunAvocet({"degrade", in, "-o", out, "--coarser", "0.5"}).exit_code, 2);
  EXPECT_EQ(test::RunAvocet({"degrade", in, "-o", out, "--reconstruction", "x"}).exit_code, 2);
}

}  // namespace
}  // namespace avocet::core
