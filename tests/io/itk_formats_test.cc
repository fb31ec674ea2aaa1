// SPDX-License-Identifier: Apache-2.0
// Legacy VTK, GIPL, MRC and MINC 2, which ITK's stock readers read in a process of their own, and
// MGH: grids and values against files whose writer is known, files that are cut off, damaged ones.
#include <gtest/gtest.h>
#include <itkGiplImageIO.h>
#include <itkImage.h>
#include <itkImageFileWriter.h>
#include <itkMINCImageIO.h>
#include <itkMRCImageIO.h>
#include <itkVTKImageIO.h>

#include <cmath>
#include <cstring>
#include <random>

#include "io/format.h"
#include "io/volume_io.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::Slurp;
using test::Spill;
using test::TemporaryFolder;

using Image = itk::Image<int16_t, 3>;

constexpr std::array<int64_t, 3> kSize{5, 4, 3};

int16_t ValueAt(int64_t i) { return static_cast<int16_t>(37 * i % 1000 - 300); }

Image::Pointer MakeImage() {
  const Image::Pointer image = Image::New();
  image->SetRegions(Image::SizeType{{5, 4, 3}});
  image->Allocate();
  for (int64_t i = 0; i < 60; ++i) image->GetBufferPointer()[i] = ValueAt(i);
  const double spacing[] = {0.75, 1.5, 4};
  const double origin[] = {10, -20, 30};
  image->SetSpacing(spacing);
  image->SetOrigin(origin);
  return image;
}

template <typename ImageIO>
fs::path WriteWithItk(const Image::Pointer& image, const char* name) {
  const fs::path path = TemporaryFolder() / name;
  const auto writer = itk::ImageFileWriter<Image>::New();
  writer->SetImageIO(ImageIO::New());
  writer->SetFileName(path.string());
  writer->SetInput(image);
  writer->Update();
  return path;
}

void ExpectValues(const Volume& volume) {
  ASSERT_EQ(volume.geometry.size, kSize);
  EXPECT_EQ(volume.type, VoxelType::kInt16);
  const std::vector<float> values = volume.ToFloat();
  for (int64_t i = 0; i < 60; ++i) ASSERT_EQ(values[i], ValueAt(i)) << i;
}

void ExpectNear(const std::array<double, 3>& found, const std::array<double, 3>& expected,
                double tolerance = 1e-6) {
  for (int axis = 0; axis < 3; ++axis) EXPECT_NEAR(found[axis], expected[axis], tolerance) << axis;
}

// Every shorter file is refused, in one sentence that names it.
void ExpectCutsAreRefused(const fs::path& path) {
  const std::string whole = Slurp(path);
  const fs::path cut = path.parent_path() / ("cut_" + path.filename().string());
  for (const double part : {0.0, 0.2, 0.5, 0.8, 0.95}) {
    Spill(cut, whole.substr(0, static_cast<size_t>(part * static_cast<double>(whole.size()))));
    SCOPED_TRACE(part);
    ExpectError([&] { ReadVolume(cut); }, {cut.filename().string()});
  }
  Spill(cut, whole.substr(0, whole.size() - 1));
  ExpectError([&] { ReadVolume(cut); }, {cut.filename().string()});
}

// Whatever is damaged, the outcome is a volume or one sentence; the reader's crash is not ours.
void ExpectDamageIsSurvived(const fs::path& path, int rounds) {
  const std::string whole = Slurp(path);
  const fs::path damaged = path.parent_path() / ("damaged_" + path.filename().string());
  std::mt19937 random(20261201);
  for (int round = 0; round < rounds; ++round) {
    std::string bytes = whole;
    const int changes = 1 + static_cast<int>(random() % 4);
    for (int change = 0; change < changes; ++change) {
      const size_t reach = random() % 3 == 0 ? bytes.size() : std::min<size_t>(bytes.size(), 512);
      bytes[random() % reach] = static_cast<char>(random());
    }
    Spill(damaged, bytes);
    try {
      const Volume volume = ReadVolume(damaged);
      EXPECT_LE(volume.data.size(), size_t{64} << 20);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
}

TEST(VtkFormat, GridAndValues) {
  const fs::path path = WriteWithItk<itk::VTKImageIO>(MakeImage(), "image.vtk");
  const Volume volume = ReadVolume(path);
  ExpectValues(volume);
  ExpectNear(volume.geometry.spacing, {0.75, 1.5, 4});
  ExpectNear(volume.geometry.origin, {10, -20, 30});
  EXPECT_TRUE(volume.assumed.orientation);
  EXPECT_FALSE(volume.notes.empty());
  ExpectCutsAreRefused(path);
  ExpectDamageIsSurvived(path, 15);
}

TEST(VtkFormat, RefusesTextAndOtherDataSets) {
  const fs::path folder = TemporaryFolder();
  Spill(
      folder / "text.vtk",
      "# vtk DataFile Version 3.0\nx\nASCII\nDATASET STRUCTURED_POINTS\nDIMENSIONS 2 2 1\nSPACING "
      "1 1 1\nORIGIN 0 0 0\nPOINT_DATA 4\nSCALARS s float 1\nLOOKUP_TABLE default\n1 2 3 4\n");
  ExpectError([&] { ReadVolume(folder / "text.vtk"); }, {"text.vtk", "save it as binary"});
  Spill(folder / "mesh.vtk",
        "# vtk DataFile Version 3.0\nx\nBINARY\nDATASET POLYDATA\nPOINTS 0 float\n");
  ExpectError([&] { ReadVolume(folder / "mesh.vtk"); }, {"mesh.vtk"});
}

TEST(GiplFormat, GridAndValues) {
  const fs::path path = WriteWithItk<itk::GiplImageIO>(MakeImage(), "image.gipl");
  const Volume volume = ReadVolume(path);
  ExpectValues(volume);
  ExpectNear(volume.geometry.spacing, {0.75, 1.5, 4});
  ExpectNear(volume.geometry.origin, {10, -20, 30});
  EXPECT_TRUE(volume.assumed.orientation);
  ExpectCutsAreRefused(path);
  ExpectDamageIsSurvived(path, 15);
}

TEST(GiplFormat, Gzip) {
  const fs::path path = WriteWithItk<itk::GiplImageIO>(MakeImage(), "image.gipl.gz");
  ExpectValues(ReadVolume(path));
  ExpectCutsAreRefused(path);
  ExpectDamageIsSurvived(path, 10);
}

TEST(MrcFormat, AngstromBecomeMillimetres) {
  const fs::path path = WriteWithItk<itk::MRCImageIO>(MakeImage(), "image.mrc");
  const Volume volume = ReadVolume(path);
  ExpectValues(volume);
  ExpectNear(volume.geometry.spacing, {0.75e-7, 1.5e-7, 4e-7}, 1e-13);
  EXPECT_TRUE(volume.assumed.orientation);
  ExpectCutsAreRefused(path);
  ExpectDamageIsSurvived(path, 15);
}

// MINC's world is RAS and ITK 5.2 hands it over as if it were LPS: left and right would change
// places.
TEST(MincFormat, WorldIsRas) {
  Image::Pointer image = MakeImage();
  Image::DirectionType direction;
  direction.SetIdentity();
  const double c = std::cos(0.2);
  const double s = std::sin(0.2);
  direction(0, 0) = c;
  direction(0, 1) = -s;
  direction(1, 0) = s;
  direction(1, 1) = c;
  image->SetDirection(direction);
  const fs::path path = WriteWithItk<itk::MINCImageIO>(image, "image.mnc");
  const Volume volume = ReadVolume(path);
  ExpectValues(volume);
  ExpectNear(volume.geometry.spacing, {0.75, 1.5, 4});
  ExpectNear(volume.geometry.origin, {-10, 20, 30});
  EXPECT_NEAR(volume.geometry.direction[0], -c, 1e-9);
  EXPECT_NEAR(volume.geometry.direction[3], -s, 1e-9);
  EXPECT_NEAR(volume.geometry.direction[4], -c, 1e-9);
  EXPECT_NEAR(volume.geometry.direction[8], 1, 1e-9);
  EXPECT_FALSE(volume.assumed.Any());
  EXPECT_EQ(volume.geometry.OrientationLetters(), "RAS");
  const std::string whole = Slurp(path);
  const fs::path cut = path.parent_path() / "cut.mnc";
  for (const double part : {0.2, 0.5, 0.8}) {
    Spill(cut, whole.substr(0, static_cast<size_t>(part * static_cast<double>(whole.size()))));
    ExpectError([&] { ReadVolume(cut); }, {"cut.mnc"});
  }
  ExpectDamageIsSurvived(path, 10);
}

TEST(MincFormat, HeaderWithoutVoxels) {
  const fs::path path = WriteWithItk<itk::MINCImageIO>(MakeImage(), "image.mnc");
  const Volume header = FindFormat(path)->ReadInformation(path);
  EXPECT_TRUE(header.data.empty());
  EXPECT_EQ(header.geometry.size, kSize);
}

// A big-endian MGH file as FreeSurfer writes it.
std::string MghBytes(bool good_ras, int32_t frames) {
  std::string bytes(284, '\0');
  const auto put32 = [&](size_t at, uint32_t bits) {
    bits = __builtin_bswap32(bits);
    std::memcpy(bytes.data() + at, &bits, 4);
  };
  const auto put_float = [&](size_t at, float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    put32(at, bits);
  };
  put32(0, 1);
  put32(4, 5);
  put32(8, 4);
  put32(12, 3);
  put32(16, static_cast<uint32_t>(frames));
  put32(20, 4);  // short
  bytes[29] = good_ras ? 1 : 0;
  const float spacing[] = {0.5F, 1, 2};
  // i to the left, j down, k to the front, as FreeSurfer's conformed volumes.
  const float columns[] = {-1, 0, 0, 0, 0, -1, 0, 1, 0};
  const float centre[] = {7, -8, 9};
  for (size_t i = 0; i < 3; ++i) put_float(30 + 4 * i, spacing[i]);
  for (size_t i = 0; i < 9; ++i) put_float(42 + 4 * i, columns[i]);
  for (size_t i = 0; i < 3; ++i) put_float(78 + 4 * i, centre[i]);
  for (int64_t i = 0; i < 60 * frames; ++i) {
    const auto value = static_cast<uint16_t>(ValueAt(i));
    bytes += static_cast<char>(value >> 8);
    bytes += static_cast<char>(value & 255);
  }
  return bytes;
}

TEST(MghFormat, GridAndValues) {
  const fs::path path = TemporaryFolder() / "orig.mgh";
  Spill(path, MghBytes(true, 1));
  const Volume volume = ReadVolume(path);
  ExpectValues(volume);
  EXPECT_EQ(volume.geometry.spacing, (std::array<double, 3>{0.5, 1, 2}));
  EXPECT_EQ(volume.geometry.OrientationLetters(), "LIA");
  // The voxel at half the sizes lies at the centre (7, -8, 9) in RAS.
  ExpectNear(volume.geometry.PhysicalFromIndex({2.5, 2, 1.5}), {-7, 8, 9});
  EXPECT_FALSE(volume.assumed.Any());
  ExpectCutsAreRefused(path);
  ExpectDamageIsSurvived(path, 200);
}

TEST(MghFormat, GzipFramesAndTags) {
  const fs::path path = TemporaryFolder() / "bold.mgz";
  Spill(path, test::Gzip(MghBytes(true, 4) + std::string(100, 'T')));
  const Volume volume = ReadVolume(path);
  EXPECT_EQ(volume.frames, 4);
  EXPECT_EQ(volume.ToFloat(3)[59], ValueAt(239));
}

TEST(MghFormat, WithoutPositionItIsSaid) {
  const fs::path path = TemporaryFolder() / "old.mgh";
  Spill(path, MghBytes(false, 1));
  const Volume volume = ReadVolume(path);
  EXPECT_TRUE(volume.assumed.orientation && volume.assumed.in_plane_size);
  EXPECT_EQ(volume.geometry.spacing, (std::array<double, 3>{1, 1, 1}));
  EXPECT_EQ(volume.geometry.OrientationLetters(), "LIA");
}

}  // namespace
}  // namespace avocet::io
