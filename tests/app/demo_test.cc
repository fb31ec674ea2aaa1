// SPDX-License-Identifier: Apache-2.0
// `avocet demo` through the real binary: its numbers are counted again here.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "app/base/error.h"
#include "io/file_util.h"
#include "io/volume_io.h"
#include "tests/app/random_model.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {
namespace fs = std::filesystem;

std::vector<uint16_t> Labels(const fs::path& path) {
  return io::ReadVolume(path).ToLabels(path.string());
}

std::string Dice(const std::vector<uint16_t>& a, const std::vector<uint16_t>& b, int label) {
  int64_t both = 0, sum = 0;
  for (size_t v = 0; v < a.size(); ++v) {
    both += a[v] == label && b[v] == label;
    sum += (a[v] == label) + (b[v] == label);
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", 2.0 * both / sum);
  return text;
}

// The shipped cases, the first two of them in a folder of their own.
fs::path TwoCases() {
  const fs::path shipped = test::ShippedData("hippocampus");
  const fs::path folder = test::TemporaryFolder() / "cases";
  fs::create_directories(folder / "images");
  fs::create_directories(folder / "labels");
  int count = 0;
  for (const fs::path& path : io::ListVolumes(shipped / "images")) {
    if (++count > 2) break;
    fs::copy_file(path, folder / "images" / path.filename());
    fs::copy_file(shipped / "labels" / path.filename(), folder / "labels" / path.filename());
  }
  return folder;
}

TEST(Demo, SegmentsScoresAndDraws) {
  const fs::path cases = TwoCases();
  const fs::path out = test::TemporaryFolder() / "out";
  fs::path model = test::ShippedData("models/hippocampus-rwkv-unet-t.safetensors");
  if (!fs::exists(model)) model = test::WriteRandomModel(test::ExampleCard(), "model.safetensors");
  const auto result = test::RunAvocet(
      {"demo", "-q", "--output", out, "--data", cases, "--model", model, "--device", "cpu"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const fs::path& image : io::ListVolumes(cases / "images")) {
    const fs::path mask = out / "masks" / image.filename();
    ASSERT_TRUE(fs::exists(mask));
    EXPECT_TRUE(fs::exists(out / "masks" / (io::StemOf(image) + ".manifest.json")));
    // The row of the case holds the Dice of label 1, counted here.
    const size_t row = result.out.find("\n" + io::StemOf(image) + " ");
    ASSERT_NE(row, std::string::npos) << result.out;
    const std::string line = result.out.substr(row + 1, result.out.find('\n', row + 1) - row);
    EXPECT_NE(
        line.find(" " + Dice(Labels(mask), Labels(cases / "labels" / image.filename()), 1) + " "),
        std::string::npos)
        << line;
  }
  const std::string png = io::ReadTextFile(out / "montage.png");
  EXPECT_EQ(png.substr(0, 4), "\x89PNG");
  EXPECT_GT(png.size(), 100000u);
  EXPECT_GT(io::ReadTextFile(out / "scores.csv").size(), 100u);
}

TEST(Demo, TheShippedModelDoesWellOnTheShippedCases) {
  const fs::path model = test::ShippedData("models/hippocampus-rwkv-unet-t.safetensors");
  ASSERT_TRUE(fs::exists(model)) << "the model that ships is missing";
  const fs::path out = test::TemporaryFolder() / "out";
  const auto result = test::RunAvocet({"demo", "-q", "--output", out, "--device", "cpu"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  double sum = 0;
  int count = 0;
  const fs::path cases = test::ShippedData("hippocampus");
  for (const fs::path& image : io::ListVolumes(cases / "images")) {
    const auto mask = Labels(out / "masks" / image.filename());
    const auto reference = Labels(cases / "labels" / image.filename());
    for (const int label : {1, 2}) {
      sum += std::stod(Dice(mask, reference, label));
      ++count;
    }
  }
  EXPECT_GE(count, 8);
  EXPECT_GT(sum / count, 0.83);
}

TEST(Demo, MissingPiecesAreNamed) {
  const auto data = test::RunAvocet({"demo", "--data", "/nowhere", "--model", "x"});
  EXPECT_EQ(data.exit_code, static_cast<int>(ExitCode::kIo));
  EXPECT_NE(data.err.find("/nowhere"), std::string::npos) << data.err;
  const auto model = test::RunAvocet({"demo", "--data", TwoCases(), "--model", "no-such-model"});
  EXPECT_EQ(model.exit_code, static_cast<int>(ExitCode::kIo));
  EXPECT_NE(model.err.find("no-such-model"), std::string::npos) << model.err;
}

}  // namespace
}  // namespace avocet
