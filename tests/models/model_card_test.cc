// SPDX-License-Identifier: Apache-2.0
#include "models/model_card.h"

#include <gtest/gtest.h>

#include <cmath>

#include "app/base/error.h"
#include "models/checkpoint/tensor_file.h"

namespace avocet::models {
namespace {

ModelCard Sample() {
  ModelCard card;
  card.architecture = "rwkv-unet";
  card.variant = "T";
  card.task = "segmentation";
  card.name = "hippocampus \"T\" \xc3\xa9";
  card.labels = {
      {0, "background", {0, 0, 0}}, {1, "anterior", {255, 1, 2}}, {7, "posterior", {3, 4, 5}}};
  card.input_channels = 3;
  card.modality = "MR";
  card.plane = "coronal";
  card.wkv = "official64";
  card.preprocessing = {"window", -125, 275.5, "transunet", {224, 256}, 0.75, 1};
  card.licence = "CC-BY-SA 4.0";
  card.provenance = {{"data", "MSD Task04"}, {"seed", "1234"}};
  return card;
}

TEST(ModelCard, RoundTrip) {
  TensorFile file;
  EXPECT_TRUE(CardOf(file).empty());
  SetCard(file, Sample());
  EXPECT_EQ(file.metadata.at("format"), "pt");
  const ModelCard back = CardOf(file);
  const ModelCard card = Sample();
  EXPECT_EQ(ToJson(back), ToJson(card));
  EXPECT_EQ(back.name, card.name);
  ASSERT_EQ(back.labels.size(), 3u);
  EXPECT_EQ(back.labels[2].value, 7);
  EXPECT_EQ(back.labels[2].name, "posterior");
  EXPECT_EQ(back.labels[1].colour, (std::array<uint8_t, 3>{255, 1, 2}));
  EXPECT_EQ(back.input_channels, 3);
  EXPECT_EQ(back.plane, "coronal");
  EXPECT_EQ(back.wkv, "official64");
  EXPECT_EQ(back.preprocessing.intensity, "window");
  EXPECT_EQ(back.preprocessing.lower, -125);
  EXPECT_EQ(back.preprocessing.upper, 275.5);
  EXPECT_EQ(back.preprocessing.size, (std::array<int64_t, 2>{224, 256}));
  EXPECT_EQ(back.preprocessing.pixel_mm, 0.75);
  EXPECT_EQ(back.preprocessing.context, 1);
  EXPECT_EQ(back.provenance, card.provenance);
}

TEST(ModelCard, ExpectationsRoundTrip) {
  ModelCard card = Sample();
  EXPECT_EQ(ToJson(card).find("expects"), std::string::npos);
  Expectations& e = card.expects;
  EXPECT_TRUE(e.empty());
  e.field_of_view_mm.rows = {200, 600};
  e.field_of_view_mm.slices.highest = 900;
  e.voxel_mm.columns.lowest = 0.25;
  e.slice_count.lowest = 3;
  e.values = {-1100, 4000};
  e.correlation = {4, 0.25};
  e.volumes_ml = {{1, {0.7, 3.7}}, {7, {0, 12}}};
  EXPECT_FALSE(e.empty());
  const std::string text = ToJson(card);
  EXPECT_NE(text.find("\"slices\":[null,900.0]"), std::string::npos) << text;
  const ModelCard back = ModelCardFromJson(text);
  EXPECT_EQ(ToJson(back), text);
  EXPECT_EQ(back.expects.field_of_view_mm.rows.highest, 600);
  EXPECT_FALSE(std::isfinite(back.expects.field_of_view_mm.slices.lowest));
  EXPECT_FALSE(back.expects.field_of_view_mm.columns.Stated());
  EXPECT_EQ(back.expects.voxel_mm.columns.lowest, 0.25);
  EXPECT_EQ(back.expects.slice_count.lowest, 3);
  EXPECT_EQ(back.expects.values.lowest, -1100);
  EXPECT_EQ(back.expects.correlation.distance_mm, 4);
  EXPECT_EQ(back.expects.correlation.lowest, 0.25);
  EXPECT_TRUE(back.expects.volumes_ml.at(7).Holds(12));
  EXPECT_FALSE(back.expects.volumes_ml.at(7).Holds(12.01));
}

TEST(ModelCard, WrongExpectationsAreRefused) {
  const auto message = [](const std::string& expects) -> std::string {
    try {
      ModelCardFromJson(R"({"format":1,"architecture":"rwkv-unet","task":"segmentation","labels":)"
                        R"([{"value":0,"name":"background"},{"value":1,"name":"x"}],"expects":)" +
                        expects + "}");
    } catch (const ModelError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message("{}"), "no error");
  EXPECT_EQ(message(R"({"volumes_ml":{"1":[0,5]},"future":7})"), "no error");
  for (const auto& [expects, part] :
       {std::pair(R"([1])", "expects"), std::pair(R"({"values":[1]})", "expects.values"),
        std::pair(R"({"values":["a",2]})", "expects.values"),
        std::pair(R"({"values":[3,2]})", "expects.values"),
        std::pair(R"({"slices":[null,0]})", "expects.slices"),
        std::pair(R"({"field_of_view_mm":[1,2]})", "field_of_view_mm"),
        std::pair(R"({"field_of_view_mm":{"rows":[5,1]}})", "field_of_view_mm.rows"),
        std::pair(R"({"voxel_mm":{"slices":[null,-1]}})", "voxel_mm.slices"),
        std::pair(R"({"correlation":{"lowest":2}})", "correlation.lowest"),
        std::pair(R"({"correlation":{"lowest":0.5,"distance_mm":-1}})", "distance_mm"),
        std::pair(R"({"volumes_ml":{"x":[1,2]}})", "volumes_ml"),
        std::pair(R"({"volumes_ml":{"0":[1,2]}})", "volumes_ml.0"),
        std::pair(R"({"volumes_ml":{"4":[1,2]}})", "volumes_ml.4")}) {
    EXPECT_NE(message(expects).find(part), std::string::npos)
        << expects << ": " << message(expects);
  }
}

TEST(ModelCard, DefaultsForWhatIsNotSaid) {
  const ModelCard card = ModelCardFromJson(
      R"({"format":1,"architecture":"rwkv-unet","task":"segmentation","future":[{}],
          "labels":[{"value":0,"name":"background"},{"value":1,"name":"x"}]})");
  EXPECT_EQ(card.plane, "axial");
  EXPECT_EQ(card.wkv, "exact");
  EXPECT_EQ(card.preprocessing.intensity, "none");
  EXPECT_EQ(card.labels[1].colour, (std::array<uint8_t, 3>{255, 255, 255}));
}

// Each edit must be refused with the key in the message.
TEST(ModelCard, RefusesWhatIsWrongAndNamesTheKey) {
  const std::string good = ToJson(Sample());
  const struct {
    const char* from;
    const char* to;
    const char* key;
  } edits[] = {
      {"\"format\":1", "\"format\":2", "format"},
      {"\"format\":1", "\"format\":\"1\"", "format"},
      {"\"architecture\"", "\"architektur\"", "architecture"},
      {"\"rwkv-unet\"", "17", "architecture"},
      {"\"segmentation\"", "\"regression\"", "task"},
      {"\"value\":7", "\"value\":1", "value"},
      {"\"value\":7", "\"value\":-1", "value"},
      {"\"value\":7", "\"value\":1.5", "value"},
      {"\"value\":7", "\"value\":99999999999", "value"},
      {"\"posterior\"", "\"anterior\"", "anterior"},
      {"[255,1,2]", "[256,1,2]", "colour"},
      {"[255,1,2]", "[1,2]", "colour"},
      {"\"input_channels\":3", "\"input_channels\":2", "input_channels"},
      {"\"input_channels\":3", "\"input_channels\":1", "context"},
      {"\"MR\"", "\"XX\"", "modality"},
      {"\"coronal\"", "\"diagonal\"", "plane"},
      {"\"official64\"", "\"official16\"", "wkv"},
      {"\"window\"", "\"histogram\"", "intensity"},
      {"\"transunet\"", "\"bicubic\"", "resample"},
      {"\"lower\":-125.0", "\"lower\":300", "lower"},
      {"[224,256]", "[224]", "size"},
      {"[224,256]", "[0,256]", "size"},
      {"\"pixel_mm\":0.75", "\"pixel_mm\":0", "pixel_mm"},
      {"\"context\":1", "\"context\":2", "context"},
      {"\"seed\":\"1234\"", "\"seed\":1234", "provenance"},
  };
  for (const auto& edit : edits) {
    std::string text = good;
    const size_t at = text.find(edit.from);
    ASSERT_NE(at, std::string::npos) << edit.from;
    text.replace(at, std::string(edit.from).size(), edit.to);
    try {
      ModelCardFromJson(text);
      ADD_FAILURE() << edit.to << " was accepted";
    } catch (const ModelError& error) {
      EXPECT_NE(std::string(error.what()).find(edit.key), std::string::npos) << error.what();
    }
  }
  for (const char* text : {"", "[]", "{", "null", "{\"format\":1}"}) {
    EXPECT_THROW(ModelCardFromJson(text), ModelError) << text;
  }
}

TEST(ModelCard, WritingChecksToo) {
  ModelCard card = Sample();
  card.labels.clear();
  EXPECT_THROW(ToJson(card), ModelError);
  card = Sample();
  card.name = "\xff";
  EXPECT_THROW(ToJson(card), ModelError);
  EXPECT_THROW(ToJson(ModelCard{}), ModelError);
}

}  // namespace
}  // namespace avocet::models
