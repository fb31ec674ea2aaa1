// SPDX-License-Identifier: Apache-2.0
#include "app/core/convert.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/base/error.h"
#include "app/core/info.h"
#include "io/nifti.h"
#include "io/volume_io.h"
#include "tests/io/io_test_util.h"
#include "tests/support/test_support.h"

namespace avocet::core {
namespace {

namespace fs = std::filesystem;
using test::AffineOf;
using test::TemporaryFolder;
using test::TestData;

ConvertResult RunConvert(const fs::path& input, const fs::path& output, bool keep_text = false) {
  SilentProgress progress;
  ConvertOptions options;
  options.input = input;
  options.output = output;
  options.keep_text = keep_text;
  return Convert(options, progress);
}

TEST(Convert, EveryWritableFormatKeepsVoxelsAndGeometry) {
  const fs::path input = TestData("io/oblique.nii.gz");
  const io::Volume before = io::ReadVolume(input);
  for (const char* name : {"x.nii", "x.nii.gz", "x.hdr", "x.nrrd", "x.nhdr", "x.mha", "x.mhd"}) {
    SCOPED_TRACE(name);
    const ConvertResult result = RunConvert(input, TemporaryFolder() / name);
    EXPECT_EQ(result.input_format, "NIfTI-1");
    const io::Volume after = io::ReadVolume(TemporaryFolder() / name);
    EXPECT_EQ(after.data, before.data);
    EXPECT_LT(test::MaxDifference(AffineOf(after.geometry), AffineOf(before.geometry)), 1e-6);
  }
}

TEST(Convert, TextStaysBehindUnlessAskedFor) {
  const fs::path input = TestData("io/scaled.nii.gz");
  const auto extensions = [&](bool keep) {
    const fs::path output = TemporaryFolder() / "x.nii.gz";
    RunConvert(input, output, keep);
    const io::Volume volume = io::ReadVolume(output);
    EXPECT_EQ(volume.ToFloat(), io::ReadVolume(input).ToFloat());
    return dynamic_cast<const io::NiftiSource&>(*volume.source).extensions().size();
  };
  EXPECT_EQ(extensions(false), 0U);
  EXPECT_EQ(extensions(true), 1U);
}

// That an image was computed and not acquired is no private text: it outlives every conversion.
TEST(Convert, SyntheticStaysSynthetic) {
  const fs::path folder = TemporaryFolder();
  io::Volume made = io::ReadVolume(TestData("io/oblique.nii.gz"));
  made.source = nullptr;
  made.description = "synthetic, not acquired: avocet translate, of Jane Doe";
  io::WriteVolume(made, folder / "0.nii.gz");
  const char* chain[] = {"0.nii.gz", "1.nrrd", "2.mha", "3.nhdr", "4.mhd", "5.hdr", "6.nii"};
  for (size_t i = 1; i < std::size(chain); ++i) {
    SCOPED_TRACE(chain[i]);
    RunConvert(folder / chain[i - 1], folder / chain[i]);
    const io::Volume volume = io::ReadVolume(folder / chain[i]);
    EXPECT_EQ(volume.description, "synthetic, not acquired");
    ASSERT_EQ(volume.notes.size(), 1U);
    EXPECT_NE(volume.notes[0].find("synthetic"), std::string::npos);
  }
  RunConvert(folder / "0.nii.gz", folder / "kept.nii", true);
  EXPECT_NE(test::Slurp(folder / "kept.nii").find("translate, of"), std::string::npos);
}

TEST(Convert, ArraysAndPictures) {
  fs::path label = TestData("io/formats/case.npy.h5");
  label += "#label";
  const ConvertResult result = RunConvert(label, TemporaryFolder() / "label.nii.gz");
  EXPECT_EQ(result.input_format, "HDF5");
  EXPECT_EQ(io::ReadVolume(TemporaryFolder() / "label.nii.gz").ToFloat()[3], 3.F);
  RunConvert(TestData("io/formats/grey16.png"), TemporaryFolder() / "p.mha");
  EXPECT_EQ(io::ReadVolume(TemporaryFolder() / "p.mha").ToFloat()[1], 5 * 257.F);
}

TEST(Convert, Refuses) {
  const fs::path input = TestData("io/oblique.nii.gz");
  const fs::path folder = TemporaryFolder();
  test::ExpectError([&] { RunConvert(input, input); }, {"the input itself"});
  test::ExpectError([&] { RunConvert(input, folder / "x.png"); }, {"x.png", "does not write"});
  test::ExpectError([&] { RunConvert(input, folder / "x.what"); }, {"x.what", ".nrrd"});
  test::ExpectError([&] { RunConvert(folder / "none.nii", folder / "x.nrrd"); }, {"none.nii"});
  EXPECT_EQ(test::CountEntries(folder), 0U);
}

TEST(Info, HeaderFieldsAreStated) {
  SilentProgress progress;
  RunConvert(TestData("io/oblique.nii.gz"), TemporaryFolder() / "x.mha");
  const auto items =
      DescribeVolumes({TestData("io/scaled.nii.gz"), TemporaryFolder() / "x.mha"}, progress);
  const auto json = nlohmann::json::parse(ToJson(items));
  EXPECT_EQ(json[0]["header"]["scl_slope"], "0.25");
  EXPECT_EQ(json[1]["format"], "MetaImage");
  EXPECT_EQ(json[1]["header"]["NDims"], "3");
  EXPECT_EQ(json[1]["header"]["ElementDataFile"], "LOCAL");
  EXPECT_TRUE(json[1]["qform_code"].is_null());
}

}  // namespace
}  // namespace avocet::core
