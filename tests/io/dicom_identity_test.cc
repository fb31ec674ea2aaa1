// SPDX-License-Identifier: Apache-2.0
// One SeriesInstanceUID is one series, or is refused with what differs: files whose names, patient
// IDs, studies, frames of reference or SOP instances do not agree.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "io/dicom.h"
#include "io/volume_io.h"
#include "tests/io/dicom_builder.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::io {
namespace {

namespace fs = std::filesystem;
using test::DicomBuilder;
using test::TemporaryFolder;

using Change = std::function<void(DicomBuilder&, int)>;

// `count` slices 2 mm apart, values 10 + k; `change` alters each. File names run against the
// places.
fs::path Write(const std::string& name, const Change& change, int count = 4) {
  const fs::path folder = TemporaryFolder() / name;
  fs::create_directories(folder);
  for (int k = 0; k < count; ++k) {
    DicomBuilder slice(8, 6, {1, 2, 2.0 * k}, static_cast<int16_t>(10 + k));
    slice.Text(0x00200052, "UI", "1.2.3.8");
    change(slice, k);
    slice.Write(folder / ("s" + std::to_string(count - k)));
  }
  return folder;
}

DicomTree Scan(const fs::path& folder) {
  SilentProgress progress;
  return ScanDicom(folder, progress);
}

bool Says(const std::vector<std::string>& notes, const std::string& part) {
  return std::any_of(notes.begin(), notes.end(),
                     [&](const std::string& note) { return note.find(part) != note.npos; });
}

void ExpectOneVolume(const fs::path& folder, int64_t slices, const std::string& note) {
  const DicomTree tree = Scan(folder);
  ASSERT_EQ(tree.AllSeries().size(), 1U);
  EXPECT_EQ(tree.patients.size(), 1U);
  const Volume volume = ReadVolume(folder);
  EXPECT_EQ(volume.geometry.size[2], slices);
  EXPECT_DOUBLE_EQ(volume.geometry.spacing[2], 2);
  for (int64_t k = 0; k < slices; ++k) EXPECT_EQ(volume.As<int16_t>()[48 * k], 10 + k);
  if (!note.empty()) EXPECT_TRUE(Says(volume.notes, note)) << testing::PrintToString(volume.notes);
  for (const std::string& said : volume.notes) {
    EXPECT_EQ(said.find("Secret"), said.npos);
    EXPECT_EQ(said.find("SECRETID"), said.npos);
  }
}

std::string Uid(const char* root, int k) { return std::string(root) + "." + std::to_string(k + 1); }

TEST(DicomIdentity, SpellingsOfAPatientAreOne) {
  const std::vector<std::vector<std::string>> names{
      {"Secret^Patient", "SECRET^PATIENT"},
      {"Secret^Patient", "Secret^Patient^^^"},
      {"Secret^Patient", "Secret Patient"},
      {"Secret^Patient", "Patient Secret"},
      {"Secret^Patient", "Secret, Patient"},
      {"Secret^Patient", "Secret^Patient=\xe7\xa7\x98=Secret"},
      {"Secret^Patient^M", "Secret^Patient"},
      {"Secret^Patient", ""},
      {"M\xfcller^Secret", "M\xc3\xbcller^Secret"},
  };
  for (size_t i = 0; i < names.size(); ++i) {
    SCOPED_TRACE(names[i][1]);
    const fs::path folder = Write("name" + std::to_string(i), [&](DicomBuilder& slice, int k) {
      slice.Text(0x00100010, "PN", names[i][static_cast<size_t>(k % 2)]);
    });
    ExpectOneVolume(folder, 4, "");
  }
  const std::vector<std::string> ids{"SECRETID", "secretid", " SECRETID", ""};
  ExpectOneVolume(
      Write("ids", [&](DicomBuilder& slice,
                       int k) { slice.Text(0x00100020, "LO", ids[static_cast<size_t>(k)]); }),
      4, "");
}

TEST(DicomIdentity, OtherPatientsAreRefusedWithoutTheirNames) {
  struct Case {
    const char* name;
    Change change;
    const char* what;
  };
  const std::vector<Case> cases{
      {"id", [](auto& s, int k) { s.Text(0x00100020, "LO", Uid("SECRET", k)); },
       "PatientID has 4 different values"},
      {"half", [](auto& s, int k) { s.Text(0x00100020, "LO", k < 2 ? "SECRETA" : "SECRETB"); },
       "PatientID has 2 different values"},
      {"name", [](auto& s, int k) { s.Text(0x00100010, "PN", k % 2 ? "Other^One" : "Secret^P"); },
       "PatientName has 2 different values"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    const fs::path folder = Write(one.name, one.change);
    const DicomTree tree = Scan(folder);
    ASSERT_EQ(tree.AllSeries().size(), 1U);
    EXPECT_EQ(tree.AllSeries()[0]->files, 4);
    const std::string message = test::ExpectError(
        [&] { ReadVolume(folder); }, {"4 files share one SeriesInstanceUID", one.what});
    // The folder, which the message names, is called after this test.
    const std::string said = message.substr(message.find("': "));
    for (const char* secret : {"Secret", "SECRET", "Other"}) {
      EXPECT_EQ(said.find(secret), said.npos) << said;
    }
  }
}

// Without a PatientID the name alone tells patients apart, in any script.
TEST(DicomIdentity, NamesBeyondAsciiCount) {
  const fs::path folder = Write("kanji", [](DicomBuilder& slice, int k) {
    slice.Text(0x00080005, "CS", "ISO_IR 192");
    slice.Text(0x00100010, "PN", k < 2 ? "\xe5\xb1\xb1\xe7\x94\xb0" : "\xe9\x88\xb4\xe6\x9c\xa8");
    slice.Erase(0x00100020);
  });
  const DicomTree tree = Scan(folder);
  for (const DicomSeries* series : tree.AllSeries()) {
    EXPECT_NE(series->problem.find("PatientName"), std::string::npos) << series->problem;
  }
}

// Each patient has the whole series: the UID was copied, and nothing is torn apart.
TEST(DicomIdentity, WholeSeriesOfTwoPatientsStayTwo) {
  const fs::path folder = Write(
      "whole",
      [](DicomBuilder& slice, int k) {
        slice.Position({1, 2, 2.0 * (k / 2)});
        slice.Text(0x00100020, "LO", k % 2 ? "SECRETA" : "SECRETB");
      },
      8);
  const DicomTree tree = Scan(folder);
  EXPECT_EQ(tree.patients.size(), 2U);
  ASSERT_EQ(tree.AllSeries().size(), 2U);
  for (const DicomSeries* series : tree.AllSeries()) EXPECT_EQ(series->size[2], 4);
}

TEST(DicomIdentity, UidsOfEachFileAreOneSeriesWhereThePositionsAgree) {
  ExpectOneVolume(Write("for", [](auto& s, int k) { s.Text(0x00200052, "UI", Uid("1.2.5", k)); }),
                  4, "4 frames of reference");
  ExpectOneVolume(
      Write("for_half", [](auto& s, int k) { s.Text(0x00200052, "UI", Uid("1.2.5", k % 2)); }), 4,
      "2 frames of reference");
  ExpectOneVolume(Write("no_for", [](auto& s, int) { s.Erase(0x00200052); }), 4, "");
  ExpectOneVolume(Write("study", [](auto& s, int k) { s.Text(0x0020000d, "UI", Uid("1.2.6", k)); }),
                  4, "4 studies");
  ExpectOneVolume(
      Write("study_half", [](auto& s, int k) { s.Text(0x0020000d, "UI", Uid("1.2.6", k / 2)); }), 4,
      "2 studies");
  ExpectOneVolume(Write("all",
                        [](auto& s, int k) {
                          s.Text(0x0020000d, "UI", Uid("1.2.6", k));
                          s.Text(0x00200052, "UI", Uid("1.2.5", k));
                          s.Text(0x00100010, "PN", k % 2 ? "SECRET^PATIENT" : "Secret Patient");
                          s.Text(0x00080018, "UI", "1.2.7");
                        }),
                  4, "4 studies");
  const Volume volume = ReadVolume(TemporaryFolder() / "for");
  EXPECT_EQ(volume.frame_of_reference_uid, "") << "no single space";
  EXPECT_EQ(volume.series_instance_uid, "1.2.3.9");
  EXPECT_EQ(ReadVolume(TemporaryFolder() / "study").frame_of_reference_uid, "1.2.3.8");
}

TEST(DicomIdentity, OtherSpacesAndStudiesStayApart) {
  // Two scans of one region in one series: the patient was laid down anew.
  for (const uint32_t tag : {0x00200052U, 0x0020000dU}) {
    for (const double shift : {0.0, 0.7}) {  // at the places of the other, and between them
      SCOPED_TRACE(std::to_string(tag) + " " + std::to_string(shift));
      const fs::path folder = Write(
          "two" + std::to_string(tag) + std::to_string(shift),
          [&](DicomBuilder& slice, int k) {
            slice.Position({1, 2, 2.0 * (k / 2) + (k % 2) * shift});
            slice.Text(tag, "UI", Uid("1.2.5", k % 2));
          },
          8);
      const DicomTree tree = Scan(folder);
      ASSERT_EQ(tree.AllSeries().size(), 2U);
      for (const DicomSeries* series : tree.AllSeries()) {
        EXPECT_EQ(series->problem, "");
        EXPECT_EQ(series->size[2], 4);
        SilentProgress progress;
        const Volume volume = ReadDicomSeries(*series, {}, progress);
        std::set<int> parity;
        for (int64_t k = 0; k < 4; ++k) parity.insert(volume.As<int16_t>()[48 * k] % 2);
        EXPECT_EQ(parity.size(), 1U) << "slices of the other were mixed in";
        EXPECT_TRUE(Says(volume.notes, "may be a part")) << "a part is read without a word";
      }
    }
  }
  // One file each, of another size: nothing that could be one volume.
  const fs::path folder = TemporaryFolder() / "sizes";
  fs::create_directories(folder);
  for (int k = 0; k < 2; ++k) {
    DicomBuilder slice(8 + 2 * k, 6, {1, 2, 2.0 * k}, 5);
    slice.Text(0x00200052, "UI", Uid("1.2.5", k));
    slice.Write(folder / std::to_string(k));
  }
  EXPECT_EQ(Scan(folder).AllSeries().size(), 2U);
}

TEST(DicomIdentity, WithoutASeriesUidTheGridDecides) {
  ExpectOneVolume(Write("no_uid", [](auto& s, int) { s.Erase(0x0020000e); }), 4,
                  "state no SeriesInstanceUID");
  ExpectOneVolume(Write("no_uids",
                        [](auto& s, int) {
                          for (const uint32_t tag : {0x0020000eU, 0x0020000dU, 0x00200052U}) {
                            s.Erase(tag);
                          }
                        }),
                  4, "state no SeriesInstanceUID");
  // Two series, told apart by their numbers, at the same places.
  const fs::path folder = Write(
      "numbers",
      [](DicomBuilder& slice, int k) {
        slice.Erase(0x0020000e);
        slice.Position({1, 2, 2.0 * (k / 2)});
        slice.Text(0x00200011, "IS", std::to_string(k % 2 + 3));
      },
      8);
  const DicomTree tree = Scan(folder);
  ASSERT_EQ(tree.AllSeries().size(), 2U);
  for (const DicomSeries* series : tree.AllSeries()) EXPECT_EQ(series->size[2], 4);
}

TEST(DicomIdentity, OneSopInstanceUidForAllIsNoCopy) {
  const Change same_uid = [](auto& s, int) { s.Text(0x00080018, "UI", "1.2.7"); };
  ExpectOneVolume(Write("sop", same_uid), 4, "share a SOPInstanceUID");
  // Slices of air are equal, and lie at places of their own.
  const fs::path air = Write("air", [&](DicomBuilder& slice, int k) {
    same_uid(slice, k);
    slice.Pixels(std::vector<int16_t>(48, 0));
  });
  EXPECT_EQ(ReadVolume(air).geometry.size[2], 4);
  // True copies are still left out.
  const fs::path twice = Write("twice", same_uid);
  fs::copy_file(twice / "s1", twice / "t1");
  ExpectOneVolume(twice, 4, "is a copy of");
}

// Reported cases, where they are: ITK and dcm2niix read one series of four slices.
TEST(DicomIdentity, ReportedCases) {
  const fs::path root = test::SharedData("data/reported/48_uids_per_slice");
  if (root.empty()) GTEST_SKIP() << "the reported cases are not there";
  for (const auto& entry : fs::directory_iterator(root)) {
    if (!entry.is_directory()) continue;
    SCOPED_TRACE(entry.path().filename());
    EXPECT_EQ(Scan(entry.path()).AllSeries().size(), 1U);
    const Volume volume = ReadVolume(entry.path()), want = ReadVolume(root / "want.npy");
    ASSERT_EQ(volume.geometry.size[2], 4);
    // want.npy is indexed [i][j][k], and an array is read with its second axis as i.
    const std::vector<float> values = volume.ToFloat(), expected = want.ToFloat();
    const auto& size = volume.geometry.size;
    ASSERT_EQ(want.geometry.size, (std::array<int64_t, 3>{size[1], size[0], size[2]}));
    for (int64_t k = 0; k < size[2]; ++k) {
      for (int64_t j = 0; j < size[1]; ++j) {
        for (int64_t i = 0; i < size[0]; ++i) {
          ASSERT_EQ(values[(k * size[1] + j) * size[0] + i],
                    expected[(k * size[0] + i) * size[1] + j]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace avocet::io
