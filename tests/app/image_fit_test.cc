// SPDX-License-Identifier: Apache-2.0
// Which image fits which model: the table of what is refused, and of what must not be.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>

#include "app/base/error.h"
#include "app/core/engine.h"
#include "app/core/image_checks.h"
#include "app/core/manifest.h"
#include "app/core/model_job.h"
#include "app/core/segment.h"
#include "app/core/training_expectations.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/app/random_model.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {
namespace fs = std::filesystem;

io::Volume Make(std::array<int64_t, 3> size, std::array<double, 3> spacing,
                const std::function<double(double, double, double)>& value) {
  io::Geometry geometry;
  geometry.size = size;
  geometry.spacing = spacing;
  io::Volume volume = io::Volume::Zeros(geometry, io::VoxelType::kFloat32);
  float* out = volume.As<float>();
  for (int64_t k = 0; k < size[2]; ++k)
    for (int64_t j = 0; j < size[1]; ++j)
      for (int64_t i = 0; i < size[0]; ++i) {
        // From -1 to 1 across the image.
        *out++ = static_cast<float>(value(2 * (i + 0.5) / size[0] - 1, 2 * (j + 0.5) / size[1] - 1,
                                          2 * (k + 0.5) / size[2] - 1));
      }
  return volume;
}

void Change(io::Volume& volume, const std::function<double(double)>& change) {
  float* v = volume.As<float>();
  for (int64_t x = 0; x < volume.ValueCount(); ++x) v[x] = static_cast<float>(change(v[x]));
}

std::mt19937& Random() {
  static std::mt19937 random(5);
  return random;
}
double Noise(double deviation) { return std::normal_distribution<double>(0, deviation)(Random()); }

// A trunk in HU: air, fat, muscle, two lungs or a liver, a spine, a bright aorta.
io::Volume Trunk(bool lungs = false, std::array<int64_t, 3> size = {90, 80, 12},
                 std::array<double, 3> spacing = {4, 4, 5}) {
  return Make(size, spacing, [&](double x, double y, double) {
    const auto in = [&](double cx, double cy, double rx, double ry) {
      return std::hypot((x - cx) / rx, (y - cy) / ry) < 1;
    };
    double hu = -1000;
    if (in(0, 0, 0.92, 0.8)) hu = -100;
    if (in(0, 0, 0.84, 0.72)) hu = 50;
    if (lungs && (in(0.42, 0, 0.36, 0.6) || in(-0.42, 0, 0.36, 0.6))) hu = -820;
    if (!lungs && in(-0.35, -0.1, 0.4, 0.45)) hu = 110;
    if (in(0, 0.5, 0.12, 0.15)) hu = 450;
    if (in(0.08, 0.25, 0.07, 0.08)) hu = 300;
    return std::round(std::max(-1024.0, hu + Noise(12)));
  });
}

// A head in air as magnitude MR shows it.
io::Volume Head(std::array<int64_t, 3> size = {80, 96, 80},
                std::array<double, 3> spacing = {2.4, 2.4, 2.4}) {
  return Make(size, spacing, [](double x, double y, double z) {
    const double r = std::sqrt(x * x + y * y + z * z) / 0.9;
    const double tissue = r < 0.75   ? 420 + 150 * std::sin(9 * x) * std::sin(8 * y)
                          : r < 0.85 ? 60
                          : r < 1    ? 700
                                     : 8;
    return std::round(std::abs(tissue + Noise(12)));
  });
}

models::ModelCard Preset(const std::string& preset) {
  const size_t classes = preset == "synapse" ? 9 : 4;
  models::ModelCard card = test::ExampleCard();
  card.labels.clear();
  for (size_t c = 0; c < classes; ++c) {
    card.labels.push_back({static_cast<int>(c), "class " + std::to_string(c), {}});
  }
  ModelConvertOptions options;
  options.input = test::WriteRandomModel(card, "plain.safetensors");
  options.output = test::TemporaryFolder() / (preset + ".safetensors");
  options.preset = preset;
  SilentProgress progress;
  return ConvertModel(options, progress).card;
}

models::ModelCard Hippocampus() {
  return DescribeModel(test::ShippedData("models/hippocampus-rwkv-unet-t.safetensors")).card;
}

io::Volume Crop() {
  io::Volume crop = io::ReadVolume(test::ShippedData("hippocampus/images/hippocampus_105.nii.gz"));
  const std::vector<float> values = crop.ToFloat();
  io::Volume real = io::Volume::Zeros(crop.geometry, io::VoxelType::kFloat32);
  std::copy(values.begin(), values.end(), real.As<float>());
  return real;
}

std::string Refusal(const io::Volume& image, const models::ModelCard& card) {
  const std::string refusal = CheckImage(image, image.ToFloat(), card).refusal;
  // The window shows it too: it names no options of the command line, and is one line.
  EXPECT_EQ(refusal.find("--"), std::string::npos) << refusal;
  EXPECT_EQ(refusal.find('\n'), std::string::npos) << refusal;
  return refusal;
}

#define EXPECT_REFUSED(image, card, part) \
  EXPECT_NE(Refusal(image, card).find(part), std::string::npos) << "got: " << Refusal(image, card)
#define EXPECT_FITS(image, card) EXPECT_EQ(Refusal(image, card), "")

TEST(ImageFit, TheCtModelTakesCtOfManyKinds) {
  const models::ModelCard ct = Preset("synapse");
  EXPECT_FITS(Trunk(), ct);
  EXPECT_FITS(Trunk(/*lungs=*/true), ct);
  EXPECT_FITS(Trunk(false, {100, 80, 3}, {2.1, 2.0, 2}), ct);  // a small field of view, few slices
  for (const double padding : {-1024.0, -2000.0, -3024.0}) {
    io::Volume padded = Trunk();
    float* v = padded.As<float>();
    for (int64_t x = 0; x < padded.ValueCount(); ++x) {
      const int64_t i = x % 90, j = x / 90 % 80;
      if (std::hypot((i - 44.5) / 45, (j - 39.5) / 40) > 1) v[x] = static_cast<float>(padding);
    }
    SCOPED_TRACE(padding);
    EXPECT_FITS(padded, ct);
  }
  io::Volume body = Trunk();  // nothing below -200
  Change(body, [](double v) { return std::max(v, -200.0); });
  EXPECT_FITS(body, ct);
  io::Volume contrast = Trunk();  // vessels and organs brighter, metal
  Change(contrast, [](double v) { return v > 80 ? v + 200 : v; });
  contrast.As<float>()[50000] = 30000;
  EXPECT_FITS(contrast, ct);
  io::Volume bone = Trunk();  // all but bone erased
  Change(bone, [](double v) { return v > 250 ? v : -1000; });
  EXPECT_FITS(bone, ct);
  io::Volume named = Trunk();
  named.modality = "CT";
  EXPECT_FITS(named, ct);
  // A slab of soft tissue alone, which the header says is CT.
  io::Volume soft = Make({60, 60, 8}, {4, 4, 5},
                         [](double x, double y, double) { return 60 + 30 * std::sin(4 * x + y); });
  soft.modality = "CT";
  EXPECT_FITS(soft, ct);
}

TEST(ImageFit, TheCtModelRefusesWhatIsNoHounsfield) {
  const models::ModelCard ct = Preset("synapse");
  EXPECT_REFUSED(Head(), ct, "none below -30");
  io::Volume offset = Trunk();
  Change(offset, [](double v) { return v + 1024; });
  EXPECT_REFUSED(offset, ct, "subtract 1024");
  offset.modality = "CT";
  EXPECT_REFUSED(offset, ct, "subtract 1024");
  io::Volume lungs = Trunk(true);
  Change(lungs, [](double v) { return v + 1024; });
  EXPECT_REFUSED(lungs, ct, "subtract 1024");
  io::Volume offset_padded = Trunk();
  Change(offset_padded, [](double v) { return v < -990 ? -2000 : v + 1024; });
  EXPECT_REFUSED(offset_padded, ct, "subtract 1024");
  io::Volume scaled = Trunk();
  Change(scaled, [](double v) { return (std::min(std::max(v, -125.0), 275.0) + 125) / 400; });
  EXPECT_REFUSED(scaled, ct, "scaled already");
  io::Volume symmetric = Trunk();
  Change(symmetric, [](double v) { return std::min(std::max(v / 1000, -1.0), 1.0) * 2; });
  EXPECT_NE(Refusal(symmetric, ct), "");
  io::Volume eight_bit = Trunk();
  Change(eight_bit, [](double v) {
    return std::round((std::min(std::max(v, -125.0), 275.0) + 125) / 400 * 255);
  });
  EXPECT_NE(Refusal(eight_bit, ct), "");
  io::Volume inverted = Trunk();
  Change(inverted, [](double v) { return -v; });
  EXPECT_REFUSED(inverted, ct, "Hounsfield");
  Change(inverted, [](double v) { return v + 3071; });
  EXPECT_REFUSED(inverted, ct, "Hounsfield");
  io::Volume phase = Make({80, 80, 10}, {4, 4, 5}, [](double x, double y, double) {
    return std::round(4096 * std::sin(7 * x + 3 * y));
  });
  EXPECT_REFUSED(phase, ct, "Hounsfield");
  io::Volume pet = Trunk();  // standard uptake values
  Change(pet, [](double v) { return v > 40 ? v / 60 : std::abs(v) / 20000; });
  EXPECT_NE(Refusal(pet, ct), "");
  for (const char* modality : {"MR", "PT", "US"}) {
    io::Volume other = Trunk();
    other.modality = modality;
    EXPECT_REFUSED(other, ct, std::string("its header says ") + modality);
  }
  EXPECT_REFUSED(Make({80, 80, 10}, {4, 4, 5}, [](double, double, double) { return Noise(300); }),
                 ct, "noise");
  EXPECT_REFUSED(Make({80, 80, 10}, {4, 4, 5}, [](double, double, double) { return -1000; }), ct,
                 "same value");
  EXPECT_REFUSED(Trunk(false, {90, 80, 12}, {1, 1, 5}), ct, "field of view");
  io::Volume unknown = Trunk(false, {90, 80, 12}, {1, 1, 5});
  unknown.assumed.in_plane_size = unknown.assumed.slice_distance = true;
  EXPECT_FITS(unknown, ct);
}

TEST(ImageFit, TheHippocampusModelTakesItsCropsAlone) {
  const models::ModelCard card = Hippocampus();
  ASSERT_FALSE(card.expects.empty());
  const io::Volume crop = Crop();
  EXPECT_FITS(crop, card);
  EXPECT_REFUSED(Head(), card, "field of view");
  EXPECT_REFUSED(Head({80, 96, 14}, {2.4, 2.4, 2.4}), card, "field of view");  // a slab
  EXPECT_REFUSED(Trunk(), card, "CT");
  const auto like_crop = [&](const std::function<double()>& value) {
    io::Volume volume = crop;
    Change(volume, [&](double) { return value(); });
    return volume;
  };
  EXPECT_REFUSED(like_crop([] { return std::abs(Noise(100)); }), card, "noise");
  EXPECT_REFUSED(like_crop([] { return 300 + 40 * std::round(Noise(2)); }), card, "noise");
  EXPECT_REFUSED(like_crop([] { return 7.0; }), card, "same value");
  // Noise that was smoothed, as resampling does.
  io::Volume smooth = like_crop([] { return 500 + Noise(100); });
  const auto& size = crop.geometry.size;
  for (int pass = 0; pass < 2; ++pass) {
    const io::Volume before = smooth;
    const float* b = before.As<float>();
    float* s = smooth.As<float>();
    const int64_t row = size[0], plane = size[0] * size[1];
    for (int64_t x = plane + row + 1; x < crop.ValueCount() - plane - row - 1; ++x) {
      s[x] =
          (2 * b[x] + b[x - 1] + b[x + 1] + b[x - row] + b[x + row] + b[x - plane] + b[x + plane]) /
          8;
    }
  }
  EXPECT_REFUSED(smooth, card, "4 mm apart");
  EXPECT_REFUSED(io::ReadVolume(test::ShippedData("hippocampus/labels/hippocampus_105.nii.gz")),
                 card, "label map");
  io::Volume negative = crop;
  Change(negative, [](double v) { return -v; });
  EXPECT_NE(Refusal(negative, card), "");
  io::Volume ct = crop;  // the same field of view as CT
  Change(ct, [](double v) { return v - 1000; });
  EXPECT_NE(Refusal(ct, card), "");
  io::Volume thick = crop;
  thick.geometry.spacing = {1, 1, 5};
  EXPECT_NE(Refusal(thick, card).find("mm"), std::string::npos);
  io::Volume coarse = crop;
  coarse.geometry.size[2] /= 3;
  coarse.geometry.spacing[2] = 3;
  coarse.data.resize(static_cast<size_t>(coarse.geometry.VoxelCount()) * 4);
  EXPECT_REFUSED(coarse, card, "voxels are 3 mm");
  io::Volume picture = crop;  // of unknown size
  picture.geometry.size = {size[1], size[0] * size[2], 1};
  picture.assumed = {true, true, true};
  picture.geometry.direction = {0, 0, 1, 1, 0, 0, 0, 1, 0};  // the slice is sagittal
  EXPECT_REFUSED(picture, card, "1 slice");
  io::Volume other = crop;
  other.modality = "CT";
  EXPECT_REFUSED(other, card, "its header says CT");
}

TEST(ImageFit, EveryShippedAndTrainingCropIsAccepted) {
  const models::ModelCard card = Hippocampus();
  std::vector<fs::path> files = io::ListVolumes(test::ShippedData("hippocampus/images"));
  ASSERT_EQ(files.size(), 5u);
  const fs::path shared = test::SharedData("data/hippocampus/imagesTr");
  if (!shared.empty()) {
    const auto more = io::ListVolumes(shared);
    EXPECT_EQ(more.size(), 180u);
    files.insert(files.end(), more.begin(), more.end());
  }
  for (const fs::path& file : files) {
    const io::Volume image = io::ReadVolume(file);
    const ImageCheck check = CheckImage(image, image.ToFloat(), card);
    EXPECT_EQ(check.refusal, "") << file.filename();
    EXPECT_TRUE(check.warnings.empty()) << file.filename();
  }
}

TEST(ImageFit, MrModelsTakeAnyUnits) {
  const models::ModelCard acdc = Preset("acdc");
  for (const double unit : {1.0, 0.001, 60.0}) {
    io::Volume image = Head({80, 96, 10}, {3, 3, 8});
    Change(image, [&](double v) { return v * unit; });
    EXPECT_FITS(image, acdc);
  }
  io::Volume resampled = Head({80, 96, 10}, {3, 3, 8});  // undershoot of cubic resampling
  Change(resampled, [](double v) { return v > 300 ? 40 * v : v - 20; });
  EXPECT_FITS(resampled, acdc);
  io::Volume hot = Head({80, 96, 10}, {3, 3, 8});  // one voxel takes the whole scale
  hot.As<float>()[1000] = 3e6f;
  EXPECT_REFUSED(hot, acdc, "nearly all voxels equal");
  EXPECT_REFUSED(Trunk(), acdc, "CT");
  io::Volume offset = Trunk();
  Change(offset, [](double v) { return v + 1024; });
  EXPECT_REFUSED(offset, acdc, "1024 added");
}

// Real files; the field of view is left out, for many are crops.
TEST(ImageFit, SharedCtAndMrAreToldApart) {
  const fs::path data = test::SharedData("data");
  if (data.empty()) GTEST_SKIP() << "no ../shared";
  models::ModelCard ct = Preset("synapse"), mr = Preset("acdc");
  ct.expects = mr.expects = {};
  const auto read = [&](const std::string& name) {
    io::Volume image = io::ReadVolume(data / name);
    image.modality.clear();
    return image;
  };
  for (const char* name :
       {"totalsegmentator/example_ct.nii.gz", "totalsegmentator/example_ct_sm.nii.gz",
        "sts_sarcoma/nifti/STS_002/CT_image.nii.gz", "sts_sarcoma/nifti/STS_008/CT_image.nii.gz",
        "sts_sarcoma/nifti/STS_019/CT_image.nii.gz", "sts_sarcoma/nifti/STS_042/CT_image.nii.gz"}) {
    SCOPED_TRACE(name);
    io::Volume image = read(name);
    EXPECT_FITS(image, ct);
    EXPECT_NE(Refusal(image, mr), "");
    io::Volume offset = io::Volume::Zeros(image.geometry, io::VoxelType::kFloat32);
    const std::vector<float> values = image.ToFloat();
    for (size_t x = 0; x < values.size(); ++x) {
      offset.As<float>()[x] = std::max(0.0f, values[x] + 1024);
    }
    EXPECT_NE(Refusal(offset, ct), "");
    EXPECT_NE(Refusal(offset, mr), "");
  }
  for (const char* name :
       {"totalsegmentator/example_mr_sm.nii.gz", "sts_sarcoma/nifti/STS_002/MR_T1_image.nii.gz",
        "sts_sarcoma/nifti/STS_008/MR_T1_image.nii.gz",
        "sts_sarcoma/nifti/STS_019/MR_T1_image.nii.gz",
        "sts_sarcoma/nifti/STS_042/MR_T1_image.nii.gz",
        "brain/3t_t1w/studyforrest_t1w_3T_halfres.nii.gz", "brain/ixi/IXI012-HH-1211_T1.nii.gz",
        "brain/icbm152_2009a/icbm152_2009a_sym_t1.nii.gz", "brain/torchio/t2.nii.gz",
        "hippocampus/imagesTr/hippocampus_001.nii.gz"}) {
    SCOPED_TRACE(name);
    const io::Volume image = read(name);
    EXPECT_NE(Refusal(image, ct), "");
    EXPECT_FITS(image, mr);
    if (std::string(name).find("hippocampus_") == std::string::npos) {
      EXPECT_NE(Refusal(image, Hippocampus()), "");
    }
  }
}

TEST(ImageFit, ImplausibleVolumesAndOverriddenRefusalsAreData) {
  const fs::path folder = test::TemporaryFolder();
  io::WriteVolume(Trunk(), folder / "ct.nii.gz");
  models::ModelCard card = test::ExampleCard();
  card.modality = "MR";
  card.expects.volumes_ml = {{1, {0.5, 0.6}}, {2, {1e6, 2e6}}};
  SegmentOptions options;
  options.inputs = {folder / "ct.nii.gz"};
  options.model = test::WriteRandomModel(card, "model.safetensors");
  options.output = folder / "mask.nii.gz";
  options.device.text = "cpu";
  SilentProgress progress;
  try {
    LoadEngine().segment(options, progress);
    FAIL() << "CT went into a model for MR";
  } catch (const IoError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("ct.nii.gz"), std::string::npos) << text;
    EXPECT_NE(text.find("--force"), std::string::npos) << text;
  }
  EXPECT_FALSE(fs::exists(options.output));
  options.force = true;
  const SegmentResult result = LoadEngine().segment(options, progress);
  const std::string text = io::ReadTextFile(folder / "mask.manifest.json");
  const auto manifest = nlohmann::json::parse(text);
  EXPECT_NE(manifest["refusal_overridden"].get<std::string>().find("Hounsfield"),
            std::string::npos);
  ASSERT_EQ(result.cases[0].implausible.size(), manifest["implausible"].size());
  ASSERT_FALSE(result.cases[0].implausible.empty());
  const auto& last = manifest["implausible"].back();
  EXPECT_EQ(last["label"], "back");
  EXPECT_EQ(last["value"], 2);
  EXPECT_EQ(last["expected_ml"][0], 1e6);
  EXPECT_LT(last["volume_ml"].get<double>(), 1e6);
  const ManifestDoubts doubts = DoubtsOf(text);
  EXPECT_EQ(doubts.implausible.size(), result.cases[0].implausible.size());
  EXPECT_EQ(doubts.overridden, manifest["refusal_overridden"]);
  EXPECT_TRUE(DoubtsOf("{}").implausible.empty());
  EXPECT_FALSE(DoubtsOf("no json").Any());

  // What another front end knows of the image, and says in its own words.
  io::WriteVolume(Head(), folder / "copy.nii.gz");
  options.inputs = {folder / "copy.nii.gz"};
  options.force = false;
  options.known.modality = "PT";
  options.how_to_force = "tick the box";
  try {
    LoadEngine().segment(options, progress);
    FAIL() << "PET went into a model for MR";
  } catch (const IoError& error) {
    const std::string said = error.what();
    EXPECT_NE(said.find("its header says PT"), std::string::npos) << said;
    EXPECT_NE(said.find("; tick the box"), std::string::npos) << said;
  }
}

TEST(ImageFit, TrainingDescribesItsImages) {
  models::ModelCard card = test::ExampleCard();
  card.plane = "axial";
  TrainingExpectations training(card);
  const io::Volume a = Head({80, 96, 80}, {2, 2, 2}), b = Head({90, 96, 60}, {2, 2.5, 3});
  training.Add(a, a.ToFloat(), {0, 1000, 2000});
  training.Add(b, b.ToFloat(), {0, 800, 3000});
  const models::Expectations e = training.Result();
  EXPECT_EQ(e.field_of_view_mm.columns.lowest, 112);   // 0.7 of 160
  EXPECT_EQ(e.field_of_view_mm.columns.highest, 252);  // 1.4 of 180
  EXPECT_EQ(e.field_of_view_mm.slices.highest, 360);   // twice 180
  EXPECT_FALSE(std::isfinite(e.field_of_view_mm.slices.lowest));
  EXPECT_EQ(e.voxel_mm.slices.highest, 6);
  EXPECT_EQ(e.volumes_ml.at(1).lowest, 4);    // half of 1000 x 8 mm3
  EXPECT_EQ(e.volumes_ml.at(1).highest, 24);  // twice 800 x 15 mm3
  EXPECT_GT(e.correlation.lowest, 0.3);
  EXPECT_FALSE(e.values.Stated()) << "percentiles take any units";
  card.expects = e;
  EXPECT_EQ(CheckModelCard(card), "");
  EXPECT_FITS(a, card);
  EXPECT_FITS(b, card);
  EXPECT_NE(Refusal(Head({80, 96, 80}, {1, 1, 1}), card), "");

  models::ModelCard window = card;
  window.modality = "CT";
  window.preprocessing.intensity = "window";
  window.preprocessing.lower = -125;
  window.preprocessing.upper = 275;
  SilentProgress progress;
  EXPECT_THROW(TrainingExpectations(window).CheckRule(a, a.ToFloat(), "a", progress), OptionError);
  const io::Volume ct = Trunk();
  EXPECT_FALSE(TrainingExpectations(window).CheckRule(ct, ct.ToFloat(), "ct", progress));
}

}  // namespace
}  // namespace avocet::core
