// SPDX-License-Identifier: Apache-2.0
// The wall around the codecs: one compressed frame in, samples out. JPEG and JPEG-LS are DCMTK's,
// JPEG 2000 is OpenJPEG's. GDCM would serve all three, but Debian's is built with its assertions
// on, and one that fails ends the process.
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <dcmtk/oflog/oflog.h>
#include <openjpeg.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>

#include "io/dicom_instance.h"

namespace avocet::io::dicom {
namespace {

struct CodedSize {
  bool known = false;
  bool jpeg2000 = false;
  bool jpeg_ls = false;
  uint64_t rows = 0, columns = 0, components = 0, precision = 0;
  uint64_t tiles = 1;  // of JPEG 2000
};

// The picture's size from the frame header: JPEG (T.81 B.2.2), JPEG-LS (T.87 C.2.2), JPEG 2000
// (T.800 A.5.1). The codecs trust it, so it is compared with Rows and Columns first.
CodedSize ReadCodedSize(const std::string& packed) {
  CodedSize size;
  const auto* b = reinterpret_cast<const unsigned char*>(packed.data());
  const auto u16 = [&](size_t at) { return static_cast<uint64_t>(b[at] << 8 | b[at + 1]); };
  const auto u32 = [&](size_t at) { return u16(at) << 16 | u16(at + 2); };
  size_t codestream = packed.npos;
  if (packed.compare(0, 4, "\xff\x4f\xff\x51") == 0) {
    codestream = 0;
  } else if (packed.size() > 12 && packed.compare(4, 4, "jP  ") == 0) {
    codestream = packed.find("\xff\x4f\xff\x51");
  }
  if (codestream != packed.npos) {
    size.jpeg2000 = true;
    if (packed.size() - codestream < 44) return size;
    const size_t s = codestream + 4;  // Lsiz, Rsiz, Xsiz, Ysiz, XOsiz, YOsiz, ...
    const uint64_t x = u32(s + 4), y = u32(s + 8), x0 = u32(s + 12), y0 = u32(s + 16);
    if (x <= x0 || y <= y0) return size;
    size.columns = x - x0;
    size.rows = y - y0;
    size.components = u16(s + 36);
    size.precision = (b[s + 38] & 0x7f) + 1u;
    // XTsiz, YTsiz, XTOsiz, YTOsiz.
    const uint64_t tile_x = u32(s + 20), tile_y = u32(s + 24);
    const uint64_t tile_x0 = u32(s + 28), tile_y0 = u32(s + 32);
    if (tile_x == 0 || tile_y == 0 || tile_x0 > x0 || tile_y0 > y0) return size;
    size.tiles = ((x - tile_x0 + tile_x - 1) / tile_x) * ((y - tile_y0 + tile_y - 1) / tile_y);
    size.known = true;
    return size;
  }
  if (packed.size() < 4 || b[0] != 0xff || b[1] != 0xd8) return size;
  size_t at = 2;
  while (packed.size() - at >= 4) {
    if (b[at] != 0xff) return size;
    const unsigned marker = b[at + 1];
    if (marker == 0xff) {  // fill byte
      ++at;
      continue;
    }
    // What has no length (TEM, restarts, the ends, reserved markers) does not belong before a
    // frame; DCMTK 3.6.7, which looks for the frame header itself, never gets past TEM.
    if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd9)) return size;
    const uint64_t length = u16(at + 2);
    const bool frame =
        (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) ||
        marker == 0xf7;
    if (frame) {
      if (packed.size() - at < 10) return size;
      size.jpeg_ls = marker == 0xf7;
      size.precision = b[at + 4];
      size.rows = u16(at + 5);
      size.columns = u16(at + 7);
      size.components = b[at + 9];
      size.known = true;
      return size;
    }
    if (marker == 0xda || length < 2 || length + 2 > packed.size() - at) return size;
    at += 2 + length;
  }
  return size;
}

std::string Wrong(const Instance& instance, const CodedSize& size, uint64_t packed_bytes) {
  const PixelFormat& f = instance.format;
  if (!size.known) {
    return "its compressed pixel data are no JPEG, JPEG-LS or JPEG 2000 picture (transfer syntax " +
           instance.transfer_syntax.substr(0, 64) + ")";
  }
  if (size.rows != static_cast<uint64_t>(f.rows) ||
      size.columns != static_cast<uint64_t>(f.columns) ||
      size.components != static_cast<uint64_t>(f.samples)) {
    return "its compressed picture is " + std::to_string(size.columns) + " x " +
           std::to_string(size.rows) + " with " + std::to_string(size.components) +
           " samples, the header says " + std::to_string(f.columns) + " x " +
           std::to_string(f.rows) + " with " + std::to_string(f.samples);
  }
  // OpenJPEG takes some kB for each tile before it sees one; a tile has a header of 14 bytes.
  if (size.tiles > packed_bytes / 14 + 1) {
    return "its compressed picture claims " + std::to_string(size.tiles) + " tiles in " +
           std::to_string(packed_bytes) + " bytes";
  }
  // Pictures of nothing pack well: 1 : 10000 is let pass, and any claim below 64 million samples.
  const uint64_t samples = size.rows * size.columns * size.components;
  if (samples > uint64_t{1} << 26 && samples / 10000 > packed_bytes) {
    return "its compressed picture claims " + std::to_string(size.columns) + " x " +
           std::to_string(size.rows) + " pixels in " + std::to_string(packed_bytes) + " bytes";
  }
  const uint64_t allocated = static_cast<uint64_t>(f.allocated);
  if (size.precision < 1 || size.precision > allocated ||
      (allocated > 8 && size.precision <= 8 && size.precision < static_cast<uint64_t>(f.stored) &&
       !size.jpeg2000)) {
    return "its compressed picture has " + std::to_string(size.precision) +
           " bits, the header says " + std::to_string(f.stored);
  }
  return "";
}

// OpenJPEG reads through these from a block of memory.
struct Memory {
  const std::string* bytes;
  size_t at = 0;
};

OPJ_SIZE_T ReadMemory(void* to, OPJ_SIZE_T count, void* user) {
  auto* memory = static_cast<Memory*>(user);
  const size_t left = memory->bytes->size() - memory->at;
  if (left == 0) return static_cast<OPJ_SIZE_T>(-1);
  count = std::min<size_t>(count, left);
  std::memcpy(to, memory->bytes->data() + memory->at, count);
  memory->at += count;
  return count;
}

OPJ_OFF_T SkipMemory(OPJ_OFF_T count, void* user) {
  auto* memory = static_cast<Memory*>(user);
  if (count < 0) return -1;
  const auto skipped =
      std::min<uint64_t>(static_cast<uint64_t>(count), memory->bytes->size() - memory->at);
  memory->at += skipped;
  return static_cast<OPJ_OFF_T>(skipped);
}

OPJ_BOOL SeekMemory(OPJ_OFF_T to, void* user) {
  auto* memory = static_cast<Memory*>(user);
  if (to < 0 || static_cast<uint64_t>(to) > memory->bytes->size()) return OPJ_FALSE;
  memory->at = static_cast<size_t>(to);
  return OPJ_TRUE;
}

template <typename T>
void CopyPlanes(const opj_image_t& image, std::vector<std::byte>& out) {
  const size_t pixels = static_cast<size_t>(image.comps[0].w) * image.comps[0].h;
  for (size_t c = 0; c < image.numcomps; ++c) {
    for (size_t i = 0; i < pixels; ++i) {
      const T value = static_cast<T>(image.comps[c].data[i]);
      std::memcpy(out.data() + (i * image.numcomps + c) * sizeof(T), &value, sizeof(T));
    }
  }
}

bool DecodeJpeg2000(const PixelFormat& f, const std::string& packed, std::vector<std::byte>& out) {
  const bool bare = packed.compare(0, 2, "\xff\x4f") == 0;
  const std::unique_ptr<opj_codec_t, decltype(&opj_destroy_codec)> codec(
      opj_create_decompress(bare ? OPJ_CODEC_J2K : OPJ_CODEC_JP2), opj_destroy_codec);
  const std::unique_ptr<opj_stream_t, decltype(&opj_stream_destroy)> stream(
      opj_stream_create(size_t{1} << 16, OPJ_TRUE), opj_stream_destroy);
  if (!codec || !stream) return false;
  Memory memory{&packed};
  opj_stream_set_user_data(stream.get(), &memory, nullptr);
  opj_stream_set_user_data_length(stream.get(), packed.size());
  opj_stream_set_read_function(stream.get(), ReadMemory);
  opj_stream_set_skip_function(stream.get(), SkipMemory);
  opj_stream_set_seek_function(stream.get(), SeekMemory);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  opj_image_t* raw = nullptr;
  if (!opj_setup_decoder(codec.get(), &parameters) ||
      !opj_decoder_set_strict_mode(codec.get(), OPJ_TRUE)) {
    return false;
  }
  const bool read = opj_read_header(stream.get(), codec.get(), &raw);
  const std::unique_ptr<opj_image_t, decltype(&opj_image_destroy)> image(raw, opj_image_destroy);
  if (!read || !image || image->numcomps != static_cast<uint32_t>(f.samples)) return false;
  if (!opj_decode(codec.get(), stream.get(), image.get())) return false;
  for (uint32_t c = 0; c < image->numcomps; ++c) {
    const opj_image_comp_t& plane = image->comps[c];
    if (plane.w != static_cast<uint32_t>(f.columns) || plane.h != static_cast<uint32_t>(f.rows) ||
        plane.data == nullptr) {
      return false;
    }
  }
  if (f.allocated == 8) {
    CopyPlanes<uint8_t>(*image, out);
  } else {
    CopyPlanes<uint16_t>(*image, out);
  }
  return true;
}

void PrepareDcmtk() {
  static std::once_flag once;
  std::call_once(once, [] {
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);  // its messages would go to stderr
    DJDecoderRegistration::registerCodecs(EDC_photometricInterpretation, EUC_never,
                                          EPC_colorByPixel);
    DJLSDecoderRegistration::registerCodecs(EJLSUC_never, EJLSPC_colorByPixel);
  });
}

// JPEG and JPEG-LS. DCMTK decodes within a data set, so one is made with what the codec asks for.
bool DecodeJpeg(const Instance& instance, const std::string& packed, std::vector<std::byte>& out,
                bool* ybr) {
  PrepareDcmtk();
  const PixelFormat& f = instance.format;
  const DcmXfer syntax(instance.transfer_syntax.c_str());
  if (!syntax.isEncapsulated()) return false;
  DcmDataset data;
  const auto put = [&](const DcmTagKey& tag, int value) {
    return data.putAndInsertUint16(DcmTag(tag, EVR_US), static_cast<Uint16>(value)).good();
  };
  const std::string photometric = f.palette.empty() ? f.photometric : "MONOCHROME2";
  if (!put(DCM_SamplesPerPixel, f.samples) || !put(DCM_Rows, f.rows) ||
      !put(DCM_Columns, f.columns) || !put(DCM_BitsAllocated, f.allocated) ||
      !put(DCM_BitsStored, f.stored) || !put(DCM_HighBit, f.high_bit) ||
      !put(DCM_PixelRepresentation, f.is_signed ? 1 : 0) ||
      (f.samples > 1 && !put(DCM_PlanarConfiguration, 0)) ||
      data.putAndInsertString(DcmTag(DCM_PhotometricInterpretation, EVR_CS), photometric.c_str())
          .bad()) {
    return false;
  }
  // PS3.5: a fragment has an even length.
  std::string even = packed;
  if (even.size() % 2 != 0) even += '\0';
  auto sequence = std::make_unique<DcmPixelSequence>(DcmTag(DCM_PixelData, EVR_OB));
  auto table = std::make_unique<DcmPixelItem>(DcmTag(DCM_Item, EVR_OB));
  if (sequence->insert(table.get()).bad()) return false;
  table.release();
  auto item = std::make_unique<DcmPixelItem>(DcmTag(DCM_Item, EVR_OB));
  if (item->putUint8Array(reinterpret_cast<const Uint8*>(even.data()),
                          static_cast<unsigned long>(even.size()))
          .bad() ||
      sequence->insert(item.get()).bad()) {
    return false;
  }
  item.release();
  DcmPixelData pixels(DcmTag(DCM_PixelData, EVR_OB));
  pixels.putOriginalRepresentation(syntax.getXfer(), nullptr, sequence.release());
  Uint32 fragment = 0;
  OFString model;
  const size_t wanted = out.size();
  out.resize(wanted + wanted % 2);
  const OFCondition condition = pixels.getUncompressedFrame(
      &data, 0, fragment, out.data(), static_cast<Uint32>(out.size()), model, nullptr);
  out.resize(wanted);
  if (condition.bad()) return false;
  *ybr = model == "YBR_FULL" || model == "YBR_FULL_422";
  return true;
}

}  // namespace

std::string DecodeCompressed(const Instance& instance, const std::string& packed,
                             std::vector<std::byte>& out, bool* ybr) {
  const PixelFormat& f = instance.format;
  *ybr = false;
  if (f.allocated != 8 && f.allocated != 16) {
    return "it has compressed samples of " + std::to_string(f.allocated) +
           " bits; 8 and 16 are read";
  }
  const CodedSize coded = ReadCodedSize(packed);
  if (std::string wrong = Wrong(instance, coded, packed.size()); !wrong.empty()) return wrong;
  if (packed.size() >= UINT32_MAX) return "a compressed frame of it is over 4 GB";
  out.assign(static_cast<size_t>(f.rows) * f.columns * f.samples * (f.allocated / 8), std::byte{0});
  try {
    if (coded.jpeg2000 ? DecodeJpeg2000(f, packed, out) : DecodeJpeg(instance, packed, out, ybr)) {
      return "";
    }
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception&) {
  }
  return "its compressed pixel data could not be decoded";
}

}  // namespace avocet::io::dicom
