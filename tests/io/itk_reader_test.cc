// SPDX-License-Identifier: Apache-2.0
// A plain itk::ImageFileReader gives what ReadVolume gives: grid, real values, frames, colours and
// the sentence of a refusal; the header is read without the voxels; files are written likewise.
#include <gtest/gtest.h>
#include <itkImageFileReader.h>
#include <itkImageFileWriter.h>
#include <itkImageIOFactory.h>
#include <itkObjectFactoryBase.h>
#include <itkRGBPixel.h>
#include <itkVersion.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "io/format.h"
#include "io/itk/register_image_io.h"
#include "io/itk/volume_image_io.h"
#include "io/nifti.h"
#include "io/volume_io.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::Slurp;
using test::Spill;
using test::TemporaryFolder;

template <typename Pixel, unsigned kDimension>
using Image = itk::Image<Pixel, kDimension>;

template <typename ImageType>
typename ImageType::Pointer ReadWithItk(const fs::path& path) {
  RegisterImageIo();
  const auto reader = itk::ImageFileReader<ImageType>::New();
  reader->SetFileName(path.string());
  reader->Update();
  return reader->GetOutput();
}

template <typename ImageType>
void ExpectGrid(const ImageType& image, const Geometry& geometry) {
  for (unsigned axis = 0; axis < 3; ++axis) {
    EXPECT_EQ(static_cast<int64_t>(image.GetLargestPossibleRegion().GetSize()[axis]),
              geometry.size[axis]);
    EXPECT_EQ(image.GetSpacing()[axis], geometry.spacing[axis]);
    EXPECT_EQ(image.GetOrigin()[axis], geometry.origin[axis]);
    for (unsigned row = 0; row < 3; ++row) {
      EXPECT_EQ(image.GetDirection()(row, axis), geometry.direction[row * 3 + axis]);
    }
  }
}

// Every frame as real numbers against Volume::ToFloat.
template <typename ImageType>
void ExpectSame(const fs::path& path) {
  SCOPED_TRACE(path.string());
  const Volume volume = ReadVolume(path);
  const typename ImageType::Pointer image = ReadWithItk<ImageType>(path);
  ExpectGrid(*image, volume.geometry);
  const auto* values = image->GetBufferPointer();
  const int64_t voxels = volume.geometry.VoxelCount();
  for (int64_t frame = 0; frame < volume.frames; ++frame) {
    const std::vector<float> expected = volume.ToFloat(frame);
    for (int64_t i = 0; i < voxels; ++i) {
      const auto value = static_cast<float>(values[frame * voxels + i]);
      if (std::isnan(expected[i]) && std::isnan(value)) continue;
      ASSERT_EQ(value, expected[i]) << "voxel " << i << " of frame " << frame;
    }
  }
}

Volume Ramp(const Geometry& geometry, VoxelType type) {
  Volume volume = Volume::Zeros(geometry, type);
  for (size_t i = 0; i < volume.data.size(); ++i) {
    volume.data[i] = static_cast<std::byte>(i * 7 % 120);
  }
  return volume;
}

Geometry Oblique() {
  Geometry geometry;
  geometry.size = {5, 4, 3};
  geometry.spacing = {0.7, 0.9, 3.25};
  geometry.origin = {-31.5, 12.25, 1007};
  const double c = std::cos(0.3);
  const double s = std::sin(0.3);
  geometry.direction = {c, -s, 0, s, c, 0, 0, 0, 1};
  return geometry;
}

TEST(ItkReader, ObliqueNiftiOfEveryType) {
  const fs::path folder = TemporaryFolder();
  for (int type = 0; type <= static_cast<int>(VoxelType::kFloat64); ++type) {
    const fs::path path = folder / (std::to_string(type) + ".nii.gz");
    WriteVolume(Ramp(Oblique(), static_cast<VoxelType>(type)), path);
    ExpectSame<Image<double, 3>>(path);
  }
}

// ITK's own reader replaces a sheared sform by the nearest rotation: a corner moved by 36 mm.
TEST(ItkReader, ShearedAffineIsExact) {
  const fs::path folder = TemporaryFolder();
  Geometry sheared = Oblique();
  sheared.direction = {1, std::sin(0.2), 0, 0, std::cos(0.2), 0, 0, 0, 1};
  const fs::path path = folder / "sheared.nii";
  WriteVolume(Ramp(sheared, VoxelType::kInt16), path);
  ASSERT_FALSE(ReadVolume(path).geometry.IsOrthonormal());
  ExpectSame<Image<float, 3>>(path);
}

TEST(ItkReader, ScalingIsApplied) {
  const fs::path folder = TemporaryFolder();
  Volume volume = Ramp(Oblique(), VoxelType::kInt16);
  volume.scaling = {0.5, -1024};
  const fs::path path = folder / "scaled.nii.gz";
  WriteVolume(volume, path);
  ASSERT_FALSE(ReadVolume(path).scaling.IsIdentity());
  ExpectSame<Image<float, 3>>(path);
}

TEST(ItkReader, FramesAreAFourthAxis) {
  const fs::path folder = TemporaryFolder();
  Volume volume = Volume::Zeros(Oblique(), VoxelType::kUInt16);
  volume.frames = 3;
  volume.data.resize(volume.data.size() * 3);
  for (size_t i = 0; i < volume.data.size(); i += 2) {
    volume.data[i] = static_cast<std::byte>(i % 251);
  }
  const fs::path path = folder / "frames.nii.gz";
  WriteVolume(volume, path);
  const auto image = ReadWithItk<Image<float, 4>>(path);
  EXPECT_EQ(image->GetLargestPossibleRegion().GetSize()[3], 3U);
  EXPECT_EQ(image->GetSpacing()[3], 1);
  ExpectSame<Image<float, 4>>(path);
}

TEST(ItkReader, NiftiTwoArraysPicturesAndDicom) {
  for (const char* name :
       {"formats/case.npy.h5", "formats/slice.h5", "formats/slice.npz", "formats/plain.npy",
        "formats/grey16.png", "formats/grey.jpg", "nifti2.nii.gz", "sheared.nii.gz",
        "scaled.nii.gz", "pair.hdr", "analyze.hdr", "../dicom/ct5n", "../dicom/MR_small_RLE.dcm"}) {
    const fs::path path = test::TestData(std::string("io/") + name);
    ASSERT_TRUE(fs::exists(path)) << path;
    ExpectSame<Image<float, 3>>(path);
  }
  const fs::path folder = TemporaryFolder();
  Volume long_axis = Ramp(Oblique(), VoxelType::kUInt8);  // NIfTI-1 holds at most 32767 voxels
  long_axis.geometry.size = {40000, 1, 1};
  long_axis.data.resize(40000);
  const fs::path path = folder / "long.nii";
  WriteVolume(long_axis, path);
  const Volume again = ReadVolume(path);
  const auto* source = dynamic_cast<const NiftiSource*>(again.source.get());
  ASSERT_TRUE(source && source->version() == NiftiSource::Version::kNifti2);
  ExpectSame<Image<float, 3>>(path);
}

TEST(ItkReader, ColoursKeepTheirComponents) {
  const fs::path folder = TemporaryFolder();
  Volume volume = Volume::Zeros(Oblique(), VoxelType::kUInt8);
  volume.components = 3;
  volume.data.resize(volume.data.size() * 3);
  for (size_t i = 0; i < volume.data.size(); ++i) volume.data[i] = static_cast<std::byte>(i);
  const fs::path path = folder / "colour.nii";
  WriteVolume(volume, path);
  const auto image = ReadWithItk<Image<itk::RGBPixel<uint8_t>, 3>>(path);
  ExpectGrid(*image, ReadVolume(path).geometry);
  EXPECT_EQ(std::memcmp(image->GetBufferPointer(), volume.data.data(), volume.data.size()), 0);
}

// A cut file: ITK's stock reader fills the missing voxels with zeros and says nothing.
TEST(ItkReader, RefusesInTheWordsOfReadVolume) {
  const fs::path folder = TemporaryFolder();
  const fs::path whole = folder / "whole.nii";
  WriteVolume(Ramp(Oblique(), VoxelType::kInt16), whole);
  const std::string bytes = Slurp(whole);
  const fs::path cut = folder / "cut.nii";
  Spill(cut, bytes.substr(0, bytes.size() - 20));
  const std::string expected = test::ExpectError([&] { ReadVolume(cut); }, {"cut.nii"});
  try {
    ReadWithItk<Image<float, 3>>(cut);
    ADD_FAILURE() << "a cut file was read";
  } catch (const itk::ExceptionObject& error) {
    EXPECT_EQ(error.GetDescription(), expected);
  }
}

TEST(ItkReader, HeaderIsReadWithoutVoxels) {
  const fs::path folder = TemporaryFolder();
  std::vector<fs::path> files = {
      test::TestData("io/formats/case.npy.h5"), test::TestData("io/formats/slice.npz"),
      test::TestData("io/formats/plain.npy"),   test::TestData("io/nifti2.nii.gz"),
      test::TestData("io/sheared.nii.gz"),      test::TestData("dicom/ct5n"),
      test::TestData("dicom/multiframe.dcm")};
  Volume volume = Ramp(Oblique(), VoxelType::kInt16);
  volume.scaling = {2, 1};
  files.push_back(folder / "image.nii.gz");
  WriteVolume(volume, files.back());
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.string());
    const Format* format = FindFormat(file);
    ASSERT_NE(format, nullptr);
    const Volume header = format->ReadInformation(file);
    const Volume whole = ReadVolume(file);
    EXPECT_TRUE(header.data.empty());
    EXPECT_FALSE(whole.data.empty());
    EXPECT_EQ(header.geometry.size, whole.geometry.size);
    EXPECT_EQ(header.geometry.spacing, whole.geometry.spacing);
    EXPECT_EQ(header.geometry.origin, whole.geometry.origin);
    EXPECT_EQ(header.geometry.direction, whole.geometry.direction);
    EXPECT_EQ(header.type, whole.type);
    EXPECT_EQ(header.components, whole.components);
    EXPECT_EQ(header.frames, whole.frames);
    EXPECT_EQ(header.scaling.slope, whole.scaling.slope);
    EXPECT_EQ(header.scaling.inter, whole.scaling.inter);
  }
}

TEST(ItkReader, WritersRoundTrip) {
  const fs::path folder = TemporaryFolder();
  const fs::path first = folder / "first.nii.gz";
  const Volume volume = Ramp(Oblique(), VoxelType::kUInt16);
  WriteVolume(volume, first);
  using Short = Image<uint16_t, 3>;
  for (const char* name : {"copy.nii", "copy.nii.gz", "copy.nrrd", "copy.mha"}) {
    SCOPED_TRACE(name);
    const auto writer = itk::ImageFileWriter<Short>::New();
    const fs::path copy = folder / name;
    writer->SetFileName(copy.string());
    writer->SetInput(ReadWithItk<Short>(first));
    writer->Update();
    const Volume again = ReadVolume(copy);
    EXPECT_EQ(again.type, VoxelType::kUInt16);
    EXPECT_EQ(again.data, volume.data);
    EXPECT_LT(MaxCornerDistance(again.geometry, volume.geometry), 1e-4);
  }
}

// What ITK offers no extension for is refused in one sentence, and nothing is left behind.
TEST(ItkReader, UnknownNameIsNotWritten) {
  const fs::path folder = TemporaryFolder();
  test::ExpectError([&] { WriteVolume(Ramp(Oblique(), VoxelType::kUInt8), folder / "x.what"); },
                    {"x.what", "must end in"});
  EXPECT_TRUE(fs::is_empty(folder));
}

// ReadVolume goes through ITK's factory: a reader that the program puts in front is used.
class ConstantImageIO : public itk::ImageIOBase {
 public:
  using Self = ConstantImageIO;
  using Superclass = itk::ImageIOBase;
  using Pointer = itk::SmartPointer<Self>;
  itkNewMacro(Self);
  itkTypeMacro(ConstantImageIO, itk::ImageIOBase);
  bool CanReadFile(const char* name) override { return fs::path(name).extension() == ".constant"; }
  void ReadImageInformation() override {
    SetNumberOfDimensions(3);
    for (unsigned axis = 0; axis < 3; ++axis) {
      SetDimensions(axis, 2 + axis);
      SetSpacing(axis, 0.5 * (axis + 1));
      SetOrigin(axis, 10.0 * axis);
      std::vector<double> direction(3, 0.0);
      direction[(axis + 1) % 3] = 1;
      SetDirection(axis, direction);
    }
    SetComponentType(itk::IOComponentEnum::SHORT);
  }
  void Read(void* buffer) override {
    std::fill_n(static_cast<int16_t*>(buffer), GetImageSizeInPixels(), int16_t{42});
  }
  bool CanWriteFile(const char*) override { return false; }
  void WriteImageInformation() override {}
  void Write(const void*) override {}
};

class ConstantFactory : public itk::ObjectFactoryBase {
 public:
  using Self = ConstantFactory;
  using Superclass = itk::ObjectFactoryBase;
  using Pointer = itk::SmartPointer<Self>;
  itkFactorylessNewMacro(Self);
  itkTypeMacro(ConstantFactory, itk::ObjectFactoryBase);
  const char* GetITKSourceVersion() const override { return ITK_SOURCE_VERSION; }
  const char* GetDescription() const override { return "a reader of the test"; }

 protected:
  ConstantFactory() {
    RegisterOverride("itkImageIOBase", "ConstantImageIO", "test", true,
                     itk::CreateObjectFunction<ConstantImageIO>::New());
  }
};

TEST(ItkReader, ReadVolumeAsksTheFactory) {
  const fs::path folder = TemporaryFolder();
  const fs::path path = folder / "image.constant";
  Spill(path, "nothing that any format of ours knows \x01\x02");
  test::ExpectError([&] { ReadVolume(path); }, {"image.constant"});
  const ConstantFactory::Pointer factory = ConstantFactory::New();
  itk::ObjectFactoryBase::RegisterFactory(factory);
  const Volume volume = ReadVolume(path);
  itk::ObjectFactoryBase::UnRegisterFactory(factory);
  EXPECT_EQ(volume.geometry.size, (std::array<int64_t, 3>{2, 3, 4}));
  EXPECT_EQ(volume.geometry.spacing, (std::array<double, 3>{0.5, 1, 1.5}));
  EXPECT_EQ(volume.geometry.direction, (std::array<double, 9>{0, 0, 1, 1, 0, 0, 0, 1, 0}));
  EXPECT_EQ(volume.As<int16_t>()[23], 42);
}

TEST(ItkReader, ExampleProgram) {
  const fs::path folder = TemporaryFolder();
  const fs::path image = folder / "image.nii.gz";
  const fs::path copy = folder / "copy.nrrd";
  WriteVolume(Ramp(Oblique(), VoxelType::kUInt16), image);
  const std::string program = AVOCET_READ_WITH_ITK;
  const fs::path out = folder / "out.txt";
  ASSERT_EQ(std::system((program + " '" + image.string() + "' '" + copy.string() + "' > '" +
                         out.string() + "'")
                            .c_str()),
            0);
  EXPECT_NE(Slurp(out).find("size [5, 4, 3]"), std::string::npos) << Slurp(out);
  EXPECT_EQ(ReadVolume(copy).ToFloat(), ReadVolume(image).ToFloat());
  const int refused =
      std::system((program + " '" + folder.string() + "/none.nii' 2>/dev/null").c_str());
  EXPECT_EQ(WEXITSTATUS(refused), 3);
}

}  // namespace
}  // namespace avocet::io
