// SPDX-License-Identifier: Apache-2.0
// PNG (ISO/IEC 15948) through libpng: 1 to 16 bits, grey, colour, palette.
#include <png.h>

#include <csetjmp>
#include <cstring>

#include "app/base/error.h"
#include "io/array_volume.h"
#include "io/format_list.h"
#include "io/picture.h"
#include "io/voxel_data.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

struct Source {
  const std::byte* bytes;
  size_t size;
  size_t at = 0;
  char error[200] = "";
};

void ReadBytes(png_structp png, png_bytep out, size_t size) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (size > source->size - source->at) png_error(png, "it is cut off");
  std::memcpy(out, source->bytes + source->at, size);
  source->at += size;
}

[[noreturn]] void OnError(png_structp png, png_const_charp message) {
  auto* source = static_cast<Source*>(png_get_error_ptr(png));
  std::strncpy(source->error, message, sizeof source->error - 1);
  png_longjmp(png, 1);
}
void OnWarning(png_structp, png_const_charp) {}

class Decoder {
 public:
  Decoder(const std::vector<std::byte>& bytes, std::string name)
      : source_{bytes.data(), bytes.size()}, name_(std::move(name)) {}
  ~Decoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Picture Run();

 private:
  // libpng leaves these by longjmp; they hold nothing that needs a destructor.
  bool ReadInfo();
  bool ReadRows();
  [[noreturn]] void Fail() const {
    throw IoError("cannot read '" + name_ + "': the PNG picture is damaged (" + source_.error +
                  "); copy or download it again");
  }

  Source source_;
  std::string name_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::vector<png_bytep> rows_;
};

bool Decoder::ReadInfo() {
  if (setjmp(png_jmpbuf(png_))) return false;
  png_set_user_limits(png_, 1000000, 1000000);
  png_set_chunk_malloc_max(png_, 64 << 20);
  png_set_read_fn(png_, &source_, ReadBytes);
  png_read_info(png_, info_);
  return true;
}

bool Decoder::ReadRows() {
  if (setjmp(png_jmpbuf(png_))) return false;
  png_read_image(png_, rows_.data());
  png_read_end(png_, nullptr);
  return true;
}

Picture Decoder::Run() {
  png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source_, OnError, OnWarning);
  if (!png_) throw std::bad_alloc();
  info_ = png_create_info_struct(png_);
  if (!info_) throw std::bad_alloc();
  if (!ReadInfo()) Fail();
  Picture picture;
  picture.format = "PNG";
  picture.width = png_get_image_width(png_, info_);
  picture.height = png_get_image_height(png_, info_);
  const int depth = png_get_bit_depth(png_, info_);
  const int colour = png_get_color_type(png_, info_);
  png_set_interlace_handling(png_);
  if (depth == 16) png_set_swap(png_);
  if (colour == PNG_COLOR_TYPE_PALETTE) {
    // Grey palettes are pictures; coloured ones are as a rule label maps, whose indices count.
    png_colorp palette = nullptr;
    int entries = 0;
    png_get_PLTE(png_, info_, &palette, &entries);
    bool grey = entries > 0;
    for (int i = 0; i < entries; ++i) {
      grey = grey && palette[i].red == palette[i].green && palette[i].red == palette[i].blue;
    }
    if (grey) {
      png_set_palette_to_rgb(png_);
      picture.channels = 3;
    } else {
      png_set_packing(png_);
      picture.notes.push_back("it has a palette; the indices, not the colours, are its values");
    }
  } else {
    if (depth < 8) png_set_expand_gray_1_2_4_to_8(png_);
    picture.channels = png_get_channels(png_, info_);
  }
  picture.type = depth == 16 ? VoxelType::kUInt16 : VoxelType::kUInt8;
  png_uint_32 x = 0;
  png_uint_32 y = 0;
  int unit = 0;
  if (png_get_pHYs(png_, info_, &x, &y, &unit) && unit == PNG_RESOLUTION_METER) {
    picture.per_mm = {x / 1000.0, y / 1000.0};
  }
  const size_t bytes =
      CheckedPictureBytes(picture.width, picture.height, 1, 4, picture.type, source_.size, name_) /
      4;
  png_read_update_info(png_, info_);
  const size_t row = static_cast<size_t>(picture.width) * picture.channels * SizeOf(picture.type);
  const size_t stored_row = png_get_rowbytes(png_, info_);
  // A transparent grey palette comes with a fourth channel.
  if (stored_row != row && stored_row == static_cast<size_t>(picture.width) * 4) {
    picture.channels = 4;
  } else if (stored_row != row) {
    throw IoError("cannot read '" + name_ + "': its kind of PNG is not read");
  }
  picture.data.resize(bytes * picture.channels);
  rows_.resize(static_cast<size_t>(picture.height));
  for (size_t i = 0; i < rows_.size(); ++i) {
    rows_[i] = reinterpret_cast<png_bytep>(picture.data.data()) + i * stored_row;
  }
  if (!ReadRows()) Fail();
  return picture;
}

class Png final : public Format {
 public:
  const char* Name() const override { return "PNG"; }
  std::vector<std::string> Extensions() const override { return {".png"}; }
  Listing InFolders() const override { return Listing::kAlone; }
  bool Recognises(const fs::path&, std::string_view head) const override {
    return head.substr(0, 8) == std::string_view("\x89PNG\r\n\x1a\n", 8);
  }
  Volume Read(const fs::path& path) const override {
    const std::vector<std::byte> bytes = ReadPictureFile(path);
    return VolumeFromPicture(Decoder(bytes, path.string()).Run(), path.string());
  }
};

}  // namespace

const Format& PngFormat() {
  static const Png format;
  return format;
}

}  // namespace avocet::io
