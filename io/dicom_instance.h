// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/dicom_dataset.h"
#include "io/volume.h"

namespace avocet::io::dicom {

// What PS3.3 C.7.6.3 says of the samples. All frames of a file share it.
struct PixelFormat {
  int rows = 0, columns = 0;
  int samples = 1;
  int allocated = 16, stored = 16, high_bit = 15;
  bool is_signed = false;
  bool planar = false;  // PlanarConfiguration 1: RRR...GGG...BBB
  PixelLocation::Kind kind = PixelLocation::Kind::kInteger;
  std::string photometric;  // "MONOCHROME2"
  // Palette colour: first mapped value, and one row of R, G, B per entry, 8 bits each.
  int palette_first = 0;
  std::vector<std::array<uint8_t, 3>> palette;

  int components() const { return palette.empty() ? samples : 3; }  // of a decoded voxel
  VoxelType type() const;                                           // of a decoded voxel
  bool SameValues(const PixelFormat& other) const;
};

// Where one slice lies and what tells it from others at the same place.
struct FrameInfo {
  int frame = 0;  // from 0 in the file
  int tile = -1;  // of a mosaic
  bool has_position = false, has_orientation = false, has_spacing = false;
  std::array<double, 3> position{0, 0, 0};
  std::array<double, 6> cosines{1, 0, 0, 0, 1, 0};  // along a row, along a column; unit length
  std::array<double, 6> stated_cosines{1, 0, 0, 0, 1, 0};  // the same, digits of the header
  std::array<double, 2> spacing{1, 1};  // between columns (i), between rows (j); mm
  // The spacing is one at the detector or on a film, magnified against the patient by an amount
  // that is not stated.
  bool magnified = false;
  double slope = 1, inter = 0;
  std::string problem;  // an attribute of these that is stated and no number; "" when none is
  double slice_spacing = 0, thickness = 0;  // as stated; 0 when not. For single slices only.
  // Each in words ("echo 2"), "" when not stated; the order is the order of splitting.
  enum Key { kStack, kImageType, kEcho, kBValue, kTemporal, kAcquisition, kTrigger, kKeys };
  std::array<std::string, kKeys> keys;
  double order = 0;  // for repeats: acquisition time in s, or the instance number
};

struct Mosaic {
  int tiles = 0;
  int across = 0;  // tiles in a row of tiles
  int rows = 0, columns = 0;
};

// One image file: what the header says, without its data set.
struct Instance {
  std::filesystem::path path;
  uint64_t bytes = 0;
  std::string patient_name, patient_id;  // never in notes or errors
  std::string study_uid, study_date, study_description;
  std::string series_uid, series_description, modality;
  int64_t series_number = -1, instance_number = -1;
  std::string sop_class, sop_uid, frame_of_reference;
  std::string transfer_syntax;
  bool big_endian = false;
  bool localizer = false;
  bool has_padding = false;
  double padding = 0;
  std::string problem;  // why it holds no image that can be read; "" when it does
  PixelFormat format;
  PixelLocation pixels;
  int64_t frame_count = 0;     // in the file, mosaic tiles not counted
  bool multi_frame = false;    // frames have numbers, even where there is but one
  Mosaic mosaic;               // tiles == 0: none
  bool order_assumed = false;  // of the tiles: towards which end they run is not stated
  std::vector<FrameInfo> frames;
  std::vector<std::string> notes;
};

// Interprets a header. Throws IoError naming the file when the file is no DICOM or damaged; an
// intact file without a usable image comes back with `problem`.
std::shared_ptr<const Instance> ReadInstance(const std::filesystem::path& path);

// The palette of a PALETTE COLOR image, plain or segmented, as 8-bit RGB in `format`. `problem`
// says why there is none.
void ReadPalette(const Dataset& data, PixelFormat& format, std::string& problem);

// The same for a file that is parsed already.
std::shared_ptr<const Instance> InterpretFile(const ParsedFile& file,
                                              const std::filesystem::path& path);

// What `avocet info` states of a header: name and value of attributes that tell how the image was
// made and how its values are to be read. Nothing that names or dates a person, no free text.
std::vector<std::pair<std::string, std::string>> FieldsOf(const ParsedFile& file);

// Siemens mosaics: replaces the one frame by one for each tile, with the position of its own.
// Sets `problem` when the geometry is not all there.
void UnpackMosaic(const Dataset& data, Instance& instance);

// One decoded frame (mosaic: the whole one) as rows x columns x components of format.type(), host
// byte order, bits outside BitsStored cleared. `dirty` is set when there were any. Throws IoError
// naming the file.
void DecodeFrame(const Instance& instance, const ByteStore& store, int frame,
                 std::vector<std::byte>& out, bool* dirty);

// Decodes `packed`, one frame of JPEG, JPEG-LS or JPEG 2000; `out` is rows x columns x samples x
// allocated / 8 bytes, interleaved, and `ybr` says that its colours are YBR. Returns what is wrong,
// "" when it was decoded.
std::string DecodeCompressed(const Instance& instance, const std::string& packed,
                             std::vector<std::byte>& out, bool* ybr);

// PS3.5 annex G. Planes are written interleaved, host byte order.
std::string DecodeRle(const PixelFormat& format, const std::string& packed,
                      std::vector<std::byte>& out);

}  // namespace avocet::io::dicom
