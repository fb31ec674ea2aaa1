// SPDX-License-Identifier: Apache-2.0
// A folder of DICOM slices whose headers the input makes odd: what a series is, how it splits,
// where its slices lie, what is refused and what is resampled.
#include "io/dicom.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/io/dicom_builder.h"

namespace {

using avocet::fuzz::Feed;
using avocet::test::DicomBuilder;

std::string Number(Feed& feed) {
  static const char* const kNumbers[] = {"0",    "1",   "-1",     "2",       "2.5",   "0.5",
                                         "1e-3", "5",   "7.4999", "1e6",     "-1e9",  "1e308",
                                         "nan",  "-0",  "1e-320", "0.70711", "65536", "",
                                         "x",    "100", "3.0001", "-2.5",    "0.001", "0.9999"};
  return kNumbers[feed.Below(std::size(kNumbers))];
}

std::string Numbers(Feed& feed, int count) {
  std::string text = Number(feed);
  for (int i = 1; i < count; ++i) text += "\\" + Number(feed);
  return text;
}

void Edit(DicomBuilder& file, Feed& feed) {
  static const char* const kOrientations[] = {"1\\0\\0\\0\\1\\0",     "0\\1\\0\\0\\0\\-1",
                                              "-1\\0\\0\\0\\-1\\0",   "0.8\\0.6\\0\\-0.6\\0.8\\0",
                                              "1\\0\\0\\0\\0.8\\0.6", "1\\0\\0\\1e-5\\1\\1e-5",
                                              "1\\0\\0\\1\\0\\0"};
  // Texts that split a series, order it, or scale it: tag, VR, how many numbers.
  struct Field {
    uint32_t tag;
    const char* vr;
    int count;
  };
  static constexpr Field kFields[] = {
      {0x00280030, "DS", 2}, {0x00200013, "IS", 1}, {0x00200011, "IS", 1}, {0x00180086, "IS", 1},
      {0x00180081, "DS", 1}, {0x00200100, "IS", 1}, {0x00200012, "IS", 1}, {0x00181060, "DS", 1},
      {0x00281053, "DS", 1}, {0x00281052, "DS", 1}, {0x00180088, "DS", 1}, {0x00180050, "DS", 1},
      {0x00280008, "IS", 1}, {0x00181164, "DS", 2}, {0x00200032, "DS", 3}, {0x00080032, "TM", 1},
      {0x00181120, "DS", 1}, {0x00200037, "DS", 6}, {0x00201041, "DS", 1}, {0x00080018, "UI", 1}};
  static constexpr uint32_t kShorts[] = {0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102,
                                         0x00280103, 0x00280002, 0x00280006, 0x00280120};
  static constexpr uint16_t kValues[] = {0, 1, 2, 3, 8, 12, 15, 16, 32, 255, 32767, 65535};
  switch (feed.Below(8)) {
    case 0:
      file.Text(0x00200037, "DS", kOrientations[feed.Below(std::size(kOrientations))]);
      break;
    case 1:
      file.UInt16(kShorts[feed.Below(std::size(kShorts))], kValues[feed.Below(std::size(kValues))]);
      break;
    case 2:
      file.Text(0x0020000e, "UI", "1.2.3." + std::to_string(feed.Below(3)));
      break;
    case 3:
      file.Text(0x00080008, "CS", feed.Below(2) ? "ORIGINAL\\PRIMARY\\LOCALIZER" : feed.Text(20));
      break;
    case 4: {
      const Field& field = kFields[feed.Below(std::size(kFields))];
      file.Text(field.tag, field.vr, feed.Text(16));
      break;
    }
    case 5:
      file.Erase(kFields[feed.Below(std::size(kFields))].tag);
      break;
    default: {
      const Field& field = kFields[feed.Below(std::size(kFields))];
      file.Text(field.tag, field.vr, Numbers(feed, field.count));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace avocet;
  Feed feed(data, size);
  const auto folder = fuzz::Folder() / "series";
  std::filesystem::create_directories(folder);
  const unsigned slices = 1 + feed.Below(6);
  const unsigned common = feed.Below(3);
  const std::string shared(feed.Text(60));  // the edits that all slices have
  for (unsigned k = 0; k < 6; ++k) {
    const auto path = folder / std::to_string(k);
    if (k >= slices) {
      std::filesystem::remove(path);
      continue;
    }
    DicomBuilder file(3, 2, {0, 0, 2.5 * k + 0.01 * feed.Below(8)}, static_cast<int16_t>(k));
    file.Text(0x00080018, "UI", "1.2.3.4." + std::to_string(k));
    Feed again(reinterpret_cast<const uint8_t*>(shared.data()), shared.size());
    for (unsigned n = common; n > 0; --n) Edit(file, again);
    for (unsigned n = feed.Below(3); n > 0; --n) Edit(file, feed);
    file.Write(path);
  }
  SilentProgress progress;
  io::DicomTree tree;
  if (!fuzz::Attempt([&] { tree = io::ScanDicom(folder, progress); })) return 0;
  for (const std::string& sentence : tree.skipped) fuzz::CheckMessage(sentence, folder);
  for (const io::DicomSeries* series : tree.AllSeries()) {
    fuzz::Attempt([&] {
      fuzz::CheckVolume(io::ReadDicomSeries(*series, {true}, progress), uint64_t{64} << 20);
    });
  }
  return 0;
}
