// SPDX-License-Identifier: Apache-2.0
#include "models/perceptual/lpips.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "app/base/error.h"
#include "models/checkpoint/tensor_file.h"
#include "tests/support/test_support.h"

namespace avocet {
namespace {

namespace fs = std::filesystem;
using models::Lpips;
using models::StoredTensor;
using models::TensorFile;

constexpr double kOfficial01 = 8.601320559702e-4, kPm1 = 1.0081348613631e-2;

struct Layer {
  int index, stage;
  int64_t inputs, outputs;
};
constexpr Layer kVgg16[] = {
    {0, 1, 3, 64},     {2, 1, 64, 64},    {5, 2, 64, 128},   {7, 2, 128, 128},  {10, 3, 128, 256},
    {12, 3, 256, 256}, {14, 3, 256, 256}, {17, 4, 256, 512}, {19, 4, 512, 512}, {21, 4, 512, 512},
    {24, 5, 512, 512}, {26, 5, 512, 512}, {28, 5, 512, 512}};

template <typename Value>
StoredTensor Stored(std::vector<int64_t> shape, Value value) {
  StoredTensor tensor;
  tensor.shape = std::move(shape);
  std::vector<float> values(tensor.Numel());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(value(static_cast<double>(i)));
  tensor.data.resize(values.size() * sizeof(float));
  std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
  return tensor;
}

// The published weights may not be shipped; these are made by a formula, and the expected distances
// by PyTorch 2.11 with the same formula.
TensorFile Trunk(bool as_package) {
  TensorFile file;
  for (size_t n = 0; n < std::size(kVgg16); ++n) {
    const Layer& l = kVgg16[n];
    const std::string name =
        (as_package ? "net.slice" + std::to_string(l.stage) + "." : std::string("features.")) +
        std::to_string(l.index);
    const double shift = static_cast<double>(n);
    const double scale = std::sqrt(24.0 / static_cast<double>(l.inputs * 9));
    file.tensors.emplace_back(name + ".weight", Stored({l.outputs, l.inputs, 3, 3}, [&](double i) {
                                const double r = std::sin(12.9898 * i + shift) * 43758.5453;
                                return (r - std::floor(r) - 0.5) * scale;
                              }));
    file.tensors.emplace_back(
        name + ".bias", Stored({l.outputs}, [&](double i) { return 0.1 * std::sin(i + shift); }));
  }
  return file;
}
TensorFile Calibration() {
  TensorFile file;
  const int64_t channels[] = {64, 128, 256, 512, 512};
  for (int n = 0; n < 5; ++n) {
    const auto c = static_cast<double>(channels[n]);
    file.tensors.emplace_back(
        "lin" + std::to_string(n) + ".model.1.weight",
        Stored({1, channels[n], 1, 1}, [&](double i) { return (1 + std::sin(i)) / c; }));
  }
  return file;
}

at::Tensor Picture(double phase, double rows) {
  const auto f64 = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor y = at::arange(40, f64).view({40, 1}), x = at::arange(33, f64).view({1, 33});
  return (0.5 + 0.4 * at::sin(0.3 * x + phase) * at::cos(rows * y))
      .to(at::kFloat)
      .view({1, 1, 40, 33});
}

template <typename Expected, typename Call>
std::string MessageOf(Call call) {
  try {
    call();
  } catch (const Expected& error) {
    return error.what();
  }
  return "no error";
}

TEST(Lpips, IsThatOfThePackage) {
  const fs::path folder = test::TemporaryFolder();
  WriteSafetensors(Trunk(false), folder / "vgg16.safetensors");
  WriteSafetensors(Calibration(), folder / "vgg.safetensors");
  const Lpips lpips({folder / "vgg16.safetensors", folder / "vgg.safetensors"});
  const at::Tensor a = Picture(0, 0.2), b = Picture(0.2, 0.25);
  EXPECT_NEAR(lpips.Distance(a, b).item<double>(), kOfficial01, 1e-5 * kOfficial01);
  EXPECT_NEAR(lpips.Distance(a * 2 - 1, b * 2 - 1).item<double>(), kPm1, 1e-5 * kPm1);
  EXPECT_EQ(lpips.Distance(a, a).item<double>(), 0);
  // Images of a batch do not see each other.
  const at::Tensor both = lpips.Distance(at::cat({a, b}), at::cat({b, b}));
  EXPECT_NEAR(both[0].item<double>(), kOfficial01, 1e-5 * kOfficial01);
  EXPECT_EQ(both[1].item<double>(), 0);
  const std::string message =
      MessageOf<OptionError>([&] { lpips.Distance(a.slice(2, 0, 12), b.slice(2, 0, 12)); });
  EXPECT_NE(message.find("33 x 12"), std::string::npos) << message;
}

TEST(Lpips, TensorsAreFoundByEitherName) {
  const fs::path folder = test::TemporaryFolder();
  TensorFile whole = Trunk(true);
  for (auto& tensor : Calibration().tensors) whole.tensors.push_back(tensor);
  WriteSafetensors(whole, folder / "module.safetensors");
  const Lpips lpips({folder / "module.safetensors"});
  EXPECT_NEAR(lpips.Distance(Picture(0, 0.2), Picture(0.2, 0.25)).item<double>(), kOfficial01,
              1e-5 * kOfficial01);
  WriteSafetensors(Trunk(false), folder / "half.safetensors");
  const std::string message = MessageOf<ModelError>([&] { Lpips({folder / "half.safetensors"}); });
  EXPECT_NE(message.find("lin0.model.1.weight"), std::string::npos) << message;
}

}  // namespace
}  // namespace avocet
