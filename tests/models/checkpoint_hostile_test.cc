// SPDX-License-Identifier: Apache-2.0
// Files that are damaged or mean harm: each must end in a ModelError that says why, in little time
// and memory, and without executing anything.
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "app/base/error.h"
#include "models/architecture/layout.h"
#include "models/checkpoint/tensor_file.h"
#include "models/model_card.h"
#include "tests/models/checkpoint_builder.h"
#include "tests/support/test_support.h"

namespace avocet::models {
namespace {

using namespace avocet::test;  // NOLINT: the builders

std::string Slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Parses and, when that works, checks what any caller relies on. Returns the refusal, or "".
std::string Refusal(const std::string& bytes) {
  try {
    // A copy of exactly this size, so that the sanitizer sees each byte read beyond it.
    const std::vector<char> exact(bytes.begin(), bytes.end());
    const TensorFile file = ParseTensorFile({exact.data(), exact.size()});
    for (const auto& [name, tensor] : file.tensors) {
      EXPECT_EQ(tensor.data.size(), static_cast<size_t>(tensor.Numel()) * SizeOf(tensor.type));
      EXPECT_FALSE(name.empty());
    }
    DetectArchitecture(file);
    CardOf(file);
  } catch (const ModelError& error) {
    EXPECT_STRNE(error.what(), "");
    return error.what();
  }
  return "";
}

void ExpectRefused(const std::string& bytes, const std::string& why) {
  const std::string refusal = Refusal(bytes);
  EXPECT_NE(refusal, "") << "accepted; expected: " << why;
  EXPECT_NE(refusal.find(why), std::string::npos) << refusal << "\n  expected: " << why;
}

void ExpectPickleRefused(const std::string& body, const std::string& why) {
  ExpectRefused(MakeTorchZip(Pickle(body)), why);
}

const std::string kGood = PTensor(PStorage(), 0, {2, 3}, {3, 1});

TEST(HostilePickle, TheBuilderMakesReadableFiles) {
  const std::string bytes = MakeTorchZip(Pickle(PDict({{"a", kGood}})));
  EXPECT_EQ(Refusal(bytes), "");
  const TensorFile file = ParseTensorFile(bytes);
  ASSERT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(file.tensors[0].second.shape, (std::vector<int64_t>{2, 3}));
}

TEST(HostilePickle, CodeIsRefusedByName) {
  const std::string arguments = PTuple({PText("touch /tmp/avocet_was_here")});
  ExpectPickleRefused(PGlobal("os", "system") + arguments + "R", "'os.system'");
  ExpectPickleRefused(PGlobal("posix", "system") + arguments + "R", "'posix.system'");
  ExpectPickleRefused(PGlobal("builtins", "eval") + arguments + "R", "'builtins.eval'");
  ExpectPickleRefused(PText("os") + PText("system") + "\x93" + arguments + "R", "'os.system'");
  // Also where nobody would look at the value.
  ExpectPickleRefused(PDict({{"a", kGood}, {"hook", PGlobal("subprocess", "Popen")}}),
                      "'subprocess.Popen'");
  ExpectPickleRefused(PGlobal("torch", "load") + arguments + "R", "'torch.load'");
  ExpectPickleRefused(PGlobal("os\x1b[31m", "system"), "os?[31m");
  EXPECT_FALSE(std::filesystem::exists("/tmp/avocet_was_here"));
}

TEST(HostilePickle, SizesBeyondTheStorage) {
  const auto refuse = [](const std::string& tensor, const std::string& why) {
    ExpectPickleRefused(PDict({{"a", tensor}}), why);
  };
  refuse(PTensor(PStorage(), 0, {25}, {1}), "beyond its storage");
  refuse(PTensor(PStorage(), 24, {1}, {1}), "beyond its storage");
  refuse(PTensor(PStorage(), 0, {2, 2}, {INT64_MAX, 1}), "beyond its storage");
  refuse(PTensor(PStorage(), 0, {INT64_MAX, 2}, {1, 1}), "malformed shape");
  refuse(PTensor(PStorage(), 0, {1 << 20, 1 << 20, 1 << 20, 1 << 20}, {0, 0, 0, 0}), "malformed");
  refuse(PTensor(PStorage(), 0, {-1}, {1}), "malformed shape");
  refuse(PTensor(PStorage(), -1, {1}, {1}), "malformed shape");
  refuse(PTensor(PStorage(), 0, {2}, {-1}), "malformed shape");
  refuse(PTensor(PStorage(), 0, {2, 2}, {1}), "malformed shape");
  refuse(PTensor(PStorage(), 0, std::vector<int64_t>(40, 1), std::vector<int64_t>(40, 1)),
         "malformed");
  refuse(PTensor(PStorage(23), 0, {2}, {1}), "claims");
  refuse(PTensor(PStorage(INT64_MAX), 0, {2}, {1}), "claims");
  refuse(PTensor(PStorage(24, "7"), 0, {2}, {1}), "missing");
  refuse(PTensor(PStorage(24, "../../version"), 0, {2}, {1}), "missing");
  refuse(PTensor(PStorage(12, "0", "ComplexFloatStorage"), 0, {2}, {1}), "complex");
  refuse(PTensor("N", 0, {2}, {1}), "storage");
  refuse(PTensor(PTuple({PText("module"), "N", "N", "N", "N"}) + "Q", 0, {2}, {1}), "module");
  refuse(PTensor(PTuple({}) + "Q", 0, {2}, {1}), "storage");
}

TEST(HostilePickle, ExpandedViewsCannotEatTheMemory) {
  ExpectPickleRefused(PDict({{"a", PTensor(PStorage(), 0, {int64_t{1} << 40}, {0})}}), "64 times");
  // Many views, each within bounds.
  std::vector<std::pair<std::string, std::string>> views;
  for (int i = 0; i < 4000; ++i) {
    views.emplace_back("view" + std::to_string(i), PTensor(PStorage(), 0, {20000}, {0}));
  }
  ExpectPickleRefused(PDict(views), "64 times");
}

TEST(HostilePickle, NamesTwiceOrNotText) {
  ExpectPickleRefused(PDict({{"a", kGood}, {"a", kGood}}), "'a' is there twice");
  ExpectPickleRefused(PDict({{"a\xff", kGood}}), "UTF-8");
  ExpectPickleRefused(PDict({{"", kGood}}), "empty");
  ExpectPickleRefused("}(" + PInt(1) + kGood + "u", "no dictionary of tensors");
}

TEST(HostilePickle, OtherShapesOfContent) {
  ExpectPickleRefused("N", "no dictionary");
  ExpectPickleRefused(kGood, "bare tensor");
  ExpectPickleRefused("}", "no dictionary");
  ExpectPickleRefused(PDict({{"epoch", PInt(3)}}), "no dictionary");
  ExpectPickleRefused(
      PDict({{"x", PDict({{"y", PDict({{"z", PDict({{"w", PDict({{"a", kGood}})}})}})}})}}),
      "no dictionary");
  EXPECT_EQ(Refusal(MakeTorchZip(Pickle(PDict({{"anything", PDict({{"a", kGood}})}})))), "");
}

TEST(HostilePickle, CyclesEnd) {
  // A dictionary that holds itself under "state_dict", and under another key.
  for (const std::string key : {"state_dict", "x"}) {
    ExpectPickleRefused("}q\x01" + PText(key) + "h\x01s", "no dictionary");
  }
  // A list in itself, beside a tensor: ignored.
  const std::string list =
      "]q\x02h\x02"
      "a";
  EXPECT_EQ(Refusal(MakeTorchZip(Pickle(PDict({{"l", list}, {"a", kGood}})))), "");
  // A shape that holds itself.
  ExpectPickleRefused(PDict({{"a", PGlobal("torch._utils", "_rebuild_tensor_v2") +
                                       PTuple({PStorage(), PInt(0),
                                               "]q\x03h\x03"
                                               "a",
                                               PInts({1})}) +
                                       "R"}}),
                      "malformed shape");
}

TEST(HostilePickle, DepthAndCountAreBounded) {
  ExpectPickleRefused(std::string(3'000'000, ']') + std::string(2'999'999, 'a'), "no dictionary");
  ExpectPickleRefused(std::string(5'000'000, ']'), "more than 4000000 values");
  ExpectPickleRefused(std::string(1'000'000, '('), "stack underflow");
  ExpectPickleRefused("]" + std::string(1'000'000, '2'), "no dictionary");
  // One huge tuple, used again and again as arguments, persistent id or items.
  const std::string huge = "(" + std::string(500'000, 'N') +
                           "tq\x01"
                           "0";
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += "h\x01Q0";
  ExpectPickleRefused(huge + many, "persistent id");
  std::string pairs;
  for (int i = 0; i < 200'000; ++i) pairs += "h\x02";
  std::string body =
      "NN\x86q\x02"
      "0](" +
      pairs +
      "e\x85q\x03"
      "0";
  for (int i = 0; i < 100'000; ++i) body += PGlobal("collections", "OrderedDict") + "h\x03R0";
  ExpectPickleRefused(body, "too many dictionaries");
}

TEST(HostilePickle, MalformedStreams) {
  for (const std::string body : {"",
                                 "0",
                                 "t",
                                 "u",
                                 "a",
                                 "s",
                                 "R",
                                 "Q",
                                 "h\x05",
                                 "\x85",
                                 "]Q",
                                 "NR",
                                 "(NNu",
                                 "N)R",
                                 ")b",
                                 "}Na",
                                 "]NNs",
                                 "X\xff\xff\xff\xff"
                                 "abc",
                                 "\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
                                 "cos",
                                 "i",
                                 "(lp0\n",
                                 "\x8b\xff\xff\xff\x7f",
                                 "\x80\x09",
                                 "\x93"}) {
    EXPECT_NE(Refusal(MakeTorchZip(Pickle(body))), "") << testing::PrintToString(body);
  }
  ExpectRefused(MakeTorchZip(""), "ends early");
}

TEST(HostileZip, EveryTruncationIsRefused) {
  for (const char* name : {"small_zip.pth", "small_zip_1_11_layout.pth"}) {
    const std::string whole = Slurp(TestData(std::string("checkpoint/") + name));
    ASSERT_GT(whole.size(), 1000u);
    for (size_t size = 0; size < whole.size(); ++size) {
      ASSERT_NE(Refusal(whole.substr(0, size)), "") << name << " cut to " << size;
    }
  }
}

TEST(HostileZip, ADamagedWeightIsNoticed) {
  std::string bytes = Slurp(TestData("checkpoint/small_zip_1_11_layout.pth"));
  const TensorFile file = ParseTensorFile(bytes);
  const auto& data = file.Find("f32")->data;
  const size_t at =
      bytes.find(std::string(reinterpret_cast<const char*>(data.data()), data.size()));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 5] ^= 1;
  ExpectRefused(bytes, "checksum");
}

TEST(HostileZip, OddArchives) {
  const std::string pickle = Pickle(PDict({{"a", kGood}}));
  const ZipEntry good{"x/data.pkl", pickle};
  ExpectRefused(MakeZip({{"x/readme.txt", "hello"}}), "no data.pkl");
  ExpectRefused(MakeZip({good, {"y/data.pkl", pickle}}), "two pickles");
  ExpectRefused(MakeZip({good, good}), "twice");
  ExpectRefused(MakeZip({good, {"x/constants.pkl", "."}}), "TorchScript");
  ExpectRefused(MakeZip({good, {"x/byteorder", "big"}}), "big-endian");
  ExpectRefused(MakeZip({{"x/data.pkl", pickle, 8, 0}}), "compressed");
  ExpectRefused(MakeZip({{"x/data.pkl", pickle, 0, 1}}), "encrypted");
  ExpectRefused(MakeZip({good}), "missing");  // no storage
  // Entries that share their bytes: the second central record is made to point to the first.
  std::string shared = MakeZip({{"x/data.pkl", pickle}, {"x/data.pkm", pickle}, {"x/data/0", ""}});
  const size_t central = shared.find("PK\x01\x02", 0);
  const size_t second = shared.find("PK\x01\x02", central + 4);
  shared.replace(second + 42, 4, std::string(4, '\0'));
  EXPECT_NE(Refusal(shared), "");
}

TEST(HostileLegacy, EveryTruncationIsRefused) {
  const std::string whole = Slurp(TestData("checkpoint/small_legacy.pth"));
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_NE(Refusal(whole.substr(0, size)), "") << "cut to " << size;
  }
}

TEST(HostileSafetensors, EveryTruncationIsRefused) {
  const std::string whole = Slurp(TestData("checkpoint/small_expected.safetensors"));
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_NE(Refusal(whole.substr(0, size)), "") << "cut to " << size;
  }
  ExpectRefused(whole + "x", "after its last tensor");
}

TEST(HostileSafetensors, HeadersThatLie) {
  const std::string data(8, '\1');
  const auto refuse = [&](const std::string& header, const std::string& why) {
    ExpectRefused(MakeSafetensors(header, data), why);
  };
  const std::string good = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  EXPECT_EQ(Refusal(MakeSafetensors("{" + good + "}   ", data)), "");
  ExpectRefused(Little<uint64_t>(uint64_t{2} << 30) + "{" + std::string(1000, ' '), "claims");
  ExpectRefused(Little<uint64_t>(UINT64_MAX) + "{}", "claims");
  refuse("{" + good, "not valid JSON");
  refuse("{" + good + "}}", "not valid JSON");
  refuse("{" + good + "," + good + "}", "twice");
  refuse(R"({"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "without a name");
  refuse(R"({"__metadata__":{},"__metadata__":{},)" + good + "}", "twice");
  refuse(R"({"__metadata__":{"k":"v","k":"w"},)" + good + "}", "twice");
  refuse(R"({"__metadata__":{"k":1},)" + good + "}", "a number");
  refuse(R"({"__metadata__":{"k":{}},)" + good + "}", "an object");
  refuse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "needs 8 bytes");
  refuse(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "after its last");
  refuse(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "gaps");
  refuse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", "overlap");
  refuse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
         R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
         "overlap");
  refuse(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})",
         "impossible");
  refuse(R"({"a":{"dtype":"F32","shape":[4611686018427387904,2],"data_offsets":[0,8]}})",
         "impossible");
  refuse(R"({"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]}})", "extent");
  refuse(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", "negative");
  refuse(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", "fraction");
  refuse(R"({"a":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}})", "array");
  refuse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}})", "a number");
  refuse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", "lacks");
  refuse(R"({"a":{"dtype":"F32","shape":[2]}})", "lacks");
  refuse(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", "lacks");
  refuse(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "twice");
  refuse(R"({"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}})", "not supported");
  refuse(R"({"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}})", "a number");
  refuse(R"({"a":{"dtype":"F32","shape":null,"data_offsets":[0,8]}})", "null");
  refuse(R"({"a":7})", "a number");
  refuse("{\"a\xff\":7}", "not valid JSON");
  std::string deep = "{\"a\":" + std::string(1'000'000, '[');
  refuse(deep, "array");
  std::string rank = R"({"a":{"dtype":"F32","shape":[)";
  for (int i = 0; i < 100'000; ++i) rank += "1,";
  refuse(rank + R"(2],"data_offsets":[0,8]}})", "dimensions");
  ExpectRefused(MakeSafetensors(R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", "\2"),
                "boolean");
}

TEST(HostileFile, ASparseFileTakesNoMemory) {
  const auto path = TemporaryFolder() / "huge.safetensors";
  std::ofstream(path, std::ios::binary) << MakeSafetensors("{}", "");
  std::filesystem::resize_file(path, uintmax_t{1} << 40);
  EXPECT_THROW(ReadTensorFile(path), ModelError);
}

TEST(HostileFile, OtherContentAndGzipBombs) {
  EXPECT_NE(Refusal(""), "");
  ExpectRefused("<html>404</html>", "neither");
  ExpectRefused(std::string(100, '\0'), "neither");
  const auto gzip = [](const std::string& plain) {
    const auto path = TemporaryFolder() / "x.gz";
    gzFile out = gzopen(path.c_str(), "wb9");
    gzwrite(out, plain.data(), static_cast<unsigned>(plain.size()));
    gzclose(out);
    return Slurp(path);
  };
  ExpectRefused(gzip(std::string(size_t{64} << 20, '\0')), "expands");
  ExpectRefused(gzip("hello"), "neither");
  const std::string packed = gzip(Slurp(TestData("checkpoint/small_zip.pth")));
  EXPECT_EQ(Refusal(packed), "");
  ExpectRefused(packed.substr(0, packed.size() / 2), "ends early");
  std::string damaged = packed;
  damaged[packed.size() / 2] ^= 0x55;
  EXPECT_NE(Refusal(damaged), "");
  ExpectRefused(gzip(gzip("hello")), "neither");
}

// Seeded mutations: flips, numbers of interest, cuts, copies and insertions.
std::string Mutate(std::string bytes, std::mt19937& random) {
  const auto below = [&](size_t n) {
    return static_cast<size_t>(random() % std::max<size_t>(n, 1));
  };
  const size_t edits = 1 + below(4);
  for (size_t i = 0; i < edits && !bytes.empty(); ++i) {
    const size_t at = below(bytes.size());
    switch (random() % 6) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2: {
        static constexpr char kValues[] = {0,   1,   0x7f, '\x80', '\xff', '(',
                                           't', 'R', 'Q',  'u',    'h',    ']'};
        bytes[at] = kValues[below(sizeof kValues)];
        break;
      }
      case 3:
        bytes.erase(at, 1 + below(16));
        break;
      case 4:
        bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(32)));
        break;
      default: {
        const size_t length = std::min<size_t>(1 + below(8), bytes.size() - at);
        for (size_t k = 0; k < length; ++k) bytes[at + k] = random() % 2 ? '\xff' : '\0';
        break;
      }
    }
  }
  return bytes;
}

TEST(Mutations, EndInATensorFileOrAnError) {
  std::mt19937 random(20240607);
  std::vector<std::string> files;
  for (const char* name : {"small_zip.pth", "small_zip_1_11_layout.pth", "small_legacy.pth",
                           "small_nested.pth", "small_expected.safetensors"}) {
    files.push_back(Slurp(TestData(std::string("checkpoint/") + name)));
  }
  // The pickles again in containers whose checksums are right after the mutation.
  const auto pickle_of = [](const std::string& bytes) {
    const size_t begin = bytes.find("\x80\x02");
    const size_t end = bytes.find("PK", begin);
    return bytes.substr(begin, end - begin);
  };
  const std::string pickles[] = {pickle_of(files[1]), pickle_of(files[3]),
                                 Pickle(PDict({{"a", kGood}, {"b", kGood}}))};
  int accepted = 0;
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    const auto count = [&](const std::string& bytes) {
      ++(Refusal(bytes).empty() ? accepted : refused);
    };
    for (const std::string& file : files) count(Mutate(file, random));
    for (const std::string& pickle : pickles) count(MakeTorchZip(Mutate(pickle, random), 15));
  }
  std::printf("%d mutated files: %d read, %d refused\n", accepted + refused, accepted, refused);
  EXPECT_GT(accepted, 100) << "mutations no longer reach the inside of the reader";
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace avocet::models
