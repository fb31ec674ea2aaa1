// SPDX-License-Identifier: Apache-2.0
// NRRD and MetaImage: 48 axis orders, straight and oblique, loaded, exported and loaded again, in
// every form of file and from every anatomical space.
#include <gtest/gtest.h>

#include "io/header_text.h"
#include "io/volume_io.h"
#include "tests/io/axis_orders.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::AffineOf;
using test::AllAxisOrders;
using test::MaxDifference;
using test::NumberedVolume;
using test::Spill;
using test::TemporaryFolder;

std::vector<Volume> BaseVolumes() {
  Volume sheared = NumberedVolume({5, 4, 3}, test::Rotation({0.2, -0.3, 0.1}));
  const double norm = std::hypot(0.3, 1.0);
  for (int row = 0; row < 3; ++row) {  // the second axis leans over
    sheared.geometry.direction[row * 3 + 1] =
        (sheared.geometry.direction[row * 3 + 1] + 0.3 * sheared.geometry.direction[row * 3 + 2]) /
        norm;
  }
  return {NumberedVolume({5, 4, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1}),
          NumberedVolume({5, 4, 3}, test::Rotation({0.35, -0.2, 0.5})), sheared};
}

void ExpectSame(const Volume& got, const Volume& expected) {
  EXPECT_EQ(got.geometry.size, expected.geometry.size);
  EXPECT_EQ(got.type, expected.type);
  EXPECT_EQ(got.data, expected.data);
  EXPECT_LT(MaxDifference(AffineOf(got.geometry), AffineOf(expected.geometry)), 1e-5);
  const auto a = test::Centroid(got, 100);
  const auto b = test::Centroid(expected, 100);
  for (int row = 0; row < 3; ++row) EXPECT_NEAR(a[row], b[row], 1e-5);
}

TEST(FormatOrientation, WrittenAndReadAgain) {
  const fs::path folder = TemporaryFolder();
  int cases = 0;
  for (const Volume& base : BaseVolumes()) {
    const auto place = test::Centroid(base, 100);
    for (const auto& order : AllAxisOrders()) {
      const Volume volume = Stored(base, order);
      // The label stands where it stood, however it is stored.
      const auto moved = test::Centroid(volume, 100);
      for (int row = 0; row < 3; ++row) ASSERT_NEAR(moved[row], place[row], 1e-9);
      for (const char* name : {"x.nrrd", "x.nhdr", "x.mha", "x.mhd"}) {
        SCOPED_TRACE(name);
        WriteVolume(volume, folder / name);
        const Volume once = ReadVolume(folder / name);
        ExpectSame(once, volume);
        WriteVolume(once, folder / (std::string("again_") + name));
        ExpectSame(ReadVolume(folder / (std::string("again_") + name)), volume);
        ++cases;
      }
      if (HasFailure()) return;
    }
  }
  EXPECT_EQ(cases, 3 * 48 * 4);
}

// Through every format in turn: nothing drifts beyond what NIfTI's 32-bit floats hold.
TEST(FormatOrientation, RoundThroughAllFormats) {
  const fs::path folder = TemporaryFolder();
  for (const Volume& base : BaseVolumes()) {
    for (const auto& order : AllAxisOrders()) {
      const Volume volume = Stored(base, order);
      Volume current = volume;
      for (const char* name : {"a.nrrd", "b.nii", "c.mha", "d.nii.gz", "e.nhdr", "f.mhd"}) {
        WriteVolume(current, folder / name);
        current = ReadVolume(folder / name);
      }
      ExpectSame(current, volume);
      if (HasFailure()) return;
    }
  }
}

// The same grid told in each anatomical space and unit.
TEST(FormatOrientation, EverySpaceOfNrrd) {
  const fs::path folder = TemporaryFolder();
  struct Space {
    const char* name;
    std::array<double, 3> sign;
  };
  const Space spaces[] = {{"left-posterior-superior", {1, 1, 1}},   {"LPS", {1, 1, 1}},
                          {"right-anterior-superior", {-1, -1, 1}}, {"RAS", {-1, -1, 1}},
                          {"left-anterior-superior", {1, -1, 1}},   {"LAS", {1, -1, 1}}};
  for (const Volume& base : BaseVolumes()) {
    for (const auto& order : AllAxisOrders()) {
      const Volume volume = Stored(base, order);
      for (const Space& space : spaces) {
        for (const double unit : {1.0, 10.0}) {
          const Geometry& g = volume.geometry;
          const auto vector = [&](const std::array<double, 3>& lps) {
            return "(" + NumberText(space.sign[0] * lps[0] / unit) + "," +
                   NumberText(space.sign[1] * lps[1] / unit) + "," +
                   NumberText(space.sign[2] * lps[2] / unit) + ")";
          };
          std::string text = "NRRD0004\ntype: short\ndimension: 3\nspace: ";
          text += space.name;
          text += "\nsizes:";
          for (const int64_t size : g.size) text += " " + std::to_string(size);
          text += "\nspace directions:";
          for (int a = 0; a < 3; ++a) {
            text += " " + vector({g.direction[a] * g.spacing[a], g.direction[3 + a] * g.spacing[a],
                                  g.direction[6 + a] * g.spacing[a]});
          }
          text += "\nspace origin: " + vector(g.origin) + "\nendian: little\nencoding: raw\n";
          text += unit == 1 ? "space units: \"mm\" \"mm\" \"mm\"\n\n"
                            : "space units: \"cm\" \"cm\" \"cm\"\n\n";
          text.append(reinterpret_cast<const char*>(volume.data.data()), volume.data.size());
          Spill(folder / "x.nrrd", text);
          SCOPED_TRACE(space.name);
          ExpectSame(ReadVolume(folder / "x.nrrd"), volume);
        }
      }
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace avocet::io
