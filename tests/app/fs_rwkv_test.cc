// SPDX-License-Identifier: Apache-2.0
// FS-RWKV through the real binary: `avocet forward`, `model info`, `model convert`.
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "models/model_card.h"
#include "tests/app/random_model.h"
#include "tests/models/fs_rwkv_random.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {

namespace fs = std::filesystem;
using models::StoredTensor;
using models::TensorFile;
using models::TensorType;

class FsRwkvCommands : public testing::Test {
 protected:
  void SetUp() override {
    model_ = test::TemporaryFolder() / "fs.safetensors";
    models::WriteSafetensors(test::FormulaFsRwkv({8, {1, 1, 1, 1}, 1}), model_);
  }

  fs::path Image(int64_t batch, int64_t channels, int64_t rows, int64_t cols) const {
    StoredTensor tensor;
    tensor.type = TensorType::kFloat32;
    tensor.shape = {batch, channels, rows, cols};
    std::vector<float> values(static_cast<size_t>(tensor.Numel()));
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = 0.5f + 0.4f * std::sin(0.1f * static_cast<float>(i % 131));
    }
    tensor.data.resize(values.size() * sizeof(float));
    std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
    TensorFile file;
    file.tensors.emplace_back("image", std::move(tensor));
    const fs::path path = test::TemporaryFolder() / "image.safetensors";
    models::WriteSafetensors(file, path);
    return path;
  }

  // Runs `avocet forward` on `image`; the floats of its output.
  std::vector<float> Forward(const fs::path& model, const fs::path& image,
                             const std::vector<std::string>& more) const {
    const fs::path out = test::TemporaryFolder() / "out.safetensors";
    std::vector<std::string> arguments{"forward",      "-m", model.string(), "-i",
                                       image.string(), "-o", out.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const test::CommandResult result = test::RunAvocet(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("fs-rwkv-dim8-1.1.1.1-r1"), std::string::npos) << result.out;
    const TensorFile file = models::ReadTensorFile(out);
    const StoredTensor& tensor = *file.Find("output");
    std::vector<float> values(static_cast<size_t>(tensor.Numel()));
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    return values;
  }

  std::string Refused(const std::vector<std::string>& more, const fs::path& image) const {
    std::vector<std::string> arguments{"forward",
                                       "-m",
                                       model_.string(),
                                       "-i",
                                       image.string(),
                                       "-o",
                                       (test::TemporaryFolder() / "no.safetensors").string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const test::CommandResult result = test::RunAvocet(arguments);
    EXPECT_NE(result.exit_code, 0);
    EXPECT_FALSE(fs::exists(test::TemporaryFolder() / "no.safetensors"));
    return result.err;
  }

  fs::path model_;
};

double Largest(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, static_cast<double>(std::abs(a[i] - b[i])));
  }
  return largest;
}

TEST_F(FsRwkvCommands, ForwardFindsTheArchitectureAndTakesItsOptions) {
  const fs::path image = Image(2, 1, 16, 64);
  const auto native = Forward(model_, image, {});
  EXPECT_EQ(native.size(), 2u * 16 * 64);
  EXPECT_EQ(native, Forward(model_, image, {"--architecture", "fs-rwkv", "--geometry", "native"}));
  EXPECT_GT(Largest(native, Forward(model_, image, {"--geometry", "official"})), 1e-3);
  const double modes = Largest(native, Forward(model_, image, {"--wkv", "official"}));
  EXPECT_GT(modes, 0);
  EXPECT_LT(modes, 1e-2);
  EXPECT_EQ(Forward(model_, Image(1, 1, 19, 21), {"--threads", "1"}).size(), 19u * 21);
}

TEST_F(FsRwkvCommands, ForwardRefusesInOneSentence) {
  const fs::path image = Image(1, 1, 16, 24);
  EXPECT_NE(Refused({"--geometry", "official"}, image).find("16 x 24"), std::string::npos);
  EXPECT_NE(Refused({"--geometry", "round"}, image).find("--geometry"), std::string::npos);
  EXPECT_NE(Refused({"--classes", "3"}, image).find("--classes"), std::string::npos);
  EXPECT_NE(Refused({"--architecture", "rwkv-unet-t"}, image).find("RWKV-UNet"), std::string::npos);
  EXPECT_NE(Refused({"--architecture", "fs"}, image).find("fs-rwkv"), std::string::npos);
  EXPECT_NE(Refused({}, Image(1, 3, 16, 16)).find("[1, 3, 16, 16]"), std::string::npos);
  // The other way round: options of FS-RWKV with an RWKV-UNet.
  const fs::path other = test::WriteRandomModel(test::ExampleCard(), "unet.safetensors");
  const fs::path out = test::TemporaryFolder() / "no.safetensors";
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--geometry", "native"}, {"--architecture", "fs-rwkv"}}) {
    std::vector<std::string> arguments{"forward",      "-m", other.string(), "-i",
                                       image.string(), "-o", out.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const test::CommandResult result = test::RunAvocet(arguments);
    EXPECT_NE(result.exit_code, 0);
    EXPECT_NE(result.err.find("FS-RWKV"), std::string::npos) << result.err;
  }
}

TEST_F(FsRwkvCommands, ModelInfoAndConvert) {
  test::CommandResult result = test::RunAvocet({"model", "info", "--json", model_.string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["architecture"], "fs-rwkv");
  EXPECT_EQ(json["variant"], "dim8-1.1.1.1-r1");
  EXPECT_TRUE(json["classes"].is_null());
  EXPECT_EQ(json["layout"], "used");
  EXPECT_TRUE(json["usable"].get<bool>());

  const fs::path half = test::TemporaryFolder() / "half.safetensors";
  result = test::RunAvocet(
      {"model", "convert", "--half", "--name", "a translator", model_.string(), half.string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  TensorFile file = models::ReadTensorFile(half);
  const models::ModelCard card = models::CardOf(file);
  EXPECT_EQ(card.architecture, "fs-rwkv");
  EXPECT_EQ(card.task, "translation");
  EXPECT_EQ(card.wkv, "official64");
  EXPECT_EQ(card.name, "a translator");
  EXPECT_TRUE(card.labels.empty());
  EXPECT_EQ(test::RunAvocet({"model", "info", half.string()}).exit_code, 0);
  // Half precision changes the result a little; the card asks for the official arithmetic.
  const fs::path image = Image(1, 1, 16, 16);
  EXPECT_LT(Largest(Forward(half, image, {}), Forward(model_, image, {"--wkv", "official"})), 2e-2);

  // Back to what the official code loads strictly: every entry, filters included.
  const fs::path full = test::TemporaryFolder() / "full.safetensors";
  result = test::RunAvocet(
      {"model", "convert", "--keep-unused", "--dtype", "float32", half.string(), full.string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::set<std::string> names;
  file = models::ReadTensorFile(full);
  for (const auto& entry : file.tensors) names.insert(entry.first);
  std::set<std::string> want;
  for (const auto& spec : models::FsRwkvTensors({8, {1, 1, 1, 1}, 1})) want.insert(spec.name);
  EXPECT_EQ(names, want);

  result = test::RunAvocet({"model", "convert", "--labels", "a,b", model_.string(),
                            (test::TemporaryFolder() / "no.safetensors").string()});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.err.find("classes"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace avocet
