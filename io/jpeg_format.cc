// SPDX-License-Identifier: Apache-2.0
// JPEG (ITU-T T.81) through libjpeg-turbo: 8 bits, grey or colour.
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>

#include "app/base/error.h"
#include "io/format_list.h"
#include "io/picture.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

constexpr int kMostScans = 100;  // progressive files of any camera have about ten

struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX] = "";
};

void OnError(j_common_ptr common) {
  auto* manager = reinterpret_cast<ErrorManager*>(common->err);
  (*common->err->format_message)(common, manager->message);
  std::longjmp(manager->back, 1);
}

// A warning means that data are missing or damaged: what would be invented is refused.
void OnMessage(j_common_ptr common, int level) {
  if (level < 0) OnError(common);
}

void OnProgress(j_common_ptr common) {
  const auto* jpeg = reinterpret_cast<j_decompress_ptr>(common);
  if (jpeg->input_scan_number > kMostScans) {
    auto* manager = reinterpret_cast<ErrorManager*>(common->err);
    std::strcpy(manager->message, "too many scans");
    std::longjmp(manager->back, 1);
  }
}

// EXIF's orientation (tag 0x0112 of the first directory); 1 when there is none.
int ExifOrientation(const unsigned char* data, size_t size) {
  if (size < 14 || std::memcmp(data, "Exif\0\0", 6) != 0) return 1;
  const unsigned char* tiff = data + 6;
  size -= 6;
  const bool big = tiff[0] == 'M';
  const auto number = [&](size_t at, int width) -> size_t {
    if (at + static_cast<size_t>(width) > size) return 0;
    size_t value = 0;
    for (int i = 0; i < width; ++i) {
      value |= static_cast<size_t>(tiff[at + static_cast<size_t>(i)])
               << 8 * (big ? width - 1 - i : i);
    }
    return value;
  };
  const size_t directory = number(4, 4);
  const size_t count = number(directory, 2);
  for (size_t i = 0; i < count && i < 100; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (number(entry, 2) == 0x0112) return static_cast<int>(number(entry + 8, 2));
  }
  return 1;
}

class Decoder {
 public:
  Decoder(const std::vector<std::byte>& bytes, std::string name)
      : bytes_(bytes), name_(std::move(name)) {
    jpeg_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = OnError;
    errors_.base.emit_message = OnMessage;
    progress_.progress_monitor = OnProgress;
  }
  ~Decoder() { jpeg_destroy_decompress(&jpeg_); }
  Picture Run();

 private:
  // libjpeg leaves these by longjmp; they hold nothing that needs a destructor.
  bool ReadHeader();
  bool ReadRows(unsigned char* out, size_t row);
  [[noreturn]] void Fail() const {
    throw IoError("cannot read '" + name_ + "': the JPEG picture is damaged (" + errors_.message +
                  "); copy or download it again");
  }

  const std::vector<std::byte>& bytes_;
  std::string name_;
  jpeg_decompress_struct jpeg_ = {};
  jpeg_progress_mgr progress_ = {};
  ErrorManager errors_ = {};
};

bool Decoder::ReadHeader() {
  if (setjmp(errors_.back)) return false;
  jpeg_create_decompress(&jpeg_);
  jpeg_.progress = &progress_;
  jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(bytes_.data()), bytes_.size());
  jpeg_save_markers(&jpeg_, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&jpeg_, TRUE);
  return true;
}

bool Decoder::ReadRows(unsigned char* out, size_t row) {
  if (setjmp(errors_.back)) return false;
  jpeg_start_decompress(&jpeg_);
  while (jpeg_.output_scanline < jpeg_.output_height) {
    JSAMPROW line = out + row * jpeg_.output_scanline;
    jpeg_read_scanlines(&jpeg_, &line, 1);
  }
  jpeg_finish_decompress(&jpeg_);
  return true;
}

Picture Decoder::Run() {
  if (!ReadHeader()) Fail();
  Picture picture;
  picture.format = "JPEG";
  picture.width = jpeg_.image_width;
  picture.height = jpeg_.image_height;
  if (jpeg_.num_components != 1 && jpeg_.num_components != 3) {
    throw IoError("cannot read '" + name_ +
                  "': its colours are for printing (CMYK); convert it to "
                  "RGB first");
  }
  jpeg_.out_color_space = jpeg_.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  picture.channels = jpeg_.num_components;
  picture.notes.push_back("JPEG is lossy: values differ from those that were measured");
  for (jpeg_saved_marker_ptr marker = jpeg_.marker_list; marker; marker = marker->next) {
    const int orientation = ExifOrientation(marker->data, marker->data_length);
    if (orientation < 2 || orientation > 8) continue;
    picture.notes.push_back("its EXIF tag asks viewers to turn or mirror it (orientation " +
                            std::to_string(orientation) + "); the rows are kept as stored");
    break;
  }
  if (jpeg_.saw_JFIF_marker && (jpeg_.density_unit == 1 || jpeg_.density_unit == 2)) {
    const double per_mm = jpeg_.density_unit == 1 ? 1 / 25.4 : 1 / 10.0;
    picture.per_mm = {jpeg_.X_density * per_mm, jpeg_.Y_density * per_mm};
  }
  picture.data.resize(CheckedPictureBytes(picture.width, picture.height, 1, picture.channels,
                                          picture.type, bytes_.size(), name_));
  const size_t row = static_cast<size_t>(picture.width) * static_cast<size_t>(picture.channels);
  if (!ReadRows(reinterpret_cast<unsigned char*>(picture.data.data()), row)) Fail();
  return picture;
}

class Jpeg final : public Format {
 public:
  const char* Name() const override { return "JPEG"; }
  std::vector<std::string> Extensions() const override { return {".jpg", ".jpeg"}; }
  Listing InFolders() const override { return Listing::kAlone; }
  bool Recognises(const fs::path&, std::string_view head) const override {
    return head.substr(0, 3) == "\xff\xd8\xff";
  }
  Volume Read(const fs::path& path) const override {
    const std::vector<std::byte> bytes = ReadPictureFile(path);
    return VolumeFromPicture(Decoder(bytes, path.string()).Run(), path.string());
  }
};

}  // namespace

const Format& JpegFormat() {
  static const Jpeg format;
  return format;
}

}  // namespace avocet::io
