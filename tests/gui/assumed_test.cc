// SPDX-License-Identifier: Apache-2.0
// What files do not state, from the reader to the screen: the field of the volume, the "?" of the
// letters, the unit of the ruler and whether volumes are known, for each format and kind of DICOM,
// and again for what is written of it.
#include <gtest/gtest.h>
#include <png.h>
#include <tiffio.h>

#include <cstring>
#include <fstream>
#include <functional>

#include "app/gui/document.h"
#include "app/gui/measurement.h"
#include "io/nifti_layout.h"
#include "io/volume_io.h"
#include "tests/io/dicom_builder.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::gui {
namespace {

namespace fs = std::filesystem;
using test::DicomBuilder;
using test::Spill;

struct Kind {
  const char* name;
  io::Assumptions assumed;
  std::function<void(const fs::path&)> write;
};

constexpr bool kYes = true, kNo = false;

// A NIfTI-1 file of 6 x 5 x `slices` uint8 voxels.
void Nifti(const fs::path& path, int slices, const std::function<void(nifti_1_header&)>& change) {
  nifti_1_header h = {};
  h.sizeof_hdr = 348;
  h.dim[0] = 3;
  h.dim[1] = 6;
  h.dim[2] = 5;
  h.dim[3] = static_cast<int16_t>(slices);
  for (int i = 4; i < 8; ++i) h.dim[i] = 1;
  h.pixdim[0] = 1;
  h.pixdim[1] = h.pixdim[2] = 0.5F;
  h.pixdim[3] = 3;
  h.datatype = NIFTI_TYPE_UINT8;
  h.bitpix = 8;
  h.vox_offset = 352;
  h.xyzt_units = NIFTI_UNITS_MM;
  std::memcpy(h.magic, "n+1", 4);
  change(h);
  Spill(path, std::string(reinterpret_cast<const char*>(&h), sizeof h) + std::string(4, '\0') +
                  std::string(static_cast<size_t>(30 * slices), '\5'));
}

void Sform(nifti_1_header& h) {
  h.sform_code = 1;
  h.srow_x[0] = -0.5F;
  h.srow_y[1] = -0.5F;
  h.srow_z[2] = 3;
}

void Text(const fs::path& path, const std::string& header, size_t voxels) {
  Spill(path, header + std::string(voxels, '\7'));
}

std::string Nrrd(const std::string& geometry) {
  return "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 3 2\nencoding: raw\n" + geometry + "\n";
}

std::string Meta(const std::string& geometry, bool slices = true) {
  return std::string("ObjectType = Image\nNDims = ") + (slices ? "3" : "2") + "\n" + geometry +
         "DimSize = 4 3" + (slices ? " 2" : "") +
         "\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n";
}

void Tiff(const fs::path& path, bool calibrated) {
  TIFF* tiff = TIFFOpen(path.c_str(), "w");
  ASSERT_NE(tiff, nullptr);
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, 8);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, 4);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  if (calibrated) {
    TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, "ImageJ=1.53\nunit=mm\n");
    TIFFSetField(tiff, TIFFTAG_XRESOLUTION, 4.0);
    TIFFSetField(tiff, TIFFTAG_YRESOLUTION, 4.0);
  }
  for (int y = 0; y < 4; ++y) {
    char row[9] = "abcdefgh";
    TIFFWriteScanline(tiff, row, static_cast<uint32_t>(y), 0);
  }
  TIFFClose(tiff);
}

void Png(const fs::path& path) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = 8;
  image.height = 4;
  image.format = PNG_FORMAT_GRAY;
  const std::string pixels(32, 'a');
  ASSERT_TRUE(png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 8, nullptr));
}

std::string Npy() {
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 4), }";
  header.resize(118, ' ');
  header.back() = '\n';
  return std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + std::string(24, '\3');
}

// One slice, as `change` makes it.
std::function<void(const fs::path&)> Slice(std::function<void(DicomBuilder&)> change) {
  return [change](const fs::path& path) {
    DicomBuilder slice(8, 6, {1, 2, 3}, 4);
    change(slice);
    slice.Write(path);
  };
}

void NoPlace(DicomBuilder& slice) {
  slice.Erase(0x00200032);
  slice.Erase(0x00200037);
}

void Class(DicomBuilder& slice, const char* modality, const char* sop_class) {
  slice.Text(0x00080060, "CS", modality);
  slice.Text(0x00080016, "UI", sop_class);
}

std::string Double(double value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

// Regions of an ultrasound picture, of these deltas (cm) and units.
void Regions(DicomBuilder& slice, const std::vector<std::pair<double, uint16_t>>& regions) {
  std::string items;
  for (const auto& [delta, unit] : regions) {
    const auto us = [](uint16_t value) {
      return std::string(reinterpret_cast<const char*>(&value), 2);
    };
    items += DicomBuilder::Item(DicomBuilder::Element(0x00186012, {"US", us(1)}) +
                                DicomBuilder::Element(0x00186024, {"US", us(unit)}) +
                                DicomBuilder::Element(0x00186026, {"US", us(unit)}) +
                                DicomBuilder::Element(0x0018602c, {"FD", Double(delta)}) +
                                DicomBuilder::Element(0x0018602e, {"FD", Double(delta)}));
  }
  slice.Raw(0x00186011, "SQ", items);
}

void Ultrasound(DicomBuilder& slice) {
  NoPlace(slice);
  slice.Erase(0x00280030);
  Class(slice, "US", "1.2.840.10008.5.1.4.1.1.6.1");
}

void Radiograph(DicomBuilder& slice) {
  NoPlace(slice);
  Class(slice, "DX", "1.2.840.10008.5.1.4.1.1.1.1");
}

void Frames(DicomBuilder& slice, int frames) {
  slice.Text(0x00280008, "IS", std::to_string(frames));
  slice.Pixels(std::vector<int16_t>(static_cast<size_t>(48 * frames), 9));
}

// A mosaic of four tiles of 4 x 3 without the CSA header's normal.
void Mosaic(DicomBuilder& slice) {
  slice.Text(0x00080008, "CS", "ORIGINAL\\PRIMARY\\M\\MOSAIC");
  slice.Text(0x00080060, "CS", "MR");
  slice.Text(0x00190010, "LO", "SIEMENS MR HEADER");
  slice.UInt16(0x0019100a, 4);
  slice.Text(0x00180088, "DS", "3");
}

void Series(const fs::path& folder) {
  fs::create_directories(folder);
  for (int k = 0; k < 3; ++k) {
    DicomBuilder slice(8, 6, {1, 2, 3.0 * k}, 4);
    slice.Write(folder / ("s" + std::to_string(k)));
  }
}

std::vector<Kind> Kinds() {
  const char* lps = "space: left-posterior-superior\n";
  const char* directions = "space directions: (0.5,0,0) (0,0.5,0) (0,0,3)\nspace origin: (0,0,0)\n";
  return {
      {"sform.nii", {}, [](auto& p) { Nifti(p, 4, Sform); }},
      {"sform_no_unit.nii",  // nibabel's own way to write a file
       {},
       [](auto& p) {
         Nifti(p, 4, [](auto& h) {
           Sform(h);
           h.xyzt_units = 0;
         });
       }},
      {"sform_no_pixdim.nii",
       {},
       [](auto& p) {
         Nifti(p, 4, [](auto& h) {
           Sform(h);
           h.pixdim[1] = h.pixdim[2] = h.pixdim[3] = 0;
         });
       }},
      {"no_space.nii", {kYes, kNo, kNo}, [](auto& p) { Nifti(p, 4, [](auto&) {}); }},
      {"no_space_no_unit.nii",
       {kYes, kYes, kYes},
       [](auto& p) { Nifti(p, 4, [](auto& h) { h.xyzt_units = 0; }); }},
      {"no_space_no_slice_distance.nii",
       {kYes, kNo, kYes},
       [](auto& p) { Nifti(p, 4, [](auto& h) { h.pixdim[3] = 0; }); }},
      {"qform_no_pixdim.nii",
       {kNo, kYes, kYes},
       [](auto& p) {
         Nifti(p, 4, [](auto& h) {
           h.qform_code = 1;
           h.pixdim[1] = h.pixdim[2] = h.pixdim[3] = 0;
         });
       }},
      {"analyze.hdr",
       {kYes, kNo, kNo},
       [](auto& p) {
         Nifti(p, 4, [](auto& h) {
           std::memset(h.magic, 0, 4);
           h.vox_offset = 0;
         });
         fs::resize_file(p, 348);
         Spill(fs::path(p).replace_extension(".img"), std::string(120, '\5'));
       }},
      {"lps.nrrd", {}, [=](auto& p) { Text(p, Nrrd(std::string(lps) + directions), 24); }},
      {"no_name.nrrd",
       {kYes, kNo, kNo},
       [=](auto& p) { Text(p, Nrrd(std::string("space dimension: 3\n") + directions), 24); }},
      {"scanner.nrrd",
       {kYes, kNo, kNo},
       [=](auto& p) { Text(p, Nrrd(std::string("space: scanner-xyz\n") + directions), 24); }},
      {"spacings.nrrd",
       {kYes, kNo, kNo},
       [](auto& p) { Text(p, Nrrd("spacings: 0.5 0.5 3\n"), 24); }},
      {"no_slice_distance.nrrd",
       {kYes, kNo, kYes},
       [](auto& p) { Text(p, Nrrd("spacings: 0.5 0.5 nan\n"), 24); }},
      {"nothing.nrrd", {kYes, kYes, kYes}, [](auto& p) { Text(p, Nrrd(""), 24); }},
      {"all.mha",
       {},
       [](auto& p) {
         Text(p, Meta("TransformMatrix = 1 0 0 0 1 0 0 0 1\nElementSpacing = 0.5 0.5 3\n"), 24);
       }},
      {"no_matrix.mha",
       {kYes, kNo, kNo},
       [](auto& p) { Text(p, Meta("ElementSpacing = 0.5 0.5 3\n"), 24); }},
      {"no_spacing.mha",
       {kNo, kYes, kYes},
       [](auto& p) { Text(p, Meta("TransformMatrix = 1 0 0 0 1 0 0 0 1\n"), 24); }},
      {"plane.mha",
       {kNo, kNo, kYes},
       [](auto& p) {
         Text(p, Meta("TransformMatrix = 1 0 0 1\nElementSpacing = 0.5 0.5\n", false), 12);
       }},
      {"grey.png", {kYes, kYes, kYes}, Png},
      {"plain.tif", {kYes, kYes, kYes}, [](auto& p) { Tiff(p, false); }},
      {"imagej.tif", {kYes, kNo, kYes}, [](auto& p) { Tiff(p, true); }},
      {"array.npy", {kYes, kYes, kYes}, [](auto& p) { Spill(p, Npy()); }},
      {"ct_series", {}, Series},
      {"ct_slice.dcm", {kNo, kNo, kYes}, Slice([](auto&) {})},
      {"ct_slice_thick.dcm", {}, Slice([](auto& s) { s.Text(0x00180050, "DS", "5"); })},
      {"multi_frame_no_place.dcm", {kYes, kNo, kYes}, Slice([](auto& s) {
         NoPlace(s);
         Frames(s, 3);
       })},
      {"nm.dcm", {kYes, kNo, kYes}, Slice([](auto& s) {
         NoPlace(s);
         Class(s, "NM", "1.2.840.10008.5.1.4.1.1.20");
         Frames(s, 4);
       })},
      {"mosaic.dcm", {kYes, kNo, kNo}, Slice(Mosaic)},
      {"ultrasound.dcm", {kYes, kYes, kYes}, Slice(Ultrasound)},
      {"ultrasound_regions.dcm", {kYes, kNo, kYes}, Slice([](auto& s) {
         Ultrasound(s);
         Regions(s, {{0.02, 3}, {0.02, 3}});
       })},
      {"ultrasound_and_spectrum.dcm", {kYes, kYes, kYes}, Slice([](auto& s) {
         Ultrasound(s);
         Regions(s, {{0.02, 3}, {0.01, 4}});
       })},
      {"ultrasound_two_scales.dcm", {kYes, kYes, kYes}, Slice([](auto& s) {
         Ultrasound(s);
         Regions(s, {{0.02, 3}, {0.05, 3}});
       })},
      {"secondary_capture.dcm", {kYes, kYes, kYes}, Slice([](auto& s) {
         NoPlace(s);
         s.Erase(0x00280030);
         Class(s, "OT", "1.2.840.10008.5.1.4.1.1.7");
       })},
      {"film.dcm", {kYes, kYes, kYes}, Slice([](auto& s) {
         NoPlace(s);
         s.Erase(0x00280030);
         s.Text(0x00182010, "DS", "0.2\\0.2");
         Class(s, "OT", "1.2.840.10008.5.1.4.1.1.7");
       })},
      {"radiograph.dcm", {kYes, kNo, kYes}, Slice(Radiograph)},
      {"radiograph_detector.dcm", {kYes, kYes, kYes}, Slice([](auto& s) {
         Radiograph(s);
         s.Erase(0x00280030);
         s.Text(0x00181164, "DS", "0.14\\0.14");
       })},
      {"radiograph_uncalibrated.dcm", {kYes, kYes, kYes}, Slice([](auto& s) {
         Radiograph(s);
         s.Text(0x00181164, "DS", "0.75\\0.5");
       })},
      {"radiograph_calibrated.dcm", {kYes, kNo, kYes}, Slice([](auto& s) {
         Radiograph(s);
         s.Text(0x00181164, "DS", "0.75\\0.5");
         s.Text(0x00280a02, "CS", "FIDUCIAL");
       })},
  };
}

void ExpectSame(const io::Assumptions& found, const io::Assumptions& wanted) {
  EXPECT_EQ(found.orientation, wanted.orientation);
  EXPECT_EQ(found.in_plane_size, wanted.in_plane_size);
  EXPECT_EQ(found.slice_distance, wanted.slice_distance);
}

TEST(Assumed, IsAFieldAndIsShown) {
  for (const Kind& kind : Kinds()) {
    SCOPED_TRACE(kind.name);
    const fs::path path = test::TemporaryFolder() / kind.name;
    kind.write(path);
    SilentProgress progress;
    LoadedFile loaded = LoadFile(path, LoadAs::kImage, progress);
    ASSERT_NE(loaded.image, nullptr);
    ExpectSame(loaded.image->volume->assumed, kind.assumed);
    EXPECT_FALSE(loaded.image->volume->resampled);
    EXPECT_EQ(loaded.report[0].find("not stated") != std::string::npos, kind.assumed.Any());
    Document document;
    document.AddImage(std::move(loaded.image));
    const ImageLayer& image = *document.ActiveImage();
    const io::Geometry& g = *document.grid();
    for (const Orientation orientation : kOrientations) {
      const SlicePlane plane = document.Plane(orientation);
      for (const std::string& letter : plane.Letters(image.AssumesOrientation())) {
        EXPECT_EQ(letter.back() == '?', kind.assumed.orientation) << letter;
      }
      ASSERT_GE(plane.axis, 0);
      const bool pixels =
          kind.assumed.in_plane_size || (plane.axis != 2 && kind.assumed.slice_distance);
      Measurement ruler;
      ruler.points = {g.PhysicalFromIndex({0, 1, 0}), g.PhysicalFromIndex({3, 1, 0})};
      Evaluate(ruler, &image, plane);
      EXPECT_EQ(ruler.unit, pixels ? "px" : "mm");
      EXPECT_NEAR(ruler.value, pixels ? 3 : 3 * g.spacing[0], 1e-9);
      Measurement roi;
      roi.kind = MeasurementKind::kRoi;
      roi.right = plane.right;
      roi.down = plane.down;
      roi.points = {Add(document.cursor(), Add(Scale(plane.right, -1), Scale(plane.down, -1))),
                    Add(document.cursor(), Add(plane.right, plane.down))};
      Evaluate(roi, &image, plane);
      EXPECT_EQ(roi.Summary().find("mm") == std::string::npos, pixels) << roi.Summary();
    }
    LabelLayer labels;
    labels.header = image.volume;
    EXPECT_EQ(labels.KnowsVolume(), !kind.assumed.in_plane_size && !kind.assumed.slice_distance);
  }
}

// What is written says no more than what was read, and lies in the same place.
TEST(Assumed, IsWrittenAndReadBack) {
  for (const Kind& kind : Kinds()) {
    const fs::path path = test::TemporaryFolder() / kind.name;
    kind.write(path);
    const io::Volume source = io::ReadVolume(path);
    const io::Volume mask = io::ZerosLike(source, io::VoxelType::kUInt8);
    for (const char* name : {"copy.nii.gz", "copy.hdr", "copy.nrrd", "copy.nhdr", "copy.mha"}) {
      for (const io::Volume* volume : {&source, &mask}) {
        SCOPED_TRACE(std::string(kind.name) + " " + name + (volume == &mask ? " mask" : ""));
        const fs::path copy = test::TemporaryFolder() / name;
        io::WriteVolume(*volume, copy);
        const io::Volume again = io::ReadVolume(copy);
        ExpectSame(again.assumed, kind.assumed);
        EXPECT_LT(io::MaxCornerDistance(again.geometry, source.geometry), 1e-4);
      }
    }
  }
}

// In terms of NIfTI itself, for other programs.
TEST(Assumed, NiftiClaimsNoSpaceAndNoUnit) {
  const fs::path path = test::TemporaryFolder() / "grey.png";
  Png(path);
  const fs::path copy = test::TemporaryFolder() / "grey.nii";
  io::WriteVolume(io::ReadVolume(path), copy);
  const auto header = [&] {
    nifti_1_header h;
    std::ifstream(copy, std::ios::binary).read(reinterpret_cast<char*>(&h), sizeof h);
    return h;
  };
  EXPECT_EQ(header().sform_code, 0);
  EXPECT_EQ(header().qform_code, 0);
  EXPECT_EQ(header().xyzt_units & 7, 0);
  // Another program states a space and a unit: they hold.
  nifti_1_header h = header();
  h.sform_code = 1;
  h.xyzt_units = NIFTI_UNITS_MM;
  std::fstream file(copy, std::ios::binary | std::ios::in | std::ios::out);
  file.write(reinterpret_cast<const char*>(&h), sizeof h);
  file.close();
  const io::Volume stated = io::ReadVolume(copy);
  EXPECT_FALSE(stated.assumed.orientation);
  EXPECT_FALSE(stated.assumed.in_plane_size);
}

TEST(Assumed, ScaleBarHasItsUnit) {
  EXPECT_EQ(ScaleBarText(50, true), "50 px");
  EXPECT_EQ(ScaleBarText(50, false), "5 cm");
  EXPECT_EQ(ScaleBarText(5, false), "5 mm");
}

}  // namespace
}  // namespace avocet::gui
