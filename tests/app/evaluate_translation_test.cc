// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "app/base/error.h"
#include "app/core/evaluate.h"
#include "app/core/evaluate_report.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {

namespace fs = std::filesystem;
using core::EvaluateOptions;
using core::EvaluateResult;

EvaluateResult Score(EvaluateOptions options) {
  options.task = "translation";
  options.threads = 2;
  SilentProgress progress;
  return core::RunEvaluate(options, progress);
}

// A ball with stripes in 24 x 22 x 20 voxels of 1 x 1 x 3 mm; `noise` of alternating sign is added.
fs::path WriteBall(const fs::path& path, double noise, float origin = 0) {
  io::Geometry geometry;
  geometry.size = {24, 22, 20};
  geometry.spacing = {1, 1, 3};
  geometry.origin[0] = origin;
  io::Volume v = io::Volume::Zeros(geometry, io::VoxelType::kFloat32);
  float* value = v.As<float>();
  for (int k = 0; k < 20; ++k)
    for (int j = 0; j < 22; ++j)
      for (int i = 0; i < 24; ++i) {
        const double r = std::hypot(i - 12, j - 11, k - 10);
        const double inside = r < 8 ? 60 + 40 * std::sin(0.8 * i) : 0;
        *value++ = static_cast<float>(inside + ((i + j + k) % 2 ? noise : -noise));
      }
  fs::create_directories(path.parent_path());
  io::WriteVolume(v, path);
  return path;
}

TEST(EvaluateTranslation, PublishedProtocolOnPictures) {
  const fs::path data = test::TestData("metrics/image_quality");
  const fs::path folder = test::TemporaryFolder();
  fs::create_directories(folder / "pred");
  fs::create_directories(folder / "ref");
  for (const std::string name : {"philips_z5", "ge_z12"}) {
    fs::copy_file(data / (name + "_prediction.png"), folder / "pred" / (name + ".png"));
    fs::copy_file(data / (name + "_target.png"), folder / "ref" / (name + ".png"));
  }
  EvaluateOptions options;
  options.prediction = folder / "pred";
  options.reference = folder / "ref";
  const EvaluateResult result = Score(options);
  ASSERT_EQ(result.protocols[0].name, "fs-rwkv");  // what "default" means for pictures
  const auto expected = nlohmann::json::parse(io::ReadTextFile(data / "expected.json")).at("cases");
  for (const auto& item : result.set.cases) {
    const auto& values = item.classes[0].values[0];
    EXPECT_NEAR(values[0].value, expected[item.name]["psnr"].get<double>(), 2e-5);
    EXPECT_NEAR(values[1].value, expected[item.name]["ssim_full"].get<double>(), 2e-4);
    EXPECT_NEAR(values[2].value, expected[item.name]["ssim_crop"].get<double>(), 2e-4);
    EXPECT_NEAR(values[3].value, expected[item.name]["rmse"].get<double>(), 1e-7);
  }
  // Mean and sample standard deviation over images.
  const double a = expected["philips_z5"]["psnr"], b = expected["ge_z12"]["psnr"];
  const auto& summary = result.set.summaries[0][0][0].summary;
  EXPECT_NEAR(summary.mean, (a + b) / 2, 2e-5);
  EXPECT_NEAR(summary.std, std::abs(a - b) / std::sqrt(2.0), 4e-5);
  // Without the resize the 512-pixel pair gives another figure.
  options.image_size = 0;
  EXPECT_GT(std::abs(Score(options).set.cases[0].classes[0].values[0][0].value -
                     expected["ge_z12"]["psnr"].get<double>()),
            0.01);
}

TEST(EvaluateTranslation, VolumesSubjectsMaskAndSlices) {
  const fs::path folder = test::TemporaryFolder();
  WriteBall(folder / "ref/sub-01_a.nii.gz", 0);
  WriteBall(folder / "ref/sub-01_b.nii.gz", 0);
  WriteBall(folder / "ref/sub-02_a.nii.gz", 0);
  WriteBall(folder / "out/sub-01_a_synthetic.nii.gz", 1);
  WriteBall(folder / "out/sub-01_b_synthetic.nii.gz", 2);
  WriteBall(folder / "out/sub-02_a_synthetic.nii.gz", 4);
  EvaluateOptions options;
  options.prediction = folder / "out";
  options.reference = folder / "ref";
  options.mask = "head";
  options.data_range = 100;
  options.protocols = {"default", "monai"};
  options.csv = folder / "x.csv";
  options.json = folder / "x.json";
  options.slices_csv = folder / "s.csv";
  const EvaluateResult result = Score(options);
  ASSERT_EQ(result.set.cases.size(), 3u);
  ASSERT_EQ(result.classes.size(), 2u);
  for (const size_t region : {0u, 1u}) {
    for (size_t n = 0; n < 3; ++n) {
      const double noise = std::pow(2.0, n);
      const auto& values = result.set.cases[n].classes[region].values[0];
      EXPECT_NEAR(values[0].value, 20 * std::log10(100 / noise), 1e-5);
      EXPECT_NEAR(values[4].value, noise, 1e-5);  // RMSE
    }
  }
  // The spectrum is of whole slices only.
  EXPECT_TRUE(result.set.cases[0].classes[0].values[0][11].HasValue());
  EXPECT_FALSE(result.set.cases[0].classes[1].values[0][11].HasValue());
  // Alternating signs are the highest frequency there is, and not the reference's.
  EXPECT_GT(result.set.cases[2].classes[0].values[0][11].value,
            result.set.cases[0].classes[0].values[0][11].value);
  EXPECT_LT(result.set.cases[2].classes[0].values[0][12].value,
            result.set.cases[0].classes[0].values[0][12].value);
  // Subjects: the mean of 1 and 2 against 4.
  ASSERT_EQ(result.set.subjects.size(), 2u);
  EXPECT_EQ(result.set.subjects[0].name, "sub-01");
  EXPECT_EQ(result.set.subjects[0].cases, 2);
  EXPECT_NEAR(result.set.subjects[0].values[0][0][4], 1.5, 1e-5);
  EXPECT_NEAR(result.set.subject_summaries[0][0][4].summary.mean, 2.75, 1e-5);
  EXPECT_NEAR(result.set.summaries[0][0][4].summary.mean, 7.0 / 3, 1e-5);
  // Slices run across the thick axis; those beyond the ball have a constant reference.
  EXPECT_EQ(result.set.cases[0].plane, "axial");
  ASSERT_EQ(result.set.cases[0].slices.size(), 20u);
  EXPECT_TRUE(std::isnan(result.set.cases[0].slices[0].values[0]));
  EXPECT_NEAR(result.set.cases[0].slices[10].values[3], 1, 1e-5);
  EXPECT_EQ(result.set.slice_summaries[0].n, 3 * 15);

  const std::string slices = io::ReadTextFile(options.slices_csv);
  EXPECT_NE(slices.find("\nout,sub-01_a,sub-01,axial,10,40"), std::string::npos) << slices;
  const auto json = nlohmann::json::parse(io::ReadTextFile(options.json));
  EXPECT_EQ(json["task"], "translation");
  EXPECT_EQ(json["cases"][0]["subject"], "sub-01");
  EXPECT_EQ(json["cases"][0]["spectrum"].size(), 16u);
  EXPECT_EQ(json["cases"][0]["slices"].size(), 20u);
  EXPECT_NEAR(json["subjects"][0]["means"]["default"]["mask"]["rmse"].get<double>(), 1.5, 1e-5);
  const std::string csv = io::ReadTextFile(options.csv);
  EXPECT_NE(csv.find("# monai.ssim [1]: "), std::string::npos);
  EXPECT_NE(csv.find(",1,mask,"), std::string::npos) << csv;
  const std::string table = core::EvaluateTable(result);
  EXPECT_NE(table.find("2 subjects"), std::string::npos) << table;
  EXPECT_NE(table.find("over slices"), std::string::npos) << table;
}

TEST(EvaluateTranslation, OtherPlaneAndMaskFile) {
  const fs::path folder = test::TemporaryFolder();
  EvaluateOptions options;
  options.prediction = WriteBall(folder / "p.nii.gz", 3);
  options.reference = WriteBall(folder / "t.nii.gz", 0);
  options.plane = "sagittal";
  io::Volume mask = io::ZerosLike(io::ReadVolume(options.reference), io::VoxelType::kUInt8);
  mask.As<uint8_t>()[(10 * 22 + 11) * 24 + 12] = 1;
  io::WriteVolume(mask, folder / "mask.nii.gz");
  options.mask = folder / "mask.nii.gz";
  const EvaluateResult result = Score(options);
  EXPECT_EQ(result.set.cases[0].slices.size(), 24u);
  EXPECT_NEAR(result.set.cases[0].classes[1].values[0][5].value, 3, 1e-5);  // MAE of one voxel
  options.mask = WriteBall(folder / "moved.nii.gz", 0, 5);
  EXPECT_THROW(Score(options), IoError);
}

TEST(EvaluateTranslation, RefusesWhatCannotBeCompared) {
  const fs::path folder = test::TemporaryFolder();
  EvaluateOptions options;
  options.reference = WriteBall(folder / "t.nii.gz", 0);
  options.prediction = WriteBall(folder / "moved.nii.gz", 0, 2);
  EXPECT_THROW(Score(options), IoError);
  io::Volume nan = io::ReadVolume(options.reference);
  nan.As<float>()[7] = std::numeric_limits<float>::quiet_NaN();
  io::WriteVolume(nan, folder / "nan.nii.gz");
  options.prediction = folder / "nan.nii.gz";
  EXPECT_THROW(Score(options), IoError);
  options.prediction = options.reference;
  options.protocols = {"transunet"};
  EXPECT_THROW(Score(options), OptionError);
  options.protocols = {"default"};
  options.subjects = "(";
  EXPECT_THROW(Score(options), OptionError);
  options.subjects.clear();
  options.plane = "oblique";
  EXPECT_THROW(Score(options), OptionError);
  options.plane = "auto";
  const EvaluateResult same = Score(options);
  EXPECT_TRUE(std::isinf(same.set.cases[0].classes[0].values[0][0].value));
  EXPECT_DOUBLE_EQ(same.set.cases[0].classes[0].values[0][1].value, 1);
}

TEST(EvaluateTranslationCommand, PrintsTheTable) {
  const fs::path folder = test::TemporaryFolder();
  WriteBall(folder / "p.nii.gz", 1);
  WriteBall(folder / "t.nii.gz", 0);
  const auto run =
      test::RunAvocet({"evaluate", "--task", "translation", (folder / "p.nii.gz").string(),
                       (folder / "t.nii.gz").string(), "--mask", "head", "--data-range", "100"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.out.find("40.0000"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("gradient_correlation"), std::string::npos) << run.out;
}

}  // namespace
}  // namespace avocet
