// SPDX-License-Identifier: Apache-2.0
// RTSTRUCT: contours read, and filled on a small grid.
#include "io/rtstruct.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace avocet;
  const auto path =
      fuzz::WriteInput("x.dcm", std::string_view(reinterpret_cast<const char*>(data), size));
  io::RtStruct structures;
  if (!fuzz::Attempt([&] { structures = io::ReadRtStruct(path); })) return 0;
  // Around the contours of the two seeds.
  io::Geometry small, wide;
  small.size = {23, 38, 3};
  small.spacing = {0.7, 0.7, 2.5};
  small.origin = {46.4649, 5.01881, -177.75};
  wide.size = {60, 60, 10};
  wide.spacing = {10, 10, 10};
  wide.origin = {-300, -300, -250};
  for (const io::Geometry& grid : {small, wide}) {
    try {
      const io::RtMask mask = io::RasterizeRois(structures, grid);
      if (mask.volume_of_roi.size() != structures.rois.size()) fuzz::Abort("an ROI is lost");
      for (const io::Volume& volume : mask.volumes) {
        fuzz::CheckVolume(volume, 2 * static_cast<uint64_t>(grid.VoxelCount()));
      }
    } catch (const IoError& error) {  // knows no file
      fuzz::CheckMessage(error.what(), "");
    }
  }
  return 0;
}
