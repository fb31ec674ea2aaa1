// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_pixels.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "app/base/error.h"
#include "io/dcmtk_util.h"
#include "io/dicom_instance.h"

#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void Fail(const fs::path& path, const std::string& what) {
  throw IoError(path.string() + " " + what);
}

uint32_t LittleEndian32(const uint8_t* b) {
  return static_cast<uint32_t>(b[3]) << 24 | b[2] << 16 | b[1] << 8 | b[0];
}

// One segment of an RLE frame (PS3.5 Annex G) into at most `capacity` bytes; `planes` segments, one
// a byte of a pixel, are expected in the frame.
std::vector<uint8_t> DecodeRle(const std::vector<uint8_t>& packed, size_t planes, size_t plane,
                               size_t capacity, const fs::path& path) {
  if (packed.size() < 64) Fail(path, "has a truncated RLE header");
  const uint32_t segments = LittleEndian32(packed.data());
  const uint32_t offset = LittleEndian32(packed.data() + 4 + 4 * plane);
  if (segments != planes || offset < 64 || offset > packed.size())
    Fail(path, "has a damaged RLE header (a segment for each byte of a pixel is expected)");
  std::vector<uint8_t> bytes;
  size_t at = offset;
  while (at < packed.size() && bytes.size() < capacity) {
    const auto code = static_cast<int8_t>(packed[at++]);
    if (code >= 0) {
      const size_t run =
          std::min({static_cast<size_t>(code) + 1, packed.size() - at, capacity - bytes.size()});
      bytes.insert(bytes.end(), packed.begin() + static_cast<long>(at),
                   packed.begin() + static_cast<long>(at + run));
      at += run;
    } else if (code != -128 && at < packed.size()) {
      const size_t run = std::min(static_cast<size_t>(1 - code), capacity - bytes.size());
      bytes.insert(bytes.end(), run, packed[at++]);
    }
  }
  return bytes;
}

// One frame of Deflated Image Frame Compression (PS3.5 A.4.13): raw deflate, at most `capacity`
// bytes of it.
std::vector<uint8_t> InflateFrame(std::vector<uint8_t> packed, size_t capacity,
                                  const fs::path& path) {
  std::vector<uint8_t> bytes(capacity);
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw IoError("zlib could not be started");
  stream.next_in = packed.data();
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = bytes.data();
  stream.avail_out = static_cast<uInt>(bytes.size());
  const int state = inflate(&stream, Z_FINISH);
  bytes.resize(capacity - stream.avail_out);
  inflateEnd(&stream);
  if (state != Z_STREAM_END && state != Z_BUF_ERROR) Fail(path, "has a damaged deflated frame");
  return bytes;
}

constexpr uint64_t kSomePixels = uint64_t{1} << 26;  // may be claimed by any file

// How compressed frames are unpacked.
enum class Coding { kRle, kDeflated, kPicture };

struct Syntax {
  const char* uid;
  Coding coding;
  bool may_be_lossy;
};
constexpr Syntax kSyntaxes[] = {
    {"1.2.840.10008.1.2.5", Coding::kRle, false},
    {"1.2.840.10008.1.2.8.1", Coding::kDeflated, false},   // Deflated Image Frame Compression
    {"1.2.840.10008.1.2.4.57", Coding::kPicture, false},   // JPEG, lossless, any predictor
    {"1.2.840.10008.1.2.4.70", Coding::kPicture, false},   // JPEG, lossless, first-order
    {"1.2.840.10008.1.2.4.80", Coding::kPicture, false},   // JPEG-LS, lossless
    {"1.2.840.10008.1.2.4.81", Coding::kPicture, true},    // JPEG-LS, near-lossless
    {"1.2.840.10008.1.2.4.90", Coding::kPicture, false},   // JPEG 2000, lossless
    {"1.2.840.10008.1.2.4.91", Coding::kPicture, true},    // JPEG 2000
    {"1.2.840.10008.1.2.4.201", Coding::kPicture, false},  // High-Throughput JPEG 2000, lossless
    {"1.2.840.10008.1.2.4.202", Coding::kPicture, false},  // the same with RPCL order
    {"1.2.840.10008.1.2.4.203", Coding::kPicture, true},   // High-Throughput JPEG 2000
};

std::vector<uint8_t> BytesOf(DcmPixelSequence& fragments, unsigned long index,
                             const fs::path& path) {
  DcmPixelItem* item = nullptr;
  Uint8* raw = nullptr;
  if (fragments.getItem(item, index).bad() || !item) Fail(path, "has a fragment that is missing");
  if (item->getLength() == 0) return {};
  if (item->getUint8Array(raw).bad() || !raw) Fail(path, "has a fragment that cannot be read");
  return {raw, raw + item->getLength()};
}

// The packed frames: each may be cut into fragments (PS3.5 A.4), which the offset table tells
// apart, else the marker with which every picture begins.
std::vector<std::vector<uint8_t>> PackedFrames(DcmPixelSequence& sequence, Coding coding,
                                               size_t frame_count, const fs::path& path) {
  const size_t count = sequence.card() > 0 ? sequence.card() - 1 : 0;
  std::vector<std::vector<uint8_t>> frames;
  if (count == frame_count) {
    for (size_t i = 0; i < count; ++i) frames.push_back(BytesOf(sequence, i + 1, path));
    return frames;
  }
  const std::vector<uint8_t> table = BytesOf(sequence, 0, path);
  std::vector<uint64_t> offsets;
  for (size_t at = 0; at + 4 <= table.size(); at += 4)
    offsets.push_back(LittleEndian32(table.data() + at));
  uint64_t at = 0;  // counts the items with their eight bytes of tag and length
  for (size_t i = 0; i < count; ++i) {
    const std::vector<uint8_t> fragment = BytesOf(sequence, i + 1, path);
    const bool picture =
        fragment.size() > 2 && fragment[0] == 0xff && (fragment[1] == 0xd8 || fragment[1] == 0x4f);
    const bool begins = offsets.size() == frame_count
                            ? frames.size() < frame_count && offsets[frames.size()] == at
                            : coding == Coding::kPicture && picture && frame_count > 1;
    if (frames.empty() || begins) frames.emplace_back();
    frames.back().insert(frames.back().end(), fragment.begin(), fragment.end());
    at += 8 + fragment.size();
  }
  if (frames.size() != frame_count)
    Fail(path, "has " + std::to_string(count) + " fragments for " + std::to_string(frame_count) +
                   " frames");
  return frames;
}

// One frame of JPEG, JPEG-LS or JPEG 2000 as bytes of 8 or 16 bits a pixel.
std::vector<uint8_t> DecodePicture(const std::vector<uint8_t>& packed, const PixelFrames& frames,
                                   const dicom::Instance& instance, const fs::path& path) {
  std::vector<std::byte> out;
  bool ybr = false;
  const std::string wrong =
      dicom::DecodeCompressed(instance, std::string(packed.begin(), packed.end()), out, &ybr);
  if (!wrong.empty()) Fail(path, "cannot be read: " + wrong);
  std::vector<uint8_t> bytes(out.size());
  if (frames.bits == 16) {  // low byte first, whatever this machine does
    for (size_t i = 0; i + 1 < out.size(); i += 2) {
      uint16_t value = 0;
      std::memcpy(&value, out.data() + i, 2);
      bytes[i] = static_cast<uint8_t>(value & 0xff);
      bytes[i + 1] = static_cast<uint8_t>(value >> 8);
    }
  } else {
    std::memcpy(bytes.data(), out.data(), out.size());
  }
  return bytes;
}

void ReadFragments(DcmPixelSequence& sequence, Coding coding, const dicom::Instance& instance,
                   PixelFrames& frames, const fs::path& path) {
  const size_t pixels = frames.pixels_per_frame;
  const size_t packed_size = (pixels + 7) / 8;
  const auto packed_frames = PackedFrames(sequence, coding, frames.frame_count, path);
  // Codecs have no samples of one bit: they unpack a byte to the pixel.
  if (coding == Coding::kPicture && frames.bits == 1) frames.bits = 8;
  // Bits may be run-length coded as they are packed, or a byte to the pixel; the length tells.
  for (size_t i = 0; i < frames.frame_count; ++i) {
    const std::vector<uint8_t>& packed = packed_frames[i];
    std::vector<uint8_t> decoded;
    if (coding == Coding::kPicture) {
      decoded = DecodePicture(packed, frames, instance, path);
    } else if (coding == Coding::kDeflated) {
      decoded = InflateFrame(packed, frames.bits == 16 ? 2 * pixels : pixels, path);
    } else if (frames.bits == 16) {  // the high bytes come first
      const std::vector<uint8_t> high = DecodeRle(packed, 2, 0, pixels, path);
      const std::vector<uint8_t> low = DecodeRle(packed, 2, 1, pixels, path);
      for (size_t p = 0; p < std::min(high.size(), low.size()); ++p) {
        decoded.push_back(low[p]);
        decoded.push_back(high[p]);
      }
    } else {
      decoded = DecodeRle(packed, 1, 0, pixels, path);
    }
    if (i == 0 && frames.bits == 1) {
      if (decoded.size() == pixels && packed_size != pixels) {
        frames.bits = 8;
      } else {
        frames.padded = true;
      }
    }
    const size_t expected =
        frames.bits == 1 ? packed_size : pixels * static_cast<size_t>(frames.bits / 8);
    if (decoded.size() < expected) Fail(path, "has a compressed frame that is too short");
    frames.bytes.insert(frames.bytes.end(), decoded.begin(),
                        decoded.begin() + static_cast<long>(expected));
  }
}

void ReadNative(DcmElement& element, PixelFrames& frames, const fs::path& path) {
  const uint64_t pixels = static_cast<uint64_t>(frames.frame_count) * frames.pixels_per_frame;
  const uint64_t needed = frames.bits == 1 ? (pixels + 7) / 8 : pixels * (frames.bits / 8);
  const uint64_t length = element.getLength();
  if (length < needed)
    Fail(path, "holds " + std::to_string(length) + " bytes of pixels and needs " +
                   std::to_string(needed));
  // 8-bit pixels are bytes, whatever the VR says; words are in the order of this machine by now.
  Uint8* raw8 = nullptr;
  Uint16* raw16 = nullptr;
  if (frames.bits == 16) {
    if (element.getUint16Array(raw16).bad() || !raw16)
      Fail(path, "has pixel data that cannot be read");
    frames.bytes.resize(needed);
    for (uint64_t i = 0; i < pixels; ++i) {
      frames.bytes[2 * i] = static_cast<uint8_t>(raw16[i] & 0xff);
      frames.bytes[2 * i + 1] = static_cast<uint8_t>(raw16[i] >> 8);
    }
  } else if (element.getUint8Array(raw8).good() && raw8) {
    frames.bytes.assign(raw8, raw8 + needed);
  } else if (element.getUint16Array(raw16).good() && raw16) {
    frames.bytes.resize(needed);
    std::memcpy(frames.bytes.data(), raw16, needed);
  } else {
    Fail(path, "has pixel data that cannot be read");
  }
}

}  // namespace

PixelFrames ReadPixelFrames(DcmFileFormat& file, const fs::path& path) {
  DcmDataset& data = *file.getDataset();
  const long rows = dcm::Integer(data, DCM_Rows, 0);
  const long columns = dcm::Integer(data, DCM_Columns, 0);
  const long count = dcm::Integer(data, DCM_NumberOfFrames, 1);
  const long bits = dcm::Integer(data, DCM_BitsAllocated, 0);
  if (rows <= 0 || columns <= 0 || count <= 0) Fail(path, "has no rows, columns or frames");
  if (bits != 1 && bits != 8 && bits != 16)
    Fail(path, "allocates " + std::to_string(bits) + " bits to a pixel; 1, 8 or 16 are expected");
  if (dcm::Integer(data, DCM_SamplesPerPixel, 1) != 1) Fail(path, "has colour pixels");
  PixelFrames frames;
  frames.frame_count = static_cast<size_t>(count);
  frames.pixels_per_frame = static_cast<size_t>(rows * columns);
  frames.bits = static_cast<int>(bits);

  DcmElement* element = nullptr;
  if (data.findAndGetElement(DCM_PixelData, element).bad() || !element)
    Fail(path, "has no pixel data");
  auto* pixel_data = dynamic_cast<DcmPixelData*>(element);
  E_TransferSyntax original = EXS_Unknown;
  const DcmRepresentationParameter* parameter = nullptr;
  if (pixel_data) pixel_data->getOriginalRepresentationKey(original, parameter);
  const std::string uid = dcm::Text(*file.getMetaInfo(), DCM_TransferSyntaxUID);
  const auto* known = std::find_if(std::begin(kSyntaxes), std::end(kSyntaxes),
                                   [&](const Syntax& syntax) { return uid == syntax.uid; });
  // DCMTK 3.6.7 takes transfer syntaxes that it does not know for explicit VR.
  DcmPixelSequence* sequence = nullptr;
  const bool encapsulated =
      pixel_data &&
      pixel_data->getEncapsulatedRepresentation(original, parameter, sequence).good() && sequence;
  if (known == std::end(kSyntaxes)) {
    if (encapsulated || DcmXfer(original).isEncapsulated()) {
      const DcmXfer named(uid.c_str());
      const std::string name =
          named.getXfer() == EXS_Unknown ? "transfer syntax " + uid : named.getXferName();
      Fail(path, "is compressed (" + name +
                     "), which is not read; save the segmentation uncompressed or losslessly "
                     "compressed");
    }
    ReadNative(*element, frames, path);
    return frames;
  }
  if (!encapsulated) {
    ReadNative(*element, frames, path);
    return frames;
  }
  frames.may_be_lossy = known->may_be_lossy;
  // Run lengths grow 64-fold at most (2 bytes to 128), deflate 1032-fold; pictures of nothing pack
  // some 10000-fold.
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  const uint64_t pixels = static_cast<uint64_t>(frames.frame_count) * frames.pixels_per_frame;
  if (error || frames.frame_count > size / 8 ||
      (known->coding == Coding::kPicture ? pixels > kSomePixels && pixels / 10000 > size
                                         : pixels / 8 > 1032 * size))
    Fail(path, "is too short for its frames");
  dicom::Instance instance;
  instance.path = path;
  instance.transfer_syntax = uid;
  instance.format.rows = static_cast<int>(rows);
  instance.format.columns = static_cast<int>(columns);
  instance.format.allocated = bits == 16 ? 16 : 8;
  const long stored = dcm::Integer(data, DCM_BitsStored, bits);
  instance.format.stored = bits == 1 ? 8 : static_cast<int>(std::clamp(stored, 1L, bits));
  instance.format.high_bit = instance.format.stored - 1;
  instance.format.photometric = "MONOCHROME2";
  ReadFragments(*sequence, known->coding, instance, frames, path);
  return frames;
}

}  // namespace avocet::io
