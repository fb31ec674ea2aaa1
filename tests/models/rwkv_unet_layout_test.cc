// SPDX-License-Identifier: Apache-2.0
// Names and shapes of RWKV-UNet against the digests and counts of spec/rwkv_unet.md 10.4 and 12.
#include <gtest/gtest.h>

#include <algorithm>

#include "app/base/error.h"
#include "models/architecture/rwkv_unet_layout.h"

namespace avocet::models {
namespace {

struct Row {
  const char* variant;
  RwkvUnetLayout layout;
  size_t tensors;
  const char* digest;
  int64_t parameters;  // trained ones, 9 classes
};

class Layout : public testing::TestWithParam<Row> {};

int64_t Parameters(const std::vector<TensorSpec>& tensors) {
  int64_t count = 0;
  for (const TensorSpec& tensor : tensors) {
    if (tensor.role == TensorSpec::Role::kParameter) count += tensor.Numel();
  }
  return count;
}

TEST_P(Layout, AgreesWithThePublishedDigest) {
  const auto tensors = RwkvUnetTensors(GetParam().variant, 9, GetParam().layout);
  EXPECT_EQ(tensors.size(), GetParam().tensors);
  EXPECT_EQ(LayoutDigest(tensors), GetParam().digest);
  EXPECT_EQ(Parameters(tensors), GetParam().parameters);
}

INSTANTIATE_TEST_SUITE_P(
    Variants, Layout,
    testing::Values(Row{"T", RwkvUnetLayout::kLean, 352, "8460907fff2e14a8", 3311111},
                    Row{"T", RwkvUnetLayout::kFull, 451, "ecc974c7bcad04f1", 5677982},
                    Row{"T", RwkvUnetLayout::kUsed, 326, "9cdf2ec8e3d70e0c", 3145961},
                    Row{"S", RwkvUnetLayout::kLean, 476, "a3130b4c3b88fa3b", 9901039},
                    Row{"S", RwkvUnetLayout::kFull, 607, "c8a468cecec53e36", 15087982},
                    Row{"S", RwkvUnetLayout::kUsed, 446, "661a29110c48199e", 9702145},
                    Row{"B", RwkvUnetLayout::kLean, 476, "695dcb711e38fdd1", 17373967},
                    Row{"B", RwkvUnetLayout::kFull, 607, "d08a727add17ac3d", 24642886},
                    Row{"B", RwkvUnetLayout::kUsed, 446, "2639c8f73a0d3cc4", 17125713}));

TEST(RwkvUnetLayout, FourClassesChangeOnlyTheHead) {
  const auto tensors = RwkvUnetTensors("B", 4, RwkvUnetLayout::kLean);
  EXPECT_EQ(LayoutDigest(tensors), "affeb45b24049c6a");
  EXPECT_EQ(Parameters(tensors), 17373842);
}

TEST(RwkvUnetLayout, PartsHaveThePublishedSizes) {
  struct Parts {
    const char* variant;
    int64_t encoder_lean, encoder_full, ccm, decoders, buffers;
  };
  for (const Parts& parts : {Parts{"T", 3102598, 5469469, 58384, 149904, 14066},
                             Parts{"S", 9613662, 14800605, 61504, 225648, 25886},
                             Parts{"B", 16940758, 24209677, 130584, 302400, 33998}}) {
    int64_t encoder[2] = {0, 0}, ccm = 0, decoders = 0, buffers = 0;
    for (const bool full : {false, true}) {
      const auto layout = full ? RwkvUnetLayout::kFull : RwkvUnetLayout::kLean;
      for (const TensorSpec& tensor : RwkvUnetTensors(parts.variant, 9, layout)) {
        const bool trained = tensor.role == TensorSpec::Role::kParameter;
        if (trained && tensor.name.rfind("encoder.", 0) == 0) encoder[full] += tensor.Numel();
        if (full) continue;
        if (!trained) buffers += tensor.Numel();
        if (trained && tensor.name.rfind("ccm.", 0) == 0) ccm += tensor.Numel();
        if (trained && tensor.name.rfind("decoder", 0) == 0) decoders += tensor.Numel();
      }
    }
    EXPECT_EQ(encoder[0], parts.encoder_lean) << parts.variant;
    EXPECT_EQ(encoder[1], parts.encoder_full) << parts.variant;
    EXPECT_EQ(ccm, parts.ccm) << parts.variant;
    EXPECT_EQ(decoders, parts.decoders) << parts.variant;
    EXPECT_EQ(buffers, parts.buffers) << parts.variant;
  }
}

TensorFile MakeFile(const std::string& variant, int classes, RwkvUnetLayout layout) {
  TensorFile file;
  for (const TensorSpec& spec : RwkvUnetTensors(variant, classes, layout)) {
    StoredTensor tensor;
    tensor.type = spec.shape.empty() ? TensorType::kInt64 : TensorType::kFloat16;
    tensor.shape = spec.shape;
    tensor.data.resize(static_cast<size_t>(spec.Numel()) * SizeOf(tensor.type));
    file.tensors.emplace_back(spec.name, std::move(tensor));
  }
  return file;
}

void Remove(TensorFile& file, const std::string& name) {
  const auto before = file.tensors.size();
  file.tensors.erase(std::remove_if(file.tensors.begin(), file.tensors.end(),
                                    [&](const auto& entry) { return entry.first == name; }),
                     file.tensors.end());
  ASSERT_EQ(file.tensors.size(), before - 1) << name;
}

TEST(RwkvUnetLayout, FindsVariantClassesAndLayout) {
  const std::pair<RwkvUnetLayout, const char*> layouts[] = {{RwkvUnetLayout::kUsed, "used"},
                                                            {RwkvUnetLayout::kLean, "lean"},
                                                            {RwkvUnetLayout::kFull, "full"}};
  for (const char* variant : {"T", "S", "B"}) {
    for (const auto& [layout, name] : layouts) {
      const auto report = DetectArchitecture(MakeFile(variant, 4, layout));
      ASSERT_TRUE(report.has_value());
      EXPECT_EQ(report->architecture, "rwkv-unet");
      EXPECT_EQ(report->variant, variant);
      EXPECT_EQ(report->classes, 4);
      EXPECT_EQ(report->layout, name);
      EXPECT_FALSE(report->encoder_only);
      EXPECT_TRUE(report->Complete()) << report->Complaint();
    }
  }
}

TEST(RwkvUnetLayout, NamesEveryKindOfTrouble) {
  TensorFile file = MakeFile("T", 3, RwkvUnetLayout::kLean);
  Remove(file, "encoder.stage3.1.att.key.weight");
  Remove(file, "ccm.ln1.bias");
  file.tensors.emplace_back("encoder.stage9.0.extra",
                            StoredTensor{TensorType::kFloat32, {}, std::vector<std::byte>(4)});
  for (auto& [name, tensor] : file.tensors) {
    if (name == "decoder1.conv.conv.weight") tensor.shape = {160 * 160};
    if (name == "final_conv.bias") tensor.type = TensorType::kInt16;
  }
  const LayoutReport report = MatchRwkvUnet(file);
  EXPECT_FALSE(report.Complete());
  EXPECT_EQ(report.layout, "other");
  EXPECT_EQ(report.missing,
            (std::vector<std::string>{"encoder.stage3.1.att.key.weight", "ccm.ln1.bias"}));
  EXPECT_EQ(report.unexpected, std::vector<std::string>{"encoder.stage9.0.extra"});
  ASSERT_EQ(report.wrong_shape.size(), 2u);
  EXPECT_EQ(report.wrong_shape[0].name, "decoder1.conv.conv.weight");
  EXPECT_EQ(report.wrong_shape[0].found, "[25600] F16");
  EXPECT_EQ(report.wrong_shape[0].expected, "[160, 160, 1, 1] F32");
  EXPECT_EQ(report.wrong_shape[1].name, "final_conv.bias");
  EXPECT_EQ(
      report.Complaint(1),
      "2 tensors missing (encoder.stage3.1.att.key.weight and 1 more); 2 tensors of the wrong "
      "shape or type (decoder1.conv.conv.weight: [25600] F16 instead of [160, 160, 1, 1] F32 "
      "and 1 more); 1 tensor unexpected (encoder.stage9.0.extra)");
}

TEST(RwkvUnetLayout, AnotherClassCountIsAWrongShape) {
  const LayoutReport report =
      MatchRwkvUnet(MakeFile("T", 3, RwkvUnetLayout::kUsed), std::nullopt, 5);
  ASSERT_EQ(report.wrong_shape.size(), 2u);
  EXPECT_EQ(report.wrong_shape[0].name, "final_conv.weight");
}

TEST(RwkvUnetLayout, EncoderFilesWithAndWithoutPrefix) {
  for (const bool prefix : {true, false}) {
    TensorFile file;
    for (auto& [name, tensor] : MakeFile("S", 9, RwkvUnetLayout::kLean).tensors) {
      if (name.rfind("encoder.", 0) != 0) continue;
      file.tensors.emplace_back(prefix ? name : name.substr(8), tensor);
    }
    EXPECT_EQ(file.tensors.size(), 373u);
    const LayoutReport report = MatchRwkvUnet(file);
    EXPECT_EQ(report.variant, "S");
    EXPECT_TRUE(report.encoder_only);
    EXPECT_EQ(report.without_encoder_prefix, !prefix);
    EXPECT_TRUE(report.Complete()) << report.Complaint();
    EXPECT_EQ(report.layout, "lean");
    EXPECT_EQ(report.NameInFile("encoder.head.bias"), prefix ? "encoder.head.bias" : "head.bias");
    Remove(file, report.NameInFile("encoder.stage4.2.proj.conv.weight"));
    EXPECT_EQ(MatchRwkvUnet(file).Holes(),
              std::vector<std::string>{"encoder.stage4.2.proj.conv.weight"});
  }
}

TEST(RwkvUnetLayout, SomethingElseFitsNoVariant) {
  TensorFile file;
  file.tensors.emplace_back("encoder.conv1.weight",
                            StoredTensor{TensorType::kFloat32, {1}, std::vector<std::byte>(4)});
  EXPECT_FALSE(DetectArchitecture(file).has_value());
  EXPECT_FALSE(DetectArchitecture({}).has_value());
  EXPECT_THROW(MatchRwkvUnet(file), ModelError);
  EXPECT_THROW(RwkvUnetSizesOf("L"), ModelError);
}

}  // namespace
}  // namespace avocet::models
