// SPDX-License-Identifier: Apache-2.0
// Reading of PyTorch and safetensors files that are well formed; hostile ones: checkpoint_hostile.
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "app/base/error.h"
#include "models/architecture/layout.h"
#include "models/checkpoint/tensor_file.h"
#include "tests/support/test_support.h"

namespace avocet::models {
namespace {

namespace fs = std::filesystem;

std::string Slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void ExpectSameTensors(const TensorFile& found, const TensorFile& expected) {
  EXPECT_EQ(found.tensors.size(), expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors) {
    const StoredTensor* other = found.Find(name);
    ASSERT_NE(other, nullptr) << name;
    EXPECT_EQ(NameOf(other->type), std::string(NameOf(tensor.type))) << name;
    EXPECT_EQ(other->shape, tensor.shape) << name;
    EXPECT_TRUE(other->data == tensor.data) << name << ": values differ";
  }
}

TensorFile Expected() {
  return ReadTensorFile(test::TestData("checkpoint/small_expected.safetensors"));
}

struct Container {
  const char* file;
  const char* format;
};

class SmallFile : public testing::TestWithParam<Container> {};

TEST_P(SmallFile, HoldsTheExpectedTensors) {
  const TensorFile expected = Expected();
  ASSERT_EQ(expected.tensors.size(), 18u);
  const TensorFile file =
      ReadTensorFile(test::TestData(std::string("checkpoint/") + GetParam().file));
  EXPECT_EQ(file.format, GetParam().format);
  ExpectSameTensors(file, expected);
  EXPECT_TRUE(file.metadata.empty());
  // Order is that of the dictionary, not of the storages.
  EXPECT_EQ(file.tensors.front().first, "f32");
  EXPECT_EQ(file.tensors.back().first,
            "name with spaces, and \xc3\xbcn\xc3\xaf"
            "code");
}

INSTANTIATE_TEST_SUITE_P(Containers, SmallFile,
                         testing::Values(Container{"small_zip.pth", "torch zip"},
                                         Container{"small_zip_cuda.pth", "torch zip"},
                                         Container{"small_zip_1_11_layout.pth", "torch zip"},
                                         Container{"small_nested.pth", "torch zip"},
                                         Container{"small_legacy.pth", "torch legacy"},
                                         Container{"small_legacy_cuda.pth", "torch legacy"}),
                         [](const auto& info) {
                           std::string name = info.param.file;
                           return name.substr(0, name.find('.'));
                         });

TEST(Checkpoint, SaysWhereANestedDictionaryWas) {
  const TensorFile file = ReadTensorFile(test::TestData("checkpoint/small_nested.pth"));
  ASSERT_FALSE(file.notes.empty());
  EXPECT_NE(file.notes[0].find("'state_dict'"), std::string::npos);
}

TEST(Checkpoint, ReadsThroughGzip) {
  const fs::path path = test::TemporaryFolder() / "small.pth.gz";
  const std::string plain = Slurp(test::TestData("checkpoint/small_zip.pth"));
  gzFile out = gzopen(path.c_str(), "wb");
  ASSERT_EQ(gzwrite(out, plain.data(), static_cast<unsigned>(plain.size())),
            static_cast<int>(plain.size()));
  gzclose(out);
  ExpectSameTensors(ReadTensorFile(path), Expected());
}

TEST(Safetensors, RoundTripKeepsEverything) {
  TensorFile file = ReadTensorFile(test::TestData("checkpoint/small_zip.pth"));
  file.metadata = {{"format", "pt"}, {"note", "quotes \" and \n lines and \xc3\xa9"}};
  const fs::path path = test::TemporaryFolder() / "out.safetensors";
  WriteSafetensors(file, path);
  const TensorFile back = ReadTensorFile(path);
  ExpectSameTensors(back, file);
  EXPECT_EQ(back.metadata, file.metadata);
  ASSERT_EQ(back.tensors.size(), file.tensors.size());
  for (size_t i = 0; i < back.tensors.size(); ++i) {
    EXPECT_EQ(back.tensors[i].first, file.tensors[i].first) << "order";
  }
  // Other readers map tensors in place: header and each tensor are aligned.
  const std::string bytes = Slurp(path);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_EQ(header % 8, 0u);
  EXPECT_EQ(bytes[8], '{');
}

TEST(Safetensors, AlignsEachTensorToItsType) {
  TensorFile file;
  file.tensors.emplace_back("odd",
                            StoredTensor{TensorType::kUInt8, {3}, std::vector<std::byte>(3)});
  file.tensors.emplace_back("wide",
                            StoredTensor{TensorType::kFloat64, {}, std::vector<std::byte>(8)});
  const fs::path path = test::TemporaryFolder() / "aligned.safetensors";
  WriteSafetensors(file, path);
  const std::string bytes = Slurp(path);
  EXPECT_NE(bytes.find(R"("wide":{"dtype":"F64","shape":[],"data_offsets":[0,8]})"),
            std::string::npos);
  EXPECT_LT(bytes.find("\"odd\""), bytes.find("\"wide\""));
}

TEST(Safetensors, WritesAnEmptyFile) {
  const fs::path path = test::TemporaryFolder() / "empty.safetensors";
  WriteSafetensors({}, path);
  EXPECT_TRUE(ReadTensorFile(path).tensors.empty());
}

TEST(Safetensors, RefusesToWriteWhatCannotBeRead) {
  const fs::path path = test::TemporaryFolder() / "bad.safetensors";
  const StoredTensor scalar{TensorType::kFloat32, {}, std::vector<std::byte>(4)};
  TensorFile twice;
  twice.tensors = {{"a", scalar}, {"a", scalar}};
  EXPECT_THROW(WriteSafetensors(twice, path), ModelError);
  TensorFile reserved;
  reserved.tensors = {{"__metadata__", scalar}};
  EXPECT_THROW(WriteSafetensors(reserved, path), ModelError);
  TensorFile wrong_size;
  wrong_size.tensors = {{"a", {TensorType::kFloat32, {2}, std::vector<std::byte>(4)}}};
  EXPECT_THROW(WriteSafetensors(wrong_size, path), ModelError);
  TensorFile not_utf8;
  not_utf8.tensors = {{"a\xff", scalar}};
  EXPECT_THROW(WriteSafetensors(not_utf8, path), ModelError);
  EXPECT_FALSE(fs::exists(path));
  EXPECT_THROW(WriteSafetensors({}, "/nonexistent/folder/x.safetensors"), IoError);
}

TEST(Checkpoint, MissingFileAndFolderAreIoErrors) {
  EXPECT_THROW(ReadTensorFile("/nonexistent/model.pth"), IoError);
  EXPECT_THROW(ReadTensorFile(test::TemporaryFolder()), IoError);
}

// The real size: 451 tensors, 23 MB.
TEST(Checkpoint, ReadsTinyFastAndWhole) {
  const fs::path path = test::SharedData("parity/rwkv_unet/t_9classes.pth");
  if (path.empty()) GTEST_SKIP();
  double best = 1e9;
  TensorFile file;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    file = ReadTensorFile(path);
    const std::chrono::duration<double, std::milli> taken =
        std::chrono::steady_clock::now() - start;
    best = std::min(best, taken.count());
  }
  RecordProperty("milliseconds", std::to_string(best));
  std::printf("t_9classes.pth: %.1f ms\n", best);
  EXPECT_EQ(file.tensors.size(), 451u);
  const auto report = DetectArchitecture(file);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->variant, "T");
  EXPECT_EQ(report->classes, 9);
  EXPECT_EQ(report->layout, "full");
  EXPECT_TRUE(report->Complete()) << report->Complaint();
  EXPECT_EQ(report->matched.size(), 326u);
  EXPECT_EQ(report->unused.size(), 125u);
  EXPECT_EQ(report->used_parameters, 3'145'961);
  EXPECT_EQ(report->total_parameters, 5'677'982);
}

TEST(Checkpoint, DataParallelLeanHoldsTheSameWeights) {
  const fs::path lean_path =
      test::SharedData("parity/rwkv_unet/t_9classes_dataparallel_lean.pth.gz");
  if (lean_path.empty()) GTEST_SKIP();
  const TensorFile full = ReadTensorFile(test::SharedData("parity/rwkv_unet/t_9classes.pth"));
  const TensorFile lean = ReadTensorFile(lean_path);
  EXPECT_EQ(lean.tensors.size(), 352u);
  const auto report = DetectArchitecture(lean);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->layout, "lean");
  EXPECT_TRUE(report->Complete()) << report->Complaint();
  EXPECT_EQ(report->total_parameters, 3'311'111);
  ASSERT_EQ(report->matched.size(), 326u);
  for (const std::string& name : report->matched) {
    ASSERT_NE(full.Find(name), nullptr) << name;
    EXPECT_TRUE(full.Find(name)->data == lean.Find(name)->data) << name;
  }
}

TEST(Checkpoint, EncoderFileIsRecognised) {
  const fs::path path = test::SharedData("parity/rwkv_unet/t_encoder_imagenet_form.pth.gz");
  if (path.empty()) GTEST_SKIP();
  const TensorFile file = ReadTensorFile(path);
  EXPECT_EQ(file.tensors.size(), 249u);
  const auto report = DetectArchitecture(file);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->variant, "T");
  EXPECT_EQ(report->classes, 0);
  EXPECT_EQ(report->layout, "lean");
  EXPECT_TRUE(report->encoder_only);
  EXPECT_TRUE(report->Complete()) << report->Complaint();
  EXPECT_FALSE(report->missing.empty()) << "the decoder is not there";
  EXPECT_EQ(report->total_parameters, 3'102'598);
  for (const std::string& name : report->matched) {
    EXPECT_NE(file.Find(report->NameInFile(name)), nullptr) << name;
  }
}

}  // namespace
}  // namespace avocet::models
