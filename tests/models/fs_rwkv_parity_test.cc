// SPDX-License-Identifier: Apache-2.0
// The whole network against the official implementation: ../shared/parity/fs_rwkv. The README there
// says what rounding the official float32 run itself has: 3e-6 to 9e-6, 6e-5 for the full size.
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>

#include "app/base/error.h"
#include "tests/models/fs_rwkv_parity.h"

namespace avocet::models {
namespace {

class FsRwkvNetworkParity : public FsRwkvParity {
 protected:
  std::unique_ptr<FsRwkv> Small(WkvMode mode, FsGeometry geometry) const {
    FsLoadOptions options;
    options.wkv = mode;
    options.geometry = geometry;
    return LoadFsRwkv(File("small_dim24/best_ssim_0.pth"), "best_ssim_0.pth", options);
  }

  // Both paths of the network against float32 and float64 of the official one.
  void Check(FsRwkv& network, const TensorFile& io, const std::string& what,
             const std::string& suffix, double tolerance) {
    const at::Tensor image = Tensor(io, "input");
    at::Tensor fused;
    {
      c10::InferenceMode inference;
      fused = network.Forward(image);
    }
    // The training path, on images where it takes no long time.
    const at::Tensor plain = image.numel() > 1 << 15 ? fused : network.Forward(image);
    const bool has_double = io.Find("output_" + suffix + "_f64") != nullptr;
    const at::Tensor want = Tensor(io, "output_" + suffix + (has_double ? "_f64" : ""));
    const double a = MaxDifference(fused, want), b = MaxDifference(plain, want);
    std::printf("  %-34s %s fused %.2e, training path %.2e, between %.2e\n", what.c_str(),
                suffix.c_str(), a, b, MaxDifference(fused, plain));
    EXPECT_LE(a, tolerance) << what;
    EXPECT_LE(b, tolerance) << what;
    EXPECT_LE(MaxDifference(fused, Tensor(io, "output_" + suffix)), 2 * tolerance) << what;
  }
};

TEST_F(FsRwkvNetworkParity, OutputsInBothModesAndGeometries) {
  struct Row {
    const char* file;
    FsGeometry geometry;
    bool both_modes;
  };
  const Row rows[] = {
      {"io_64x64", FsGeometry::kOfficial, true},
      {"io_64x64", FsGeometry::kNative, true},
      {"io_104x104_odd_latent", FsGeometry::kOfficial, true},
      {"io_104x104_odd_latent", FsGeometry::kNative, true},
      {"io_256x256", FsGeometry::kOfficial, true},
      {"io_32x128_official_scrambled", FsGeometry::kOfficial, true},
      {"io_32x128_native", FsGeometry::kNative, false},
      {"io_96x160_native", FsGeometry::kNative, false},
  };
  for (const Row& row : rows) {
    const TensorFile io = File("small_dim24/" + std::string(row.file) + ".safetensors");
    const std::string what = std::string(row.file) + " " + NameOf(row.geometry);
    Check(*Small(WkvMode::kExact, row.geometry), io, what, "E", 3e-5);
    if (row.both_modes) Check(*Small(WkvMode::kOfficial64, row.geometry), io, what, "O", 3e-5);
  }
}

// Where the modes differ by 3.7e-2.
TEST_F(FsRwkvNetworkParity, StrongDecayTellsTheModesApart) {
  const TensorFile io = File("small_dim24/io_64x64_strong_decay.safetensors");
  for (const auto& [mode, suffix] :
       {std::pair{WkvMode::kExact, "E"}, std::pair{WkvMode::kOfficial64, "O"}}) {
    auto network = Small(mode, FsGeometry::kOfficial);
    for (const auto& entry : network->parameters().entries()) {
      at::Tensor value = entry.value;
      if (entry.name.find("att.spatial_decay") != std::string::npos) value.mul_(8);
      if (entry.name.find("att.value.weight") != std::string::npos) value.mul_(4);
    }
    Check(*network, io, "strong decay", suffix, 3e-5);
  }
  EXPECT_GT(MaxDifference(Tensor(io, "output_E"), Tensor(io, "output_O")), 3e-2);
}

TEST_F(FsRwkvNetworkParity, DoubleRunAgreesToTheLastDigits) {
  c10::NoGradGuard no_grad;
  for (const auto& [file, mode, suffix] : {std::tuple{"io_64x64", WkvMode::kExact, "E"},
                                           {"io_64x64", WkvMode::kOfficial64, "O"},
                                           {"io_104x104_odd_latent", WkvMode::kExact, "E"}}) {
    const TensorFile io = File("small_dim24/" + std::string(file) + ".safetensors");
    auto network = Small(mode, FsGeometry::kOfficial);
    network->parameters().To(at::kDouble);
    const at::Tensor got = network->Forward(Tensor(io, "input").to(at::kDouble));
    const double error = MaxDifference(got, Tensor(io, "output_" + std::string(suffix) + "_f64"));
    std::printf("  %s %s in double %.2e\n", file, suffix, error);
    // The official wavelet filters are sqrt(1/2) in float32, the stencil is exact.
    EXPECT_LE(error, 2e-6);
  }
}

TEST_F(FsRwkvNetworkParity, LevelActivations) {
  const TensorFile expected = File("small_dim24/activations_64x64_E.safetensors");
  size_t compared = 0;
  double worst = 0;
  const ActivationHook hook = [&](const std::string& name, const at::Tensor& value) {
    const StoredTensor* stored = expected.Find(name);
    if (stored == nullptr) return;
    const double error = RelativeDifference(value, ToTensor(*stored));
    EXPECT_LE(error, 3e-5) << name;
    worst = std::max(worst, error);
    ++compared;
  };
  ForwardOptions options;
  options.hook = &hook;
  for (const bool fused : {false, true}) {
    c10::InferenceMode inference(fused);
    compared = 0;
    Small(WkvMode::kExact, FsGeometry::kOfficial)->Forward(Tensor(expected, "input"), options);
    EXPECT_EQ(compared, expected.tensors.size() - 1);  // all but the input
    std::printf("  %zu activations, worst %.2e of the largest entry\n", compared, worst);
  }
}

TEST_F(FsRwkvNetworkParity, OfficialGeometryRefusesWhatTheOfficialCodeRefuses) {
  const auto network = Small(WkvMode::kExact, FsGeometry::kOfficial);
  EXPECT_THROW(network->Forward(at::zeros({1, 1, 96, 160})), OptionError);
  EXPECT_THROW(network->Forward(at::zeros({1, 1, 60, 60})), OptionError);
}

// ---- the published configuration

uint64_t NameHash(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const unsigned char c : name) hash = (hash ^ c) * 0x100000001b3u;
  return hash;
}

// The weights of full_recipe/recipe.json, by the formula in its description.
TensorFile FullSizeFile(const nlohmann::json& recipe, TensorFile small) {
  constexpr uint64_t kStep = 0x9E3779B97F4A7C15u;
  for (const auto& entry : recipe["generated"]) {
    StoredTensor tensor;
    tensor.type = TensorType::kFloat32;
    tensor.shape = entry["shape"].get<std::vector<int64_t>>();
    const std::string name = entry["name"];
    uint64_t state = NameHash(name) + recipe["seed"].get<uint64_t>() * kStep;
    std::vector<float> values(static_cast<size_t>(tensor.Numel()));
    double squares = 0, sum = 0;
    for (float& value : values) {
      uint64_t z = state += kStep;
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
      z ^= z >> 31;
      value = (static_cast<float>((z >> 32) % 31) - 15) * entry["step"].get<float>();
      squares += static_cast<double>(value) * value;
      sum += value;
    }
    EXPECT_NEAR(std::sqrt(squares) / entry["l2"].get<double>(), 1, 1e-12) << name;
    EXPECT_NEAR(sum, entry["sum"].get<double>(), 1e-9) << name;
    tensor.data.resize(values.size() * sizeof(float));
    std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
    small.tensors.emplace_back(name, std::move(tensor));
  }
  return small;
}

TEST_F(FsRwkvNetworkParity, PublishedConfiguration) {
  const TensorFile file =
      FullSizeFile(Json("full_recipe/recipe.json"), File("full_recipe/small_tensors.safetensors"));
  const auto network = LoadFsRwkv(file, "recipe");
  EXPECT_EQ(network->config().sizes.Variant(), "dim48-4.6.6.8-r4");
  EXPECT_EQ(network->parameters().ParameterCount(), 45397609);
  const TensorFile small = File("full_recipe/io_64x64.safetensors");
  Check(*network, small, "full size 64", "E", 1e-4);
  network->set_wkv_mode(WkvMode::kOfficial64);
  Check(*network, small, "full size 64", "O", 1e-4);
  network->set_wkv_mode(WkvMode::kExact);
  const TensorFile large = File("full_recipe/io_256x256.safetensors");
  c10::InferenceMode inference;
  const double error =
      MaxDifference(network->Forward(Tensor(large, "input")), Tensor(large, "output_E"));
  std::printf("  full size 256 E %.2e\n", error);
  EXPECT_LE(error, 2e-4);
}

}  // namespace
}  // namespace avocet::models
