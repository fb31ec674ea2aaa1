// SPDX-License-Identifier: Apache-2.0
#include "app/core/translate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "app/base/error.h"
#include "app/core/engine.h"
#include "app/core/image_checks.h"
#include "app/core/translation_checks.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "models/preprocess/degrade.h"
#include "tests/app/random_translator.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {
namespace fs = std::filesystem;
using test::TemporaryFolder;
using test::TranslatorCard;
using test::WriteRandomTranslator;

class Recorder : public Progress {
 public:
  bool Update(double fraction, std::string_view) override {
    EXPECT_GE(fraction, last);
    last = fraction;
    return fraction < cancel_at;
  }
  void Warn(std::string_view sentence) override { warnings.emplace_back(sentence); }
  double last = 0;
  double cancel_at = 2;
  std::vector<std::string> warnings;
};

// A noisy head in air with a brighter core; odd sizes, thick slices along j.
io::Volume Head(const std::function<float(float value, int64_t index)>& change = {}) {
  io::Geometry geometry;
  geometry.size = {37, 13, 41};
  geometry.spacing = {1, 4, 1.1};
  geometry.origin = {10, -20, 30};
  const double c = std::cos(0.2), s = std::sin(0.2);
  geometry.direction = {-c, s, 0, -s, -c, 0, 0, 0, 1};
  io::Volume image = io::Volume::Zeros(geometry, io::VoxelType::kFloat32);
  float* value = image.As<float>();
  uint32_t state = 5;
  int64_t x = 0;
  for (int k = 0; k < 41; ++k) {
    for (int j = 0; j < 13; ++j) {
      for (int i = 0; i < 37; ++i, ++x) {
        state = state * 1664525u + 1013904223u;
        const double r = std::hypot(i - 18, 4 * (j - 6), k - 20);
        const double noise = (state >> 24) / 8.0;
        const double clean = r < 6 ? 400 : r < 12 ? 250 : r < 15 ? 120 + 10 * i : 0;
        value[x] = static_cast<float>(clean + noise);
        if (change) value[x] = change(value[x], x);
      }
    }
  }
  return image;
}

TranslateOptions OptionsFor(const fs::path& input, const fs::path& model, const fs::path& output) {
  TranslateOptions options;
  options.inputs = {input};
  options.model = model;
  options.output = output;
  options.device.text = "cpu";
  return options;
}

TranslateResult RunJob(const TranslateOptions& options, Progress& progress) {
  return LoadEngine().translate(options, progress);
}

std::set<std::string> NamesIn(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

std::string RefusalOf(const TranslateOptions& options) {
  Recorder progress;
  try {
    RunJob(options, progress);
  } catch (const IoError& error) {
    return error.what();
  }
  return "";
}

TEST(Translate, IdentityNetworkGivesTheInputInItsGeometry) {
  const fs::path folder = TemporaryFolder();
  fs::create_directory(folder / "out");
  io::WriteVolume(Head(), folder / "head.nii");
  const fs::path model = WriteRandomTranslator(TranslatorCard(), 0, "identity.safetensors");
  const fs::path out = folder / "out/result.nii";
  Recorder progress;
  TranslateOptions options = OptionsFor(folder / "head.nii", model, out);
  options.picture = true;
  const TranslateResult result = RunJob(options, progress);
  ASSERT_EQ(result.failed, 0);
  EXPECT_EQ(progress.last, 1);
  EXPECT_EQ(NamesIn(folder / "out"),
            (std::set<std::string>{"result.nii", "result.manifest.json", "result.png"}));
  // Input, output and difference side by side; without a change the difference is grey.
  const io::Volume picture = io::ReadVolume(folder / "out/result.png");
  ASSERT_GT(picture.geometry.size[0], 600);
  ASSERT_EQ(picture.components, 3);
  const int64_t width = picture.geometry.size[0];
  EXPECT_NEAR(picture.As<uint8_t>()[3 * (150 * width + width - 100)], 127.5, 1);
  EXPECT_EQ(result.cases[0].plane, "coronal");  // the thick axis, not the model's sagittal
  EXPECT_EQ(result.cases[0].mean_change, 0);
  // Said once.
  int notices = 0;
  for (const std::string& warning : progress.warnings) notices += warning == kTranslateNotice;
  EXPECT_EQ(notices, 1);

  const io::Volume given = io::ReadVolume(folder / "head.nii");
  const io::Volume made = io::ReadVolume(out);
  EXPECT_EQ(made.type, io::VoxelType::kFloat32);
  EXPECT_EQ(made.ToFloat(), given.ToFloat());
  EXPECT_EQ(made.geometry.origin, given.geometry.origin);
  EXPECT_EQ(made.geometry.direction, given.geometry.direction);
  ASSERT_EQ(made.notes.size(), 1u);
  EXPECT_NE(made.notes[0].find("synthetic"), std::string::npos);
  // Header bytes: pixdim, quaternion and sform as in the input; descrip says what it is.
  const std::string a = io::ReadTextFile(folder / "head.nii"), b = io::ReadTextFile(out);
  EXPECT_EQ(a.substr(76, 32), b.substr(76, 32));
  EXPECT_EQ(a.substr(252, 76), b.substr(252, 76));
  EXPECT_EQ(b.substr(148, 9), "synthetic");

  const auto manifest =
      nlohmann::json::parse(io::ReadTextFile(folder / "out/result.manifest.json"));
  EXPECT_EQ(manifest["job"], "translate");
  EXPECT_EQ(manifest["protocol"]["plane"], "coronal");
  EXPECT_EQ(manifest["figures"]["slices"], 13);
  EXPECT_GT(manifest["figures"]["intensity_upper"], 300);
  EXPECT_EQ(manifest["figures"]["slice_difference_input"],
            manifest["figures"]["slice_difference_output"]);
  EXPECT_EQ(manifest["output"]["sha256"], io::Sha256OfFile(out));
  EXPECT_NE(manifest["warnings"][0].get<std::string>().find("synthetic"), std::string::npos);
  EXPECT_FALSE(manifest.contains("volumes_ml"));
}

TEST(Translate, PlaneBatchAndHeadMask) {
  const fs::path folder = TemporaryFolder();
  io::WriteVolume(Head(), folder / "head.nii.gz");
  const fs::path model = WriteRandomTranslator(TranslatorCard(), 0.3, "m.safetensors");
  const auto run = [&](const std::string& name, const std::string& plane, int batch, bool head) {
    TranslateOptions options = OptionsFor(folder / "head.nii.gz", model, folder / name);
    options.plane = plane;
    options.batch = batch;
    options.head_only = head;
    Recorder progress;
    const TranslateResult result = RunJob(options, progress);
    EXPECT_GT(result.cases[0].mean_change, 1e-4);
    return io::ReadVolume(folder / name).ToFloat();
  };
  const auto coronal = run("a.nii", "auto", 1, false);
  const auto coronal5 = run("b.nii", "coronal", 5, false);
  const auto axial = run("c.nii", "axial", 4, false);
  const auto head = run("d.nii", "coronal", 1, true);
  const auto input = Head();
  double differs = 0;
  int64_t kept = 0, changed = 0;
  for (size_t x = 0; x < coronal.size(); ++x) {
    ASSERT_NEAR(coronal[x], coronal5[x], 1e-2);
    differs += std::abs(coronal[x] - axial[x]);
    if (head[x] == input.As<float>()[x]) {
      ++kept;
    } else {
      ASSERT_NEAR(head[x], coronal[x], 1e-3);
      ++changed;
    }
  }
  EXPECT_GT(differs, 1);
  EXPECT_GT(kept, changed);
  EXPECT_GT(changed, 1000);
}

TEST(Translate, FolderNamesAndFailures) {
  const fs::path folder = TemporaryFolder();
  fs::create_directory(folder / "in");
  io::WriteVolume(Head(), folder / "in/a.nii.gz");
  io::WriteVolume(Head(), folder / "in/b.nrrd");
  std::ofstream(folder / "in/c.nii") << "broken";
  const fs::path model = WriteRandomTranslator(TranslatorCard(), 0, "m.safetensors");
  Recorder progress;
  TranslateOptions options = OptionsFor(folder / "in", model, folder / "out");
  const TranslateResult result = RunJob(options, progress);
  EXPECT_EQ(result.failed, 1);
  EXPECT_EQ(NamesIn(folder / "out"),
            (std::set<std::string>{"a_synthetic.nii.gz", "a_synthetic.manifest.json",
                                   "b_synthetic.nrrd", "b_synthetic.manifest.json"}));
  EXPECT_NE(io::ReadTextFile(folder / "out/b_synthetic.nrrd").find("content: synthetic"),
            std::string::npos);
  // A second run over inputs and results together would overwrite the first results.
  options.inputs = {folder / "in", folder / "out"};
  options.output = folder / "out";
  Recorder again, third;
  EXPECT_THROW(RunJob(options, again), OptionError);
  options.inputs = {folder / "in"};
  options.plain_name = true;
  options.output = folder / "in";
  EXPECT_THROW(RunJob(options, third), OptionError);  // would overwrite
}

TEST(Translate, CancelAndDamagedModelLeaveNothing) {
  const fs::path folder = TemporaryFolder();
  fs::create_directory(folder / "out");
  io::WriteVolume(Head(), folder / "head.nii.gz");
  const fs::path model = WriteRandomTranslator(TranslatorCard(), 0.3, "m.safetensors");
  Recorder progress;
  progress.cancel_at = 0.5;
  EXPECT_THROW(RunJob(OptionsFor(folder / "head.nii.gz", model, folder / "out/x.nii.gz"), progress),
               Cancelled);
  EXPECT_TRUE(NamesIn(folder / "out").empty());
  Recorder again;
  models::ModelCard card = TranslatorCard();
  card.task = "segmentation";
  card.labels = {{0, "background", {0, 0, 0}}, {1, "x", {1, 1, 1}}};
  EXPECT_THROW(
      RunJob(OptionsFor(folder / "head.nii.gz", WriteRandomTranslator(card, 0, "seg.safetensors"),
                        folder / "out/x.nii.gz"),
             again),
      ModelError);
  EXPECT_TRUE(NamesIn(folder / "out").empty());
}

TEST(Translate, RefusesWhatTheModelWasNotMadeFor) {
  const fs::path folder = TemporaryFolder();
  const fs::path model = WriteRandomTranslator(TranslatorCard(), 0, "m.safetensors");
  const auto refusal = [&](const io::Volume& image) {
    io::WriteVolume(image, folder / "x.nii");
    return RefusalOf(OptionsFor(folder / "x.nii", model, folder / "y.nii"));
  };
  const auto contains = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  EXPECT_EQ(refusal(Head()), "");
  contains(refusal(Head([](float v, int64_t) { return v * 3 - 1000; })), "Hounsfield");
  contains(refusal(Head([](float v, int64_t) { return std::sin(v) * 3; })), "phase");
  contains(refusal(Head([](float, int64_t) { return 5.0f; })), "same value");
  contains(refusal(Head([](float v, int64_t) { return std::floor(v / 90); })), "label map");
  contains(refusal(Head([](float v, int64_t) { return 700 - 1.5f * v; })), "rim");
  contains(refusal(Head([](float v, int64_t) { return v > 100 ? 1060 + v / 100 : v / 9; })),
           "nearly the same value");
  // NaN is reported, not refused.
  io::WriteVolume(Head([](float v, int64_t x) { return x % 1000 == 0 ? std::nanf("") : v; }),
                  folder / "nan.nii");
  Recorder progress;
  RunJob(OptionsFor(folder / "nan.nii", model, folder / "nan_out.nii"), progress);
  bool told = false;
  for (const auto& w : progress.warnings) told = told || w.find("not finite") != std::string::npos;
  EXPECT_TRUE(told);
  for (const float v : io::ReadVolume(folder / "nan_out.nii").ToFloat())
    ASSERT_TRUE(std::isfinite(v));
  // Four dimensions.
  io::Volume series = Head();
  series.frames = 2;
  series.data.resize(2 * series.data.size());
  contains(refusal(series), "4D");
  // --force.
  io::WriteVolume(Head([](float v, int64_t) { return 700 - v; }), folder / "inverse.nii");
  TranslateOptions forced = OptionsFor(folder / "inverse.nii", model, folder / "forced.nii");
  forced.force = true;
  EXPECT_EQ(RefusalOf(forced), "");
  EXPECT_TRUE(fs::exists(folder / "forced.nii"));
  EXPECT_FALSE(fs::exists(folder / "y.manifest.json.tmp"));
}

TEST(Translate, ContrastOfTheTrainingImages) {
  const io::Volume image = Head();
  const auto values = image.ToFloat();
  models::ModelCard card = TranslatorCard();
  const ImageStatistics trained = MeasureImage(image, values, card);
  const auto quartiles = trained.head_quartiles;
  EXPECT_GT(quartiles[1], quartiles[0]);
  for (const auto& [key, text] : TrainingStatistics({trained})) card.provenance[key] = text;
  EXPECT_EQ(CheckImage(image, values, card).refusal, "");
  // A masked background is told, not refused.
  auto masked = values;
  for (float& v : masked) v = v > 60 ? v : 0;
  const ImageCheck check = CheckImage(image, masked, card);
  EXPECT_EQ(check.refusal, "");
  ASSERT_EQ(check.warnings.size(), 1u);
  EXPECT_NE(check.warnings[0].find("masked"), std::string::npos);
  auto other = values;  // a sequence in which everything is about equally bright
  for (float& v : other) v = v > 60 ? 200 + 0.65f * v : v;
  const auto q = MeasureImage(image, other, card).head_quartiles;
  EXPECT_NE(CheckImage(image, other, card).refusal.find("contrast"), std::string::npos)
      << quartiles[0] << " " << quartiles[1] << " " << quartiles[2] << " against " << q[0] << " "
      << q[1] << " " << q[2] << CheckImage(image, other, card).refusal;
}

TEST(Translate, OneSliceAndConstantSlices) {
  const fs::path folder = TemporaryFolder();
  const fs::path model = WriteRandomTranslator(TranslatorCard(), 0.3, "m.safetensors");
  // The middle slice alone, and a volume whose first slices along j are 0.
  const io::Volume head = Head();
  io::Geometry geometry = head.geometry;
  geometry.size[1] = 1;
  io::Volume slice = io::Volume::Zeros(geometry, io::VoxelType::kFloat32);
  for (int k = 0; k < 41; ++k)
    std::memcpy(slice.As<float>() + k * 37, head.As<float>() + (k * 13 + 6) * 37, 37 * 4);
  io::WriteVolume(slice, folder / "slice.nii");
  Recorder progress;
  TranslateResult result =
      RunJob(OptionsFor(folder / "slice.nii", model, folder / "slice_out.nii"), progress);
  EXPECT_EQ(result.cases[0].plane, "coronal");
  EXPECT_EQ(result.cases[0].slice_difference_input, 0);
  io::WriteVolume(Head([](float v, int64_t x) { return x / 37 % 13 < 3 ? 0.0f : v; }),
                  folder / "cut.nii");
  Recorder again;
  RunJob(OptionsFor(folder / "cut.nii", model, folder / "cut_out.nii"), again);
  const auto manifest = nlohmann::json::parse(io::ReadTextFile(folder / "cut_out.manifest.json"));
  EXPECT_EQ(manifest["figures"]["empty_slices_kept"], 6);  // three of zeros, three of noise
}

TEST(Translate, SharedImagesAreToldApart) {
  const auto data = test::SharedData("data");
  if (data.empty()) GTEST_SKIP() << "no ../shared";
  const auto check = [&](const fs::path& path, float add = 0) {
    const io::Volume image = io::ReadVolume(path);
    std::vector<float> values = image.ToFloat();
    for (float& v : values) v = std::max(v + add, add == 0 ? v : 0.0f);
    const ImageStatistics s = MeasureImage(image, values, TranslatorCard());
    const std::string refusal = CheckImage(image, values, TranslatorCard()).refusal;
    std::printf("%-45s crowding %.2f at %.0f rim %.2f | %s\n", path.filename().c_str(), s.crowding,
                s.crowded_value, s.dark_rim, refusal.substr(0, 50).c_str());
    return refusal;
  };
  const fs::path brain = data / "brain";
  for (const char* good :
       {"3t_t1w/studyforrest_t1w_3T_halfres.nii.gz", "ixi/IXI012-HH-1211_T1.nii.gz",
        "icbm152_2009a/icbm152_2009a_sym_t1.nii.gz", "torchio/t2.nii.gz",
        "paired_reconstructions/philips_t1w_tse/Ph_201_T1W_TSE_Sno_CSno_CSAIno.nii.gz"}) {
    EXPECT_EQ(check(brain / good), "") << good;
  }
  EXPECT_NE(check(data / "totalsegmentator/example_ct.nii.gz"), "");
  EXPECT_NE(check(data / "totalsegmentator/example_seg.nii.gz"), "");
  EXPECT_NE(check(data / "hippocampus/imagesTr/hippocampus_001.nii.gz"), "");
  EXPECT_NE(check(data / "busi/images/malignant_143.png"), "");
  EXPECT_NE(check(data / "totalsegmentator/example_ct.nii.gz", 1024), "");
}

// Slices [first, first + count) along j.
io::Volume CutJ(const io::Volume& volume, int64_t first, int64_t count) {
  io::Geometry geometry = volume.geometry;
  geometry.size[1] = count;
  for (int row = 0; row < 3; ++row)
    geometry.origin[row] += geometry.direction[3 * row + 1] * geometry.spacing[1] * first;
  io::Volume cut = io::Volume::Zeros(geometry, io::VoxelType::kFloat32);
  const auto values = volume.ToFloat();
  const auto& size = volume.geometry.size;
  for (int64_t k = 0; k < size[2]; ++k)
    std::copy_n(values.begin() + (k * size[1] + first) * size[0], count * size[0],
                cut.As<float>() + k * count * size[0]);
  return cut;
}

// The subject that the shipped model's card names as held out, from a simulated acquisition.
TEST(Translate, ShippedModelBeatsItsInputAndInterpolation) {
  const auto shared = test::SharedData("data/brain/ixi/IXI012-HH-1211_T1.nii.gz");
  if (shared.empty()) GTEST_SKIP() << "no ../shared";
  const fs::path folder = TemporaryFolder();
  const io::Volume whole = io::ReadVolume(shared);
  const auto psnr = [&](const std::vector<float>& values, const std::vector<float>& reference) {
    double sum = 0;
    for (size_t x = 0; x < values.size(); ++x) sum += std::pow(values[x] - reference[x], 2);
    const auto [low, high] = std::minmax_element(reference.begin(), reference.end());
    return 10 * std::log10(std::pow(*high - *low, 2) * values.size() / sum);
  };
  preprocess::DegradeOptions degrade;
  degrade.coarser = {1.6, 1, 1.6};  // j runs from foot to head
  degrade.bias = 0.05;
  degrade.seed = 5;
  const auto acquire = [&](preprocess::Reconstruction reconstruction) {
    degrade.reconstruction = reconstruction;
    io::Volume out = io::ZerosLike(whole, io::VoxelType::kFloat32);
    const auto d = preprocess::Degrade(whole.ToFloat(), whole.geometry.size, degrade);
    std::copy(d.values.begin(), d.values.end(), out.As<float>());
    return CutJ(out, 60, 6);
  };
  const io::Volume input = acquire(preprocess::Reconstruction::kZeroFill);
  const std::vector<float> reference = CutJ(whole, 60, 6).ToFloat();
  io::WriteVolume(input, folder / "in.nii.gz");
  Recorder progress;
  RunJob(OptionsFor(folder / "in.nii.gz", test::ShippedData("models/fs-rwkv-simulated.safetensors"),
                    folder / "out.nii.gz"),
         progress);
  const double of_input = psnr(input.ToFloat(), reference);
  const double of_lanczos =
      psnr(acquire(preprocess::Reconstruction::kLanczos).ToFloat(), reference);
  const double of_output = psnr(io::ReadVolume(folder / "out.nii.gz").ToFloat(), reference);
  std::printf("PSNR: Lanczos %.2f, input %.2f, output %.2f dB\n", of_lanczos, of_input, of_output);
  EXPECT_GT(of_output, of_input + 0.4);
  EXPECT_GT(of_output, of_lanczos + 0.4);
}

TEST(TranslateCommand, WholeHeadPrintsConsistency) {
  const fs::path folder = TemporaryFolder();
  io::WriteVolume(Head(), folder / "head.nii.gz");
  const fs::path model = WriteRandomTranslator(TranslatorCard(), 0.2, "m.safetensors");
  auto run = test::RunAvocet({"translate", (folder / "head.nii.gz").string(), "-m", model.string(),
                              "-o", (folder / "out.nii.gz").string(), "--device", "cpu"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.out.find("neighbouring slices differ"), std::string::npos) << run.out;
  EXPECT_NE(run.err.find("research use"), std::string::npos) << run.err;
  run = test::RunAvocet({"translate", (folder / "head.nii.gz").string(), "-m", model.string(), "-o",
                         (folder / "head.nii.gz").string()});
  EXPECT_EQ(run.exit_code, 2) << run.err;
}

}  // namespace
}  // namespace avocet::core
