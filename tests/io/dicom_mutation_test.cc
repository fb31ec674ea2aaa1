// SPDX-License-Identifier: Apache-2.0
// Damaged DICOM, beyond what fuzz/dicom has seeds for: whatever the bytes, reading ends in a Volume
// that hangs together or in an avocet::Error of one line. The mutations are seeded;
// AVOCET_MUTATIONS sets the rounds a file.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

#include "io/dicom.h"
#include "io/volume_io.h"
#include "tests/io/dicom_builder.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;

struct Tally {
  int read = 0, refused = 0;
};

void ReadDamaged(const fs::path& path, size_t most_bytes, Tally& tally) {
  SilentProgress progress;
  try {
    const DicomTree tree = ScanDicom(path, progress);
    for (const DicomSeries* series : tree.AllSeries()) {
      try {
        const Volume volume = ReadDicomSeries(*series, {true}, progress);
        ++tally.read;
        ASSERT_EQ(volume.data.size(),
                  static_cast<size_t>(volume.ValueCount()) * SizeOf(volume.type));
        ASSERT_LT(volume.data.size(), most_bytes);
        for (int axis = 0; axis < 3; ++axis) {
          ASSERT_GE(volume.geometry.size[axis], 1);
          ASSERT_TRUE(std::isfinite(volume.geometry.origin[axis]));
          ASSERT_TRUE(volume.geometry.spacing[axis] > 0 && volume.geometry.spacing[axis] < 1e6);
        }
        for (const double cosine : volume.geometry.direction) {
          ASSERT_TRUE(std::abs(cosine) <= 1.0000001);
        }
        ASSERT_TRUE(std::isfinite(volume.scaling.slope) && volume.scaling.slope != 0);
        ASSERT_TRUE(std::isfinite(volume.scaling.inter));
      } catch (const Error& error) {
        ++tally.refused;
        ASSERT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      }
    }
  } catch (const Error& error) {
    ++tally.refused;
    ASSERT_NE(std::string(error.what()), "");
    ASSERT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
}

int Rounds(int otherwise) {
  const char* text = std::getenv("AVOCET_MUTATIONS");
  return text ? std::atoi(text) : otherwise;
}

void Mutate(const std::string& bytes, const fs::path& path, int rounds, Tally& tally) {
  std::mt19937 random(20261121);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  static const uint32_t kAwkward[] = {0,          1,          2,          0xff,       0x100,
                                      0x7fff,     0x8000,     0xffff,     0x10000,    0x7fffffff,
                                      0xffffffff, 0xfffffffe, 0xe000fffe, 0xe0ddfffe, 0x00107fe0};
  for (int round = 0; round < rounds; ++round) {
    std::string damaged = bytes;
    for (size_t edits = 1 + below(4); edits > 0; --edits) {
      const size_t at = (below(3) ? 128 + below(std::min<size_t>(bytes.size() - 128, 2500))
                                  : below(bytes.size()));
      switch (below(4)) {
        case 0:
          damaged[at] = static_cast<char>(damaged[at] ^ 1 << below(8));
          break;
        case 1:
          damaged[at] = static_cast<char>(below(256));
          break;
        case 2: {
          const uint32_t value = kAwkward[below(std::size(kAwkward))];
          const size_t width = 2 + 2 * below(2);
          std::memcpy(damaged.data() + std::min(at, damaged.size() - width), &value, width);
          break;
        }
        default: {  // bytes of elsewhere
          const size_t count = 1 + below(16), from = below(damaged.size() - count);
          std::memmove(damaged.data() + std::min(at, damaged.size() - count), damaged.data() + from,
                       count);
        }
      }
    }
    if (below(6) == 0) damaged.resize(1 + below(damaged.size()));
    test::Spill(path, damaged);
    ReadDamaged(path, size_t{64} << 20, tally);
    if (testing::Test::HasFatalFailure()) FAIL() << path << ", round " << round;
  }
}

TEST(DicomMutation, SharedFilesEndInAVolumeOrAnError) {
  const fs::path shared = test::SharedData("data/dicom");
  if (shared.empty()) GTEST_SKIP() << "../shared/data is not there";
  const fs::path folder = test::TemporaryFolder();
  for (const char* file :
       {"misc/JPGExtended.dcm", "misc/JPEG2000.dcm", "misc/rtdose.dcm", "misc/badVR.dcm",
        "enhanced/pydicom_emri_small_RLE.dcm", "enhanced/pydicom_emri_small_jpeg_ls_lossless.dcm",
        "enhanced/siemens_xa10_enhanced_6_1.dcm", "seg/pydicom_liver_deflate.dcm",
        "misc/nested_priv_SQ.dcm", "transfer_syntaxes/6.dcm"}) {
    Tally tally;
    Mutate(test::Slurp(shared / file), folder / "x.dcm", Rounds(40), tally);
    if (HasFatalFailure()) return;
  }
}

// One slice of a series is damaged; the others are what they are.
TEST(DicomMutation, SeriesWithADamagedSlice) {
  const fs::path folder = test::TemporaryFolder() / "series";
  fs::create_directories(folder);
  for (int k = 0; k < 4; ++k) {
    test::DicomBuilder(8, 8, {0, 0, 2.0 * k}, 7).Write(folder / std::to_string(k));
  }
  const std::string bytes = test::Slurp(folder / "1");
  std::mt19937 random(7);
  Tally tally;
  for (int round = 0; round < Rounds(200); ++round) {
    std::string damaged = bytes;
    for (int edit = 0; edit < 2; ++edit) {
      damaged[132 + random() % (bytes.size() - 132)] = static_cast<char>(random() % 256);
    }
    test::Spill(folder / "1", damaged);
    ReadDamaged(folder, size_t{1} << 20, tally);
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
  EXPECT_GT(tally.read, 10);
  EXPECT_GT(tally.refused, 10);
}

// Sizes are checked before memory is taken.
TEST(DicomMutation, ClaimsAreNotBelieved) {
  const fs::path path = test::TemporaryFolder() / "claim";
  {
    test::DicomBuilder b(4, 3, {0, 0, 0});
    b.UInt16(0x00280010, 65535);
    b.UInt16(0x00280011, 65535);
    b.Text(0x00280008, "IS", "9");
    b.Write(path);
    test::ExpectError([&] { ReadVolume(path); }, {"claim", "24 of"});
  }
  {
    test::DicomBuilder b(4, 3, {0, 0, 0});
    b.UInt16(0x00280010, 60000);
    b.UInt16(0x00280011, 60000);
    b.UInt16(0x00280103, 0);
    std::string file = b.File("1.2.840.10008.1.2.5");
    // RLE: one item for the table, one with 64 bytes of header that claims two segments.
    const size_t at = file.rfind(std::string("\xe0\x7f\x10\0", 4));
    file.resize(at);
    file += std::string("\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\0\0\0\0", 20) +
            std::string("\xfe\xff\0\xe0\x48\0\0\0\2\0\0\0\x40\0\0\0\x44\0\0\0", 20) +
            std::string(60, '\0') + std::string("\xfe\xff\xdd\xe0\0\0\0\0", 8);
    test::Spill(path, file);
    test::ExpectError([&] { ReadVolume(path); }, {"claim"});
  }
}

}  // namespace
}  // namespace avocet::io
