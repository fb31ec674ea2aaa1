// SPDX-License-Identifier: Apache-2.0
#include "models/architecture/fs_rwkv_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "app/base/error.h"
#include "tests/models/fs_rwkv_random.h"
#include "tests/support/test_support.h"

namespace avocet::models {
namespace {

// Section 7 of shared/spec/fs_rwkv.md.
TEST(FsRwkvLayout, PublishedCounts) {
  const auto tensors = FsRwkvTensors(FsRwkvSizes{});
  int64_t parameters = 0, trained = 0, buffers = 0, buffer_scalars = 0, filters = 0;
  std::set<std::string> names;
  std::map<std::string, int64_t> parts;
  for (const TensorSpec& spec : tensors) {
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
    if (spec.role == TensorSpec::Role::kParameter) {
      ++trained;
      parameters += spec.Numel();
      parts[spec.name.substr(0, spec.name.find('.'))] += spec.Numel();
    } else {
      ++buffers;
      buffer_scalars += spec.Numel();
    }
    filters += spec.used ? 0 : 1;
  }
  EXPECT_EQ(tensors.size(), 1374u);
  EXPECT_EQ(trained, 1206);
  EXPECT_EQ(buffers, 168);
  EXPECT_EQ(parameters, 45397609);
  EXPECT_EQ(buffer_scalars, 6816);
  EXPECT_EQ(filters, 24);
  const std::map<std::string, int64_t> want = {{"patch_embed", 480},
                                               {"encoder_level1", 122304},
                                               {"down1_2", 10368},
                                               {"encoder_level2", 726336},
                                               {"down2_3", 41472},
                                               {"encoder_level3", 2890368},
                                               {"down3_4", 165888},
                                               {"latent", 15375360},
                                               {"up4_3", 2654208},
                                               {"decoder_level3", 2890368},
                                               {"up3_2", 663552},
                                               {"decoder_level2", 726336},
                                               {"up2_1", 165888},
                                               {"decoder_level1", 484224},
                                               {"refinement", 484224},
                                               {"output", 865},
                                               {"enhance_level1", 858360},
                                               {"enhance_level2", 3415920},
                                               {"enhance_level3", 13628640},
                                               {"reduce_chan_level3", 73920},
                                               {"reduce_chan_level2", 18528}};
  EXPECT_EQ(parts, want);
}

TEST(FsRwkvLayout, FindsAnySizes) {
  for (const FsRwkvSizes& sizes :
       {FsRwkvSizes{8, {1, 1, 1, 1}, 1}, FsRwkvSizes{16, {2, 1, 3, 12}, 5},
        FsRwkvSizes{40, {1, 2, 1, 1}, 2}}) {
    TensorFile file = test::FormulaFsRwkv(sizes);
    auto report = DetectArchitecture(file);
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->architecture, "fs-rwkv");
    EXPECT_EQ(report->variant, sizes.Variant());
    EXPECT_EQ(report->layout, "used");
    EXPECT_EQ(report->classes, 0);
    EXPECT_TRUE(report->Complete()) << report->Complaint();
    AddWaveletFilters(file);
    report = DetectArchitecture(file);
    EXPECT_EQ(report->layout, "full");
    EXPECT_EQ(report->unused.size(), 24u);
    EXPECT_TRUE(report->Complete()) << report->Complaint();
    const size_t before = file.tensors.size();
    AddWaveletFilters(file);
    EXPECT_EQ(file.tensors.size(), before);
  }
  EXPECT_EQ(FsRwkvSizes{}.Variant(), "dim48-4.6.6.8-r4");
}

TEST(FsRwkvLayout, DataParallelPrefixIsTakenOff) {
  TensorFile file = test::FormulaFsRwkv({8, {1, 1, 1, 1}, 1});
  for (auto& entry : file.tensors) entry.first = "module." + entry.first;
  const auto path = test::TemporaryFolder() / "parallel.safetensors";
  WriteSafetensors(file, path);
  const LayoutReport report = MatchFsRwkv(ReadTensorFile(path));
  EXPECT_TRUE(report.Complete()) << report.Complaint();
}

TEST(FsRwkvLayout, NamesEveryKindOfTrouble) {
  TensorFile file = test::FormulaFsRwkv({8, {1, 2, 1, 1}, 1});
  AddWaveletFilters(file);
  auto& tensors = file.tensors;
  tensors.erase(std::remove_if(tensors.begin(), tensors.end(),
                               [](const auto& e) { return e.first == "latent.0.ffn.key.weight"; }),
                tensors.end());
  for (auto& [name, tensor] : tensors) {
    if (name == "output.weight") tensor.shape = {16, 1, 3, 3};
    if (name == "enhance_level2.idwt.g1_row") {
      const float wrong[2] = {0.70710677f, 0.70710677f};
      std::memcpy(tensor.data.data(), wrong, sizeof wrong);
    }
  }
  tensors.emplace_back("latent.0.extra",
                       StoredTensor{TensorType::kFloat32, {}, std::vector<std::byte>(4)});
  const LayoutReport report = MatchFsRwkv(file);
  EXPECT_FALSE(report.Complete());
  EXPECT_EQ(report.layout, "other");
  EXPECT_EQ(report.missing, std::vector<std::string>{"latent.0.ffn.key.weight"});
  EXPECT_EQ(report.unexpected, std::vector<std::string>{"latent.0.extra"});
  ASSERT_EQ(report.wrong_shape.size(), 2u);
  EXPECT_EQ(report.wrong_shape[0].name, "output.weight");
  EXPECT_EQ(report.wrong_shape[1].name, "enhance_level2.idwt.g1_row");
  EXPECT_EQ(report.wrong_shape[1].expected, "the Haar filter");
}

// An encoder and a decoder with different block counts are no official network.
TEST(FsRwkvLayout, DecoderMustMirrorTheEncoder) {
  TensorFile file = test::FormulaFsRwkv({8, {2, 1, 1, 1}, 1});
  auto& tensors = file.tensors;
  tensors.erase(
      std::remove_if(tensors.begin(), tensors.end(),
                     [](const auto& e) { return e.first.rfind("decoder_level1.1.", 0) == 0; }),
      tensors.end());
  const LayoutReport report = MatchFsRwkv(file);
  EXPECT_EQ(report.missing.size(), 20u);
}

TEST(FsRwkvLayout, SomethingElseIsNoFsRwkv) {
  EXPECT_FALSE(DetectFsRwkv({}).has_value());
  TensorFile file;
  for (const char* name : {"patch_embed.weight", "encoder_level1.0.gamma1",
                           "encoder_level1.99999999999999999999.gamma1"}) {
    file.tensors.emplace_back(name,
                              StoredTensor{TensorType::kFloat32, {8}, std::vector<std::byte>(32)});
  }
  EXPECT_FALSE(DetectFsRwkv(file).has_value());
  EXPECT_THROW(MatchFsRwkv(file), ModelError);
  for (const FsRwkvSizes& sizes :
       {FsRwkvSizes{12, {1, 1, 1, 1}, 1}, FsRwkvSizes{0, {1, 1, 1, 1}, 1},
        FsRwkvSizes{48, {0, 1, 1, 1}, 1}, FsRwkvSizes{48, {1, 1, 1, 1}, 0}}) {
    EXPECT_NE(sizes.Check(), "");
    EXPECT_THROW(FsRwkvTensors(sizes), ModelError);
  }
}

}  // namespace
}  // namespace avocet::models
