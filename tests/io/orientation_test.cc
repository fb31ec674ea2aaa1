// SPDX-License-Identifier: Apache-2.0
// 48 axis orders and directions x {sform only, qform only, both, neither}: write, read, compare.
// The source header is made by hand, so that each combination of codes exists; the expected affine
// is computed here from the orientation and not by the code under test.
#include <gtest/gtest.h>
#include <algorithm>
#include <cstring>

#include "io/nifti.h"
#include "io/nifti_layout.h"
#include "io/volume_io.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::AffineOf;
using test::MaxDifference;
using test::RasAffine;

constexpr std::array<int64_t, 3> kSize{3, 4, 5};
constexpr double kSpacing[3] = {0.75, 1.2, 2.5};

// Rotation matrix to quaternion (b, c, d) from the eigenvector of largest component: the textbook
// four-case form, in double.
std::array<double, 3> QuaternionOf(const double (&r)[3][3]) {
  const double t[4] = {r[0][0] + r[1][1] + r[2][2], r[0][0] - r[1][1] - r[2][2],
                       r[1][1] - r[0][0] - r[2][2], r[2][2] - r[0][0] - r[1][1]};
  const int best = static_cast<int>(std::max_element(t, t + 4) - t);
  const double u = 0.5 * std::sqrt(1 + t[best]);
  const double v = 0.25 / u;
  double a, b, c, d;
  if (best == 0) {
    a = u, b = (r[2][1] - r[1][2]) * v, c = (r[0][2] - r[2][0]) * v, d = (r[1][0] - r[0][1]) * v;
  } else if (best == 1) {
    a = (r[2][1] - r[1][2]) * v, b = u, c = (r[0][1] + r[1][0]) * v, d = (r[0][2] + r[2][0]) * v;
  } else if (best == 2) {
    a = (r[0][2] - r[2][0]) * v, b = (r[0][1] + r[1][0]) * v, c = u, d = (r[1][2] + r[2][1]) * v;
  } else {
    a = (r[1][0] - r[0][1]) * v, b = (r[0][2] + r[2][0]) * v, c = (r[1][2] + r[2][1]) * v, d = u;
  }
  const double sign = a < 0 ? -1 : 1;
  return {sign * b, sign * c, sign * d};
}

TEST(Orientations, AllFortyEightSurviveInEveryForm) {
  const fs::path folder = test::TemporaryFolder();
  std::array<int, 3> order{0, 1, 2};
  int orientations = 0;
  uint32_t state = 12345;
  do {
    for (int flips = 0; flips < 8; ++flips) {
      ++orientations;
      // Image axis `column` runs along anatomical axis order[column], backwards when its bit is
      // set.
      double unit[3][3] = {};
      std::string stated_letters;
      for (int column = 0; column < 3; ++column) {
        const bool back = flips >> column & 1;
        unit[order[column]][column] = back ? -1 : 1;
        stated_letters += "RLAPSI"[2 * order[column] + back];
      }
      const double det = unit[0][0] * (unit[1][1] * unit[2][2] - unit[1][2] * unit[2][1]) -
                         unit[0][1] * (unit[1][0] * unit[2][2] - unit[1][2] * unit[2][0]) +
                         unit[0][2] * (unit[1][0] * unit[2][1] - unit[1][1] * unit[2][0]);
      RasAffine stated{};
      for (int row = 0; row < 3; ++row) {
        for (int column = 0; column < 3; ++column) {
          stated[row][column] = unit[row][column] * kSpacing[column];
        }
        stated[row][3] = -80.5 + 31.25 * row;
      }

      for (int form = 0; form < 4; ++form) {
        const bool has_sform = form & 1;
        const bool has_qform = form & 2;
        for (const auto version : {NiftiSource::Version::kNifti1, NiftiSource::Version::kNifti2}) {
          RasAffine expected = stated;
          std::string letters = stated_letters;
          nifti_2_header h = {};
          h.dim[0] = 3;
          for (int i = 0; i < 3; ++i) h.dim[i + 1] = kSize[i];
          for (int i = 0; i < 3; ++i) h.pixdim[i + 1] = kSpacing[i];
          h.xyzt_units = NIFTI_UNITS_MM;
          h.scl_slope = 1;
          h.datatype = NIFTI_TYPE_INT16;
          h.bitpix = 16;
          std::memcpy(h.magic, version == NiftiSource::Version::kNifti1 ? "n+1" : "n+2", 4);
          if (has_sform) {
            h.sform_code = 2;
            for (int c = 0; c < 4; ++c) {
              h.srow_x[c] = expected[0][c];
              h.srow_y[c] = expected[1][c];
              h.srow_z[c] = expected[2][c];
            }
          }
          h.pixdim[0] = det < 0 ? -1 : 1;
          if (has_qform) {
            h.qform_code = 1;
            double rotation[3][3];
            for (int r = 0; r < 3; ++r) {
              for (int c = 0; c < 3; ++c) rotation[r][c] = unit[r][c] * (c == 2 ? det : 1);
            }
            const auto quaternion = QuaternionOf(rotation);
            h.quatern_b = quaternion[0];
            h.quatern_c = quaternion[1];
            h.quatern_d = quaternion[2];
            h.qoffset_x = expected[0][3];
            h.qoffset_y = expected[1][3];
            h.qoffset_z = expected[2][3];
          }
          if (!has_sform && !has_qform) {
            expected = {};
            for (int r = 0; r < 3; ++r) {
              expected[r][r] = r == 0 ? -kSpacing[r] : kSpacing[r];
              expected[r][3] = -expected[r][r] * 0.5 * static_cast<double>(kSize[r] - 1);
            }
            letters = "LAS";
          }

          // Through the bytes, as a reader sees it (float32 fields in NIfTI-1).
          const std::string bytes = SerializeNiftiHeader(h, version);
          const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
          Volume volume;
          const auto source =
              ParseNiftiHeader({first, first + bytes.size()}, "made by hand", false);
          ASSERT_TRUE(source);
          volume.source = source;
          volume.geometry = source->ReadGeometry("made by hand", nullptr);
          volume.type = VoxelType::kInt16;
          volume.data.resize(2 * 60);
          for (auto& byte : volume.data) {
            state = state * 1664525 + 1013904223;
            byte = static_cast<std::byte>(state >> 24);
          }
          const std::string what = letters + " form " + std::to_string(form);
          ASSERT_LT(MaxDifference(AffineOf(volume.geometry), expected), 1e-5) << what;

          {
            const bool nifti1 = version == NiftiSource::Version::kNifti1;
            const fs::path path = folder / (nifti1 ? "x.nii.gz" : "x.nii");
            WriteVolume(volume, path);
            const Volume again = ReadVolume(path);
            ASSERT_LT(MaxDifference(AffineOf(again.geometry), expected), 1e-5) << what;
            ASSERT_EQ(again.geometry.OrientationLetters(), letters) << what;
            ASSERT_EQ(again.data, volume.data) << what;
            const auto& kept = dynamic_cast<const NiftiSource&>(*again.source);
            ASSERT_EQ(SerializeNiftiHeader(kept.GridOnly()->header(), version),
                      SerializeNiftiHeader(source->GridOnly()->header(), version))
                << what;
          }
          // Without a source header both forms are made anew and must agree with each other. The
          // geometry is that of the other forms, and each write waits for the disk.
          if (form != 3 || version != NiftiSource::Version::kNifti1) continue;
          Volume bare = volume;
          bare.source = nullptr;
          WriteVolume(bare, folder / "bare.nii");
          const Volume again = ReadVolume(folder / "bare.nii");
          ASSERT_LT(MaxDifference(AffineOf(again.geometry), expected), 1e-5) << what;
          ASSERT_TRUE(again.notes.empty()) << what << ": " << again.notes[0];
          nifti_2_header q = dynamic_cast<const NiftiSource&>(*again.source).header();
          q.sform_code = 0;
          const NiftiSource qform(q, NiftiSource::Version::kNifti1, false);
          ASSERT_LT(MaxDifference(AffineOf(qform.ReadGeometry("", nullptr)), expected), 1e-5)
              << what;
        }
      }
    }
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(orientations, 48);
}

}  // namespace
}  // namespace avocet::io
