// SPDX-License-Identifier: Apache-2.0
// DICOM through the jobs, as a person uses them: a study in, masks and tables out, and nobody's
// name in any of them.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "app/core/convert.h"
#include "app/core/degrade.h"
#include "app/core/engine.h"
#include "app/core/evaluate.h"
#include "app/core/export.h"
#include "app/core/inputs.h"
#include "app/core/segment.h"
#include "app/core/translate.h"
#include "io/dicom_seg.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/app/random_model.h"
#include "tests/app/random_translator.h"
#include "tests/io/dicom_builder.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {

namespace fs = std::filesystem;
using test::DicomBuilder;
using test::RunAvocet;
using test::TemporaryFolder;

constexpr const char* kSecrets[] = {"PHANTOM",  "Phantom",    "Paul",   "77-4711",
                                    "19440606", "Elm Street", "Dr^Doe", "ACC-9"};

// A bright body in noise on slices of 20 x 34 pixels.
void WritePhantom(const fs::path& folder, const std::string& uid, const std::vector<double>& depths,
                  const std::string& modality = "MR") {
  fs::create_directories(folder);
  uint32_t state = 5;
  for (size_t k = 0; k < depths.size(); ++k) {
    DicomBuilder slice(20, 34, {-8, 12, depths[k]});
    std::vector<int16_t> values;
    for (int j = 0; j < 34; ++j) {
      for (int i = 0; i < 20; ++i) {
        state = state * 1664525u + 1013904223u;
        const double r = std::hypot(i - 9, 1.2 * (j - 16), depths[k] - 12);
        values.push_back(static_cast<int16_t>(400 / (1 + std::exp(r - 8)) + (state >> 24)));
      }
    }
    slice.Pixels(values);
    slice.Text(0x00080060, "CS", modality);
    slice.Text(0x0020000e, "UI", uid);
    slice.Text(0x00080018, "UI", uid + "." + std::to_string(k + 1));
    slice.Text(0x00100010, "PN", "PHANTOM^Paul");
    slice.Text(0x00100020, "LO", "77-4711");
    slice.Text(0x00100030, "DA", "19440606");
    slice.Text(0x00101040, "LO", "1 Elm Street");
    slice.Text(0x00080090, "PN", "Dr^Doe");
    slice.Text(0x00080050, "SH", "ACC-9");
    slice.Text(0x00081030, "LO", "Phantom study");
    slice.Text(0x0008103e, "LO", "Paul head");
    slice.Text(0x00200011, "IS", "3");
    slice.Text(0x00200052, "UI", "1.2.826.0.1.3680043.9.9999.8");
    slice.Text(0x00180050, "DS", "1.5");
    slice.Write(folder / ("i" + std::to_string(depths.size() - k)));
  }
}

std::vector<double> Even(int count) {
  std::vector<double> depths;
  for (int k = 0; k < count; ++k) depths.push_back(1.5 * k);
  return depths;
}

constexpr const char* kFirst = "1.2.826.0.1.3680043.9.9999.71";
constexpr const char* kSecond = "1.2.826.0.1.3680043.9.9999.72";

class DicomJobs : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = TemporaryFolder();
    WritePhantom(folder_ / "study/one", kFirst, Even(18));
    WritePhantom(folder_ / "study/two", kSecond, Even(12));
    fs::create_directories(folder_ / "out");
  }
  SegmentResult Segment(SegmentOptions options) {
    options.model = test::WriteRandomModel(test::ExampleCard(), "model.safetensors");
    options.device.text = "cpu";
    return LoadEngine().segment(options, progress_);
  }
  fs::path Out(const char* name) { return folder_ / "out" / name; }

  fs::path folder_;
  SilentProgress progress_;
};

// Translation and degradation take what segmentation takes, by the same code.
TEST_F(DicomJobs, TranslateAndDegradeSeries) {
  TranslateOptions options;
  options.inputs = {folder_ / "study"};
  options.model = test::WriteRandomTranslator(test::TranslatorCard(), 0, "same.safetensors");
  options.device.text = "cpu";
  options.output = Out("one.nii.gz");
  const auto translate = [&] { return LoadEngine().translate(options, progress_); };
  test::ExpectError([&] { translate(); }, {"2 series", "--series"});
  options.series = kFirst;
  EXPECT_EQ(translate().failed, 0);
  io::ReadOptions read;
  read.series = kFirst;
  const io::Volume image = io::ReadVolume(folder_ / "study", read);
  const io::Volume made = io::ReadVolume(Out("one.nii.gz"));
  EXPECT_LT(io::MaxCornerDistance(image.geometry, made.geometry), 1e-4);
  const std::vector<float> given = image.ToFloat(), got = made.ToFloat();
  for (size_t x = 0; x < given.size(); ++x) ASSERT_NEAR(got[x], given[x], 1e-3);
  const auto manifest = nlohmann::json::parse(io::ReadTextFile(Out("one.manifest.json")));
  EXPECT_EQ(manifest["input"]["files"], 18);

  // All series of a tree into a folder, and the judgement of the outputs against that tree.
  options.series = "";
  options.output = folder_ / "all";
  options.format = "nrrd";
  const TranslateResult all = translate();
  ASSERT_EQ(all.cases.size(), 2U);
  EXPECT_EQ(all.failed, 0);
  EXPECT_TRUE(fs::exists(folder_ / "all/study-series-2_synthetic.nrrd"));
  EvaluateOptions evaluate;
  evaluate.task = "translation";
  evaluate.prediction = folder_ / "all";
  evaluate.reference = folder_ / "study";
  EvaluateResult scores = RunEvaluate(evaluate, progress_);
  ASSERT_EQ(scores.set.cases.size(), 2U);
  for (const EvaluatedCase& item : scores.set.cases) {
    EXPECT_EQ(item.error, "");
    EXPECT_LT(item.classes[0].values[0][4].value, 1e-3);  // RMSE
  }
  evaluate.prediction = Out("one.nii.gz");
  test::ExpectError([&] { RunEvaluate(evaluate, progress_); }, {"2 series", "--series"});
  evaluate.series = kFirst;
  scores = RunEvaluate(evaluate, progress_);
  ASSERT_EQ(scores.set.cases.size(), 1U);
  EXPECT_LT(scores.set.cases[0].classes[0].values[0][4].value, 1e-3);

  // A DICOM SEG is a mask too.
  const io::SourceSeries source = io::ReadSourceSeries(folder_ / "study/one", "", progress_);
  io::Volume mask = io::Volume::Zeros(source.geometry, io::VoxelType::kUInt8);
  std::fill_n(mask.As<uint8_t>() + 9 * 20 * 34, 20 * 34, uint8_t{1});
  io::WriteDicomSeg(mask, source, Out("mask.dcm"), {});
  evaluate.mask = Out("mask.dcm");
  scores = RunEvaluate(evaluate, progress_);
  ASSERT_EQ(scores.classes.size(), 2U);
  EXPECT_LT(scores.set.cases[0].classes[1].values[0][4].value, 1e-3);

  DegradeJobOptions degrade;
  degrade.inputs = {folder_ / "study"};
  degrade.series = "2";
  degrade.output = Out("weak.nii.gz");
  EXPECT_EQ(RunDegrade(degrade, progress_).failed, 0);
  EXPECT_EQ(io::ReadVolume(Out("weak.nii.gz")).geometry.size[2], 12);

  // An original is never overwritten, whichever way it was named.
  SegmentOptions seg;
  seg.inputs = {folder_ / "study/one"};
  seg.output = folder_ / "study/one/a.dcm";
  fs::copy_file(folder_ / "study/one/i3", seg.output);
  test::ExpectError([&] { Segment(seg); }, {"overwrite", "DICOM image"});
  ExportOptions to_dicom;
  to_dicom.mask = folder_ / "mask.nii.gz";
  io::WriteVolume(mask, to_dicom.mask);
  to_dicom.source_series = folder_ / "study/one";
  to_dicom.output = seg.output;
  const std::string original = io::ReadTextFile(seg.output);
  test::ExpectError([&] { RunExport(to_dicom, progress_); }, {"overwrite", "DICOM image"});
  EXPECT_EQ(io::ReadTextFile(seg.output), original);
  for (const bool contours : {false, true}) {  // what an earlier run wrote is no original
    to_dicom.rtstruct = contours;
    to_dicom.output = Out(contours ? "contours.dcm" : "seg.dcm");
    RunExport(to_dicom, progress_);
    RunExport(to_dicom, progress_);
  }
  to_dicom.output = to_dicom.mask;
  to_dicom.rtstruct = false;
  test::ExpectError([&] { RunExport(to_dicom, progress_); }, {"overwrite the input"});

  for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
    if (!entry.is_regular_file() || entry.path().string().find("study/") != std::string::npos) {
      continue;
    }
    const std::string bytes = io::ReadTextFile(entry.path());
    for (const char* secret : kSecrets) {
      EXPECT_EQ(bytes.find(secret), std::string::npos) << entry.path() << " holds " << secret;
    }
  }
}

TEST_F(DicomJobs, SegmentASeriesIntoAVolumeAndASeg) {
  SegmentOptions options;
  options.inputs = {folder_ / "study"};
  options.output = Out("mask.nii.gz");
  test::ExpectError([&] { Segment(options); }, {"2 series", "--series"});
  EXPECT_EQ(test::CountEntries(folder_ / "out"), 0U);
  options.series = kFirst;
  SegmentResult result = Segment(options);
  ASSERT_EQ(result.cases.size(), 1U);
  EXPECT_EQ(result.failed, 0);
  options.output = Out("mask.dcm");
  options.series = "1";
  Segment(options);

  io::ReadOptions read;
  read.series = kFirst;
  const io::Volume image = io::ReadVolume(folder_ / "study", read);
  const io::Volume mask = io::ReadVolume(Out("mask.nii.gz"));
  EXPECT_LT(io::MaxCornerDistance(image.geometry, mask.geometry), 1e-4);
  const io::SegReadResult seg = io::ReadDicomSeg(Out("mask.dcm"));
  EXPECT_EQ(seg.referenced_series_uid, kFirst);
  ASSERT_EQ(seg.segments.size(), 2U);
  EXPECT_EQ(seg.segments[0].label, "front");
  EXPECT_EQ(seg.segments[0].algorithm_name, "Avocet random test model");
  EXPECT_NEAR(seg.segments[0].rgb[0], 230, 1);
  ASSERT_EQ(seg.volumes.size(), 1U);
  EXPECT_EQ(seg.volumes[0].ToLabels("seg"), mask.ToLabels("mask"));
  // The random network must have marked something, or nothing was tested.
  const auto labels = mask.ToLabels("mask");
  EXPECT_GT(labels.size() - static_cast<size_t>(std::count(labels.begin(), labels.end(), 0)), 20U);

  const auto manifest = nlohmann::json::parse(test::Slurp(Out("mask.manifest.json")));
  EXPECT_EQ(manifest["input"]["files"], 18);
  EXPECT_EQ(manifest["input"]["file"], "study");
}

TEST_F(DicomJobs, ATreeGivesAMaskForEachSeries) {
  SegmentOptions options;
  options.inputs = {folder_ / "study"};
  options.output = folder_ / "masks";
  options.format = "dcm";
  const SegmentResult result = Segment(options);
  EXPECT_EQ(result.failed, 0);
  ASSERT_EQ(result.cases.size(), 2U);
  EXPECT_EQ(io::ReadDicomSeg(folder_ / "masks/study-series-1.dcm").referenced_series_uid, kFirst);
  EXPECT_EQ(io::ReadDicomSeg(folder_ / "masks/study-series-2.dcm").referenced_series_uid, kSecond);
}

TEST_F(DicomJobs, UnevenSlicesAreSegmentedOnRequestAndTheSegLiesOnThem) {
  std::vector<double> depths = Even(18);
  depths.erase(depths.begin() + 7);
  WritePhantom(folder_ / "gap", kFirst, depths);
  SegmentOptions options;
  options.inputs = {folder_ / "gap"};
  options.output = Out("gap.dcm");
  test::ExpectError([&] { Segment(options); }, {"missing", "--regularise"});
  options.regularise = true;
  EXPECT_EQ(Segment(options).failed, 0);
  const io::SourceSeries source = io::ReadSourceSeries(folder_ / "gap", "", progress_);
  EXPECT_FALSE(source.regular);
  EXPECT_EQ(io::ReadDicomSeg(Out("gap.dcm"), &source).volumes[0].geometry.size[2], 18);
}

TEST_F(DicomJobs, ASegNeedsDicom) {
  io::Volume volume = io::ReadVolume(folder_ / "study/one");
  io::WriteVolume(volume, folder_ / "x.nii");
  SegmentOptions options;
  options.inputs = {folder_ / "x.nii"};
  options.output = Out("mask.dcm");
  test::ExpectError([&] { Segment(options); }, {"x.nii", "not a DICOM series"});
  options.output = Out("mask.nii");
  options.series = "1";
  test::ExpectError([&] { Segment(options); }, {"--series", "x.nii"});
}

// Slices named one by one are one series, as a shell's wildcard gives them.
TEST_F(DicomJobs, InputsAreExpanded) {
  std::vector<fs::path> slices;
  for (const auto& entry : fs::directory_iterator(folder_ / "study/one")) {
    slices.push_back(entry.path());
  }
  auto found = ExpandInputs(slices, "", false, true, progress_);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].series->size[2], 18);
  EXPECT_EQ(found[0].name, "one");
  io::WriteVolume(io::ReadVolume(folder_ / "study/one"), folder_ / "x.nii");
  found = ExpandInputs({folder_ / "x.nii", folder_ / "study", folder_ / "none"}, "", false, true,
                       progress_);
  ASSERT_EQ(found.size(), 4U);
  // A DICOMDIR is called after its folder.
  std::string records;
  for (const char* name :
       {"STUDY\\ONE\\I1", "STUDY\\ONE\\I2", "STUDY\\TWO\\I1", "STUDY\\TWO\\I2"}) {
    records += DicomBuilder::Item(DicomBuilder::Element(0x00041500, {"CS", name}));
  }
  test::Spill(
      folder_ / "DICOMDIR",
      std::string(128, '\0') + "DICM" +
          DicomBuilder::Element(0x00020002, {"UI", "1.2.840.10008.1.3.10"}) +
          DicomBuilder::Element(0x00020010, {"UI", std::string("1.2.840.10008.1.2.1\0", 20)}) +
          DicomBuilder::Element(0x00041220, {"SQ", records}));
  const auto disc = ExpandInputs({folder_ / "DICOMDIR"}, "", false, true, progress_);
  ASSERT_EQ(disc.size(), 2U);
  EXPECT_EQ(disc[1].name, folder_.filename().string() + "-series-2");
  EXPECT_EQ(disc[1].series->size[2], 2);
  EXPECT_EQ(found[0].name, "x");
  EXPECT_EQ(found[2].name, "study-series-2");
  EXPECT_EQ(found[3].name, "none");  // said when it is read
}

TEST_F(DicomJobs, ConvertGoesOnAfterABadFile) {
  test::Spill(folder_ / "bad.nii", "nothing");
  io::WriteVolume(io::ReadVolume(folder_ / "study/one"), folder_ / "x.mha");
  const std::string out = (folder_ / "converted").string();
  const auto result =
      RunAvocet({"convert", (folder_ / "bad.nii").string(), (folder_ / "study").string(),
                 (folder_ / "x.mha").string(), "-o", out, "--format", "nrrd"});
  EXPECT_EQ(result.exit_code, 6);
  EXPECT_NE(result.err.find("bad.nii"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("1 of 4 images"), std::string::npos) << result.err;
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(out)) {
    names.insert(entry.path().filename().string());
  }
  EXPECT_EQ(names, (std::set<std::string>{"study-series-1.nrrd", "study-series-2.nrrd", "x.nrrd"}));
  EXPECT_EQ(io::ReadVolume(folder_ / "converted/study-series-2.nrrd").geometry.size[2], 12);
  EXPECT_EQ(io::ReadVolume(folder_ / "converted/x.nrrd").data,
            io::ReadVolume(folder_ / "study/one").data);
  // Two inputs that would get one name; several inputs and a file.
  EXPECT_EQ(RunAvocet({"convert", (folder_ / "x.mha").string(),
                       (folder_ / "converted/x.nrrd").string(), "-o", out + "2"})
                .exit_code,
            2);
  EXPECT_EQ(RunAvocet({"convert", (folder_ / "x.mha").string(), (folder_ / "bad.nii").string(),
                       (folder_ / "y.nii").string()})
                .exit_code,
            2);
  EXPECT_EQ(RunAvocet({"convert", (folder_ / "x.mha").string()}).exit_code, 2);
}

TEST_F(DicomJobs, EvaluateDicomMasksAgainstVolumesAndEachOther) {
  const io::SourceSeries source = io::ReadSourceSeries(folder_ / "study/one", "", progress_);
  io::Volume mask = io::Volume::Zeros(source.geometry, io::VoxelType::kUInt8);
  for (int k = 4; k < 9; ++k)
    for (int j = 5; j < 20; ++j)
      for (int i = 6; i < 14; ++i) mask.As<uint8_t>()[(k * 34 + j) * 20 + i] = 1;
  io::WriteVolume(mask, folder_ / "mask.nii.gz");
  ExportOptions write;
  write.mask = folder_ / "mask.nii.gz";
  write.source_series = folder_ / "study";
  write.series = kFirst;
  write.output = folder_ / "seg.dcm";
  write.omit_empty_frames = true;
  RunExport(write, progress_);
  write.output = folder_ / "rs.dcm";
  write.rtstruct = true;
  RunExport(write, progress_);
  const auto dice = [&](const fs::path& a, const fs::path& b, const fs::path& images = "") {
    EvaluateOptions options;
    options.prediction = a;
    options.reference = b;
    options.source_series = images;
    const EvaluateResult result = RunEvaluate(options, progress_);
    return result.set.cases.at(0).classes.at(0).values.at(0).at(0).value;
  };
  EXPECT_EQ(dice(folder_ / "seg.dcm", folder_ / "mask.nii.gz"), 1);
  EXPECT_EQ(dice(folder_ / "mask.nii.gz", folder_ / "seg.dcm"), 1);
  EXPECT_EQ(dice(folder_ / "rs.dcm", folder_ / "mask.nii.gz"), 1);
  EXPECT_EQ(dice(folder_ / "mask.nii.gz", folder_ / "rs.dcm"), 1);
  EXPECT_EQ(dice(folder_ / "rs.dcm", folder_ / "seg.dcm", folder_ / "study"), 1);
  EXPECT_EQ(dice(folder_ / "rs.dcm", folder_ / "rs.dcm", folder_ / "study"), 1);
  test::ExpectError([&] { dice(folder_ / "rs.dcm", folder_ / "rs.dcm"); }, {"--source-series"});
  // A mask that is not the same must not become so on the way.
  mask.As<uint8_t>()[(4 * 34 + 5) * 20 + 6] = 0;
  mask.As<uint8_t>()[(4 * 34 + 4) * 20 + 6] = 1;
  io::WriteVolume(mask, folder_ / "other.nii.gz");
  EXPECT_NEAR(dice(folder_ / "seg.dcm", folder_ / "other.nii.gz"), 2 * 599.0 / 1200, 1e-9);
  // The source series is the one that the SEG names, without being told.
  write = {};
  write.mask = folder_ / "seg.dcm";
  write.output = folder_ / "back.nii.gz";
  write.source_series = folder_ / "study";
  RunExport(write, progress_);
  EXPECT_EQ(io::ReadVolume(folder_ / "back.nii.gz").geometry.size[2], 18);
  // Folders pair by name.
  fs::create_directories(folder_ / "p");
  fs::create_directories(folder_ / "r");
  fs::copy_file(folder_ / "seg.dcm", folder_ / "p/a.dcm");
  fs::copy_file(folder_ / "mask.nii.gz", folder_ / "r/a.nii.gz");
  EXPECT_EQ(dice(folder_ / "p", folder_ / "r"), 1);
}

// Every file that any job writes, uncompressed where there is a choice.
TEST_F(DicomJobs, NoOutputNamesThePatient) {
  const fs::path study = folder_ / "study";
  const std::string model = test::WriteRandomModel(test::ExampleCard(), "model.safetensors");
  const auto run = [&](std::vector<std::string> arguments) {
    const auto result = RunAvocet(arguments);
    EXPECT_EQ(result.exit_code, 0) << arguments[0] << ": " << result.err;
    for (const char* secret : kSecrets) {
      EXPECT_EQ(result.out.find(secret), std::string::npos) << arguments[0] << result.out;
      EXPECT_EQ(result.err.find(secret), std::string::npos) << arguments[0] << result.err;
    }
    return result.out;
  };
  const auto out = [&](const char* name) { return Out(name).string(); };
  for (const char* name : {"m.nii", "m.nrrd", "m.mha", "m.dcm"}) {
    run({"segment", study.string(), "--series", kFirst, "-m", model, "-o", out(name), "--device",
         "cpu", "--probabilities"});
  }
  for (const char* name : {"c.nii", "c.hdr", "c.nrrd", "c.nhdr", "c.mha", "c.mhd"}) {
    run({"convert", study.string(), out(name), "--series", kFirst});
  }
  run({"export", out("m.nii"), "-o", out("e.dcm"), "--source-series", study.string(), "--series",
       kFirst});
  run({"export", out("m.nii"), "-o", out("rs.dcm"), "--rtstruct", "--source-series", study.string(),
       "--series", kFirst});
  for (const char* name : {"s.stl", "s.obj", "s.ply", "s.nii"}) {
    run({"export", out("m.dcm"), "-o", out(name)});
  }
  run({"evaluate", out("m.dcm"), out("m.nii"), "--csv", out("v.csv"), "--json", out("v.json")});
  test::Spill(Out("info.txt"), run({"info", study.string()}));
  test::Spill(Out("info.json"), run({"info", "--json", study.string(), "--series", kFirst}));
  test::Spill(Out("seg.json"), run({"info", "--json", out("m.dcm")}));
  run({"anonymize", study.string(), (folder_ / "clean").string()});
  int files = 0;
  for (const fs::path& root : {folder_ / "out", folder_ / "clean"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (!entry.is_regular_file()) continue;
      ++files;
      const std::string bytes = test::Slurp(entry.path());
      for (const char* secret : kSecrets) {
        EXPECT_EQ(bytes.find(secret), std::string::npos) << entry.path() << " holds " << secret;
      }
    }
  }
  EXPECT_GT(files, 50);
  // Asked for, the SEG is the patient's.
  run({"export", out("m.nii"), "-o", out("kept.dcm"), "--source-series", study.string(), "--series",
       kFirst, "--keep-patient"});
  const std::string kept = test::Slurp(Out("kept.dcm"));
  for (const char* secret : {"PHANTOM^Paul", "77-4711", "19440606"}) {
    EXPECT_NE(kept.find(secret), std::string::npos) << secret;
  }
  EXPECT_NE(RunAvocet({"info", "--show-patient", study.string()}).out.find("PHANTOM^Paul"),
            std::string::npos);
}

TEST_F(DicomJobs, ADictionaryThatIsNotThereIsFoundElsewhere) {
  setenv("DCMDICTPATH", "/nowhere/dicom.dic", 1);
  const auto result = RunAvocet(
      {"anonymize", (folder_ / "study/one/i1").string(), (folder_ / "out/a.dcm").string()});
  unsetenv("DCMDICTPATH");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(fs::exists(Out("a.dcm")));
}

bool CatchesInterrupt(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("SigCgt:", 0) == 0) {
      return std::strtoull(line.c_str() + 7, nullptr, 16) >> (SIGINT - 1) & 1;
    }
  }
  return false;
}

// Of a process that has ended and is not waited for yet.
int64_t ReadCalls(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/io");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("syscr:", 0) == 0) return std::atoll(line.c_str() + 6);
  }
  return -1;
}

TEST_F(DicomJobs, CtrlCEndsReadingAFolder) {
  const fs::path many = folder_ / "many";
  fs::create_directories(many);
  for (int i = 0; i < 30000; ++i) {
    fs::create_hard_link(folder_ / "study/one" / ("i" + std::to_string(1 + i % 18)),
                         many / std::to_string(i));
  }
  const std::string binary = test::AvocetBinary();
  const pid_t child = fork();
  if (child == 0) {
    if (!freopen((folder_ / "log").c_str(), "w", stderr)) _exit(9);
    execl(binary.c_str(), binary.c_str(), "convert", many.c_str(), Out("x.nii").c_str(), nullptr);
    _exit(127);
  }
  // As soon as it listens to signals; a busy machine takes its time to start a program.
  for (int tries = 0; tries < 3000 && !CatchesInterrupt(child); ++tries) usleep(5 * 1000);
  usleep(30 * 1000);
  kill(child, SIGINT);
  siginfo_t ended;
  ASSERT_EQ(waitid(P_PID, child, &ended, WEXITED | WNOWAIT), 0);
  const int64_t reads = ReadCalls(child);
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  // It ended in the middle: each file takes at least one call.
  EXPECT_GT(reads, 0);
  EXPECT_LT(reads, 30000);
  EXPECT_EQ(test::CountEntries(folder_ / "out"), 0U);
}

}  // namespace
}  // namespace avocet::core
