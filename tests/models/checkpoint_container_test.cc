// SPDX-License-Identifier: Apache-2.0
// Features of the PyTorch containers that the small files do not show.
#include <gtest/gtest.h>

#include "app/base/error.h"
#include "models/checkpoint/convert.h"
#include "models/checkpoint/tensor_file.h"
#include "tests/models/checkpoint_builder.h"

namespace avocet::models {
namespace {

using namespace avocet::test;  // NOLINT: the builders

std::string Floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

const std::vector<float> kValues{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

std::string Zip(const std::string& body, const std::string& storage) {
  return MakeZip({{"m/data.pkl", Pickle(body)}, {"m/data/0", storage}});
}

std::vector<double> Values(const TensorFile& file, const std::string& name) {
  const StoredTensor* tensor = file.Find(name);
  return tensor ? ToDoubles(*tensor) : std::vector<double>{};
}

const std::string kMatrix = PTensor(PStorage(12), 0, {3, 4}, {4, 1});

TEST(TorchZip, ViewsOfEveryKind) {
  const auto tensor = [](int64_t offset, const std::vector<int64_t>& shape,
                         const std::vector<int64_t>& stride) {
    return PTensor(PStorage(12), offset, shape, stride);
  };
  const TensorFile file = ParseTensorFile(Zip(PDict({{"columns", tensor(1, {3, 2}, {4, 1})},
                                                     {"transposed", tensor(0, {4, 3}, {1, 4})},
                                                     {"diagonal", tensor(0, {3}, {5})},
                                                     {"repeated", tensor(7, {2, 2}, {0, 0})},
                                                     {"overlapping", tensor(0, {3, 3}, {1, 1})},
                                                     {"ones", tensor(3, {1, 2, 1}, {99, 2, 77})},
                                                     {"scalar", tensor(11, {}, {})},
                                                     {"none", tensor(12, {0, 5}, {5, 1})}}),
                                              Floats(kValues)));
  EXPECT_EQ(Values(file, "columns"), (std::vector<double>{1, 2, 5, 6, 9, 10}));
  EXPECT_EQ(Values(file, "transposed"),
            (std::vector<double>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
  EXPECT_EQ(Values(file, "diagonal"), (std::vector<double>{0, 5, 10}));
  EXPECT_EQ(Values(file, "repeated"), (std::vector<double>{7, 7, 7, 7}));
  EXPECT_EQ(Values(file, "overlapping"), (std::vector<double>{0, 1, 2, 1, 2, 3, 2, 3, 4}));
  EXPECT_EQ(Values(file, "ones"), (std::vector<double>{3, 5}));
  EXPECT_EQ(Values(file, "scalar"), (std::vector<double>{11}));
  ASSERT_NE(file.Find("none"), nullptr);
  EXPECT_EQ(file.Find("none")->shape, (std::vector<int64_t>{0, 5}));
}

// What training scripts put beside the weights: their options, schedulers, best scores.
TEST(TorchZip, HarmlessObjectsAreSkipped) {
  const std::string options =
      PGlobal("argparse", "Namespace") + ")\x81" + PDict({{"lr", PInt(1)}}) + "b";
  const std::string score =
      PGlobal("numpy.core.multiarray", "scalar") +
      PTuple({PGlobal("numpy", "dtype") + PTuple({PText("f8"), "\x89", "\x88"}) + "R" +
                  PTuple({PInt(3), PText("<"), "N"}) + "b",
              PGlobal("_codecs", "encode") + PTuple({PText("abcdefgh"), PText("latin1")}) + "R"}) +
      "R";
  const std::string counter =
      PGlobal("collections", "defaultdict") + PTuple({PGlobal("builtins", "dict")}) + "R";
  const TensorFile file =
      ParseTensorFile(Zip(PDict({{"args", options},
                                 {"best", score},
                                 {"milestones", counter},
                                 {"size", PGlobal("torch", "Size") + PTuple({PInts({2, 3})}) + "R"},
                                 {"model", PDict({{"w", kMatrix}})}}),
                          Floats(kValues)));
  ASSERT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(Values(file, "w")[7], 7);
}

TEST(TorchZip, OrderedDictOfPython2AndMetadata) {
  const std::string items =
      "](" + PTuple({PText("b"), kMatrix}) + PTuple({PText("a"), kMatrix}) + "e";
  const std::string attributes = PDict({{"_metadata", PDict({{"version", PInt(1)}})}});
  const TensorFile file = ParseTensorFile(
      Zip(PGlobal("collections", "OrderedDict") + PTuple({items}) + "R" + attributes + "b",
          Floats(kValues)));
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.tensors[0].first, "b");
}

TEST(TorchZip, EntriesThatAreNoTensorsAreNoted) {
  const TensorFile file = ParseTensorFile(
      Zip(PDict({{"w", kMatrix}, {"epoch", PInt(3)}, {"lr\n", "N"}}), Floats(kValues)));
  ASSERT_EQ(file.notes.size(), 1u);
  EXPECT_EQ(file.notes[0], "2 entries that are no tensors left out: epoch, lr?");
}

TEST(TorchZip, ModulePrefixGoesOnlyWhenAllNamesHaveIt) {
  const TensorFile twice = ParseTensorFile(
      Zip(PDict({{"module.module.a", kMatrix}, {"module.module.b", kMatrix}}), Floats(kValues)));
  EXPECT_EQ(twice.tensors[0].first, "a");
  EXPECT_EQ(twice.notes.size(), 2u);
  const TensorFile some =
      ParseTensorFile(Zip(PDict({{"module.a", kMatrix}, {"b", kMatrix}}), Floats(kValues)));
  EXPECT_EQ(some.tensors[0].first, "module.a");
}

// Protocol 4, as torch.save(..., pickle_protocol=4) writes it.
TEST(TorchZip, PickleProtocol4) {
  const auto text = [](const std::string& t) {
    return "\x8c" + std::string(1, static_cast<char>(t.size())) + t;
  };
  const auto global = [&](const char* module, const char* name) {
    return text(module) + text(name) + "\x93\x94";
  };
  const std::string storage = "(" + text("storage") + global("torch", "FloatStorage") + text("0") +
                              text("cuda:1") +
                              "K\x0c"
                              "tQ";
  const std::string tensor = global("torch._utils", "_rebuild_tensor_v2") + "(" + storage +
                             std::string("K\0", 2) + "K\x0c\x85K\x01\x85\x89" +
                             global("collections", "OrderedDict") +
                             ")R"
                             "tR";
  const std::string pickle =
      "\x80\x04\x95" + Little<uint64_t>(0) + "}\x94(" + text("w") + tensor + "u.";
  const TensorFile file =
      ParseTensorFile(MakeZip({{"m/data.pkl", pickle}, {"m/data/0", Floats(kValues)}}));
  EXPECT_EQ(Values(file, "w"), std::vector<double>(kValues.begin(), kValues.end()));
}

// Sizes and offset of 0xffffffff that refer to the zip64 extra field.
TEST(TorchZip, Zip64ExtraField) {
  const std::string plain = Zip(PDict({{"w", kMatrix}}), Floats(kValues));
  const size_t directory = plain.find("PK\x01\x02");
  const size_t second = plain.find("PK\x01\x02", directory + 4);
  const size_t end = plain.find("PK\x05\x06");
  uint32_t size = 0;
  uint32_t offset = 0;
  std::memcpy(&size, plain.data() + second + 24, 4);
  std::memcpy(&offset, plain.data() + second + 42, 4);
  std::string record = plain.substr(second, end - second);
  const std::string extra = Little<uint16_t>(1) + Little<uint16_t>(24) + Little<uint64_t>(size) +
                            Little<uint64_t>(size) + Little<uint64_t>(offset);
  record.replace(20, 8, std::string(8, '\xff'));
  record.replace(30, 2, Little(static_cast<uint16_t>(extra.size())));
  record.replace(42, 4, std::string(4, '\xff'));
  std::string tail = plain.substr(end);
  const auto directory_size = static_cast<uint32_t>(end - directory + extra.size());
  tail.replace(12, 4, Little(directory_size));
  const std::string bytes = plain.substr(0, second) + record + extra + tail;
  EXPECT_EQ(Values(ParseTensorFile(bytes), "w")[11], 11);
  std::string wrong = bytes;
  wrong.replace(bytes.size() - tail.size() - 8, 8, Little<uint64_t>(UINT64_MAX - 20));
  EXPECT_THROW(ParseTensorFile(wrong), ModelError);
}

std::string Legacy(const std::string& body,
                   const std::vector<std::pair<std::string, std::vector<float>>>& storages,
                   int64_t protocol = 1001, const std::string& little_endian = "\x88") {
  std::string bytes = Pickle("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
  bytes += Pickle(PInt(protocol));
  bytes += Pickle(PDict({{"protocol_version", PInt(1001)}, {"little_endian", little_endian}}));
  bytes += Pickle(body);
  std::string keys = "](";
  for (const auto& storage : storages) keys += PText(storage.first);
  bytes += Pickle(keys + "e");
  for (const auto& storage : storages) {
    bytes += Little(static_cast<int64_t>(storage.second.size())) + Floats(storage.second);
  }
  return bytes;
}

TEST(TorchLegacy, StoragesInAnotherOrderThanTheirUse) {
  const std::string body = PDict({{"first", PTensor(PStorage(2, "10"), 0, {2}, {1})},
                                  {"second", PTensor(PStorage(3, "20"), 0, {3}, {1})}});
  const TensorFile file = ParseTensorFile(Legacy(body, {{"20", {7, 8, 9}}, {"10", {1, 2}}}));
  EXPECT_EQ(file.format, "torch legacy");
  EXPECT_EQ(Values(file, "first"), (std::vector<double>{1, 2}));
  EXPECT_EQ(Values(file, "second"), (std::vector<double>{7, 8, 9}));
}

// Before PyTorch 0.4 a storage could be a view of another: (key, offset, size).
TEST(TorchLegacy, StorageViews) {
  const auto view = [](int64_t offset, int64_t size) {
    return PTuple({PText("storage"), PGlobal("torch", "FloatStorage"), PText("1"), PText("cpu"),
                   PInt(6), PTuple({PText("2"), PInt(offset), PInt(size)})}) +
           "Q";
  };
  const std::vector<std::pair<std::string, std::vector<float>>> data{{"1", {0, 1, 2, 3, 4, 5}}};
  const TensorFile file =
      ParseTensorFile(Legacy(PDict({{"v", PTensor(view(2, 3), 1, {2}, {1})}}), data));
  EXPECT_EQ(Values(file, "v"), (std::vector<double>{3, 4}));
  EXPECT_THROW(ParseTensorFile(Legacy(PDict({{"v", PTensor(view(2, 3), 1, {3}, {1})}}), data)),
               ModelError);
  EXPECT_THROW(ParseTensorFile(Legacy(PDict({{"v", PTensor(view(4, 3), 0, {1}, {1})}}), data)),
               ModelError);
  EXPECT_THROW(ParseTensorFile(Legacy(PDict({{"v", PTensor(view(-1, 3), 0, {1}, {1})}}), data)),
               ModelError);
}

TEST(TorchLegacy, RefusesWhatDoesNotFit) {
  const std::string body = PDict({{"w", PTensor(PStorage(2, "1"), 0, {2}, {1})}});
  EXPECT_NO_THROW(ParseTensorFile(Legacy(body, {{"1", {1, 2}}})));
  EXPECT_THROW(ParseTensorFile(Legacy(body, {{"1", {1, 2, 3}}})), ModelError);
  EXPECT_THROW(ParseTensorFile(Legacy(body, {{"1", {1}}})), ModelError);
  EXPECT_THROW(ParseTensorFile(Legacy(body, {})), ModelError);
  EXPECT_THROW(ParseTensorFile(Legacy(body, {{"1", {1, 2}}, {"1", {1, 2}}})), ModelError);
  EXPECT_THROW(ParseTensorFile(Legacy(body, {{"1", {1, 2}}, {"9", {1, 2}}})), ModelError);
  EXPECT_THROW(ParseTensorFile(Legacy(body, {{"1", {1, 2}}}, 1002)), ModelError);
  EXPECT_THROW(ParseTensorFile(Legacy(body, {{"1", {1, 2}}}, 1001, "\x89")), ModelError);
}

}  // namespace
}  // namespace avocet::models
