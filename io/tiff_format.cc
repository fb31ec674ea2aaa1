// SPDX-License-Identifier: Apache-2.0
// TIFF 6.0 and BigTIFF through libtiff, from memory: grey, colour and palette pictures of 8 to 64
// bits in strips or tiles; other kinds (YCbCr, 1 to 4 bits) by way of libtiff's RGBA. Pages of one
// size are slices.
#include <tiffio.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "app/base/error.h"
#include "io/format_list.h"
#include "io/header_text.h"
#include "io/picture.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMostPages = 20000;

struct Memory {
  const std::vector<std::byte>* bytes;
  uint64_t at = 0;
};

tmsize_t ReadProc(thandle_t handle, void* out, tmsize_t size) {
  auto* memory = static_cast<Memory*>(handle);
  const uint64_t left =
      memory->bytes->size() - std::min<uint64_t>(memory->at, memory->bytes->size());
  const uint64_t count =
      std::min<uint64_t>(left, static_cast<uint64_t>(std::max<tmsize_t>(size, 0)));
  if (count > 0) std::memcpy(out, memory->bytes->data() + memory->at, count);
  memory->at += count;
  return static_cast<tmsize_t>(count);
}
tmsize_t WriteProc(thandle_t, void*, tmsize_t) { return 0; }
toff_t SeekProc(thandle_t handle, toff_t offset, int whence) {
  auto* memory = static_cast<Memory*>(handle);
  if (whence == SEEK_CUR) offset += memory->at;
  if (whence == SEEK_END) offset += memory->bytes->size();
  memory->at = offset;
  return offset;
}
int CloseProc(thandle_t) { return 0; }
toff_t SizeProc(thandle_t handle) { return static_cast<Memory*>(handle)->bytes->size(); }

int OnError(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  auto* text = static_cast<std::string*>(user);
  if (!text->empty()) return 1;
  char line[160];
  std::vsnprintf(line, sizeof line, format, arguments);
  *text = line;
  for (char& c : *text) {
    if (static_cast<unsigned char>(c) < 32) c = ' ';
  }
  return 1;
}
int OnWarning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

struct Closer {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};

class Decoder {
 public:
  Decoder(const std::vector<std::byte>& bytes, std::string name)
      : bytes_(bytes), memory_{&bytes}, name_(std::move(name)) {}
  Picture Run();

 private:
  struct Page {
    uint32_t width = 0;
    uint32_t height = 0;
    uint16_t channels = 1;
    uint16_t photometric = PHOTOMETRIC_MINISBLACK;
    VoxelType type = VoxelType::kUInt8;
    bool rgba = false;  // through libtiff's converter
    bool operator==(const Page& o) const {
      return width == o.width && height == o.height && channels == o.channels &&
             photometric == o.photometric && type == o.type && rgba == o.rgba;
    }
  };
  [[noreturn]] void Fail(const char* what) const {
    throw IoError("cannot read '" + name_ + "': " + what +
                  (error_.empty() ? "" : " (" + error_ + ")") + "; copy or download it again");
  }
  template <typename T>
  T Tag(uint32_t tag, T missing) {
    T value = missing;
    return TIFFGetFieldDefaulted(tiff_.get(), tag, &value) ? value : missing;
  }
  Page ReadPage();
  void ReadResolution(Picture& picture);
  void ReadPixels(const Page& page, std::byte* out);
  void ReadTiles(const Page& page, std::byte* out, size_t pixel);

  const std::vector<std::byte>& bytes_;
  Memory memory_;
  std::string name_;
  std::string error_;
  std::unique_ptr<TIFF, Closer> tiff_;
};

Decoder::Page Decoder::ReadPage() {
  Page page;
  page.width = Tag<uint32_t>(TIFFTAG_IMAGEWIDTH, 0);
  page.height = Tag<uint32_t>(TIFFTAG_IMAGELENGTH, 0);
  page.channels = Tag<uint16_t>(TIFFTAG_SAMPLESPERPIXEL, 1);
  page.photometric = Tag<uint16_t>(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  const auto bits = Tag<uint16_t>(TIFFTAG_BITSPERSAMPLE, 1);
  const auto format = Tag<uint16_t>(TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
  const auto planar = Tag<uint16_t>(TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  struct Kind {
    uint16_t bits;
    uint16_t format;
    VoxelType type;
  };
  static constexpr Kind kKinds[] = {{8, SAMPLEFORMAT_UINT, VoxelType::kUInt8},
                                    {8, SAMPLEFORMAT_INT, VoxelType::kInt8},
                                    {16, SAMPLEFORMAT_UINT, VoxelType::kUInt16},
                                    {16, SAMPLEFORMAT_INT, VoxelType::kInt16},
                                    {32, SAMPLEFORMAT_UINT, VoxelType::kUInt32},
                                    {32, SAMPLEFORMAT_INT, VoxelType::kInt32},
                                    {32, SAMPLEFORMAT_IEEEFP, VoxelType::kFloat32},
                                    {64, SAMPLEFORMAT_IEEEFP, VoxelType::kFloat64}};
  const auto* kind = std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& candidate) {
    return candidate.bits == bits &&
           (candidate.format == format ||
            (format == SAMPLEFORMAT_VOID && candidate.format == SAMPLEFORMAT_UINT));
  });
  const bool plain = page.photometric == PHOTOMETRIC_MINISBLACK ||
                     page.photometric == PHOTOMETRIC_MINISWHITE ||
                     page.photometric == PHOTOMETRIC_PALETTE || page.photometric == PHOTOMETRIC_RGB;
  const bool contiguous = planar == PLANARCONFIG_CONTIG || page.channels == 1;
  if (kind != std::end(kKinds) && plain && contiguous && page.channels >= 1 && page.channels <= 4) {
    page.type = kind->type;
    return page;
  }
  char why[1024] = "";
  if (bits > 8 || !TIFFRGBAImageOK(tiff_.get(), why)) {
    throw IoError("cannot read '" + name_ + "': its kind of TIFF (" + std::to_string(bits) +
                  " bits, " + std::to_string(page.channels) +
                  " channels) is not read; save it as plain grey or RGB");
  }
  page.rgba = true;
  page.channels = 4;
  return page;
}

void Decoder::ReadResolution(Picture& picture) {
  float x = 0;
  float y = 0;
  uint16_t unit = RESUNIT_INCH;
  if (!TIFFGetField(tiff_.get(), TIFFTAG_XRESOLUTION, &x) ||
      !TIFFGetField(tiff_.get(), TIFFTAG_YRESOLUTION, &y)) {
    return;
  }
  TIFFGetFieldDefaulted(tiff_.get(), TIFFTAG_RESOLUTIONUNIT, &unit);
  double per_mm = 0;
  if (unit == RESUNIT_INCH) per_mm = 1 / 25.4;
  if (unit == RESUNIT_CENTIMETER) per_mm = 1 / 10.0;
  // ImageJ states its unit in words, for pixels that were calibrated.
  char* text = nullptr;
  if (TIFFGetField(tiff_.get(), TIFFTAG_IMAGEDESCRIPTION, &text) && text &&
      std::strncmp(text, "ImageJ=", 7) == 0) {
    const std::string description(text, std::min<size_t>(std::strlen(text), 4096));
    const size_t at = description.find("\nunit=");
    const std::string words =
        at == description.npos
            ? ""
            : description.substr(at + 6, description.find('\n', at + 6) - at - 6);
    double factor = 0;
    if (words == "mm") factor = 1;
    if (words == "cm") factor = 0.1;
    if (words == "micron" || words == "um" || words == "\xc2\xb5m" || words == "\\u00B5m") {
      factor = 1000;
    }
    if (factor > 0) {
      per_mm = factor;
      picture.measured = true;
    }
  }
  if (per_mm > 0) picture.per_mm = {x * per_mm, y * per_mm};
}

void Decoder::ReadTiles(const Page& page, std::byte* out, size_t pixel) {
  const auto tile_width = Tag<uint32_t>(TIFFTAG_TILEWIDTH, 0);
  const auto tile_height = Tag<uint32_t>(TIFFTAG_TILELENGTH, 0);
  if (tile_width == 0 || tile_height == 0 || TIFFTileSize64(tiff_.get()) > (uint64_t{1} << 30)) {
    Fail("the size of its tiles is damaged");
  }
  CheckedPictureBytes(tile_width, tile_height, 1, page.channels, page.type, bytes_.size(), name_);
  std::vector<std::byte> tile(static_cast<size_t>(TIFFTileSize64(tiff_.get())));
  const size_t tile_row = tile_width * pixel;
  if (tile.size() < tile_row * tile_height) Fail("the size of its tiles is damaged");
  for (uint32_t y = 0; y < page.height; y += tile_height) {
    for (uint32_t x = 0; x < page.width; x += tile_width) {
      if (TIFFReadTile(tiff_.get(), tile.data(), x, y, 0, 0) < 0) Fail("the TIFF is damaged");
      const uint32_t columns = std::min(tile_width, page.width - x);
      for (uint32_t row = 0; row < tile_height && y + row < page.height; ++row) {
        std::memcpy(out + (static_cast<size_t>(y + row) * page.width + x) * pixel,
                    tile.data() + row * tile_row, columns * pixel);
      }
    }
  }
}

void Decoder::ReadPixels(const Page& page, std::byte* out) {
  const size_t pixel = SizeOf(page.type) * page.channels;
  const size_t row = page.width * pixel;
  if (page.rgba) {
    // Packed as ABGR words with the first row on top: in memory R, G, B, A.
    if (!TIFFReadRGBAImageOriented(tiff_.get(), page.width, page.height,
                                   reinterpret_cast<uint32_t*>(out), ORIENTATION_TOPLEFT, 1)) {
      Fail("the TIFF is damaged");
    }
    return;
  }
  if (TIFFIsTiled(tiff_.get())) {
    ReadTiles(page, out, pixel);
    return;
  }
  if (TIFFScanlineSize64(tiff_.get()) != row) Fail("the length of its rows is damaged");
  for (uint32_t y = 0; y < page.height; ++y) {
    if (TIFFReadScanline(tiff_.get(), out + y * row, y, 0) < 0) Fail("the TIFF is damaged");
  }
}

Picture Decoder::Run() {
  std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(),
                                                                       TIFFOpenOptionsFree);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), tmsize_t{1} << 30);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), OnError, &error_);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), OnWarning, nullptr);
  tiff_.reset(TIFFClientOpenExt(name_.c_str(), "rm", &memory_, ReadProc, WriteProc, SeekProc,
                                CloseProc, SizeProc, nullptr, nullptr, options.get()));
  if (!tiff_) Fail("it is no valid TIFF picture");
  Picture picture;
  picture.format = "TIFF";
  const Page first = ReadPage();
  picture.width = first.width;
  picture.height = first.height;
  picture.channels = first.channels;
  picture.type = first.type;
  ReadResolution(picture);
  const auto orientation = Tag<uint16_t>(TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  if (orientation >= 2 && orientation <= 8 && !first.rgba) {
    picture.notes.push_back("its tag asks viewers to turn or mirror it (orientation " +
                            std::to_string(orientation) + "); the rows are kept as stored");
  }
  if (first.photometric == PHOTOMETRIC_PALETTE && !first.rgba) {
    picture.notes.push_back("it has a palette; the indices, not the colours, are its values");
  }
  size_t page_bytes = 0;
  bool others = false;
  int64_t pages = 0;
  do {
    if (pages > 0 && !(ReadPage() == first)) {
      others = true;
      break;
    }
    page_bytes = CheckedPictureBytes(picture.width, picture.height, 1, picture.channels,
                                     picture.type, bytes_.size(), name_);
    CheckedPictureBytes(picture.width, picture.height, pages + 1, picture.channels, picture.type,
                        bytes_.size(), name_);
    picture.data.resize(page_bytes * static_cast<size_t>(pages + 1));
    ReadPixels(first, picture.data.data() + page_bytes * static_cast<size_t>(pages));
    ++pages;
  } while (pages < kMostPages && TIFFReadDirectory(tiff_.get()));
  if (others) {
    picture.notes.push_back("its pages differ in size or type; only the first " +
                            std::to_string(pages) + " are read");
  }
  picture.pages = pages;
  if (pages > 1) {
    picture.notes.push_back("its " + std::to_string(pages) +
                            " pages are read as slices 1 mm apart");
  }
  if (first.photometric == PHOTOMETRIC_MINISWHITE && !first.rgba &&
      (picture.type == VoxelType::kUInt8 || picture.type == VoxelType::kUInt16)) {
    for (std::byte& b : picture.data) b = ~b;  // the largest value is black
    picture.notes.push_back("its values are stored with 0 as white; they are turned round");
  }
  return picture;
}

class Tiff final : public Format {
 public:
  const char* Name() const override { return "TIFF"; }
  std::vector<std::string> Extensions() const override { return {".tif", ".tiff"}; }
  Listing InFolders() const override { return Listing::kAlone; }
  bool Recognises(const fs::path&, std::string_view head) const override {
    const std::string_view magic = head.substr(0, 4);
    return magic == std::string_view("II*\0", 4) || magic == std::string_view("MM\0*", 4) ||
           magic == std::string_view("II+\0", 4) || magic == std::string_view("MM\0+", 4);
  }
  Volume Read(const fs::path& path) const override {
    const std::vector<std::byte> bytes = ReadPictureFile(path);
    return VolumeFromPicture(Decoder(bytes, path.string()).Run(), path.string());
  }
};

}  // namespace

const Format& TiffFormat() {
  static const Tiff format;
  return format;
}

}  // namespace avocet::io
