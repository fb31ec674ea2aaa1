// SPDX-License-Identifier: Apache-2.0
#include "app/gui/measurement_store.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/gui/phantom.h"
#include "tests/support/test_support.h"

namespace avocet::gui {
namespace {

namespace fs = std::filesystem;

std::vector<Measurement> Three() {
  Measurement ruler;
  ruler.points = {{1, 2, 3}, {4, 6.25, 3}};
  ruler.right = {1, 0, 0};
  ruler.down = {0, 1, 0};
  ruler.image = "MUELLER_Anna.nii.gz";
  ruler.value = 5.2;
  ruler.unit = "mm";
  Measurement angle = ruler;
  angle.kind = MeasurementKind::kAngle;
  angle.points.push_back({0.1, 1e-7, -3});
  angle.orientation = Orientation::kSagittal;
  Measurement region = ruler;
  region.kind = MeasurementKind::kRoi;
  region.voxels = 42;
  region.deviation = 1.0 / 3;
  region.unit = "HU";
  return {ruler, angle, region};
}

TEST(MeasurementStore, KeepsEverythingButNames) {
  const MeasurementStore store(test::TemporaryFolder() / "kept");
  const std::string key = MeasurementStore::KeyOf(test::Phantom::Make());
  EXPECT_TRUE(store.Load(key).empty());
  const std::vector<Measurement> kept = Three();
  store.Keep(key, kept);
  const std::vector<Measurement> again = store.Load(key);
  ASSERT_EQ(again.size(), 3u);
  for (size_t n = 0; n < 3; ++n) {
    EXPECT_EQ(again[n].kind, kept[n].kind);
    EXPECT_EQ(again[n].points, kept[n].points) << "to the last bit";
    EXPECT_EQ(again[n].orientation, kept[n].orientation);
    EXPECT_EQ(again[n].right, kept[n].right);
    EXPECT_EQ(again[n].value, kept[n].value);
    EXPECT_EQ(again[n].deviation, kept[n].deviation);
    EXPECT_EQ(again[n].unit, kept[n].unit);
    EXPECT_EQ(again[n].voxels, kept[n].voxels);
  }
  // One file, with no name in it or on it, in a folder for this user alone.
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(test::TemporaryFolder() / "kept")) {
    ++files;
    EXPECT_EQ(entry.path().filename().string(), key + ".json");
    EXPECT_EQ(io::ReadTextFile(entry.path()).find("MUELLER"), std::string::npos);
  }
  EXPECT_EQ(files, 1u);
  EXPECT_EQ(fs::status(test::TemporaryFolder() / "kept").permissions() &
                (fs::perms::group_all | fs::perms::others_all),
            fs::perms::none);
  store.Keep(key, {});
  EXPECT_TRUE(fs::is_empty(test::TemporaryFolder() / "kept"));
}

// The same image under another name and in another format is the same study; another image is not.
TEST(MeasurementStore, KnowsAnImageByItsVoxelsAndGrid) {
  const io::Volume image = test::Head();
  const std::string key = MeasurementStore::KeyOf(image);
  for (const char* name : {"a.nii.gz", "b.nrrd", "c.mha"}) {
    io::WriteVolume(image, test::TemporaryFolder() / name);
    EXPECT_EQ(MeasurementStore::KeyOf(io::ReadVolume(test::TemporaryFolder() / name)), key) << name;
  }
  io::Volume moved = image;
  moved.geometry.origin[0] += 1;
  EXPECT_NE(MeasurementStore::KeyOf(moved), key);
  io::Volume other = image;
  other.As<int16_t>()[100] += 1;
  EXPECT_NE(MeasurementStore::KeyOf(other), key);
  io::Volume large = io::Volume::Zeros(image.geometry, io::VoxelType::kInt16);
  large.data.resize(size_t{512} * 512 * 148 * 2);
  const auto start = std::chrono::steady_clock::now();
  MeasurementStore::KeyOf(large);
  std::printf("recognising 512 x 512 x 148: %.2f s\n",
              std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

TEST(MeasurementStore, JunkIsNothing) {
  const fs::path folder = test::TemporaryFolder() / "kept";
  const MeasurementStore store(folder);
  store.Keep("good", Three());
  const std::string text = io::ReadTextFile(folder / "good.json");
  const auto tried = [&](const std::string& content) {
    io::WriteFileAtomically(folder / "bad.json", content);
    return store.Load("bad").size();
  };
  EXPECT_EQ(tried(text), 3u);
  EXPECT_EQ(tried(""), 0u);
  EXPECT_EQ(tried(text.substr(0, text.size() / 2)), 0u);
  EXPECT_EQ(tried("{\"measurements\": [1, 2]}"), 0u);
  EXPECT_EQ(tried("{\"measurements\": [{\"kind\": \"ruler\", \"plane\": \"Axial\", "
                  "\"points_lps_mm\": [[0, 0, 0]], \"right\": [1, 0, 0], \"down\": [0, 1, 0]}]}"),
            0u)
      << "a ruler with one end";
  std::string wrong = text;
  wrong.replace(wrong.find("\"ruler\""), 7, "\"sword\"");
  EXPECT_EQ(tried(wrong), 0u);
}

}  // namespace
}  // namespace avocet::gui
