// SPDX-License-Identifier: Apache-2.0
// Opens every file and every folder of ../shared/data as a user would: each is read, or refused
// with one sentence that names it. What is in them is checked by io/awkward, io/dicom_shared and
// others; under the sanitizers this walk shows that nothing is overrun on the way.
#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "io/dicom.h"
#include "io/dicom_seg.h"
#include "io/format.h"
#include "io/rtstruct.h"
#include "io/volume_io.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;

struct Walk {
  std::map<std::string, int> read;  // by format
  int refused = 0;
  uint64_t bytes = 0;

  template <typename F>
  bool Try(const fs::path& path, F&& open) {
    SCOPED_TRACE(path);
    try {
      open();
      return true;
    } catch (const IoError& error) {
      ++refused;
      const std::string message = error.what();
      EXPECT_NE(message.find(path.filename().string()), message.npos) << message;
      EXPECT_EQ(message.find('\n'), message.npos) << message;
      EXPECT_LT(message.size(), 600U) << message;
    } catch (const std::exception& error) {
      ADD_FAILURE() << "another exception than IoError: " << error.what();
    }
    return false;
  }

  void Count(const Volume& volume) {
    ASSERT_EQ(volume.data.size(), static_cast<size_t>(volume.ValueCount()) * SizeOf(volume.type));
    if (volume.source) volume.source->Fields();
    volume.geometry.OrientationLetters();
    if (volume.components == 1) volume.ToFloat(volume.frames - 1);
    ++read[volume.source ? volume.source->FormatName() : "no source"];
    bytes += volume.data.size();
  }

  void AllSeries(const fs::path& path) {
    SilentProgress progress;
    DicomTree tree;
    if (!Try(path, [&] { tree = ScanDicom(path, progress); })) return;
    for (const DicomSeries* series : tree.AllSeries()) {
      try {
        Count(ReadDicomSeries(*series, {true}, progress));
      } catch (const IoError&) {  // names its own file
        ++refused;
      }
    }
  }

  void File(const fs::path& path) {
    Try(path, [&] { Count(ReadVolume(path)); });
    bool dicom = false;
    Try(path, [&] { dicom = IsDicom(path); });
    if (dicom) AllSeries(path);
    if (IsDicomSeg(path)) {
      Try(path, [&] {
        for (const Volume& volume : ReadDicomSeg(path).volumes) Count(volume);
      });
    }
    if (IsRtStruct(path)) {
      Try(path, [&] {
        EXPECT_FALSE(ReadRtStruct(path).rois.empty());
        ++read["RTSTRUCT"];
      });
    }
  }

  void Folder(const fs::path& path) {
    Try(path, [&] { ListVolumes(path); });
    Try(path, [&] { Count(ReadVolume(path)); });
  }
};

TEST(SharedWalk, EverythingIsReadOrRefusedBySentence) {
  const fs::path root = test::SharedData("data");
  if (root.empty()) GTEST_SKIP() << "../shared/data is not there";
#ifdef __SANITIZE_ADDRESS__
  constexpr uintmax_t kLargest = UINTMAX_MAX;
#else
  // A walk of seconds: the few larger files are read by other tests.
  constexpr uintmax_t kLargest = uintmax_t{1} << 20;
#endif
  const auto start = std::chrono::steady_clock::now();
  Walk walk;
  int files = 0, folders = 0, left_out = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_directory()) {
      ++folders;
      walk.Folder(entry.path());
    } else if (entry.file_size() > kLargest) {
      ++left_out;
    } else {
      ++files;
      walk.File(entry.path());
    }
  }
  walk.Folder(root);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  int volumes = 0;
  for (const auto& [format, count] : walk.read) {
    std::printf("  %-22s %d\n", format.c_str(), count);
    volumes += count;
  }
  std::printf(
      "%d files, %d folders (%d files over 1 MB left out): %d readings (%.0f MB), %d refused, "
      "%.1f s\n",
      files, folders, left_out, volumes, static_cast<double>(walk.bytes) / 1e6, walk.refused,
      seconds.count());
  EXPECT_GT(files, 1000);
  EXPECT_GT(volumes, 1000);
  EXPECT_GT(walk.refused, 20);
}

}  // namespace
}  // namespace avocet::io
