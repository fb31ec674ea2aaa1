// SPDX-License-Identifier: Apache-2.0
#include "app/base/error.h"
#include "io/dicom_seg.h"
#include "io/format_list.h"

namespace avocet::io {
namespace fs = std::filesystem;
namespace {

class SegSource final : public SourceHeader {
 public:
  explicit SegSource(const SegReadResult& read) : fields_(read.fields) {}
  std::string FormatName() const override { return "DICOM SEG"; }
  std::vector<std::pair<std::string, std::string>> Fields() const override { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// A segmentation read as a label volume; values are segment numbers. Writing needs the image series
// (WriteDicomSeg).
class DicomSeg final : public Format {
 public:
  const char* Name() const override { return "DICOM SEG"; }
  std::vector<std::string> Extensions() const override { return {".seg"}; }
  bool Recognises(const fs::path&, std::string_view head) const override {
    // The SOP class stands in the meta header, within the first KiB.
    return head.size() > 132 && head.substr(128, 4) == "DICM" &&
           (head.find("1.2.840.10008.5.1.4.1.1.66.4") != std::string_view::npos ||
            head.find("1.2.840.10008.5.1.4.1.1.66.7") != std::string_view::npos);
  }
  Volume Read(const fs::path& path) const override {
    SegReadResult read = ReadDicomSeg(path);
    if (read.volumes.size() != 1)
      throw IoError(path.string() + " holds segments that overlap, which one label volume cannot " +
                    "show; 'avocet export' writes them to several");
    read.volumes[0].source = std::make_shared<SegSource>(read);
    return std::move(read.volumes[0]);
  }
  void Write(const Volume&, const fs::path& path) const override {
    throw IoError("cannot write '" + path.string() +
                  "': a DICOM SEG belongs to an image series; use 'avocet export' with "
                  "--source-series");
  }
  // Beside a series of images it is not one of the volumes.
  Listing InFolders() const override { return Listing::kAlone; }
};

}  // namespace

const Format& DicomSegFormat() {
  static const DicomSeg format;
  return format;
}

}  // namespace avocet::io
